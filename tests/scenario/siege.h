/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Attackers of an HTTP endpoint, all in one process: slow-loris connections that trickle a header and never end it, and
 * requests that are no HTTP. They never close first, so what became of each is for the endpoint to say.
 */
#ifndef SIEGE_H
#define SIEGE_H

#include "traffic.h"

#define SIEGE_LORIS 1000
#define SIEGE_GARBAGE_PER_SECOND 500

/* Shared between the test and its attackers; they write the numbers. */
struct siege {
	int port; /* of 127.0.0.1 */
	bool tls; /* half of the loris and of the garbage after a handshake */
	atomic_bool stop; /* open nothing more; what is open trickles on until it is closed */
	atomic_long loris; /* connections that came about */
	atomic_long garbage; /* the same */
	atomic_long handshakes; /* of both, completed */
	atomic_long given_up; /* of both, which the attackers had to close */
	atomic_long late; /* garbage not sent in its time, since all before it still waited */
	atomic_long cpu_ms; /* what the attack itself took */
};

/* Makes it, before the attacker is forked. One at a time. */
struct siege *siege_new(int port, bool tls);

/* Attacks until `stop`, then until no connection is left, at most 10 s → 0 */
step_fn step_siege;

#endif
