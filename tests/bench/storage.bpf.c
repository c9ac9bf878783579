// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Ways to keep a record of a connection, alone: each program makes one when a connect() begins, finds and changes it when the
 * connection is established, and deletes it when the connection ends. `nothing` asks the same and keeps none.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ENTRIES 65536

/* What a record carries today, and what it could at most if its element were to fit the next smaller size of memory. */
struct wide {
	__u64 words[15];
};
struct narrow {
	__u64 words[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wide);
} storage_wide SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct narrow);
} storage_narrow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u64);
	__type(value, struct wide);
} hash_preallocated SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENTRIES);
	__type(key, __u64);
	__type(value, struct wide);
} hash_allocating SEC(".maps");

static __always_inline void in_storage(void *map, struct sock *sk, int oldstate, int newstate)
{
	__u64 *v;

	if (newstate == TCP_SYN_SENT) {
		bpf_sk_storage_get(map, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	} else if (oldstate == TCP_SYN_SENT) {
		v = bpf_sk_storage_get(map, sk, 0, 0);
		if (v)
			v[1]++;
	} else if (newstate == TCP_CLOSE) {
		bpf_sk_storage_delete(map, sk);
	}
}

static __always_inline void in_hash(void *map, struct sock *sk, int oldstate, int newstate)
{
	__u64 key = (__u64)sk, *v;
	struct wide fresh = {};

	if (newstate == TCP_SYN_SENT) {
		bpf_map_update_elem(map, &key, &fresh, BPF_ANY);
	} else if (oldstate == TCP_SYN_SENT) {
		v = bpf_map_lookup_elem(map, &key);
		if (v)
			v[1]++;
	} else if (newstate == TCP_CLOSE) {
		bpf_map_delete_elem(map, &key);
	}
}

__u64 nothing_kept = 0;

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_nothing, struct sock *sk, int oldstate, int newstate)
{
	if (newstate == TCP_SYN_SENT || oldstate == TCP_SYN_SENT || newstate == TCP_CLOSE)
		nothing_kept = (__u64)sk;
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_storage_wide, struct sock *sk, int oldstate, int newstate)
{
	in_storage(&storage_wide, sk, oldstate, newstate);
	return 0;
}

/* As poolscope does: the kernel frees it with its socket. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_storage_left, struct sock *sk, int oldstate, int newstate)
{
	if (newstate != TCP_CLOSE)
		in_storage(&storage_wide, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_storage_narrow, struct sock *sk, int oldstate, int newstate)
{
	in_storage(&storage_narrow, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_hash_preallocated, struct sock *sk, int oldstate, int newstate)
{
	in_hash(&hash_preallocated, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(keep_hash_allocating, struct sock *sk, int oldstate, int newstate)
{
	in_hash(&hash_allocating, sk, oldstate, newstate);
	return 0;
}
