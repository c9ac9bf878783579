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
		conn_adopt(sk, w->owner, true);
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

static __always_inline bool is_unknown(struct sock *sk)
{
	int state = sk->__sk_common.skc_state;

	if (state == TCP_LISTEN)
		return !bpf_sk_storage_get(&ps_listeners, sk, 0, 0);
	return conn_is_met(state) && !bpf_sk_storage_get(&ps_records, sk, 0, 0);
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
	if (ps_adopt_pass == 1 && is_unknown(sk))
		ps_adopt_found = 1;
	if (sk->__sk_common.skc_state != TCP_LISTEN) {
		if (ps_adopt_pass == 2)
			conn_adopt(sk, owner, false);
		return;
	}
	listener_tag(sk, owner, true);
	if (ps_adopt_pass == 2)
		queue_walk(sk, ctx->meta->seq, owner);
}

/* iter/bpf_sk_storage_map over ps_listeners. Forgets those whose target has been detached. */
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
	if (!owner_is_present(l->owner)) {
		ps_ports[sk->__sk_common.skc_num] = 0;
		bpf_sk_storage_delete(&ps_listeners, sk);
		return;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || sk->__sk_common.skc_state != TCP_LISTEN)
		return;
	if (bpf_sk_storage_get(&ps_records, sk, 0, 0))
		listener_may_bear(sk, true);
	ps_ports[sk->__sk_common.skc_num] = 1; /* a forgotten one may have had it, too */
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

/*
 * iter/bpf_sk_storage_map over the records: deletes those that concern detached targets only. One of whom nobody was ever the
 * owner stays: it keeps the count of its socket's lives.
 */
static __always_inline void forget_record(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct ps_value *v = ctx->value;
	struct sock *sk = ctx->sk;

	if (!sk || !v || !v->record.birth_owner)
		return;
	if (owner_is_present(v->record.birth_owner) || owner_is_present(v->record.owner))
		return;
	if (!bpf_sk_storage_delete(&ps_records, sk))
		ps_forgotten++;
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

/* How long a connect() may take from the tracepoint to the store of sk_state, or an end; generous. */
#define TRANSITION_NS 1000000000ULL

/*
 * Advances a record that is behind its socket: a program was skipped. The tracepoint fires before sk_state is stored, so a
 * record ahead of its socket is a transition under way. Times that were not seen stay 0: no sample comes of them.
 * SYN_SENT beside CLOSE is a connect() under way or a skipped end; time tells which.
 */
static __always_inline void conn_heal(struct sock *sk, struct ps_value *v)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct ps_record *r = &v->record;
	struct conn_seen s = {};
	int state = sk->__sk_common.skc_state;

	if (v->self == (__u64)sk && sock_phase(state) <= r->phase)
		return;
	conn_see_tuple(sk, &s);
	s.cookie = bpf_get_socket_cookie(sk);
	s.handshake_us = 0; /* srtt is of the whole connection by now */
	/* sk_err may have been read and cleared by now: then nobody can say why */
	s.fail = sk->sk_err ? sock_fail_reason(sk, TCP_SYN_SENT, false) : PS_FAIL_OTHER;
	bpf_spin_lock(&v->lock);
	state = sk->__sk_common.skc_state;
	s.phase = sock_phase(state);
	if (r->phase == PS_PHASE_PENDING && state == TCP_CLOSE &&
	    now_ns < r->attempt_ns + TRANSITION_NS) {
		s.phase = PS_PHASE_NONE;
		ps_inventory_young++;
	}
	s.was_established = s.phase >= PS_PHASE_STALE && state != TCP_CLOSE;
	s.close = state == TCP_CLOSE && !sk->sk_err ? PS_CLOSE_OTHER : sock_close_reason(sk, state);
	if (s.phase != PS_PHASE_NONE && conn_advance(v, sk, &s) && !v->adopting)
		r->flags |= PS_HEALED; /* else it is adoption that is completed */
	bpf_spin_unlock(&v->lock);
}

