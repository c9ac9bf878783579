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
#include "ring.h"

#define FEED_RECORDS 42000 /* of one drain: about what the ring holds */

struct feed {
	struct pools *pools;
	struct connections *connections;
	struct ring ring; /* its reading end */
	uint8_t *file; /* the writing end: laid out as the kernel lays out a ring */
	int fd;
	uint64_t *live; /* ids of connections */
	uint32_t series, live_count;
	uint64_t next_id, seed;
};

/* `live` established outbound connections in `series` series of 64 processes, with the default bounds. -errno. */
int feed_open(struct feed *f, uint32_t series, uint32_t live);
void feed_close(struct feed *f);

/*
 * Writes the messages of a drain, FEED_RECORDS, into the ring: 12,000 connections, drawn at random, end (half of them in two steps)
 * and as many begin, in two records each. To be drained before it is called again.
 */
void feed_next(struct feed *f);

/* A drain, in two steps: every message through the mirror, then what the mirror does at the end. */
int feed_read(struct feed *f); /* -errno of mmap() */
void feed_end(struct feed *f);

#endif
