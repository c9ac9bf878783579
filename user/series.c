/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the series and the process names. All series stand in one array that never moves, so slots and pointers stay; a
 * separate index of (hash, slot) pairs finds them by key. The slot of a dropped series is all zero and is the first to
 * be used again. Invariant: series with a peer of their own are at most series_max, and at most peers_max per (name,
 * direction); each (name, direction) has at most one overflow series beyond that. Knows nothing of connections and of
 * time: what the numbers mean, and when a series may go, is the business of pools.
 */
#include "series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "hash.h"
#include "memory.h"
#include "util.h"

#define OVERFLOW_MAX (SERIES_NAMES_MAX * PS_DIRECTIONS)
#define NAME_LABEL_MAX sizeof(((struct series_name *)NULL)->label)

_Static_assert(sizeof(struct series) == 15 * 64, "a scrape copies it: at most 1 KiB each");
_Static_assert(sizeof(struct series_key) == 22, "hashed and compared as bytes: no padding");
_Static_assert(
	NAME_LABEL_MAX + sizeof(",direction=\"outbound\",peer_address=\"\",server_port=\"65535\"") +
			ADDRESS_TEXT_MAX <=
		SERIES_LABELS_MAX,
	"the longest label text fits");

struct name {
	struct series_name *name; /* NULL: the index is free */
	struct series_peers sides[PS_DIRECTIONS];
};

/* Label text: a snapshot may hold it longer than the table. */
struct labels {
	uint32_t holders;
	char text[];
};

struct index_slot {
	uint32_t hash;
	uint32_t slot; /* + 1; 0: free */
};

struct series_table {
	struct series *series;
	uint32_t count; /* slots ever used */
	uint32_t peers; /* series with a peer of their own */
	uint32_t *free, free_count; /* slots of dropped series */
	uint32_t peers_max, series_max;
	struct hash_key key;
	struct index_slot *index;
	uint32_t index_mask;
	uint32_t name_count; /* indices ever used */
	struct name names[SERIES_NAMES_MAX];
};

static size_t series_bytes(const struct series_table *t)
{
	return ((size_t)t->series_max + OVERFLOW_MAX) * sizeof(struct series);
}

