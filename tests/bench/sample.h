/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is done with measurements: an order by chance, and quartiles.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "figures.h"

/* Orders 0 to count - 1 by chance, by random(). */
void sample_shuffle(unsigned int *ret_order, unsigned int count);

/* Sorts the values; q is 0.25, 0.5 or the like, between two values it is linear. count is not 0. */
double sample_quantile(double *values, unsigned int count, double q);

/* Median, quartiles and count of a figure; sorts the values. */
void sample_figure(double *values, unsigned int count, struct figure *f);

#endif
