/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of connections and its rules. Invariant: `count` slots are not CLIENT_FREE; each of them that is not ending has
 * a deadline, which no activity moves within a phase: who trickles gains nothing.
 *
 * Every question walks the whole table: it has 64 rows. What it refuses to know: sockets, HTTP, the clock.
 */
#include "clients.h"

#include <errno.h>
#include <string.h>

static unsigned int count_from(const struct clients *t, const uint8_t *address)
{
	unsigned int n = 0;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client_row *c = &t->of[i];

		if (c->phase != CLIENT_FREE && c->limited &&
		    memcmp(c->address, address, sizeof(c->address)) == 0)
			n++;
	}
	return n;
}

static bool waits(const struct client_row *c)
{
	return c->phase == CLIENT_HEADER || c->phase == CLIENT_ANSWER;
}

static bool idles(const struct client_row *c)
{
	return c->phase == CLIENT_IDLE;
}

/* Who is so longest, of those whose grace is over by `grace_ns`; or -1. */
static int oldest(const struct clients *t, bool (*is)(const struct client_row *c),
		  uint64_t grace_ns)
{
	int found = -1;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client_row *c = &t->of[i];

		if (is(c) && !c->ending && c->grace_ns <= grace_ns &&
		    (found < 0 || c->since_ns < t->of[found].since_ns))
			found = i;
	}
	return found;
}

int clients_admit(const struct clients *t, const uint8_t *address, uint64_t now_ns, int *ret_victim)
{
	int victim;

	if (address && t->count > CLIENTS_MAX / 2 &&
	    count_from(t, address) >= CLIENTS_PER_ADDRESS_MAX)
		return -EUSERS;
	if (t->count < CLIENTS_MAX)
		return 0;
	victim = oldest(t, waits, now_ns);
	if (victim < 0)
		victim = oldest(t, waits, UINT64_MAX);
	if (victim < 0)
		victim = oldest(t, idles, UINT64_MAX);
	if (victim < 0)
		return -ENOSPC;
	*ret_victim = victim;
	return -EAGAIN;
}

static void enter(struct client_row *c, enum client_phase phase, uint64_t now_ns, uint64_t time_ns)
{
	c->phase = phase;
	c->since_ns = now_ns;
	c->deadline_ns = now_ns + time_ns;
	c->grace_ns = now_ns + CLIENTS_GRACE_NS;
}

int clients_add(struct clients *t, const uint8_t *address, uint64_t now_ns)
{
	int slot = 0;

	while (t->of[slot].phase != CLIENT_FREE)
		slot++;
	t->of[slot] = (struct client_row){.limited = address != NULL};
	if (address)
		memcpy(t->of[slot].address, address, sizeof(t->of[slot].address));
	enter(&t->of[slot], CLIENT_HEADER, now_ns, CLIENTS_HEADER_NS);
	t->count++;
	return slot;
}

void clients_remove(struct clients *t, int slot)
{
	t->of[slot].phase = CLIENT_FREE;
	t->count--;
}

void clients_begin(struct clients *t, int slot, uint64_t now_ns)
{
	if (t->of[slot].phase == CLIENT_IDLE)
		enter(&t->of[slot], CLIENT_HEADER, now_ns, CLIENTS_HEADER_NS);
}

void clients_dawdle(struct clients *t, int slot)
{
	t->of[slot].grace_ns = 0;
}

void clients_greet(struct clients *t, int slot, uint64_t now_ns)
{
	t->of[slot].grace_ns = now_ns + CLIENTS_GRACE_NS;
}

void clients_ask(struct clients *t, int slot, uint64_t now_ns)
{
	enter(&t->of[slot], CLIENT_ANSWER, now_ns, CLIENTS_ANSWER_NS);
}

void clients_give(struct clients *t, int slot, uint64_t now_ns, uint64_t answer_ns)
{
	enter(&t->of[slot], CLIENT_BODY, now_ns, answer_ns);
}

void clients_answered(struct clients *t, int slot, uint64_t now_ns)
{
	enter(&t->of[slot], CLIENT_IDLE, now_ns, CLIENTS_IDLE_NS);
}

void clients_end(struct clients *t, int slot)
{
	t->of[slot].ending = true;
}

/* Whose deadline is the next, or -1. */
static int first_due(const struct clients *t)
{
	int found = -1;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client_row *c = &t->of[i];

		if (c->phase != CLIENT_FREE && !c->ending &&
		    (found < 0 || c->deadline_ns < t->of[found].deadline_ns))
			found = i;
	}
	return found;
}

int clients_overdue(const struct clients *t, uint64_t now_ns)
{
	int slot = first_due(t);

	return slot >= 0 && t->of[slot].deadline_ns <= now_ns ? slot : -1;
}

uint64_t clients_deadline_ns(const struct clients *t)
{
	int slot = first_due(t);

	return slot >= 0 ? t->of[slot].deadline_ns : UINT64_MAX;
}
