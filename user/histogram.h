/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fixed-bucket histograms of durations. The bounds are shared by many histograms, so they live apart.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 30

/* Upper bounds, strictly rising, +Inf implied behind the last. */
struct histogram_bounds {
	uint32_t count; /* 1 … HISTOGRAM_BOUNDS_MAX */
	uint64_t upper_ns[HISTOGRAM_BOUNDS_MAX];
	char le[HISTOGRAM_BOUNDS_MAX]
	       [32]; /* the `le` text: shortest decimal that reads back, see metrics.md */
};

struct histogram {
	uint64_t sum_ns;
	uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1]; /* not cumulative; [bounds->count] is +Inf */
};

/* The defaults of docs/metrics.md. Handshake bounds also serve accept wait. */
void histogram_bounds_handshake(struct histogram_bounds *ret);
void histogram_bounds_lifetime(struct histogram_bounds *ret);

/*
 * Reads "0.001,0.5,1e1": comma-separated seconds, any float spelling, positive, strictly rising also when rounded
 * to nanoseconds, at most HISTOGRAM_BOUNDS_MAX. -EINVAL leaves *ret untouched and writes what is wrong
 * to `why` (bounded by why_size).
 */
int histogram_bounds_parse(const char *text, struct histogram_bounds *ret, char *why,
			   size_t why_size);

/* A sample equal to a bound belongs to that bound's bucket. */
void histogram_add(struct histogram *h, const struct histogram_bounds *b, uint64_t sample_ns);

/* All samples, +Inf included. */
uint64_t histogram_count(const struct histogram *h, const struct histogram_bounds *b);

#endif
