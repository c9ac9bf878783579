/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What poolscope costs beside the traced program: figures of the daemon and of the kernel. Each part starts what it needs and ends it,
 * and adds figures also for what it could not measure. Whatever the test library finds wrong ends the program.
 */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include <stdbool.h>

#include "figures.h"

#define VALUES_MAX 32

/* Measurements of one figure, at most VALUES_MAX. */
struct values {
	double at[VALUES_MAX];
	unsigned int count;
};

void values_add(struct values *v, double value);

/* Adds the figure with the quartiles of `v` (sorts it), in `section` "Daemon" unless it names another. */
void daemon_add(struct figure f, struct values *v);

/* Adds it as one that only the full run measures. */
void daemon_skip(struct figure f);

/* All of it: 150 s, or `quick` 12 s. 0, or -1: something could not be measured. */
int daemon_measure(bool quick);

/* The parts, as daemon_measure(). */
int start_measure(bool quick); /* start, and what an idle daemon takes */
int connection_measure(bool quick); /* CPU per connection */
int adoption_measure(bool quick);
int scrape_measure(bool quick); /* CPU by the number of series */
int held_measure(bool quick); /* memory of 100,000 connections */
int flat_measure(bool quick); /* CPU per connection by the number of open ones */
int inventory_measure(bool quick);

#endif
