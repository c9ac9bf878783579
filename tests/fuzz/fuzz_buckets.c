/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a list of bucket bounds: what is read rises strictly within its number, and its `le` texts read as the same
 * bounds with the same texts.
 */
#include <stdio.h>

#include "fuzz.h"
#include "histogram.h"

static void check_bounds(const struct histogram_bounds *b)
{
	char text[HISTOGRAM_BOUNDS_MAX * sizeof(b->le[0])], why[160];
	struct histogram_bounds again = {};
	size_t n = 0;

	check(b->count >= 1 && b->count <= HISTOGRAM_BOUNDS_MAX && b->upper_ns[0]);
	for (uint32_t i = 0; i < b->count; i++) {
		check(!i || b->upper_ns[i] > b->upper_ns[i - 1]);
		check(strcspn(b->le[i], ".e") < strlen(b->le[i]));
		n += (size_t)sprintf(text + n, "%s%s", i ? "," : "", b->le[i]);
	}
	check(!histogram_bounds_parse(text, &again, why, sizeof(why)));
	check(again.count == b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		check(again.upper_ns[i] == b->upper_ns[i]);
		check(strcmp(again.le[i], b->le[i]) == 0);
	}
}

/* Every sample has one bucket, and one that equals a bound has that bound's. */
static void check_samples(const struct histogram_bounds *b)
{
	struct histogram h = {};

	for (uint32_t i = 0; i < b->count; i++)
		histogram_add(&h, b, b->upper_ns[i]);
	histogram_add(&h, b, b->upper_ns[b->count - 1] + 1);
	for (uint32_t i = 0; i <= b->count; i++)
		check(h.buckets[i] == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), why[160] = "";
	struct histogram_bounds b = {.count = 77};

	if (histogram_bounds_parse(text, &b, why, sizeof(why))) {
		check(b.count == 77 && why[0]);
	} else {
		check_bounds(&b);
		check_samples(&b);
	}
	free(text);
	return 0;
}
