/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A set-associative table, so that neither a lookup nor a full table costs a search. Knows no connection: only ids, owners
 * and times.
 */
#include "accepts.h"

#include <stddef.h>

#include "util.h"

#define WAIT_NS (200 * NSEC_PER_MSEC)

static struct accept *set_of(struct accepts *a, uint64_t id)
{
	return a->at[hash_u64(&a->key, id) % ACCEPTS_SETS];
}

void accepts_add(struct accepts *a, const struct ps_message_accept *m, uint64_t now_ns)
{
	uint64_t id = m->cookie & PS_COOKIE_MASK;
	/* without a cookie there is no id to find it by; the time spreads such accepts over the sets */
	struct accept *set = set_of(a, id ? id : m->accepted_ns), *oldest = set;

	for (struct accept *w = set; w < set + ACCEPTS_WAYS; w++)
		if (w->since_ns < oldest->since_ns)
			oldest = w;
	if (!oldest->since_ns)
		a->count++;
	else if (oldest->owner)
		a->dropped++; /* a stranger's most likely concerns no socket of ours */
	*oldest = (struct accept){
		.id = id,
		.accepted_ns = m->accepted_ns,
		.since_ns = now_ns ? now_ns : 1,
		.owner = m->owner,
		.parked = m->parked,
	};
}

bool accepts_take(struct accepts *a, uint64_t id, struct accept *ret)
{
	struct accept *set;

	if (!a->count)
		return false;
	set = set_of(a, id);
	for (struct accept *w = set; w < set + ACCEPTS_WAYS; w++) {
		if (!w->since_ns || w->id != id)
			continue;
		*ret = *w;
		w->since_ns = 0;
		a->count--;
		return true;
	}
	return false;
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
	struct accept *w = &a->at[0][0], *end = w + (size_t)ACCEPTS_SETS * ACCEPTS_WAYS;
	uint32_t count = 0;

	for (; a->count && w < end; w++) {
		if (!w->since_ns || w->since_ns > now_ns || now_ns - w->since_ns < WAIT_NS)
			continue;
		if (w->owner && !add_owner(w->owner, owners, max, &count))
			continue;
		a->lost += w->parked != 0;
		w->since_ns = 0;
		a->count--;
	}
	return count;
}
