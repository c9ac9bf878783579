/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Runs the parts of the daemon's and the kernel's figures, and keeps what they share: medians of measurements. Knows nothing
 * of how anything is measured, nor of how it is shown.
 */
#include "daemon.h"

#include <stdio.h>

#include "check.h"
#include "sample.h"

void values_add(struct values *v, double value)
{
	assert_true(v->count < VALUES_MAX);
	v->at[v->count++] = value;
}

void daemon_add(struct figure f, struct values *v)
{
	if (!f.section)
		f.section = "Daemon";
	sample_figure(v->at, v->count, &f);
	figures_add(&f);
}

void daemon_skip(struct figure f)
{
	snprintf(f.note, sizeof(f.note), "full run only");
	daemon_add(f, &(struct values){.count = 0});
}

int daemon_measure(bool quick)
{
	static int (*const parts[])(bool quick) = {
		start_measure, connection_measure, adoption_measure,  scrape_measure,
		held_measure,  flat_measure,	   inventory_measure,
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		double begin = now_seconds();

		if (parts[i](quick))
			r = -1;
		fprintf(stderr, "daemon: part %zu of %zu: %.1f s\n", i + 1,
			sizeof(parts) / sizeof(parts[0]), now_seconds() - begin);
	}
	return r;
}
