/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Two workloads on loopback, both ends of each connection in one process: a crowd holds open connections, a churn opens and closes.
 */
#ifndef CROWD_H
#define CROWD_H

#include "traffic.h"

#define CROWD_HOLDERS_MAX 10

/* Processes below one root, so that attaching to the root attaches to them all. */
struct crowd {
	struct actor root, holders[CROWD_HOLDERS_MAX];
	int holder_count;
	int listeners[CROWD_HOLDERS_MAX], ports[CROWD_HOLDERS_MAX];
	int peers; /* of each holder, in each direction */
	int pairs; /* that each holder has */
};

/* Each of the holders will have 2 * `peers` series. They open nothing yet. */
void crowd_start(struct crowd *c, int holders, int peers);

/*
 * Listens, at the first call, and opens as many as it takes to `sockets` in all, at most 14,000 a holder, which needs as many
 * descriptors. A connection on loopback is two sockets.
 */
void crowd_grow(struct crowd *c, int sockets);
void crowd_release(struct crowd *c); /* closes them all, without TIME_WAIT */
void crowd_end(struct crowd *c);

struct churn {
	struct actor actor;
	int listener, port;
	unsigned int address; /* the next that no connection came from */
};

void churn_start(struct churn *c);
/* Opens, accepts and closes `count` connections one after the other. flags: of step_storm_alone(). */
void churn_run(struct churn *c, int count, unsigned int flags);
void churn_end(struct churn *c);

#endif
