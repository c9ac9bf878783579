/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The engine under a load that is the same in each run: for the benchmark, and for counting instructions.
 */
#ifndef FEED_H
#define FEED_H

#include <stddef.h>
#include <stdint.h>

#include "connections.h"
#include "pools.h"

#define FEED_RECORDS 42000 /* of one drain: about what a ring of 4 MiB holds */

struct feed {
	struct pools *pools;
	struct connections *connections;
	struct ps_message_record *messages; /* of the next drain, FEED_RECORDS */
	uint64_t *live; /* ids of connections */
	uint32_t series, live_count;
	uint64_t next_id, seed;
};

/* `live` established outbound connections in `series` series of 64 processes, with the default bounds. -ENOMEM is the only error. */
int feed_open(struct feed *f, uint32_t series, uint32_t live);
void feed_close(struct feed *f); /* also what is all zero */

/*
 * Makes the messages of a drain: 12,000 connections, drawn at random, end (half of them in two steps) and as many begin, in two
 * records each. To be drained before it is called again.
 */
void feed_next(struct feed *f);

#endif
