/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One body made from pools, as for a scrape, but sent to nobody: what each of its lines cost in CPU time.
 */
#ifndef RENDERING_H
#define RENDERING_H

#include <stddef.h>
#include <stdio.h>

#include "exposition.h"
#include "pools.h"

struct rendering {
	size_t lines, bytes, compressed_bytes;
	double snapshot_ms; /* copying the numbers */
	double slice_ms; /* longest stop for one slice */
	double render_ns, compress_ns; /* the whole body */
};

/* `copy`: where the text goes besides; may be NULL. Fails the test if there is no memory. */
void rendering_run(struct pools *p, enum exposition_format format, FILE *copy,
		   struct rendering *ret);
/* The same compressed: compress_ns is without what rendering took. */
void rendering_compress(struct pools *p, struct rendering *ret);

#endif
