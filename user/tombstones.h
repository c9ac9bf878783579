/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The queue of the mirror's tombstones, in the order of the deaths. Bounded. Pure.
 */
#ifndef TOMBSTONES_H
#define TOMBSTONES_H

#include <stdbool.h>
#include <stdint.h>

struct tombstone {
	uint64_t id;
	uint64_t stamp; /* ring position that must be consumed before it may go */
	uint32_t hash;
};

struct tombstones {
	struct tombstone *at; /* a ring of a power of two */
	uint32_t mask, first, count, unstamped;
	uint32_t limit;
};

int tombstones_init(struct tombstones *t, uint32_t limit);
void tombstones_done(struct tombstones *t);

/* False: as many as there may be; then the first must go for another one. */
bool tombstones_have_room(struct tombstones *t);
/* There must be room. It has no stamp yet. */
void tombstones_add(struct tombstones *t, uint64_t id, uint32_t hash);
void tombstones_drop_first(struct tombstones *t);
/* Stamps those that have no stamp. */
void tombstones_stamp(struct tombstones *t, uint64_t produced);
/* Keeps those for which fn() is true. */
void tombstones_keep(struct tombstones *t, bool (*fn)(void *arg, const struct tombstone *one),
		     void *arg);

/* The i-th of the queue, 0 … count - 1. */
static inline struct tombstone *tombstones_at(const struct tombstones *t, uint32_t i)
{
	return &t->at[(t->first + i) & t->mask];
}

/* Whether there is a first one that may go. */
static inline bool tombstones_passed(const struct tombstones *t, uint64_t consumed)
{
	return t->count > t->unstamped && tombstones_at(t, 0)->stamp <= consumed;
}

#endif
