// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A ring that doubles when it is full, up to its limit. Invariant: those without a stamp are the last ones. Knows no entry of the mirror, only
 * ids and the hashes by which they are found.
 */
#include "tombstones.h"

#include <errno.h>
#include <stdlib.h>

#include "util.h"

#define TOMBSTONES_MIN 1024

int tombstones_init(struct tombstones *t, uint32_t limit)
{
	*t = (struct tombstones){
		.at = calloc(TOMBSTONES_MIN, sizeof(*t->at)),
		.mask = TOMBSTONES_MIN - 1,
		.limit = limit > TOMBSTONES_MIN ? limit : TOMBSTONES_MIN,
	};
	return t->at ? 0 : -ENOMEM;
}

void tombstones_done(struct tombstones *t)
{
	free(t->at);
	t->at = NULL;
}

static int grow(struct tombstones *t)
{
	uint32_t size = t->mask + 1;
	struct tombstone *at;

	if (size >= t->limit)
		return -ENOSPC;
	at = malloc(2 * (size_t)size * sizeof(*at));
	if (!at)
		return -ENOMEM;
	for (uint32_t i = 0; i < size; i++)
		at[i] = *tombstones_at(t, i);
	free(t->at);
	t->at = at;
	t->first = 0;
	t->mask = 2 * size - 1;
	return 0;
}

bool tombstones_have_room(struct tombstones *t)
{
	return t->count < t->limit && (t->count <= t->mask || !grow(t));
}

void tombstones_add(struct tombstones *t, uint64_t id, uint32_t hash)
{
	*tombstones_at(t, t->count++) = (struct tombstone){.id = id, .hash = hash};
	t->unstamped++;
}

void tombstones_drop_first(struct tombstones *t)
{
	if (t->unstamped == t->count)
		t->unstamped--;
	t->first = (t->first + 1) & t->mask;
	t->count--;
}

void tombstones_stamp(struct tombstones *t, uint64_t produced)
{
	for (; t->unstamped; t->unstamped--)
		tombstones_at(t, t->count - t->unstamped)->stamp = produced;
}

void tombstones_keep(struct tombstones *t, bool (*fn)(void *arg, const struct tombstone *one),
		     void *arg)
{
	uint32_t stamped = t->count - t->unstamped, kept = 0, unstamped = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		struct tombstone one = *tombstones_at(t, i);

		if (!fn(arg, &one))
			continue;
		unstamped += i >= stamped;
		*tombstones_at(t, kept++) = one;
	}
	t->count = kept;
	t->unstamped = unstamped;
}
