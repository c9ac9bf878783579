/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The life of a record. Invariant: every change (fields, then version + 1) is one hold of the record's lock, and so is every
 * copy into the ring; `told` is the last version copied. So a copy is never torn, no version is sent twice, and a
 * version that the ring refused is made good by any later one. An ended record never changes again.
 */
#ifndef CONN_BPF_H
#define CONN_BPF_H

#include "maps.bpf.h"
#include "process.bpf.h"
#include "sock.bpf.h"

/* A listener is tagged only where a child's copy surely fits its option memory: if the kernel cannot clone the
 * storage it drops the handshake (sk_clone), and we must not change what the workload sees. An element with its
 * head takes about 400 bytes; the rest is room for other tools. */
#define OPTMEM_NEEDED 4096

/* One policy for all messages: silence, and one wake-up when the ring has filled to the threshold. */
static __always_inline __u64 ring_flags(void)
{
	if (ps_wake_sent || bpf_ringbuf_query(&ps_ring, BPF_RB_AVAIL_DATA) < ps_wake_bytes)
		return BPF_RB_NO_WAKEUP;
	ps_wake_sent = 1;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline enum ps_event_kind conn_event_kind(const struct ps_record *r)
{
	switch (r->phase) {
	case PS_PHASE_PENDING:
		return PS_EVENT_PENDING;
	case PS_PHASE_ESTABLISHED:
		return PS_EVENT_ESTABLISHED;
	case PS_PHASE_STALE:
		return PS_EVENT_STALE;
	}
	return PS_EVENT_ENDED;
}

/*
 * Sending, in three parts, so that a change and its copy can be one hold:
 *
 *	slot = conn_reserve();
 *	lock; change the record; fresh = conn_copy(v, slot); unlock;
 *	conn_submit(v, slot, fresh);
 */
struct conn_slot {
	struct ps_message_record *m; /* NULL: the ring is full */
	long is_there;
};

/*
 * Linux 6.1 follows both ways of every test of a slot for NULL, also of one that has passed such a test, and then misses the
 * release (reg_type_not_null() there knows no PTR_TO_MEM). So what is asked again is a number, which clang must not trace back
 * to the pointer.
 */
static __always_inline struct conn_slot conn_reserve(void)
{
	struct conn_slot slot = {.m = bpf_ringbuf_reserve(&ps_ring, sizeof(*slot.m), 0)};

	if (slot.m) {
		slot.m->kind = PS_MESSAGE_RECORD;
		slot.m->pad = 0;
		asm volatile("%0 = 1" : "=r"(slot.is_there));
	}
	return slot;
}

/* Call in a hold. The marks are of this version's way to the reader, so they end with it. */
static __always_inline void conn_fill(struct ps_value *v, struct ps_message_record *m)
{
	m->record = v->record;
	v->told = v->record.version;
	v->record.flags &= ~(PS_REFUSED | PS_HEALED);
}

/* Call in a hold. False: there is no slot, or this version is in the ring already. */
static __always_inline bool conn_copy(struct ps_value *v, struct conn_slot slot)
{
	if (!slot.is_there || v->told == v->record.version)
		return false;
	conn_fill(v, slot.m);
	return true;
}

/* Keeps a final that the ring refused for the reader. An ended record does not change: it is copied without the lock.
 * False: no room there either; the destruction of the socket tries once more. */
static __always_inline bool conn_park(struct ps_value *v)
{
	__u64 id = v->record.id;
	bool fresh;

	bpf_spin_lock(&v->lock);
	fresh = v->told != v->record.version;
	v->told = v->record.version;
	bpf_spin_unlock(&v->lock);
	if (!fresh || !bpf_map_update_elem(&ps_parked, &id, &v->record, BPF_ANY))
		return true;
	bpf_spin_lock(&v->lock);
	v->told = 0;
	bpf_spin_unlock(&v->lock);
	return false;
}

/* False: the version is still untold, since there is no room. */
static __always_inline bool conn_submit(struct ps_value *v, struct conn_slot slot, bool fresh)
{
	struct ps_counters *c;
	bool kept;

	if (slot.is_there) {
		if (fresh)
			bpf_ringbuf_submit(slot.m, ring_flags());
		else
			bpf_ringbuf_discard(slot.m, BPF_RB_NO_WAKEUP);
		return true;
	}
	if (v->record.phase == PS_PHASE_NONE || v->told == v->record.version)
		return true;
	bpf_spin_lock(&v->lock);
	if (v->told != v->record.version)
		v->record.flags |= PS_REFUSED;
	bpf_spin_unlock(&v->lock);
	kept = v->record.phase == PS_PHASE_ENDED && conn_park(v);
	/* counted last: an inventory that answers this count finds the record parked or untold */
	c = counters();
	if (c)
		__sync_fetch_and_add(&c->refused[conn_event_kind(&v->record)], 1);
	return kept;
}

/* What a transition says of the socket, read before the lock is taken. */
struct conn_seen {
	__u64 now_ns;
	__u64 cookie;
	__u32 peer[4];
	__u32 handshake_us;
	__be16 sport;
	__be16 dport;
	__u8 phase;
	bool syn_data;
	volatile bool was_established; /* unknown to the verifier: one path instead of two */
	__u8 fail;
	__u8 close;
};

static __always_inline void conn_set_tuple(struct ps_record *r, const struct conn_seen *s)
{
	__u32 *peer = (__u32 *)r->peer;

	peer[0] = s->peer[0];
	peer[1] = s->peer[1];
	peer[2] = s->peer[2];
	peer[3] = s->peer[3];
	r->peer_port = bpf_ntohs(s->dport);
	r->local_port = bpf_ntohs(s->sport);
}

static __always_inline void conn_see_tuple(struct sock *sk, struct conn_seen *s)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp) {
		s->sport = sock_sport(tp);
		s->handshake_us = sock_synack_rtt_us(tp);
		s->syn_data = BPF_CORE_READ_BITFIELD(tp, syn_data);
	}
	s->dport = sk->__sk_common.skc_dport;
	sock_peer(sk, s->peer);
}

