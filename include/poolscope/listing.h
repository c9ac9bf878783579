/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the iterators write when they are read, and what the maps hold that both halves touch. Same rules as record.h.
 */
#ifndef POOLSCOPE_LISTING_H
#define POOLSCOPE_LISTING_H

#include <linux/types.h>

#include "poolscope/record.h"

#define PS_COMM_MAX 16 /* TASK_COMM_LEN */

enum ps_task_flag {
	PS_TASK_KERNEL = 1 << 0, /* PF_KTHREAD */
	PS_TASK_DEAD = 1 << 1, /* no live thread is left: a zombie */
};

/* iter/task: one row per process (not per thread). */
struct ps_task_row {
	__u64 start_ns; /* since boot; with the tgid it names a process for good */
	__u32 tgid;
	__u32 parent_tgid;
	__u32 flags; /* enum ps_task_flag */
	__u32 pad;
	char comm[PS_COMM_MAX]; /* any bytes; NUL-terminated */
};

/*
 * iter/bpf_sk_storage_map over the listeners: one row each, followed by the cookies of the connections in its
 * accept queue (at most PS_QUEUE_LISTED) and a 0.
 */
struct ps_listener_row {
	__u64 cookie;
	__u32 owner;
	__u32 dropped; /* sk_drops since the listener was tagged; wraps */
	__u32 half_open;
	__u32 queued;
	__u32 queue_limit;
	__u16 local_port;
	__u16 pad;
};

/* iter/bpf_sk_storage_map over the records: one row for each live connection that is wanted, at the time of the read. */
struct ps_connection_row {
	struct ps_record record;
	__u64 bytes_sent; /* what the peer has acknowledged; neither SYN nor FIN */
	__u64 bytes_received; /* in order; neither SYN nor FIN */
	__u32 retransmits; /* segments, SYNs among them */
	__u32 rtt_us; /* smoothed; 0: no sample yet */
	__u32 unaccepted; /* 1: established, and no process has accepted it yet */
	__u32 pad;
};

/* iter/task_file over one process: the ids of the wanted connections that it holds, one for each descriptor. */
struct ps_held_row {
	__u64 id;
};

/* What one read() of these two may look at: about a millisecond, whatever is in the tables. */
#define PS_LIST_STEP 4096
#define PS_WANTED_MAX 10000

/* A seq_file page run holds 32 KiB, and one listener must fit (bpf_iter: PAGE_SIZE << 3). */
#define PS_QUEUE_LISTED 3900

/* Why a process belongs to a target, in the order of precedence. The last four are also kinds of selectors. */
enum ps_rank {
	PS_RANK_PID, /* the operator named it, or what it descends from */
	PS_RANK_UNIT,
	PS_RANK_CGROUP,
	PS_RANK_EXE,
	PS_RANK_COMM,
	PS_RANKS,
};

/* Value of the map of target processes, keyed by tgid, and of the maps of selectors: what is selected becomes this. */
struct ps_process {
	__u32 owner; /* target id, never 0 */
	__u16 follow; /* children belong to the target, too */
	__u16 rank; /* enum ps_rank */
};

/* What processes are selected by. What a rank does not use is 0. */
struct ps_selector {
	__u32 rank;
	__u32 device; /* exe: of the super block */
	__u64 number; /* unit, cgroup: id of the cgroup; exe: inode */
	char comm[PS_COMM_MAX]; /* comm: padded with NUL */
};

/* What a cgroup is selected by that is not there yet: padded with NUL. Longer than any name that a selector may have: one that is cut
 * equals none. */
#define PS_CGROUP_NAME_MAX 264

struct ps_cgroup_name {
	__u64 rank; /* unit: the text is the name of the directory; cgroup: its path */
	char text[PS_CGROUP_NAME_MAX];
};

/* Sockets or processes that could not be tracked, by cause. */
enum ps_refusal {
	PS_REFUSAL_MEMORY, /* sk_storage was refused: no memory, or the socket's option memory is full */
	PS_REFUSAL_OPTMEM, /* net.core.optmem_max is too small to tag a listener safely */
	PS_REFUSAL_PROCESSES, /* more processes than PS_PROCESSES_MAX */
	PS_REFUSALS,
};

/* Counters that only rise, one set per processor; the user half adds them up. */
struct ps_counters {
	__u64 refused[PS_EVENTS]; /* the ring had no room */
	__u64 lost[PS_EVENTS]; /* ... and nothing will deliver it later */
	__u64 refusals[PS_REFUSALS];
};

#define PS_PROCESSES_MAX 4096

/* Each target is one, or for a while two: a unit may have the old cgroup and the new. */
#define PS_SELECTORS_MAX 1024

/* Final records that found the ring full, kept for the reader; what does not fit either is lost. */
#define PS_PARKED_MAX 65536

_Static_assert(sizeof(struct ps_process) == 8, "no hidden padding");
_Static_assert(sizeof(struct ps_selector) == 32, "a key has no hidden padding");
_Static_assert(sizeof(struct ps_cgroup_name) == 272, "a key has no hidden padding");
_Static_assert(sizeof(struct ps_task_row) == 40, "no hidden padding");
_Static_assert(sizeof(struct ps_listener_row) == 32, "no hidden padding");
_Static_assert(sizeof(struct ps_connection_row) == 112, "no hidden padding");

#endif
