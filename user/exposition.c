/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the snapshot behind a body: a copy of the numbers taken at open, and one slice of text. The body is never in memory
 * whole. Invariant: a slice ends between rows and within EXPOSITION_SLICE_BYTES. Knows nothing of names and lines (families
 * does), nor of HTTP.
 */
#include "exposition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "families.h"
#include "util.h"

_Static_assert(FAMILIES_ROW_MAX < EXPOSITION_SLICE_BYTES / 4,
	       "a slice holds many rows, even histograms with their comments");

static const char *const event_kinds[PS_EVENTS] = {
	[PS_EVENT_PENDING] = "pending", [PS_EVENT_ESTABLISHED] = "established",
	[PS_EVENT_STALE] = "stale",	[PS_EVENT_ENDED] = "ended",
	[PS_EVENT_ACCEPT] = "accept",
};

static const char *const directions[PS_DIRECTIONS] = {
	[PS_OUTBOUND] = "outbound", [PS_INBOUND] = "inbound"};

struct exposition {
	struct families families;
	struct peers_row peers[SERIES_NAMES_MAX * PS_DIRECTIONS];
	struct kind_row kinds[PS_EVENTS];
	struct one_row one;
	size_t len, sent;
	char slice[EXPOSITION_SLICE_BYTES];
};

/* The numbers that hang on series and on the arrays of the caller: they change, so they are copied. */
static int rows_copy(struct exposition *x, enum row_kind kind, const void *data, size_t count)
{
	static const size_t sizes[ROWS_COPIED] = {
		[ROW_SERIES] = sizeof(struct series),
		[ROW_LISTENER] = sizeof(struct exposition_listener),
		[ROW_PROCESS] = sizeof(struct exposition_process),
		[ROW_PROGRAM] = sizeof(struct exposition_program),
		[ROW_CAUSE] = sizeof(struct exposition_cause),
		[ROW_RECONCILE] = sizeof(struct exposition_cause),
	};
	void *copy = count ? malloc(count * sizes[kind]) : NULL;

	if (count && !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, data, count * sizes[kind]);
	x->families.rows[kind] = (struct rows){copy, count, sizes[kind]};
	return 0;
}

static void peers_copy(struct exposition *x, const struct series_table *t)
{
	struct peers_row *row = x->peers;

	for (uint32_t name = 0; name < series_names(t); name++) {
		for (int d = 0; d < PS_DIRECTIONS; d++, row++) {
			row->label = series_name_label(t, (uint16_t)name);
			row->direction = directions[d];
			series_peers(t, (uint16_t)name, (enum ps_direction)d, &row->stats);
		}
	}
	x->families.rows[ROW_PEERS] =
		(struct rows){x->peers, (size_t)(row - x->peers), sizeof(*row)};
}

static const char *known(const char *s)
{
	return s && *s ? s : "unknown";
}

static void self_copy(struct exposition *x, const struct exposition_self *self)
{
	for (int i = 0; i < PS_EVENTS; i++) {
		x->kinds[i].kind = event_kinds[i];
		x->kinds[i].accounted = self->connections.events[i];
		x->kinds[i].refused = self->events_refused[i];
		x->kinds[i].lost = self->events_lost[i];
	}
	x->one.peers_limit = series_peers_max(x->families.table);
	x->one.tracked = self->connections.tracked;
	x->one.tracked_limit = self->connections.limit;
	x->one.corrections = self->connections.corrections;
	x->one.last_scrape_ns = self->last_scrape_ns;
	snprintf(x->one.build, sizeof(x->one.build),
		 "version=\"%.64s\",revision=\"%.64s\",libbpf=\"%.64s\"", known(self->version),
		 known(self->revision), known(self->libbpf));
	x->families.rows[ROW_KIND] = (struct rows){x->kinds, PS_EVENTS, sizeof(x->kinds[0])};
	x->families.rows[ROW_ONE] = (struct rows){&x->one, 1, sizeof(x->one)};
}

int exposition_open(struct exposition **ret, enum exposition_format format, struct pools *pools,
		    const struct exposition_self *self)
{
	struct series_table *t = pools_series(pools);
	struct exposition *x = malloc(sizeof(*x));

	if (!x)
		return -ENOMEM;
	/* the slice is only ever read where it was written */
	memset(x, 0, offsetof(struct exposition, slice));
	x->families.format = format;
	x->families.table = t;
	x->families.bounds[0] = &pools_config(pools)->handshake;
	x->families.bounds[1] = &pools_config(pools)->lifetime;
	if (rows_copy(x, ROW_SERIES, series_at(t, 0), series_count(t)) ||
	    rows_copy(x, ROW_LISTENER, self->listeners, self->listener_count) ||
	    rows_copy(x, ROW_PROCESS, self->processes, self->process_count) ||
	    rows_copy(x, ROW_PROGRAM, self->programs, self->program_count) ||
	    rows_copy(x, ROW_RECONCILE, self->reconciles, self->reconcile_count) ||
	    rows_copy(x, ROW_CAUSE, self->records_refused, self->records_refused_count)) {
		exposition_close(x);
		return -ENOMEM;
	}
	peers_copy(x, t);
	self_copy(x, self);
	*ret = x;
	return 0;
}

void exposition_close(struct exposition *x)
{
	if (!x)
		return;
	for (int i = 0; i < ROWS_COPIED; i++)
		free((void *)x->families.rows[i].data);
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