/* Empties a record for a next life of its socket. Call in a hold. An id that was never sent is used again. */
static __always_inline void conn_clear(struct ps_value *v, const struct sock *sk, __u32 owner)
{
	struct ps_record *r = &v->record;
	__u64 id = r->id + (r->version ? 1ULL << PS_COOKIE_BITS : 0);

	__builtin_memset(r, 0, sizeof(*r));
	r->id = id;
	r->owner = owner;
	r->birth_owner = owner;
	v->self = (__u64)sk;
	v->told = 0;
	v->generation = 0;
	v->adopting = 0;
}

/* A child that still carries its listener's record becomes one of its own. Call in a hold. */
static __always_inline void conn_born(struct ps_value *v, const struct sock *sk, __u64 cookie)
{
	v->record.version = 0;
	conn_clear(v, sk, v->record.owner);
	v->record.id = cookie & PS_COOKIE_MASK;
	v->record.direction = PS_INBOUND;
}

/* Call in a hold; true if the record changed. Only forward: a late or repeated transition changes nothing. */
static __always_inline bool conn_advance(struct ps_value *v, const struct sock *sk,
					 const struct conn_seen *s)
{
	struct ps_record *r = &v->record;
	bool established = s->phase == PS_PHASE_ESTABLISHED || s->was_established;

	if (v->self != (__u64)sk) {
		if (!established)
			return false; /* never became established: nothing inbound is counted before */
		conn_born(v, sk, s->cookie);
	}
	if (s->phase <= r->phase || !r->birth_owner || (r->phase == PS_PHASE_NONE && !established))
		return false;
	if (v->adopting && r->phase == PS_PHASE_NONE) {
		r->flags |=
			PS_ADOPTED; /* it came between the making of the record and its filling */
		conn_set_tuple(r, s);
	} else if (established && r->phase < PS_PHASE_ESTABLISHED) {
		r->flags |= PS_OPENED;
		if (r->owner != r->birth_owner)
			r->flags |= PS_HANDED; /* accepted before it was established (Fast Open) */
		if (s->phase == PS_PHASE_ESTABLISHED) {
			r->established_ns = s->now_ns;
			r->handshake_us = r->direction == PS_INBOUND ? s->handshake_us : 0;
			/* TCP_FASTOPEN_CONNECT: the SYN went out with the first write, not in connect() */
			if (s->syn_data && s->handshake_us && r->attempt_ns)
				r->attempt_ns = s->now_ns - s->handshake_us * 1000ULL;
		}
		conn_set_tuple(r, s);
	}
	if (s->phase >= PS_PHASE_STALE && r->phase < PS_PHASE_STALE) {
		r->closed_ns = s->now_ns;
		r->reason = r->flags & (PS_OPENED | PS_ADOPTED) ? s->close : s->fail;
	}
	r->phase = s->phase;
	r->version++;
	return true;
}

