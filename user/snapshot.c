/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns copies of everything that changes: series, the arrays of the caller, counters. Label text of series and names are held, bounds are
 * those of the pools, which outlive it. Invariant: after snapshot_take() nothing in it changes but the number of holders.
 * Knows nothing of text.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families.h"
#include "requests.h"
#include "usage.h"

static const char *const event_kinds[PS_EVENTS] = {
	[PS_EVENT_PENDING] = "pending", [PS_EVENT_ESTABLISHED] = "established",
	[PS_EVENT_STALE] = "stale",	[PS_EVENT_ENDED] = "ended",
	[PS_EVENT_ACCEPT] = "accept",
};

static const char *const directions[PS_DIRECTIONS] = {
	[PS_OUTBOUND] = "outbound", [PS_INBOUND] = "inbound"};

struct snapshot {
	uint32_t holders;
	struct families_data data;
	struct series *series;
	const struct series_name *names[SERIES_NAMES_MAX]; /* NULL: a free index */
	struct peers_row peers[SERIES_NAMES_MAX * PS_DIRECTIONS];
	struct kind_row kinds[PS_EVENTS];
	struct one_row one;
	struct request_row requests[REQUESTS_ENDPOINTS * REQUESTS_METHODS * REQUESTS_CODES];
	struct duration_row durations[REQUESTS_ENDPOINTS];
	struct exposition_cause refused[REQUESTS_CAUSES];
	struct usage usage;
};

/* Those that live; dropped ones leave gaps in the table. */
static int series_copy(struct snapshot *s, struct series_table *t)
{
	uint32_t count = series_count(t);
	size_t copied = 0;

	if (!count)
		return 0;
	/* not on huge pages: to find the first ones took the kernel up to 25 ms, small ones take 6 at 10,000 series */
	s->series = aligned_alloc(_Alignof(struct series), count * sizeof(*s->series));
	if (!s->series)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct series *from = series_at(t, i);

		if (!from->labels)
			continue;
		series_labels_hold(from->labels);
		s->series[copied++] = *from;
	}
	s->data.rows[ROW_SERIES] = (struct rows){s->series, copied, sizeof(*s->series)};
	return 0;
}

static int rows_copy(struct snapshot *s, enum row_kind kind, const void *from, size_t count,
		     size_t size)
{
	void *copy = count ? malloc(count * size) : NULL;

	if (count && !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, from, count * size);
	s->data.rows[kind] = (struct rows){copy, count, size};
	return 0;
}

static int arrays_copy(struct snapshot *s, const struct exposition_self *self)
{
	if (rows_copy(s, ROW_LISTENER, self->listeners, self->listener_count,
		      sizeof(*self->listeners)) ||
	    rows_copy(s, ROW_PROCESS, self->processes, self->process_count,
		      sizeof(*self->processes)) ||
	    rows_copy(s, ROW_PROGRAM, self->programs, self->program_count,
		      sizeof(*self->programs)) ||
	    rows_copy(s, ROW_CAUSE, self->records_refused, self->records_refused_count,
		      sizeof(*self->records_refused)) ||
	    rows_copy(s, ROW_RECONCILE, self->reconciles, self->reconcile_count,
		      sizeof(*self->reconciles)))
		return -ENOMEM;
	return 0;
}

static void peers_copy(struct snapshot *s, const struct series_table *t)
{
	struct peers_row *row = s->peers;

	for (uint32_t name = 0; name < series_names(t); name++) {
		s->names[name] = series_name_hold(t, (uint16_t)name);
		for (int d = 0; s->names[name] && d < PS_DIRECTIONS; d++, row++) {
			row->label = s->names[name]->label;
			row->direction = directions[d];
			series_peers(t, (uint16_t)name, (enum ps_direction)d, &row->stats);
		}
	}
	s->data.rows[ROW_PEERS] = (struct rows){s->peers, (size_t)(row - s->peers), sizeof(*row)};
}

static const char *known(const char *s)
{
	return s && *s ? s : "unknown";
}