int series_open(struct series_table **ret, uint32_t peers_max, uint32_t series_max,
		const uint8_t hash_key[16])
{
	uint32_t index_size = 64;
	struct series_table *t;

	if (!peers_max || !series_max || series_max > SERIES_MAX_LIMIT)
		return -EINVAL;
	while (index_size < 2 * (series_max + OVERFLOW_MAX))
		index_size *= 2;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->peers_max = peers_max;
	t->series_max = series_max;
	t->key = hash_key_make(hash_key);
	t->index_mask = index_size - 1;
	t->index = calloc(index_size, sizeof(*t->index));
	t->free = calloc(series_max + OVERFLOW_MAX, sizeof(*t->free));
	t->series = memory_zeroed(series_bytes(t));
	if (!t->index || !t->free || !t->series) {
		series_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void series_close(struct series_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->count; i++)
		series_labels_release(t->series[i].labels);
	for (uint32_t i = 0; i < t->name_count; i++)
		series_name_release(t->names[i].name);
	memory_free(t->series, series_bytes(t));
	free(t->free);
	free(t->index);
	free(t);
}

static void name_format(struct series_name *n)
{
	char *p = stpcpy(n->label, "process=\"");

	for (const char *s = n->text; *s; s++) {
		if (*s == '\\' || *s == '"' || *s == '\n')
			*p++ = '\\';
		*p++ = *s == '\n' ? 'n' : *s;
	}
	memcpy(p, "\"", 2);
}

int series_name(struct series_table *t, const char *name)
{
	uint32_t at = t->name_count;
	struct series_name *n;

	if (!*name || series_name_bytes(name) > SERIES_NAME_MAX)
		return -EINVAL;
	for (uint32_t i = t->name_count; i-- > 0;) {
		if (!t->names[i].name)
			at = i;
		else if (!strcmp(t->names[i].name->text, name))
			return (int)i;
	}
	if (at == SERIES_NAMES_MAX)
		return -ENOSPC;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	strcpy(n->text, name);
	name_format(n);
	n->holders = 1;
	t->names[at].name = n;
	t->name_count += at == t->name_count;
	return (int)at;
}

uint32_t series_names(const struct series_table *t)
{
	return t->name_count;
}

const char *series_name_text(const struct series_table *t, uint16_t name)
{
	return t->names[name].name ? t->names[name].name->text : NULL;
}

const struct series_name *series_name_hold(const struct series_table *t, uint16_t name)
{
	struct series_name *n = t->names[name].name;

	if (n)
		n->holders++;
	return n;
}

void series_name_release(const struct series_name *name)
{
	struct series_name *n = (struct series_name *)name;

	if (n && !--n->holders)
		free(n);
}

static struct labels *labels_of(const char *text)
{
	return (struct labels *)(text - offsetof(struct labels, text));
}

const char *series_labels_hold(const char *labels)
{
	labels_of(labels)->holders++;
	return labels;
}

void series_labels_release(const char *labels)
{
	if (labels && !--labels_of(labels)->holders)
		free(labels_of(labels));
}

/* NULL: no memory. */
static struct labels *labels_make(const char *text)
{
	size_t size = strlen(text) + 1;
	struct labels *labels = malloc(sizeof(*labels) + size);

	if (!labels)
		return NULL;
	labels->holders = 1;
	memcpy(labels->text, text, size);
	return labels;
}

static struct labels *labels_format(const struct series_table *t, const struct series_key *key)
{
	struct address_prefix prefix = {.len = key->prefix_len};
	char text[SERIES_LABELS_MAX], peer[ADDRESS_TEXT_MAX] = "other", port[8] = "other";

	if (!key->overflow) {
		memcpy(prefix.address, key->peer, sizeof(prefix.address));
		if (key->prefix_len < 128)
			address_prefix_format(&prefix, peer);
		else
			address_format(key->peer, peer);
		snprintf(port, sizeof(port), "%u", key->server_port);
	}
	snprintf(text, sizeof(text), "%s,direction=\"%s\",peer_address=\"%s\",server_port=\"%s\"",
		 t->names[key->name].name->label,
		 key->direction == PS_INBOUND ? "inbound" : "outbound", peer, port);
	return labels_make(text);
}

/* The place in the index where the key stands, or would stand. */
static struct index_slot *index_find(struct series_table *t, const struct series_key *key)
{
	uint32_t hash = (uint32_t)hash_bytes(&t->key, key, sizeof(*key));

	for (uint32_t i = hash;; i++) {
		struct index_slot *at = &t->index[i & t->index_mask];

		if (!at->slot)
			at->hash = hash;
		if (!at->slot ||
		    (at->hash == hash && !memcmp(&t->series[at->slot - 1].key, key, sizeof(*key))))
			return at;
	}
}

static int series_make(struct series_table *t, const struct series_key *key, struct index_slot *at)
{
	struct labels *labels = labels_format(t, key);
	struct series *s;
	uint32_t slot;

	if (!labels)
		return -ENOMEM;
	slot = t->free_count ? t->free[--t->free_count] : t->count++;
	s = &t->series[slot];
	s->labels = labels->text;
	s->labels_len = (uint16_t)strlen(labels->text);
	s->key = *key;
	at->slot = slot + 1;
	return 0;
}

int series_get(struct series_table *t, const struct series_key *key, uint32_t *ret_slot)
{
	struct series_key other = {
		.direction = key->direction, .name = key->name, .overflow = true};
	struct series_peers *side = &t->names[key->name].sides[key->direction];
	struct index_slot *at = index_find(t, key);
	bool overflow = !at->slot && (t->peers == t->series_max || side->peers == t->peers_max);

	if (overflow)
		at = index_find(t, &other);
	if (!at->slot) {
		if (series_make(t, overflow ? &other : key, at))
			return -ENOMEM;
		side->peers += !overflow;
		t->peers += !overflow;
	}
	side->overflowed += overflow;
	*ret_slot = at->slot - 1;
	return 0;
}

/* Closes the gap by moving back what probed past it, so that lookups never meet a deleted place. */
static void index_free(struct series_table *t, struct index_slot *at)
{
	uint32_t gap = (uint32_t)(at - t->index);

	for (uint32_t i = (gap + 1) & t->index_mask; t->index[i].slot;
	     i = (i + 1) & t->index_mask) {
		uint32_t probed = (i - t->index[i].hash) & t->index_mask;

		if (probed < ((i - gap) & t->index_mask))
			continue;
		t->index[gap] = t->index[i];
		gap = i;
	}
	t->index[gap].slot = 0;
}

void series_drop(struct series_table *t, uint32_t slot)
{
	struct series *s = &t->series[slot];

	index_free(t, index_find(t, &s->key));
	t->names[s->key.name].sides[s->key.direction].peers -= !s->key.overflow;
	t->peers -= !s->key.overflow;
	series_labels_release(s->labels);
	memset(s, 0, sizeof(*s));
	t->free[t->free_count++] = slot;
}

void series_name_drop(struct series_table *t, uint16_t name)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->series[i].labels && t->series[i].key.name == name)
			series_drop(t, i);
	series_name_release(t->names[name].name);
	t->names[name] = (struct name){};
}

uint32_t series_likely(const struct series_table *t, const struct series_key *key)
{
	uint32_t hash = (uint32_t)hash_bytes(&t->key, key, sizeof(*key));

	for (uint32_t i = hash;; i++) {
		const struct index_slot *at = &t->index[i & t->index_mask];

		if (!at->slot || at->hash == hash)
			return at->slot;
	}
}

struct series *series_at(struct series_table *t, uint32_t slot)
{
	return &t->series[slot];
}

uint32_t series_count(const struct series_table *t)
{
	return t->count;
}

void series_peers(const struct series_table *t, uint16_t name, enum ps_direction direction,
		  struct series_peers *ret)
{
	*ret = t->names[name].sides[direction];
}

uint32_t series_peers_max(const struct series_table *t)
{
	return t->peers_max;
}
