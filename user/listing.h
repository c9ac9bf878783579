/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The body of /connections. It is of the moment of the request: what ends while the kernel is read stays in it, what begins
 * does not come in. JSON: {"total":…,"limit":…,"truncated":…,"connections":[…]}.
 */
#ifndef LISTING_H
#define LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "body.h"
#include "connections.h"
#include "pools.h"
#include "probes.h"

/* At most one walk over the kernel's records in this time. */
#define LISTING_PAUSE_NS 1000000000ULL

/* Where listings come from; all pointers stay the caller's and outlive every listing. */
struct listing_source {
	struct probes *probes;
	struct connections *connections;
	struct pools *pools;
	uint64_t last_ns; /* when the last one began; 0: none yet */
	bool busy; /* one is under way: the kernel half has room for its ids only */
};

struct listing;

/*
 * Selects, after a drain by the caller. -EINVAL: the query is not understood; -EBUSY: one is under way, or the
 * last one began less than LISTING_PAUSE_NS ago; -ENOMEM; or what opening an iterator said.
 */
int listing_open(struct listing **ret, struct listing_source *source,
		 const struct body_request *request, uint64_t now_ns);
/*
 * As read() and close() of struct body_ops. A call takes some 2 ms, at most 5: while the kernel is read it gives a newline,
 * which JSON skips.
 */
ssize_t listing_read(void *listing, char *out, size_t max);
void listing_close(void *listing);

#endif
