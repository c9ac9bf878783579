/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The bounded table of series: one per (process name, direction, peer address, server port). Keyed by a keyed hash, since
 * strangers choose the peers. What does not fit goes to the overflow series of its (process, direction), which
 * is reserved and outside the bounds: sums stay right and a port scan cannot grow the table.
 */
#ifndef SERIES_H
#define SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "poolscope/record.h"

#define SERIES_NAMES_MAX 64 /* process names */
#define SERIES_NAME_MAX 63 /* bytes of one, as it stands in the label: see series_name_bytes() */
#define SERIES_MAX_LIMIT 10000
#define SERIES_LABELS_MAX 256 /* label text, NUL included; asserted in series.c */

struct series_key {
	uint8_t peer[16];
	uint16_t server_port;
	uint8_t prefix_len; /* 128: a host; less: a folded CIDR (counted in the v4-mapped space) */
	uint8_t direction; /* enum ps_direction */
	uint8_t name; /* index from series_name() */
	bool overflow; /* peer_address="other", server_port="other"; set by the table only */
};

/*
 * What every record touches stands first. 15 cache lines: an odd number, since at a power of two the first lines of all
 * series would compete for one sixteenth of the cache.
 */
struct series {
	struct series_key key;
	uint16_t labels_len;
	const char *
		labels; /* process="…",direction="…",peer_address="…",server_port="…"; escaped. NULL: dropped */
	/* who may need it again, kept by pools; beside the gauges, since they change together */
	uint64_t idle_ns; /* when the last state that names it ended */
	uint32_t states; /* that name it and have not ended */
	/* gauges: connections, of which there are at most 2^24 */
	int32_t pending, active, stale, queued;
	/* counters */
	uint64_t attempts, opened, adopted, handed_over;
	uint64_t closed[PS_CLOSES];
	uint64_t failed[PS_FAILS];
	struct histogram handshake, lifetime, accept_wait;
} __attribute__((aligned(64)));

/* A process name, for whoever shows it later than it may be dropped. */
struct series_name {
	char text[SERIES_NAME_MAX + 1];
	char label[SERIES_NAME_MAX + sizeof("process=\"\"")]; /* process="…", escaped */
	uint32_t holders;
};

/* How full the table is for one (process name, direction). */
struct series_peers {
	uint32_t peers; /* series that have a peer of their own */
	uint64_t overflowed; /* calls of series_get() that ended in the overflow series: connections, not peers */
};

struct series_table;

/* -EINVAL when a bound is 0 or series_max is above SERIES_MAX_LIMIT. hash_key: 16 random bytes. */
int series_open(struct series_table **ret, uint32_t peers_max, uint32_t series_max,
		const uint8_t hash_key[16]);
void series_close(struct series_table *t);

/* What a name takes in a label, where quotes, backslashes and line feeds are escaped by a second byte. */
static inline size_t series_name_bytes(const char *name)
{
	size_t bytes = 0;

	for (; *name; name++)
		bytes += *name == '\\' || *name == '"' || *name == '\n' ? 2 : 1;
	return bytes;
}

/*
 * Index of a process name, made on first use. -ENOSPC beyond SERIES_NAMES_MAX, -EINVAL if it is empty or too long; the name is
 * sanitised by the caller.
 */
int series_name(struct series_table *t, const char *name);
/* Drops all series of the name, as series_drop() does, and frees its index for another one. */
void series_name_drop(struct series_table *t, uint16_t name);
/* Indices run from 0 to this - 1; the text of a free one is NULL. */
uint32_t series_names(const struct series_table *t);
const char *series_name_text(const struct series_table *t, uint16_t name);
/* The name stays until it is released as often; NULL for a free index. */
const struct series_name *series_name_hold(const struct series_table *t, uint16_t name);
void series_name_release(const struct series_name *name); /* also NULL */

/*
 * Slot of the key's series, made on first use; the slot of the overflow series when a bound is reached. A slot stays valid
 * until series_drop(). -ENOMEM is the only error.
 */
int series_get(struct series_table *t, const struct series_key *key, uint32_t *ret_slot);
/* Forgets a series, and makes room for another. Nobody may use the slot any more. */
void series_drop(struct series_table *t, uint32_t slot);
/* Slot + 1 of the series that series_get() will most likely find, without touching it; 0: none yet. For prefetching. */
uint32_t series_likely(const struct series_table *t, const struct series_key *key);
struct series *series_at(struct series_table *t, uint32_t slot);

/*
 * Slots run from 0 to series_count() - 1, and series_at(t, 0) is an array of them all; overflow series are among them, and
 * dropped ones, all zero.
 */
uint32_t series_count(const struct series_table *t);

void series_peers(const struct series_table *t, uint16_t name, enum ps_direction direction,
		  struct series_peers *ret);
uint32_t series_peers_max(const struct series_table *t);

/* For one who shows a series later than it may be dropped: its label text stays until it is released as often. */
const char *series_labels_hold(const char *labels);
void series_labels_release(const char *labels); /* also NULL */

#endif
