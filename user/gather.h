/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a scrape shows of the engine, gathered in the form that a snapshot takes. One place for both who show it: the daemon and the
 * replay of a recording, so that the one prints what the other did. Pure.
 */
#ifndef GATHER_H
#define GATHER_H

#include "connections.h"
#include "exposition.h"
#include "listeners.h"
#include "poolscope/listing.h"

#define GATHER_CAUSES 6
#define GATHER_RECONCILES 3 /* attach, loss, timer */

/* What the kernel half and the inventories count. */
struct gather_counters {
	struct ps_counters kernel;
	uint64_t reconciles[GATHER_RECONCILES];
};

/* The rows that the exposition_self points to. */
struct gather {
	struct exposition_listener listeners[LISTENERS_PORTS_MAX];
	struct exposition_cause refused[GATHER_CAUSES];
	struct exposition_cause reconciles[GATHER_RECONCILES];
};

/* Fills *g and the fields of *self that are the engine's; *g must live as long as *self is used. */
void gather_engine(struct gather *g, struct exposition_self *self, struct connections *connections,
		   const struct listeners *listeners, const struct gather_counters *counters);

#endif
