/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Accepts of the fallback that came before the first record of their socket. Bounded. Pure.
 */
#ifndef ACCEPTS_H
#define ACCEPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "poolscope/record.h"

/* Each in the set of its hash. At most: room for twice as many as the kernel half may park. */
#define ACCEPTS_SETS_MAX 16384
#define ACCEPTS_WAYS 8

struct accept {
	uint64_t id; /* 0 if the socket had no cookie */
	uint64_t accepted_ns;
	uint64_t since_ns; /* when it came; 0: the place is free */
	uint32_t owner;
	bool parked;
	bool reported; /* by accepts_expire() */
};

struct accepts {
	struct hash_key key;
	uint32_t count;
	uint64_t dropped; /* of targets, given up for newer ones */
	uint64_t lost; /* of those that had been parked: their connection never came */
	uint32_t sets; /* a power of two; doubles when a set is full */
	struct accept (*at)[ACCEPTS_WAYS];
};

int accepts_init(struct accepts *a, const struct hash_key *key);
void accepts_done(struct accepts *a);

/* Keeps it; the oldest of its set makes room if there is none. */
void accepts_add(struct accepts *a, const struct ps_message_accept *m, uint64_t now_ns);
/* Takes the one that waits for this id, if any. */
bool accepts_take(struct accepts *a, uint64_t id, struct accept *ret);
/* Those whose owner fn() names are nobody's from here on: nobody's descriptor table is to be read for them. */
void accepts_disown(struct accepts *a, bool (*fn)(void *arg, uint32_t owner), void *arg);
/* Reports, once, those that have waited for 200 ms (two timed drains): writes their distinct owners, at most max, and returns
 * how many; those beyond wait for the next call. Forgets those that have waited for 3 s: a record that was refused is
 * brought by an inventory within about a second. */
uint32_t accepts_expire(struct accepts *a, uint64_t now_ns, uint32_t *owners, uint32_t max);

#endif