/* A transition of a socket that has a record, other than to SYN_SENT and to and from LISTEN. Any context. */
static __always_inline void conn_transition(struct sock *sk, struct ps_value *v, int oldstate,
					    int newstate)
{
	struct conn_slot slot = {};
	struct conn_seen s = {};
	bool fresh;

	s.phase = sock_phase(newstate);
	if (s.phase == PS_PHASE_NONE)
		return;
	if (v->self == (__u64)sk && s.phase <= v->record.phase)
		return; /* nothing new: FIN_WAIT2, TIME_WAIT, and CLOSE behind an end */
	s.now_ns = bpf_ktime_get_ns();
	s.was_established = oldstate == TCP_ESTABLISHED || oldstate == TCP_CLOSE_WAIT;
	if (v->self != (__u64)sk || v->record.phase < PS_PHASE_ESTABLISHED) {
		conn_see_tuple(sk, &s);
		if (v->self != (__u64)sk)
			s.cookie = bpf_get_socket_cookie(sk);
		s.fail = sock_fail_reason(sk, oldstate, s.sport != v->sport);
	}
	if (s.phase >= PS_PHASE_STALE)
		s.close = sock_close_reason(sk, newstate);

	slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	fresh = conn_advance(v, sk, &s) && conn_copy(v, slot);
	bpf_spin_unlock(&v->lock);
	conn_submit(v, slot, fresh);
}

/* Ends a record from outside of a transition: its socket is destroyed or begins another life. What has no room now is
 * lost for good, and counted, once. */
static __always_inline void conn_end(struct sock *sk, struct ps_value *v)
{
	struct ps_record *r = &v->record;
	struct conn_slot slot = {};
	struct ps_counters *c;
	bool fresh;

	if (v->self != (__u64)sk || r->phase == PS_PHASE_NONE)
		return;
	if (r->phase == PS_PHASE_ENDED && v->told == r->version)
		return;
	__u64 now_ns = bpf_ktime_get_ns();

	slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	if (r->phase != PS_PHASE_ENDED) {
		if (r->phase < PS_PHASE_STALE) {
			r->closed_ns = now_ns;
			r->reason = r->flags & (PS_OPENED | PS_ADOPTED) ? PS_CLOSE_OTHER
									: PS_FAIL_OTHER;
		}
		r->phase = PS_PHASE_ENDED;
		r->version++;
	}
	fresh = conn_copy(v, slot);
	bpf_spin_unlock(&v->lock);
	if (conn_submit(v, slot, fresh))
		return;
	bpf_spin_lock(&v->lock);
	v->told = r->version;
	bpf_spin_unlock(&v->lock);
	c = counters();
	if (c)
		__sync_fetch_and_add(&c->lost[PS_EVENT_ENDED], 1);
}

static __always_inline bool conn_is_connecting(struct sock *sk)
{
	struct ps_value *v = bpf_sk_storage_get(&ps_records, sk, 0, 0);

	return v && v->self == (__u64)sk && v->record.phase == PS_PHASE_PENDING;
}

/* CLOSE → SYN_SENT, in connect(): the running task is the owner. Also the second connect() of one socket. */
static __always_inline void conn_connect(struct sock *sk, bool first)
{
	__u32 owner = sock_is_kernel(sk) ? 0 : process_current_owner();
	struct conn_slot slot = {};
	struct conn_seen s = {};
	struct ps_value *v;
	bool fresh;

	v = bpf_sk_storage_get(&ps_records, sk, 0, owner ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!v) {
		if (owner && first)
			count_refusal(PS_REFUSAL_MEMORY);
		return;
	}
	conn_end(sk, v);
	s.now_ns = bpf_ktime_get_ns();
	s.cookie = bpf_get_socket_cookie(sk);
	conn_see_tuple(sk, &s);

	if (owner)
		slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	conn_clear(v, sk, owner);
	if (owner) {
		v->sport = s.sport;
		if (!v->record.id)
			v->record.id = s.cookie & PS_COOKIE_MASK;
		conn_set_tuple(&v->record, &s);
		v->record.direction = PS_OUTBOUND;
		v->record.flags = PS_ATTEMPTED;
		v->record.attempt_ns = s.now_ns;
		v->record.phase = PS_PHASE_PENDING;
		v->record.version = 1;
	}
	fresh = conn_copy(v, slot);
	bpf_spin_unlock(&v->lock);
	conn_submit(v, slot, fresh);
}

/* Call in a hold, on a record without a phase: what a socket is when it is met in the middle of its life. CLOSE_WAIT is stale
 * only: it stopped being active before we came. False: not a state that is counted. */
