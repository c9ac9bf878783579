/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Order and quartiles of measurements. No mean anywhere: on a shared machine it would be the neighbour's.
 */
#include "sample.h"

#include <stdlib.h>

void sample_shuffle(unsigned int *ret_order, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		unsigned int j = (unsigned int)(random() % (i + 1));

		ret_order[i] = ret_order[j];
		ret_order[j] = i;
	}
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double sample_quantile(double *values, unsigned int count, double q)
{
	double at = q * (count - 1);
	unsigned int i = (unsigned int)at;

	qsort(values, count, sizeof(*values), by_size);
	return i + 1 < count ? values[i] + (at - i) * (values[i + 1] - values[i]) : values[i];
}

void sample_figure(double *values, unsigned int count, struct figure *f)
{
	f->count = count;
	if (count == 0)
		return;
	f->median = sample_quantile(values, count, 0.5);
	f->lower = sample_quantile(values, count, 0.25);
	f->upper = sample_quantile(values, count, 0.75);
}
