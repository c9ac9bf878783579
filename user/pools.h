/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Turns what changed of a connection into gauges, counters and histograms of its series. Owns the series table and the
 * names of the owners. Pure: records in, numbers out.
 */
#ifndef POOLS_H
#define POOLS_H

#include "address.h"
#include "histogram.h"
#include "poolscope/record.h"
#include "series.h"

#define POOLS_AGGREGATES_MAX 16
#define POOLS_OWNER_MAX (PS_OWNERS - 1) /* the highest target id: ids count up from 1 */

struct pools_config {
	uint32_t peers_max; /* per process name and direction */
	uint32_t series_max;
	uint64_t ttl_ns; /* a series goes so long after its last connection; 0: never */
	struct histogram_bounds handshake; /* also accept wait */
	struct histogram_bounds lifetime;
	struct address_prefix
		aggregate[POOLS_AGGREGATES_MAX]; /* inbound peers in these are folded; longest wins */
	uint32_t aggregate_count;
	uint8_t hash_key[16];
};

/* Milestones that are counted once per connection. The first three are those of enum ps_flag. */
enum pools_counted {
	POOLS_ATTEMPTED = PS_ATTEMPTED,
	POOLS_OPENED = PS_OPENED,
	POOLS_ADOPTED = PS_ADOPTED,
	POOLS_HANDED = PS_HANDED, /* counted as handed over: the owner's series has it now */
	POOLS_MOVED = 1 << 4, /* the owner is of another name than the birth owner */
	POOLS_ACCEPTED = 1 << 5,
	POOLS_OVER = 1 << 6, /* closed or failed */
	POOLS_LEFT = 1 << 7, /* its owner was detached: the next one takes it over */
};

/*
 * What has been accounted of one connection: embedded in the mirror's entry, owned by this module. Zero: nothing. The series
 * are remembered, so that what went up in one never goes down in another.
 */
struct pools_state {
	uint32_t birth; /* slot + 1 of the birth owner's series; 0: none */
	uint32_t holder; /* of the present owner's; while nothing is accounted: where the birth owner's likely is */
	uint8_t phase; /* enum ps_phase */
	uint8_t counted; /* enum pools_counted */
};

struct pools_stats {
	uint64_t negative; /* times that a gauge fell below 0: a bug */
	uint64_t unaccounted; /* connections without a series, for want of memory */
};

struct pools;

/* -EINVAL: a bound of series_open(), or more than POOLS_AGGREGATES_MAX. */
int pools_open(struct pools **ret, const struct pools_config *config);
void pools_close(struct pools *p);

/*
 * Target ids are given by the caller and never reused: 1 … POOLS_OWNER_MAX, else -ERANGE. -ENOSPC: too many names; -EEXIST:
 * id known; -EINVAL: no name, or a too long one.
 */
int pools_add_owner(struct pools *p, uint32_t owner, const char *name);
/*
 * Nothing more is counted for the owner. It has no name from here on; what connections it holds must be given up by
 * pools_leave(), and then pools_sweep() drops the series of names that have no owner left and frees those names: it
 * returns them, bit by index.
 */
void pools_drop_owner(struct pools *p, uint32_t owner);
uint64_t pools_sweep(struct pools *p);
/* Index of the owner's name in the series table; -ENOENT: no such owner. */
int pools_owner_name(const struct pools *p, uint32_t owner);

/*
 * Accounts the difference between what *state says and the record; the record must not be older than what was accounted
 * before, and must be of the same direction; after an end nothing is accounted. Never fails: what cannot be given a series
 * (no memory) is counted.
 */
void pools_account(struct pools *p, struct pools_state *state, const struct ps_record *record);

/*
 * Owners of this connection were dropped: `birth` and `owner` say which of the two. It leaves their series, which may go on for others of
 * the name: what was established is handed over, what was pending has failed.
 */
void pools_leave(struct pools *p, struct pools_state *state, bool birth, bool owner);

/* Index of the name under which the connection is counted now; -ENOENT: its owner is no target of ours. */
int pools_state_name(const struct pools *p, const struct pools_state *state);

/* Asks for the memory that pools_account() will touch, without waiting for it. A hint: of a state it changes what is a guess. */
void pools_prefetch(const struct pools *p, struct pools_state *state,
		    const struct ps_record *record);

/* The time of all that is accounted from here on. CLOCK_MONOTONIC; it must not go back. */
void pools_clock(struct pools *p, uint64_t now_ns);
/*
 * Drops series that no connection has used for the ttl, among the next `slots` of them; the call after goes on from there. Their
 * numbers go with them: a peer that comes back begins at 0. Overflow series stay. Returns how many it dropped.
 */
uint32_t pools_expire(struct pools *p, uint32_t slots);

/* The accept queues, read at a scrape: first reset, then one call per queued connection of the mirror. */
void pools_queued_reset(struct pools *p);
void pools_queued(struct pools *p, const struct pools_state *state);

const struct pools_config *pools_config(const struct pools *p);
struct series_table *pools_series(struct pools *p);
void pools_stats(const struct pools *p, struct pools_stats *ret);

#endif