static __always_inline bool conn_meet(struct ps_value *v, const struct sock *sk,
				      const struct conn_seen *s)
{
	struct ps_record *r = &v->record;
	int state = sk->__sk_common.skc_state;

	if (state == TCP_SYN_SENT)
		r->flags = PS_ATTEMPTED;
	else if (state == TCP_ESTABLISHED)
		r->flags = PS_ADOPTED;
	else if (state != TCP_CLOSE_WAIT)
		return false;
	if (state == TCP_SYN_SENT)
		r->direction = PS_OUTBOUND;
	conn_set_tuple(r, s);
	r->phase = sock_phase(state);
	r->version++;
	return true;
}

static __always_inline bool conn_is_met(int state)
{
	return state == TCP_SYN_SENT || state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;
}

/*
 * Takes a connection whose owner has been detached. What was accepted goes on under its id and version: the reader may know
 * it as another target's already, by the accept fallback. All else is met anew, as if it had never had a record.
 */
static __always_inline void conn_take_over(struct sock *sk, struct ps_value *v, __u32 owner,
					   bool queued)
{
	struct ps_record *r = &v->record;
	struct conn_slot slot = {};
	struct conn_seen s = {};
	bool fresh = false;
	__u8 direction;

	conn_see_tuple(sk, &s);
	slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	direction = r->direction;
	if (r->phase == PS_PHASE_ENDED || !owner_is_gone(r->owner)) {
		/* meanwhile it has ended, or was accepted by a target */
	} else if (direction == PS_INBOUND && !queued) {
		if (r->phase == PS_PHASE_ESTABLISHED)
			r->flags |= PS_HANDED;
		r->owner = owner;
		r->version++;
		fresh = r->phase != PS_PHASE_NONE && conn_copy(v, slot);
	} else {
		r->version = 0; /* keeps the id: the reader has forgotten all that bears it */
		conn_clear(v, sk, owner);
		r->direction = direction;
		v->adopting = 1;
		fresh = conn_meet(v, sk, &s) && conn_copy(v, slot);
	}
	bpf_spin_unlock(&v->lock);
	conn_submit(v, slot, fresh);
}

/*
 * Takes a socket without a record: one in a target's descriptor table or accept queue, or accepted by a target from a
 * stranger's listener. A transition may come at any time: the record is made without a phase, and the hold that fills it reads
 * the state. A transition that came first has filled it; one whose program ran before the record was made, and whose
 * state is stored after it was filled, is healed by the inventory that follows every adoption.
 */
static __always_inline void conn_adopt(struct sock *sk, __u32 owner, bool queued)
{
	struct ps_value init = {.adopting = 1}, *v;
	struct conn_slot slot = {};
	struct conn_seen s = {};
	bool fresh = false;

	if (!conn_is_met(sk->__sk_common.skc_state))
		return;
	v = bpf_sk_storage_get(&ps_records, sk, 0, 0);
	if (v && v->self == (__u64)sk && owner_is_gone(v->record.owner)) {
		conn_take_over(sk, v, owner, queued);
		return;
	}
	if (v &&
	    (v->self != (__u64)sk || v->record.phase != PS_PHASE_NONE || v->record.birth_owner))
		return; /* it keeps its owner */
	s.cookie = bpf_get_socket_cookie(sk);
	conn_see_tuple(sk, &s);
	init.self = (__u64)sk;
	init.record.id = s.cookie & PS_COOKIE_MASK;
	init.record.owner = owner;
	init.record.birth_owner = owner;
	init.record.direction = sock_direction(sk, ps_ports[sk->__sk_common.skc_num]);
	v = bpf_sk_storage_get(&ps_records, sk, &init, BPF_SK_STORAGE_GET_F_CREATE);
	if (!v) {
		count_refusal(PS_REFUSAL_MEMORY);
		return;
	}
	slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	if (v->self == (__u64)sk && v->record.phase == PS_PHASE_NONE && !v->record.birth_owner) {
		conn_clear(v, sk, owner); /* a stranger's, from a life that we did not count */
		v->record.direction = init.record.direction;
		v->adopting = 1;
	}
	if (v->adopting && v->record.phase == PS_PHASE_NONE)
		fresh = conn_meet(v, sk, &s) && conn_copy(v, slot);
	bpf_spin_unlock(&v->lock);
	conn_submit(v, slot, fresh);
}

/*
 * accept() has returned sk to the running task. Handing over is a change of owner; an ended record is left alone, and one that
 * has no phase yet (Fast Open) changes, but is not sent.
 */
