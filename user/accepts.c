/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A set-associative table, so that neither a lookup nor a full table costs a search. Knows no connection: only ids, owners
 * and times.
 */
#include "accepts.h"

#include <errno.h>
#include <stddef.h>

#include "util.h"

#define REPORT_NS (200 * NSEC_PER_MSEC)
#define FORGET_NS (3 * NSEC_PER_SEC)

#define SETS_MIN 64

int accepts_init(struct accepts *a, const struct hash_key *key)
{
	a->key = *key;
	a->sets = SETS_MIN;
	a->at = calloc(a->sets, sizeof(*a->at));
	return a->at ? 0 : -ENOMEM;
}

void accepts_done(struct accepts *a)
{
	free(a->at);
	a->at = NULL;
}

/* Each key has two sets, never one twice: with one alone, a few would be full long before the table is half so. */
static struct accept *set_of(struct accepts *a, uint64_t key, bool second)
{
	uint64_t hash = hash_u64(&a->key, key);

	return a->at[(second ? hash ^ (hash >> 32 | 1) : hash) & (a->sets - 1)];
}

/* Without a cookie there is no id to find it by; the time spreads such accepts over the sets. */
static uint64_t key_of(const struct accept *w)
{
	return w->id ? w->id : w->accepted_ns;
}

/* A free place for the key, in the emptier of its sets, or the tails would be long; else the one that has been taken for the longest. */
static struct accept *place_for(struct accepts *a, uint64_t key)
{
	struct accept *place = NULL, *oldest = set_of(a, key, false);
	int least = ACCEPTS_WAYS;

	for (int second = 0; second < 2; second++) {
		struct accept *set = set_of(a, key, second), *free_place = NULL;
		int used = 0;

		for (struct accept *w = set; w < set + ACCEPTS_WAYS; w++) {
			used += w->since_ns != 0;
			if (!w->since_ns)
				free_place = w;
			if (w->since_ns < oldest->since_ns)
				oldest = w;
		}
		if (used < least) {
			least = used;
			place = free_place;
		}
	}
	return place ? place : oldest;
}

static void put(struct accepts *a, const struct accept *w)
{
	struct accept *place = place_for(a, key_of(w));

	if (!place->since_ns)
		a->count++;
	else if (place->owner)
		a->dropped++; /* a stranger's most likely concerns no socket of ours */
	*place = *w;
}

static bool has_room(struct accepts *a, const struct accept *w)
{
	return !place_for(a, key_of(w))->since_ns;
}

/* Moves all of `old` into an empty table. False: it has no room for one of them. */
static bool move(struct accepts *a, const struct accepts *old)
{
	const struct accept *w = &old->at[0][0], *end = w + (size_t)old->sets * ACCEPTS_WAYS;

	for (; w < end; w++) {
		if (w->since_ns && !has_room(a, w))
			return false;
		if (w->since_ns)
			put(a, w);
	}
	return true;
}

/* Until all that waits and this one as well have room. At the bound, or without memory, it stays as it is. */
static void grow(struct accepts *a, const struct accept *one)
{
	for (uint32_t sets = 2 * a->sets; sets <= ACCEPTS_SETS_MAX; sets *= 2) {
		struct accepts more = *a;

		more.sets = sets;
		more.count = 0;
		more.at = calloc(sets, sizeof(*more.at));
		if (!more.at)
			return;
		if (move(&more, a) && (has_room(&more, one) || sets == ACCEPTS_SETS_MAX)) {
			free(a->at);
			*a = more;
			return;
		}
		free(more.at);
	}
}

void accepts_add(struct accepts *a, const struct ps_message_accept *m, uint64_t now_ns)
{
	struct accept w = {
		.id = m->cookie & PS_COOKIE_MASK,
		.accepted_ns = m->accepted_ns,
		.since_ns = now_ns ? now_ns : 1,
		.owner = m->owner,
		.parked = m->parked != 0,
	};

	if (!has_room(a, &w))
		grow(a, &w);
	put(a, &w);
}

bool accepts_take(struct accepts *a, uint64_t id, struct accept *ret)
{
	for (int second = 0; a->count && second < 2; second++) {
		struct accept *set = set_of(a, id, second);

		for (struct accept *w = set; w < set + ACCEPTS_WAYS; w++) {
			if (!w->since_ns || w->id != id)
				continue;
			*ret = *w;
			w->since_ns = 0;
			a->count--;
			return true;
		}
	}
	return false;
}

void accepts_disown(struct accepts *a, bool (*fn)(void *arg, uint32_t owner), void *arg)
{
	struct accept *w = &a->at[0][0], *end = w + (size_t)a->sets * ACCEPTS_WAYS;

	for (; a->count && w < end; w++)
		if (w->since_ns && fn(arg, w->owner))
			w->owner = 0;
}

static bool add_owner(uint32_t owner, uint32_t *owners, uint32_t max, uint32_t *count)
{
	for (uint32_t i = 0; i < *count; i++)
		if (owners[i] == owner)
			return true;
	if (*count == max)
		return false;
	owners[(*count)++] = owner;
	return true;
}

uint32_t accepts_expire(struct accepts *a, uint64_t now_ns, uint32_t *owners, uint32_t max)
{
	struct accept *w = &a->at[0][0], *end = w + (size_t)a->sets * ACCEPTS_WAYS;
	uint32_t count = 0;

	for (; a->count && w < end; w++) {
		if (!w->since_ns || w->since_ns > now_ns || now_ns - w->since_ns < REPORT_NS)
			continue;
		if (w->owner && !w->reported && !add_owner(w->owner, owners, max, &count))
			continue;
		w->reported = true;
		if (now_ns - w->since_ns < FORGET_NS)
			continue;
		a->lost += w->parked != 0;
		w->since_ns = 0;
		a->count--;
	}
	return count;
}
