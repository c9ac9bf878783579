/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Every map, every knob, every counter, with its bound.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "poolscope/listing.h"
#include "poolscope/record.h"

/*
 * What a tracked socket carries. One hold of the lock is one change or one copy; no helper may be called inside.
 * Up to 120 bytes the element costs the kernel the same size class (kmalloc-192 beside its 64 bytes of head).
 */
struct ps_value {
	struct bpf_spin_lock lock;
	__u32 told; /* last version that is in the ring */
	__u32 generation; /* inventory that showed it last */
	__be16 sport; /* inet_sport at SYN_SENT */
	__u16 adopting; /* 1: made by adoption, and not yet shown by an inventory */
	__u64 self; /* address of the sock it was made for: another one means a clone not initialised yet */
	struct ps_record record;
};

_Static_assert(sizeof(struct ps_value) <= 120,
	       "the next size class costs 64 bytes more per socket");

/* One per tracked socket and tagged listener; dies with the socket. CLONE: a listener's child is born with a copy. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct ps_value);
} ps_records SEC(".maps");

struct ps_listener {
	__u32 owner;
	__u32 dropped_before; /* sk_drops when it was tagged */
};

/* Listeners of targets only, so that a scrape walks few sockets; not cloned. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ps_listener);
} ps_listeners SEC(".maps");

/* tgid → target. Beyond the bound a process is not followed, and counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PS_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, struct ps_process);
} ps_processes SEC(".maps");

/* What becomes a target when it is met, and the names of cgroups that get a place in it when they are made. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PS_SELECTORS_MAX);
	__type(key, struct ps_selector);
	__type(value, struct ps_process);
} ps_selectors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PS_SELECTORS_MAX);
	__type(key, struct ps_cgroup_name);
	__type(value, struct ps_process);
} ps_cgroup_names SEC(".maps");

/* Processes that were selected since the reader took them: they may hold sockets from before. The reader comes once a second; what
 * finds no room is left to the next inventory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PS_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, __u8);
} ps_selected SEC(".maps");

/* Resized before load (--ring-size). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} ps_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ps_counters);
} ps_counters SEC(".maps");

/* Finals that the ring refused, by id. No preallocation: it is empty on a quiet day. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PS_PARKED_MAX);
	__type(key, __u64);
	__type(value, struct ps_record);
} ps_parked SEC(".maps");

/* Ids that the listing under way is of: what it does not want is not printed, since each read() of an iterator walks anew to where it
 * stopped. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PS_WANTED_MAX);
	__type(key, __u64);
	__type(value, __u8);
} ps_wanted SEC(".maps");

/* Accept messages that the ring refused, by cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PS_PARKED_MAX);
	__type(key, __u64);
	__type(value, struct ps_message_accept);
} ps_parked_accepts SEC(".maps");

/* Fill of the ring, in bytes, from which one wake-up is sent; the reader drains on a timer otherwise. */
const volatile __u32 ps_wake_bytes = 1024 * 1024;
/* net.core.optmem_max where the kernel has one for the whole host (before 6.9). */
const volatile __u32 ps_optmem_max = 20480;
/*
 * Whether a record is deleted when its socket is destroyed, instead of left to the kernel. Since Linux 7.0 the kernel's own way
 * (bpf_selem_unlink_nofail()) clears selem->local_storage, which an iterator that has just found the record reads again and follows
 * (__bpf_sk_storage_map_seq_show()): a NULL dereference in the kernel, seen on 7.2. A record that a program deletes keeps it. To be
 * removed with the last kernel that does so.
 */
const volatile bool ps_delete_destroyed = false;
/* The daemon, which is never selected. */
const volatile __u32 ps_daemon_tgid = 0;

/* 1 from the first accept that is parked until the reader comes: it clears it, then takes them. */
__u32 ps_accepts_parked = 0;
/* 1 from the wake-up until the reader has come: it clears it. */
__u32 ps_wake_sent = 0;
/* The inventory under way: 0 shows what the reader was not told, else all that does not carry this generation. */
__u32 ps_inventory_generation = 0;
/* 1 from where the pass found the ring full: the reader drains and repeats it. */
__u32 ps_inventory_full = 0;
/* Records in SYN_SENT beside a socket in CLOSE that were too young to be judged. */
__u32 ps_inventory_young = 0;
/* How many objects the reader of a listing lets it look at in one read(): it sets it before each. */
__u32 ps_list_budget = 0;
/* By enum ps_rank, one bit each: kinds of selectors that there are. */
__u32 ps_selecting = 0;
/* From this owner on the walk of ps_select counts who finds no room: it is repeated, and what it does not count it has counted before. */
__u32 ps_counted_from = 0;
/* 1 from the first socket without a record that pass 1 of an adoption meets. */
__u32 ps_adopt_found = 0;
/* The adoption pass under way: 1 tags listeners only, 2 takes everything. */
__u32 ps_adopt_pass = 0;
/* By owner, one bit each: set while it is a target. What programs that run at the moment of a detachment still do for the owner
 * is over after a grace period. */
__u8 ps_owners[PS_OWNERS / 8] = {};
/* Records that the last walk of ps_forget deleted. */
__u32 ps_forgotten = 0;
/* By port: 1 if a listener of a target has been seen there; 0 again when its target is detached. What is accepted elsewhere by strangers is none of ours. */
__u8 ps_ports[65536] = {};

static __always_inline bool owner_is_present(__u32 owner)
{
	return ps_owners[(owner & (PS_OWNERS - 1)) / 8] >> (owner & 7) & 1;
}

/* It was a target, and has been detached. */
static __always_inline bool owner_is_gone(__u32 owner)
{
	return owner && !owner_is_present(owner);
}

static __always_inline struct ps_counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ps_counters, &zero);
}

static __always_inline void count_refusal(enum ps_refusal cause)
{
	struct ps_counters *c = counters();

	if (c)
		__sync_fetch_and_add(&c->refusals[cause], 1);
}

#endif
