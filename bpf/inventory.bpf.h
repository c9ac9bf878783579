/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is read instead of heard: the descriptor tables of targets, the accept queues of their listeners, the processes of
 * the host. Runs in the reader's context, when it reads the iterator.
 */
#ifndef INVENTORY_BPF_H
#define INVENTORY_BPF_H

#include "conn.bpf.h"

/* somaxconn may be raised to 65,535; a queue beyond this bound is walked so far. */
#define QUEUE_WALK_MAX 16384

struct queue_walk {
	struct request_sock *next;
	struct seq_file *seq;
	__u32 owner; /* 0: list, else adopt for it */
	__u32 listed;
};

/*
 * One step along rskq_accept_head → dl_next. The list is not locked: request_sock and tcp_sock are SLAB_TYPESAFE_BY_RCU, so
 * under RCU a stale link leads to another request or socket of TCP at worst.
 */
static long queue_step(__u32 index, struct queue_walk *w)
{
	struct request_sock *req = w->next;
	struct sock *sk;
	__u64 cookie;

	if (!req)
		return 1;
	w->next = req->dl_next;
	sk = req->sk;
	if (!sk)
		return 0;
	if (w->owner) {
		conn_adopt(sk, w->owner);
		return 0;
	}
	cookie = sk->__sk_common.skc_cookie.counter;
	if (!cookie)
		return 0; /* no record of ours */
	if (w->listed == PS_QUEUE_LISTED)
		return 1;
	w->listed++;
	bpf_seq_write(w->seq, &cookie, sizeof(cookie));
	return 0;
}

static __always_inline void queue_walk(struct sock *sk, struct seq_file *seq, __u32 owner)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct queue_walk w = {.seq = seq, .owner = owner};

	if (!tp)
		return;
	w.next = tp->inet_conn.icsk_accept_queue.rskq_accept_head;
	bpf_loop(QUEUE_WALK_MAX, queue_step, &w, 0);
}

/* iter/task_file over one target process. Pass 1 tags its listeners; pass 2, a grace period later, takes the
 * connections, also those that a listener bore before it was tagged: they are in its queue or in a table by now. */
static __always_inline void adopt_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u32 owner;

	if (!task || !file)
		return;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return;
	sk = socket->sk;
	if (!sk || !sock_is_tcp(sk))
		return;
	owner = process_owner(task->tgid);
	if (!owner)
		return;
	if (sk->__sk_common.skc_state != TCP_LISTEN) {
		if (ps_adopt_pass == 2)
			conn_adopt(sk, owner);
		return;
	}
	listener_tag(sk, owner);
	if (ps_adopt_pass == 2)
		queue_walk(sk, ctx->meta->seq, owner);
}

/* iter/bpf_sk_storage_map over ps_listeners. */
static __always_inline void list_listener(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct ps_listener *l = ctx->value;
	struct seq_file *seq = ctx->meta->seq;
	struct ps_listener_row row = {};
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp;
	__u64 end = 0;

	if (!sk || !l)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || sk->__sk_common.skc_state != TCP_LISTEN)
		return;
	row.cookie = bpf_get_socket_cookie(sk);
	row.owner = l->owner;
	row.dropped = sk->sk_drops.counter - l->dropped_before;
	row.half_open = tp->inet_conn.icsk_accept_queue.qlen.counter;
	row.queued = sk->sk_ack_backlog;
	row.queue_limit = sk->sk_max_ack_backlog;
	row.local_port = sk->__sk_common.skc_num;
	bpf_seq_write(seq, &row, sizeof(row));
	queue_walk(sk, seq, 0);
	bpf_seq_write(seq, &end, sizeof(end));
}

static __always_inline void list_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ps_task_row row = {};

	if (!task || task->pid != task->tgid)
		return;
	row.start_ns = task->start_boottime;
	row.tgid = task->tgid;
	row.parent_tgid = task->real_parent->tgid;
	if (task->flags & PF_KTHREAD)
		row.flags |= PS_TASK_KERNEL;
	if (task->signal->live.counter == 0)
		row.flags |= PS_TASK_DEAD;
#pragma unroll
	for (int i = 0; i < PS_COMM_MAX - 1; i++)
		row.comm[i] = task->comm[i];
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
}

#endif
