// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The formula of bucketQuantile() in Prometheus' promql/quantile.go, so that the table says what a dashboard says.
 */
#include "quantile.h"

#include <math.h>

double quantile(double q, const double *upper, const uint64_t *buckets, size_t count)
{
	double total = 0, below = 0, rank, start;
	size_t i = 0;

	for (size_t b = 0; b <= count; b++)
		total += (double)buckets[b];
	if (total == 0 || count == 0)
		return NAN;
	rank = q * total;
	while (i < count && below + (double)buckets[i] < rank)
		below += (double)buckets[i++];
	if (i == count)
		return upper[count - 1];
	start = i ? upper[i - 1] : 0;
	return start + (upper[i] - start) * ((rank - below) / (double)buckets[i]);
}
