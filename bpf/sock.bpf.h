/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Pure readers of struct sock: what differs between kernels, or is not what it seems, is hidden here. Direct BTF loads
 * only, which also load under lockdown "confidentiality".
 */
#ifndef SOCK_BPF_H
#define SOCK_BPF_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "poolscope/record.h"

static __always_inline bool sock_is_tcp(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == IPPROTO_TCP;
}

/* Sockets that the kernel made for itself are not the running task's, but for MPTCP's subflows. */
static __always_inline bool sock_is_kernel(struct sock *sk)
{
	struct tcp_sock *tp;

	if (!BPF_CORE_READ_BITFIELD(sk, sk_kern_sock))
		return false;
	tp = bpf_skc_to_tcp_sock(sk);
	return !tp || !bpf_core_field_exists(tp->is_mptcp) || !tp->is_mptcp;
}

/* The remote address, IPv4 as v4-mapped: a mapped IPv6 socket and an IPv4 one look the same. */
static __always_inline void sock_peer(const struct sock *sk, __u32 ret_peer[4])
{
	if (sk->__sk_common.skc_family == AF_INET) {
		ret_peer[0] = 0;
		ret_peer[1] = 0;
		ret_peer[2] = bpf_htonl(0xffff);
		ret_peer[3] = sk->__sk_common.skc_daddr;
		return;
	}
	ret_peer[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
	ret_peer[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
	ret_peer[2] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];
	ret_peer[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
}

/* inet_sport, not skc_num: that one is 0 again when the tracepoint reports CLOSE (inet_put_port comes first). */
static __always_inline __be16 sock_sport(const struct tcp_sock *tp)
{
	return tp->inet_conn.icsk_inet.inet_sport;
}

/* SYN-ACK to ACK, or SYN to SYN-ACK: at → ESTABLISHED srtt_us (in eighths) holds just that one sample, or 0 if the first of the two was
 * sent again (tcp_synack_rtt_meas). */
static __always_inline __u32 sock_synack_rtt_us(const struct tcp_sock *tp)
{
	return tp->srtt_us >> 3;
}

/*
 * Which side a socket that is established already was. The SYN decides: it is counted in bytes_acked, but is no byte sent, so this sum is 1
 * for the side that connected and 0 for the other. If this host ever failed to send a segment it is less, since bytes_sent counts
 * that all the same (__tcp_transmit_skb). Then the backlog limit tells, which a child inherits from its listener; after
 * listen(fd, 0) that is 0 as well: there a listener on the port must be known (`listens`).
 */
static __always_inline __u8 sock_direction(struct sock *sk, bool listens)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	__u64 syn = 0;

	if (tp)
		syn = tp->bytes_acked + (__u32)(tp->snd_nxt - tp->snd_una) -
		      (tp->bytes_sent - tp->bytes_retrans);
	if (syn == 1)
		return PS_OUTBOUND;
	return sk->sk_max_ack_backlog > 0 || syn == 0 || listens ? PS_INBOUND : PS_OUTBOUND;
}

/* net.core.optmem_max, which bounds what sk_storage may charge a socket; of the namespace since 6.9. */
static __always_inline __u32 sock_optmem_max(const struct sock *sk, __u32 of_host)
{
	struct net *net = sk->__sk_common.skc_net.net;

	if (bpf_core_field_exists(net->core.sysctl_optmem_max))
		return net->core.sysctl_optmem_max;
	return of_host;
}

/* sk_err is set before SYN_SENT → CLOSE fires, and is stale at any other transition of an attempt. */
static __always_inline __u8 sock_fail_reason(const struct sock *sk, int oldstate, bool port_found)
{
	int err = oldstate == TCP_SYN_SENT ? sk->sk_err : 0;

	switch (err) {
	case ECONNREFUSED:
		return PS_FAIL_REFUSED;
	case ETIMEDOUT:
		return PS_FAIL_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return PS_FAIL_UNREACHABLE;
	case ECONNRESET:
		return PS_FAIL_RESET;
	case 0:
		/* close(); else connect() itself gave up for want of a port; else connect(AF_UNSPEC) */
		return sk->sk_shutdown || port_found ? PS_FAIL_ABORTED : PS_FAIL_OTHER;
	}
	return PS_FAIL_OTHER;
}

/* Where an established socket went says who ended it; for CLOSE, sk_err does. */
static __always_inline __u8 sock_close_reason(const struct sock *sk, int newstate)
{
	switch (newstate) {
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2: /* from here on FIN_WAIT1 was not seen */
	case TCP_CLOSING:
	case TCP_TIME_WAIT:
		return PS_CLOSE_LOCAL;
	case TCP_CLOSE_WAIT:
	case TCP_LAST_ACK: /* CLOSE_WAIT was not seen */
		return PS_CLOSE_PEER;
	}
	switch (sk->sk_err) {
	case ECONNRESET:
	case EPIPE:
		return PS_CLOSE_RESET_BY_PEER;
	case ETIMEDOUT:
	case EHOSTUNREACH:
		return PS_CLOSE_TIMEOUT;
	case 0:
	case ECONNABORTED:
		return PS_CLOSE_RESET_BY_LOCAL;
	}
	return PS_CLOSE_OTHER;
}

/* From here on nothing happens that we count. CLOSE is no end here: another life begins there. */
static __always_inline bool sock_has_ended(int state)
{
	const __u32 ended = 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSING |
			    1 << TCP_TIME_WAIT | 1 << TCP_LAST_ACK;

	return 1U << (state & 31) & ended;
}

/* SYN_RECV and NEW_SYN_RECV are no phase. */
static __always_inline __u8 sock_phase(int state)
{
	switch (state) {
	case TCP_SYN_SENT:
		return PS_PHASE_PENDING;
	case TCP_ESTABLISHED:
		return PS_PHASE_ESTABLISHED;
	case TCP_CLOSE_WAIT:
		return PS_PHASE_STALE;
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSING:
	case TCP_TIME_WAIT:
	case TCP_LAST_ACK:
	case TCP_CLOSE:
		return PS_PHASE_ENDED;
	}
	return PS_PHASE_NONE;
}

#endif