static __always_inline void conn_accept(struct sock *sk)
{
	__u32 owner = process_current_owner();
	struct conn_slot slot = {};
	__u64 now_ns, cookie;
	struct ps_record *r;
	struct ps_value *v;
	bool fresh = false;

	v = bpf_sk_storage_get(&ps_records, sk, 0, 0);
	if (!v) {
		if (owner)
			conn_adopt(sk, owner, false);
		return;
	}
	r = &v->record;
	now_ns = bpf_ktime_get_ns();
	cookie = bpf_get_socket_cookie(sk);
	slot = conn_reserve();
	bpf_spin_lock(&v->lock);
	if (v->self != (__u64)sk)
		conn_born(v, sk, cookie);
	if (r->phase != PS_PHASE_ENDED && !r->accepted_ns) {
		r->accepted_ns = now_ns;
		if (r->owner != owner && r->phase == PS_PHASE_ESTABLISHED)
			r->flags |= PS_HANDED;
		r->owner = owner;
		r->version++;
		fresh = r->phase != PS_PHASE_NONE && conn_copy(v, slot);
	}
	bpf_spin_unlock(&v->lock);
	conn_submit(v, slot, fresh);
}

/* Whether conn_accept() has seen it, or adopted it: then there is nothing to add. */
static __always_inline bool conn_is_accepted(struct sock *sk)
{
	struct ps_value *v = bpf_sk_storage_get(&ps_records, sk, 0, 0);

	return v && v->self == (__u64)sk && (v->record.accepted_ns || v->adopting);
}

/* The socket has been a connection before: that one is over, and so is its id. */
static __always_inline void conn_recycle(struct sock *sk, struct ps_value *v, __u32 owner)
{
	conn_end(sk, v);
	bpf_spin_lock(&v->lock);
	conn_clear(v, sk, owner);
	bpf_spin_unlock(&v->lock);
}

/* Whether a listener of a target has, or had, this port. One that had none yet when it was tagged (listen() without bind())
 * stands at 0 and may have any. */
static __always_inline bool listener_port_is_known(__u16 port)
{
	return ps_ports[port] || ps_ports[0];
}

/* Whether its children may be born with a record. If not, it carries none from now on: an administrator may lower the
 * limit at any time. */
static __always_inline bool listener_may_bear(struct sock *sk, bool first)
{
	if (sock_optmem_max(sk, ps_optmem_max) >= OPTMEM_NEEDED)
		return true;
	bpf_sk_storage_delete(&ps_records, sk);
	if (first)
		count_refusal(PS_REFUSAL_OPTMEM);
	return false;
}

/* Tags a listener for `owner`: from now on its children are born with a record. */
static __always_inline void listener_tag(struct sock *sk, __u32 owner, bool first)
{
	struct ps_listener init = {.owner = owner, .dropped_before = sk->sk_drops.counter};
	struct ps_value *v, value = {};
	struct ps_listener *l;

	l = bpf_sk_storage_get(&ps_listeners, sk, &init, BPF_SK_STORAGE_GET_F_CREATE);
	if (!l && first)
		count_refusal(PS_REFUSAL_MEMORY);
	if (l && owner_is_gone(l->owner))
		*l = init;
	if (!listener_may_bear(sk, first))
		return;
	ps_ports[sk->__sk_common.skc_num] = 1;
	value.self = (__u64)sk;
	value.record.owner = owner;
	value.record.birth_owner = owner;
	v = bpf_sk_storage_get(&ps_records, sk, &value, BPF_SK_STORAGE_GET_F_CREATE);
	if (!v) {
		if (first)
			count_refusal(PS_REFUSAL_MEMORY);
		return;
	}
	if (v->record.phase != PS_PHASE_NONE || !owner_is_present(v->record.owner))
		conn_recycle(sk, v, owner);
}

/* → LISTEN, in listen(): the running task is the owner. */
static __always_inline void listener_begin(struct sock *sk, bool first)
{
	__u32 owner = sock_is_kernel(sk) ? 0 : process_current_owner();
	struct ps_value *v;

	if (owner) {
		listener_tag(sk, owner, first);
		return;
	}
	v = bpf_sk_storage_get(&ps_records, sk, 0, 0);
	if (v)
		conn_recycle(sk, v, 0); /* a stranger listens on what was a target's connection */
}

/* LISTEN → CLOSE: no child is born any more; the socket may live on and connect. */
static __always_inline void listener_end(struct sock *sk)
{
	struct ps_value *v = bpf_sk_storage_get(&ps_records, sk, 0, 0);

	bpf_sk_storage_delete(&ps_listeners, sk);
	if (!v)
		return;
	bpf_spin_lock(&v->lock);
	conn_clear(v, sk, 0);
	bpf_spin_unlock(&v->lock);
}

#endif