static void self_copy(struct snapshot *s, const struct exposition_self *self,
		      const struct series_table *t)
{
	for (int i = 0; i < PS_EVENTS; i++) {
		s->kinds[i].kind = event_kinds[i];
		s->kinds[i].accounted = self->connections.events[i];
		s->kinds[i].refused = self->events_refused[i];
		s->kinds[i].lost = self->events_lost[i];
	}
	s->one.peers_limit = series_peers_max(t);
	s->one.tracked = self->connections.tracked;
	s->one.tracked_limit = self->connections.limit;
	s->one.corrections = self->connections.corrections;
	s->one.last_scrape_ns = self->last_scrape_ns;
	s->one.reload_ok = self->reload_ok;
	s->one.reload_realtime_ns = self->reload_realtime_ns;
	snprintf(s->one.build, sizeof(s->one.build),
		 "version=\"%.64s\",revision=\"%.64s\",libbpf=\"%.64s\"", known(self->version),
		 known(self->revision), known(self->libbpf));
	s->data.rows[ROW_KIND] = (struct rows){s->kinds, PS_EVENTS, sizeof(s->kinds[0])};
	s->data.rows[ROW_ONE] = (struct rows){&s->one, 1, sizeof(s->one)};
	if (!self->replayed)
		s->data.rows[ROW_DAEMON] = s->data.rows[ROW_ONE];
	if (self->probe_stats)
		s->data.rows[ROW_PROBE_STATS] = s->data.rows[ROW_PROGRAM];
}

/* Each combination that was asked for; and what every client asks for first, so that its rate is known from 0 on. */
static void request_add(struct snapshot *s, const struct requests *r, int endpoint, int method,
			int code)
{
	uint64_t count = r->total[endpoint][method][code];
	struct rows *rows = &s->data.rows[ROW_REQUESTS];

	if (!count && (method != REQUESTS_GET || requests_codes[code] != 200))
		return;
	s->requests[rows->count++] = (struct request_row){requests_endpoint_text[endpoint],
							  requests_method_text[method],
							  requests_codes[code], count};
}

static void requests_copy(struct snapshot *s, const struct requests *r)
{
	s->one.in_flight = r->in_flight;
	s->data.rows[ROW_IN_FLIGHT] = s->data.rows[ROW_ONE];
	s->data.rows[ROW_REQUESTS] = (struct rows){s->requests, 0, sizeof(s->requests[0])};
	for (int endpoint = 0; endpoint < REQUESTS_ENDPOINTS; endpoint++) {
		for (int i = 0; i < REQUESTS_METHODS * REQUESTS_CODES; i++)
			request_add(s, r, endpoint, i / REQUESTS_CODES, i % REQUESTS_CODES);
		snprintf(s->durations[endpoint].labels, sizeof(s->durations[endpoint].labels),
			 "endpoint=\"%s\"", requests_endpoint_text[endpoint]);
		s->durations[endpoint].durations = r->duration[endpoint];
	}
	s->data.rows[ROW_DURATIONS] =
		(struct rows){s->durations, REQUESTS_ENDPOINTS, sizeof(s->durations[0])};
	for (int i = 0; i < REQUESTS_CAUSES; i++)
		s->refused[i] = (struct exposition_cause){requests_cause_text[i], r->refused[i]};
	s->data.rows[ROW_REFUSED] =
		(struct rows){s->refused, REQUESTS_CAUSES, sizeof(s->refused[0])};
}

static void usage_copy(struct snapshot *s, const struct usage *usage)
{
	struct rows one = {&s->usage, 1, sizeof(s->usage)};

	s->usage = *usage;
	s->data.rows[ROW_USAGE] = one;
	if (usage->has_memory)
		s->data.rows[ROW_USAGE_MEMORY] = one;
	if (usage->has_fds)
		s->data.rows[ROW_USAGE_FDS] = one;
	if (usage->has_start)
		s->data.rows[ROW_USAGE_START] = one;
}

int snapshot_take(struct snapshot **ret, struct pools *pools, const struct exposition_self *self)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->holders = 1;
	s->data.names = s->names;
	s->data.bounds[0] = &pools_config(pools)->handshake;
	s->data.bounds[1] = &pools_config(pools)->lifetime;
	if (series_copy(s, pools_series(pools)) || arrays_copy(s, self)) {
		snapshot_release(s);
		return -ENOMEM;
	}
	peers_copy(s, pools_series(pools));
	self_copy(s, self, pools_series(pools));
	if (self->requests)
		requests_copy(s, self->requests);
	if (self->usage)
		usage_copy(s, self->usage);
	*ret = s;
	return 0;
}

struct snapshot *snapshot_hold(struct snapshot *s)
{
	s->holders++;
	return s;
}

void snapshot_release(struct snapshot *s)
{
	if (!s || --s->holders)
		return;
	for (size_t i = 0; i < s->data.rows[ROW_SERIES].count; i++)
		series_labels_release(s->series[i].labels);
	for (int i = 0; i < SERIES_NAMES_MAX; i++)
		series_name_release(s->names[i]);
	free(s->series);
	for (int i = 0; i < ROWS_COPIED; i++)
		free((void *)s->data.rows[i].data);
	free(s);
}

const struct families_data *snapshot_data(const struct snapshot *s)
{
	return &s->data;
}
