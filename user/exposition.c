/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns a cursor over a snapshot and one slice of text. The body is never in memory whole. Invariant: a slice ends between rows and
 * within EXPOSITION_SLICE_BYTES. Knows nothing of names and lines (families does), nor of HTTP.
 */
#include "exposition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "families.h"
#include "snapshot.h"

_Static_assert(FAMILIES_ROW_MAX < EXPOSITION_SLICE_BYTES / 4,
	       "a slice holds many rows, even histograms with their comments");

struct exposition {
	struct snapshot *snapshot;
	struct families families;
	size_t len, sent;
	char slice[EXPOSITION_SLICE_BYTES];
};

int exposition_open(struct exposition **ret, enum exposition_format format,
		    struct snapshot *snapshot)
{
	struct exposition *x = malloc(sizeof(*x));

	if (!x)
		return -ENOMEM;
	/* the slice is only ever read where it was written */
	memset(x, 0, offsetof(struct exposition, slice));
	x->snapshot = snapshot_hold(snapshot);
	x->families.format = format;
	x->families.data = snapshot_data(snapshot);
	*ret = x;
	return 0;
}

void exposition_close(struct exposition *x)
{
	if (!x)
		return;
	snapshot_release(x->snapshot);
	free(x);
}

ssize_t exposition_read(struct exposition *x, char *out, size_t max)
{
	size_t n;

	if (x->sent == x->len) {
		x->len = (size_t)(families_write(&x->families, x->slice,
						 x->slice + sizeof(x->slice)) -
				  x->slice);
		x->sent = 0;
	}
	n = x->len - x->sent < max ? x->len - x->sent : max;
	memcpy(out, x->slice + x->sent, n);
	x->sent += n;
	return (ssize_t)n;
}