/* A socket that lives although its record ended a while ago: the begin of its next life was skipped. CLOSE_WAIT is left
 * out: closed_ns is of its begin, so it says nothing of how old the end is. An end that was not told goes first. Either
 * way it is looked at again soon. */
static __always_inline void conn_heal_birth(struct sock *sk, struct ps_value *v)
{
	int state = sk->__sk_common.skc_state;
	__u64 now_ns = bpf_ktime_get_ns();
	struct ps_record *r = &v->record;
	struct conn_seen s = {};
	__u8 direction;

	if (state != TCP_SYN_SENT && state != TCP_ESTABLISHED)
		return;
	ps_inventory_young++;
	conn_see_tuple(sk, &s);
	direction = sock_direction(sk, ps_ports[sk->__sk_common.skc_num]);
	bpf_spin_lock(&v->lock);
	if (r->phase == PS_PHASE_ENDED && v->told == r->version &&
	    now_ns >= r->closed_ns + TRANSITION_NS) {
		conn_clear(v, sk, r->owner);
		r->direction = direction;
		if (conn_meet(v, sk, &s))
			r->flags |= PS_HEALED;
	}
	bpf_spin_unlock(&v->lock);
}

/* What is asked of most records, and costs no helper: is there nothing to heal and nothing to tell? */
static __always_inline bool record_is_shown(const struct ps_value *v, const struct sock *sk,
					    __u32 generation)
{
	__u8 phase = sock_phase(sk->__sk_common.skc_state);

	if (v->self != (__u64)sk || v->told != v->record.version)
		return false;
	if (v->record.phase == PS_PHASE_ENDED ? phase != PS_PHASE_ENDED : phase > v->record.phase)
		return false;
	return !generation || v->generation == generation;
}

/* The reader has this version: it need only hear that the record is there. */
static __always_inline void show_told(struct ps_value *v, __u32 generation)
{
	struct ps_message_shown *m = bpf_ringbuf_reserve(&ps_ring, sizeof(*m), 0);

	if (!m) {
		ps_inventory_full = 1;
		return;
	}
	m->kind = PS_MESSAGE_SHOWN;
	m->generation = generation;
	m->id = v->record.id;
	v->generation = generation;
	v->adopting = 0;
	bpf_ringbuf_submit(m, BPF_RB_NO_WAKEUP);
}

/* A version that the ring refused when it was new. */
static __always_inline void show_untold(struct ps_value *v, __u32 generation)
{
	struct conn_slot slot = conn_reserve();
	bool fresh;

	if (!slot.is_there) {
		ps_inventory_full = 1;
		return;
	}
	bpf_spin_lock(&v->lock);
	fresh = conn_copy(v, slot);
	bpf_spin_unlock(&v->lock);
	if (!fresh) { /* told meanwhile */
		bpf_ringbuf_discard(slot.m, BPF_RB_NO_WAKEUP);
		if (generation)
			show_told(v, generation);
		return;
	}
	v->generation = generation;
	v->adopting = 0;
	bpf_ringbuf_submit(slot.m, BPF_RB_NO_WAKEUP);
}

/* One record of an inventory: healed, then sent if the reader has not been told this version or, with a
 * generation, named if it has not been shown in it. Ended ones as well: between `told` and its place in the parking map
 * a final is nowhere else to be seen. A walk never parks: what it cannot send stays untold for the next pass. */
static __always_inline void show_record(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	__u32 generation = ps_inventory_generation;
	struct ps_value *v = ctx->value;
	struct sock *sk = ctx->sk;

	if (!sk || !v || ps_inventory_full || record_is_shown(v, sk, generation))
		return;
	v = bpf_sk_storage_get(&ps_records, sk, 0, 0); /* ctx->value cannot be locked */
	if (!v)
		return;
	conn_heal(sk, v);
	if (v->self != (__u64)sk || v->record.phase == PS_PHASE_NONE)
		return;
	if (v->record.phase == PS_PHASE_ENDED)
		conn_heal_birth(sk, v);
	if (v->told != v->record.version)
		show_untold(v, generation);
	else if (generation)
		show_told(v, generation);
}

#endif
