/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the kernel half tells the user half: compiled by both, so every field has a fixed size, padding is
 * written out and the sizes are asserted. Times are nanoseconds of CLOCK_MONOTONIC (bpf_ktime_get_ns);
 * 0 means "not seen". Addresses are 16 bytes in network order; IPv4 is v4-mapped (::ffff:a.b.c.d), which is
 * how both halves fold mapped IPv6. Ports are in host order.
 */
#ifndef POOLSCOPE_RECORD_H
#define POOLSCOPE_RECORD_H

#include <linux/types.h>

/* An id is the socket cookie plus the incarnation of that socket above it: connect(AF_UNSPEC) and connect()
 * again is a new connection on the same cookie. The kernel counts cookies up from 1 in batches (and down from
 * 2^64 when interrupted while counting), so the low 48 bits are unique for longer than any host is up. */
#define PS_COOKIE_BITS 48
#define PS_COOKIE_MASK ((1ULL << PS_COOKIE_BITS) - 1)

/* Ids of owners (targets): 1 … PS_OWNERS - 1, never used again. A power of two. */
#define PS_OWNERS (1U << 20)

/* Life-cycle order: a record's phase never goes back within one incarnation. SYN_RECV is no phase. */
enum ps_phase {
	PS_PHASE_NONE, /* a listener, or a child that is not established yet; never sent */
	PS_PHASE_PENDING, /* outbound: SYN_SENT */
	PS_PHASE_ESTABLISHED,
	PS_PHASE_STALE, /* CLOSE_WAIT: the peer has closed, the socket is still held */
	PS_PHASE_ENDED,
	PS_PHASES,
};

enum ps_direction {
	PS_OUTBOUND,
	PS_INBOUND,
	PS_DIRECTIONS,
};

/* Why an attempt failed (it never became established) ... */
enum ps_fail {
	PS_FAIL_REFUSED,
	PS_FAIL_TIMEOUT,
	PS_FAIL_UNREACHABLE,
	PS_FAIL_RESET,
	PS_FAIL_ABORTED,
	PS_FAIL_OTHER,
	PS_FAILS,
};

/* ... and why an established connection stopped being one. */
enum ps_close {
	PS_CLOSE_LOCAL,
	PS_CLOSE_PEER,
	PS_CLOSE_RESET_BY_PEER,
	PS_CLOSE_RESET_BY_LOCAL,
	PS_CLOSE_TIMEOUT,
	PS_CLOSE_OTHER,
	PS_CLOSES,
};

/* Milestones and marks of a record; a milestone once set stays for the incarnation. */
enum ps_flag {
	PS_ATTEMPTED = 1 << 0, /* outbound: reached SYN_SENT, or was found there */
	PS_OPENED = 1 << 1, /* became established under the birth owner */
	PS_ADOPTED =
		1 << 2, /* was established already when it was first seen; excludes PS_OPENED */
	PS_HANDED = 1 << 3, /* changed owner while established */
	PS_REFUSED = 1 << 4, /* a version before this one found the ring full */
	PS_HEALED = 1 << 5, /* this version comes from an inventory: a program was skipped */
};

/*
 * One tracked connection, whole: any single copy is enough to account for it.
 *   closed_ns   when it stopped being established, or when the attempt failed
 *   reason      enum ps_close if PS_OPENED or PS_ADOPTED is set, else enum ps_fail; valid once phase is
 *               STALE or ENDED
 *   birth_owner who called connect() or listen(); owner: who holds it now (0: no target of ours)
 *   peer_port   the remote port, local_port the local one (0 if not known yet)
 */
struct ps_record {
	__u64 id;
	__u64 attempt_ns;
	__u64 established_ns;
	__u64 accepted_ns;
	__u64 closed_ns;
	__u8 peer[16];
	__u32 version; /* from 1, rises with every change */
	__u32 owner;
	__u32 birth_owner;
	__u32 handshake_us; /* inbound: SYN-ACK to ACK as the kernel measured it; 0: no sample (retransmitted) */
	__u16 peer_port;
	__u16 local_port;
	__u8 phase; /* enum ps_phase */
	__u8 direction; /* enum ps_direction */
	__u8 flags; /* enum ps_flag */
	__u8 reason;
};

/* What travels in the ring buffer. */
enum ps_message_kind {
	PS_MESSAGE_RECORD = 1,
	PS_MESSAGE_ACCEPT, /* the accept fallback: names a socket, knows nothing else of it */
	PS_MESSAGE_SHOWN, /* an inventory met a record whose present version was told before */
};

struct ps_message_record {
	__u32 kind;
	__u32 pad;
	struct ps_record record;
};

struct ps_message_accept {
	__u32 kind;
	__u32 owner; /* target of the accepting process; 0: none */
	__u64 cookie; /* 0: the socket has none, so no record of ours either */
	__u64 accepted_ns;
	__u32 tgid;
	__u32 parked; /* 1: it found the ring full and was parked */
};

struct ps_message_shown {
	__u32 kind;
	__u32 generation; /* of the inventory */
	__u64 id;
};

/* What is counted by kind in poolscope_events_*_total: the phase of the record, or an accept message. */
enum ps_event_kind {
	PS_EVENT_PENDING,
	PS_EVENT_ESTABLISHED,
	PS_EVENT_STALE,
	PS_EVENT_ENDED,
	PS_EVENT_ACCEPT,
	PS_EVENTS,
};

_Static_assert(sizeof(struct ps_record) == 80, "ring and socket memory are paid per byte");
_Static_assert(sizeof(struct ps_message_record) == 88, "no hidden padding");
_Static_assert(sizeof(struct ps_message_accept) == 32, "no hidden padding");
_Static_assert(sizeof(struct ps_message_shown) == 16, "no hidden padding");

#endif
