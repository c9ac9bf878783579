/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Steps (traffic.h) for what few tests need of a socket: options, lost packets, Fast Open, descriptors in messages.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "traffic.h"

step_fn step_option; /* fd, level, name, value: setsockopt() */
step_fn step_deaf; /* fd: every packet to this socket is lost from now on; a listener may be deaf, too */
step_fn step_hears; /* ... until now */
step_fn step_tcp_state; /* fd → TCP_ESTABLISHED and so on */
step_fn step_bind; /* host, port: neither listens nor connects → fd */
step_fn step_connect_bound; /* fd, host, port, flags NONBLOCK */
step_fn step_connect_oddly; /* value: enum step_odd → -errno */
step_fn step_fast_open; /* host, port, count bytes in the SYN, fd (0: a new one) → fd */
step_fn step_syn_data; /* fd → 1 if the SYN's data was taken, else 0 */
step_fn step_unix_pair; /* → fd; the other end is fd + 1 */
step_fn step_send_fd; /* fd (UNIX), to_fd: what to send */
step_fn step_receive_fd; /* fd (UNIX) → fd */

/* What connect() refuses before there is an attempt. */
enum step_odd {
	STEP_ODD_FAMILY, /* AF_INET6 at an IPv4 socket */
	STEP_ODD_LENGTH,
	STEP_ODD_POINTER,
	STEP_ODD_MULTICAST,
	STEP_ODD_BROADCAST,
	STEP_ODDS,
};

#endif
