/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The mirror of the kernel's records: newest version wins, each difference is accounted once. Bounded. Pure: time and ring
 * positions are arguments.
 *
 * An ended connection stays as a tombstone, which ignores late copies, until the ring has been consumed past the producer
 * position read after the end was merged: ring order is not copy order.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolscope/record.h"
#include "pools.h"

#define CONNECTIONS_LIMIT_MAX (1U << 24)

struct connections;

struct connections_stats {
	uint64_t events[PS_EVENTS]; /* messages accounted, by kind (repeats and late copies are not) */
	uint64_t full; /* records of live connections dropped because the mirror was full */
	uint64_t invalid; /* messages that no version of this ABI sends, or that contradict what was told before */
	uint64_t tombstones_dropped; /* given up before the ring had passed them: a late copy would be counted again */
	uint64_t accepts_lost; /* parked ones whose connection never came */
	uint64_t accepts_dropped; /* accepts without a record, given up because there were too many */
	uint64_t corrections; /* gauges moved by absence, a healed record, or one that was refused before */
	uint64_t negative; /* a gauge fell below 0: a bug, never clamped in silence */
	uint32_t tracked; /* live connections, tombstones not counted */
	uint32_t limit;
};

/* -EINVAL: a limit of 0 or above CONNECTIONS_LIMIT_MAX. `pools` stays the caller's and must outlive it. */
int connections_open(struct connections **ret, uint32_t limit, struct pools *pools,
		     const uint8_t hash_key[16]);
void connections_close(struct connections *c);

/*
 * One ring message of `size` bytes, from any source: whatever the bytes, it neither crashes nor breaks an invariant. It is
 * copied, and accounted a few messages later: at the latest in the next call of any other function here but
 * connections_bytes(). So the series are right after connections_drained().
 */
void connections_message(struct connections *c, const void *data, size_t size, uint64_t now_ns);

/* After each drain: `consumed` is the ring's consumer position, `produced` the producer position read after the drain. */
void connections_drained(struct connections *c, uint64_t consumed, uint64_t produced);

/* A final record that was parked since the ring was full. */
void connections_parked(struct connections *c, const struct ps_record *record);

/*
 * Around an inventory that shows every record of the kernel: begin, its messages through connections_message(), a drain
 * past the producer position read after it, the parked; then end, which ends every connection that no copy has touched. Do
 * not call end if anything of that was incomplete.
 */
void connections_inventory_begin(struct connections *c);
void connections_inventory_end(struct connections *c);

/*
 * Owners were dropped (pools_drop_owner()): they give up what they hold, without a count of closings. What concerns another
 * owner as well stays for that one. All else is forgotten, tombstones too, and late copies of it are ignored: they name owners that
 * pools does not know. What is known as another's by an accept of the fallback stays, until a record of the new owner comes.
 */
void connections_forget(struct connections *c);

/*
 * Accepts that named a socket without a record: those older than 200 ms are forgotten; returns how many distinct owners of
 * such accepts it wrote to `owners` (at most max): their descriptor tables want another adoption pass.
 */
uint32_t connections_orphan_owners(struct connections *c, uint64_t now_ns, uint32_t *owners,
				   uint32_t max);

/* The socket with this cookie waits in an accept queue: counts it as queued if the mirror has it established. */
void connections_queued(struct connections *c, uint64_t cookie);

/* A live connection of a target, as the mirror has it. */
struct connections_live {
	uint64_t id;
	uint64_t established_ns; /* 0: not seen */
	uint8_t peer[16];
	uint16_t local_port; /* 0: not known */
	uint16_t name; /* index of the series table: of the owner that has it now */
	uint8_t direction; /* enum ps_direction */
	uint8_t phase; /* PENDING, ESTABLISHED or STALE */
	bool adopted; /* established before it came to this owner */
	bool accepted; /* accept() was seen */
};

typedef void connections_live_fn(void *arg, const struct connections_live *live);

/* Calls fn for each, in no order; about 10 ms at 250,000. */
void connections_visit(struct connections *c, connections_live_fn *fn, void *arg);

/* What the mirror's own table takes, tombstones and free slots included. */
size_t connections_bytes(const struct connections *c);

void connections_stats(struct connections *c, struct connections_stats *ret);

#endif
