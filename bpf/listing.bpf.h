/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The live connections that somebody asks for, one by one: what the records and the sockets say, and which process holds
 * which. Changes nothing: what is behind or lost is the inventory's to heal. Each read() is bounded: a program
 * whose budget is spent returns 1, and the kernel shows it the same object in the next read().
 */
#ifndef LISTING_BPF_H
#define LISTING_BPF_H

#include "maps.bpf.h"
#include "sock.bpf.h"

static __always_inline bool list_may_go_on(void)
{
	if (!ps_list_budget)
		return false;
	ps_list_budget--;
	return true;
}

/* A guess unless the lock is held. */
static __always_inline bool record_is_wanted(const struct ps_value *v, const struct sock *sk)
{
	__u64 id = v->record.id;

	if (v->self != (__u64)sk || v->record.phase == PS_PHASE_NONE ||
	    v->record.phase == PS_PHASE_ENDED)
		return false;
	return bpf_map_lookup_elem(&ps_wanted, &id);
}

/* bytes_acked counts the SYN of the side that connected, bytes_received the FIN of the peer. */
static __always_inline void row_set_traffic(struct ps_connection_row *row, struct tcp_sock *tp,
					    const struct sock *sk)
{
	row->bytes_sent = tp->bytes_acked;
	if (row->record.direction == PS_OUTBOUND && row->bytes_sent)
		row->bytes_sent--;
	row->bytes_received = tp->bytes_received;
	if (sk->__sk_common.skc_state == TCP_CLOSE_WAIT && row->bytes_received)
		row->bytes_received--;
	row->retransmits = tp->total_retrans;
	row->rtt_us = tp->srtt_us >> 3;
}

/* iter/bpf_sk_storage_map over ps_records. 1: no more in this read(). */
static __always_inline int list_record(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct ps_connection_row row = {};
	struct ps_value *v = ctx->value;
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp;

	if (!sk || !v)
		return 0;
	if (!list_may_go_on())
		return 1;
	if (!record_is_wanted(v, sk))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	v = bpf_sk_storage_get(&ps_records, sk, 0, 0); /* ctx->value cannot be locked */
	if (!tp || !v)
		return 0;
	bpf_spin_lock(&v->lock);
	row.record = v->record;
	bpf_spin_unlock(&v->lock);
	if (!row.record.local_port) /* of a pending one it was not known at SYN_SENT */
		row.record.local_port = sk->__sk_common.skc_num;
	row_set_traffic(&row, tp, sk);
	row.unaccepted = row.record.direction == PS_INBOUND && !sk->sk_socket;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

/* iter/task_file over one target process. 1: no more in this read(). */
static __always_inline int list_held(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct ps_held_row row = {};
	struct socket *socket;
	struct ps_value *v;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	if (!list_may_go_on())
		return 1;
	socket = bpf_sock_from_file(file);
	sk = socket ? socket->sk : NULL;
	if (!sk || !sock_is_tcp(sk))
		return 0;
	v = bpf_sk_storage_get(&ps_records, sk, 0, 0);
	if (!v || !record_is_wanted(v, sk))
		return 0;
	row.id = v->record.id;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif
