/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A quantile of a histogram, as histogram_quantile() of Prometheus estimates it. Pure.
 */
#ifndef QUANTILE_H
#define QUANTILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * `upper`: `count` bounds, positive and rising; `buckets`: count + 1, not cumulative, the last is +Inf. Interpolates within the bucket,
 * from 0 in the first; what falls into +Inf is told as the highest bound. NaN without a sample. 0 < q < 1.
 */
double quantile(double q, const double *upper, const uint64_t *buckets, size_t count);

#endif
