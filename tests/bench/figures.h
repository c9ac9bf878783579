/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The figures of a run, each with its bar and its goal, and the tables that show them.
 */
#ifndef FIGURES_H
#define FIGURES_H

#include <stdbool.h>
#include <stdio.h>

/* Figures of a run: added in the order of the report. Names are unique. Bars and goals are of the issue. */
struct figure {
	const char *
		section; /* heading of the report: "Traced program", "Daemon", "Kernel", "Engine", "Exposition" */
	const char *name; /* what was measured, e.g. "storm, both ends attached" */
	const char *unit; /* "x" (ratio), "ns", "ms", "s", "MiB", "B", "M/s", "instructions" */
	double bar, goal; /* 0: none; measured must be at most this, or at least with at_least */
	bool at_least;
	double median, lower, upper; /* quartiles; all equal if measured once */
	unsigned int count; /* measurements; 0: not measured, `note` says why */
	const char *how; /* what exactly was measured, one line for the report; a constant */
	char note[160]; /* of this run: why not measured, A/A, what was lost */
};

void figures_add(const struct figure *f); /* copies */

/* A Markdown table for each section; with `explain` what each figure means, below it. */
void figures_print(FILE *to, bool explain);

/* Those with a bar that is not met; those that this machine could not measure ("full run only" is no such). */
unsigned int figures_not_met(void);
unsigned int figures_not_measured(void);

#endif
