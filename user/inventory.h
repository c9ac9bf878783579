/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Makes the mirror agree with the kernel's records again after something was refused or skipped, at attach, and on a timer:
 * decides when, and keeps the order in which it must be done (docs/design.md).
 */
#ifndef INVENTORY_H
#define INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connections.h"
#include "probes.h"
#include "recording.h"
#include "targets.h"

enum inventory_cause {
	INVENTORY_ATTACH,
	INVENTORY_LOSS, /* something was refused or skipped */
	INVENTORY_TIMER,
	INVENTORY_CAUSES,
};

struct inventory;

/* `drain` takes what the ring holds. interval_ns: between two on the timer. All pointers stay the caller's. */
int inventory_open(struct inventory **ret, struct probes *probes, struct connections *connections,
		   struct targets *targets, uint64_t interval_ns, void (*drain)(void *arg),
		   void *arg);
void inventory_close(struct inventory *inv);

/* Where what it does to the mirror is written, too; stays the caller's. */
void inventory_set_recording(struct inventory *inv, struct recording *recording);

/* Before records are deleted: what has ended by now is known, and no tombstone of it is left. -EAGAIN: the ring was not drained. */
int inventory_settle(struct inventory *inv);

/* Takes one now. -EAGAIN: it stayed incomplete, and the next turn takes another. */
int inventory_take(struct inventory *inv, enum inventory_cause cause, uint64_t now_ns);
/* Takes one if it is due: at most one a second. 0 also if none was. */
int inventory_turn(struct inventory *inv, uint64_t now_ns);

uint64_t inventory_count(const struct inventory *inv, enum inventory_cause cause);

#endif
