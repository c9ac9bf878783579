/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the shape of /metrics: a table of families, each with the rows it hangs on (series, listeners, names, one of a
 * kind) and the field it shows. The body is never in memory whole: a cursor (family, row) goes on where the last slice
 * ended, over a copy of the numbers taken at open. Invariant: a slice ends between rows and within
 * EXPOSITION_SLICE_BYTES; HELP and TYPE stand directly before a family's first sample, if there is one. No printf per sample:
 * label text is made once per series, numbers are copied digit by digit. Knows nothing of HTTP.
 */
#include "exposition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "util.h"

#define NAME_MAX_BYTES 64 /* of a family; asserted by test */
#define LINE_MAX_BYTES (NAME_MAX_BYTES + SERIES_LABELS_MAX + 64 + BUF_NUMBER_MAX)
#define ROW_MAX_BYTES ((HISTOGRAM_BOUNDS_MAX + 5) * LINE_MAX_BYTES)
#define INFO_MAX_BYTES 256 /* version texts */

_Static_assert(ROW_MAX_BYTES < EXPOSITION_SLICE_BYTES / 4,
	       "a slice holds many rows, even histograms with HELP and TYPE");

struct text {
	const char *s;
	size_t len;
};

#define TEXT(literal) .s = literal, .len = sizeof(literal) - 1

static const struct text fail_reasons[PS_FAILS] = {
	[PS_FAIL_REFUSED] = {TEXT(",reason=\"refused\"} ")},
	[PS_FAIL_TIMEOUT] = {TEXT(",reason=\"timeout\"} ")},
	[PS_FAIL_UNREACHABLE] = {TEXT(",reason=\"unreachable\"} ")},
	[PS_FAIL_RESET] = {TEXT(",reason=\"reset\"} ")},
	[PS_FAIL_ABORTED] = {TEXT(",reason=\"aborted\"} ")},
	[PS_FAIL_OTHER] = {TEXT(",reason=\"other\"} ")},
};

static const struct text close_reasons[PS_CLOSES] = {
	[PS_CLOSE_LOCAL] = {TEXT(",reason=\"local\"} ")},
	[PS_CLOSE_PEER] = {TEXT(",reason=\"peer\"} ")},
	[PS_CLOSE_RESET_BY_PEER] = {TEXT(",reason=\"reset_by_peer\"} ")},
	[PS_CLOSE_RESET_BY_LOCAL] = {TEXT(",reason=\"reset_by_local\"} ")},
	[PS_CLOSE_TIMEOUT] = {TEXT(",reason=\"timeout\"} ")},
	[PS_CLOSE_OTHER] = {TEXT(",reason=\"other\"} ")},
};

static const char *const event_kinds[PS_EVENTS] = {
	[PS_EVENT_PENDING] = "pending", [PS_EVENT_ESTABLISHED] = "established",
	[PS_EVENT_STALE] = "stale",	[PS_EVENT_ENDED] = "ended",
	[PS_EVENT_ACCEPT] = "accept",
};

static const char *const directions[PS_DIRECTIONS] = {
	[PS_OUTBOUND] = "outbound", [PS_INBOUND] = "inbound"};

enum family_type {
	FAMILY_GAUGE,
	FAMILY_COUNTER, /* samples end in _total; so does the family's name in 0.0.4, not in OpenMetrics */
	FAMILY_HISTOGRAM,
	FAMILY_INFO, /* samples end in _info; a gauge in 0.0.4, a type of its own in OpenMetrics */
};

static const struct {
	const char *name_suffix, *type;
} family_types[] = {
	[FAMILY_GAUGE] = {"", "gauge"},
	[FAMILY_COUNTER] = {"_total", "counter"},
	[FAMILY_HISTOGRAM] = {"", "histogram"},
	[FAMILY_INFO] = {"_info", "gauge"},
};

/* What a family's rows are. */
enum row_kind {
	ROW_SERIES,
	ROW_LISTENER,
	ROW_PROCESS,
	ROW_PROGRAM,
	ROW_CAUSE,
	ROW_RECONCILE,
	ROWS_COPIED, /* the rows above are memory of their own */
	ROW_PEERS = ROWS_COPIED, /* one per process name and direction */
	ROW_KIND, /* of events */
	ROW_ONE,
	ROW_KINDS,
};

enum row_directions { BOTH, ONLY_OUTBOUND, ONLY_INBOUND };

struct peers_row {
	const char *label; /* process="…" */
	const char *direction;
	struct series_peers stats;
};

/* What is shown once, laid out so that a family is an offset. */
struct one_row {
	uint64_t peers_limit, tracked, tracked_limit, corrections, last_scrape_ns;
	char build[INFO_MAX_BYTES];
};

struct kind_row {
	uint64_t accounted, refused, lost;
};

struct rows {
	const void *data;
	size_t count, size;
};

struct exposition {
	const struct series_table *table;
	const struct histogram_bounds *bounds[2];
	struct rows rows[ROW_KINDS];
	struct peers_row peers[SERIES_NAMES_MAX * PS_DIRECTIONS];
	struct kind_row kinds[PS_EVENTS];
	struct one_row one;
	size_t family, row;
	bool family_begun;
	struct text name; /* of the samples of the family under way */
	char name_text[NAME_MAX_BYTES];
	size_t len, sent;
	char slice[EXPOSITION_SLICE_BYTES];
};

struct family;
/* Writes the samples of the row at p, where ROW_MAX_BYTES fit, and returns the end. */
typedef char *render_fn(const struct exposition *x, const struct family *f, const void *row,
			char *p);

struct family {
	const char *name; /* without _total and _info */
	enum family_type type;
	enum row_kind rows;
	render_fn *render;
	size_t offset; /* of the field in the row */
	enum row_directions directions; /* of series */
	const char *help;
};

static inline char *put(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

static inline char *put_text(char *p, const struct text *t)
{
	return put(p, t->s, t->len);
}

static char *put_str(char *p, const char *s)
{
	return put(p, s, strlen(s));
}

static inline char *put_value(char *p, uint64_t v)
{
	p = buf_put_u64(p, v);
	*p++ = '\n';
	return p;
}

static char *put_seconds(char *p, uint64_t ns)
{
	p = buf_put_seconds(p, ns);
	*p++ = '\n';
	return p;
}

static inline uint64_t field(const void *row, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)row + offset, sizeof(v));
	return v;
}

/* `name{`, open for labels. */
static inline char *put_head(char *p, const struct exposition *x)
{
	p = put_text(p, &x->name);
	*p++ = '{';
	return p;
}

static inline char *put_series(char *p, const struct exposition *x, const struct series *s)
{
	return put(put_head(p, x), s->labels, s->labels_len);
}

/* One number: a gauge may be shown negative, which is a bug, but not hidden. */
static char *render_number(const struct exposition *x, const struct family *f, const void *row,
			   char *p)
{
	p = put_series(p, x, row);
	p = put(p, "} ", 2);
	if (f->type == FAMILY_COUNTER)
		return put_value(p, field(row, f->offset));
	p = buf_put_i64(p, (int64_t)field(row, f->offset));
	*p++ = '\n';
	return p;
}

/* The first line is written, the head of the others is copied from it. */
static char *render_reasons(const struct exposition *x, const struct family *f, const void *row,
			    char *p)
{
	const struct text *reasons = f->offset == offsetof(struct series, failed) ? fail_reasons
										  : close_reasons;
	struct text head = {.s = p};

	_Static_assert((int)PS_FAILS == (int)PS_CLOSES, "one loop serves both");
	p = put_series(p, x, row);
	head.len = (size_t)(p - head.s);
	for (int i = 0; i < PS_CLOSES; i++) {
		if (i)
			p = put_text(p, &head);
		p = put_text(p, &reasons[i]);
		p = put_value(p, field(row, f->offset + (size_t)i * sizeof(uint64_t)));
	}
	return p;
}

static char *render_histogram(const struct exposition *x, const struct family *f, const void *row,
			      char *p)
{
	const struct histogram *h = (const void *)((const char *)row + f->offset);
	const struct histogram_bounds *b =
		x->bounds[f->offset == offsetof(struct series, lifetime)];
	const struct series *s = row;
	struct text head = {.s = p};
	uint64_t count = 0;

	p = put_text(p, &x->name);
	p = put(p, "_bucket{", 8);
	p = put(p, s->labels, s->labels_len);
	p = put(p, ",le=\"", 5);
	head.len = (size_t)(p - head.s);
	for (uint32_t i = 0; i < b->count; i++) {
		count += h->buckets[i];
		p = put_str(p, b->le[i]);
		p = put(p, "\"} ", 3);
		p = put_value(p, count);
		p = put_text(p, &head);
	}
	count += h->buckets[b->count];
	p = put(p, "+Inf\"} ", 7);
	p = put_value(p, count);
	p = put_text(p, &x->name);
	p = put(p, "_sum{", 5);
	p = put(p, s->labels, s->labels_len);
	p = put_seconds(put(p, "} ", 2), h->sum_ns);
	p = put_text(p, &x->name);
	p = put(p, "_count{", 7);
	p = put(p, s->labels, s->labels_len);
	return put_value(put(p, "} ", 2), count);
}

static char *render_listener(const struct exposition *x, const struct family *f, const void *row,
			     char *p)
{
	const struct exposition_listener *l = row;

	p = put_head(p, x);
	p = put_str(p, series_name_label(x->table, l->name));
	p = put_str(p, ",server_port=\"");
	p = l->server_port ? buf_put_u64(p, l->server_port) : put_str(p, "other");
	return put_value(put(p, "\"} ", 3), field(row, f->offset));
}

static char *render_process(const struct exposition *x, const struct family *f, const void *row,
			    char *p)
{
	const struct exposition_process *process = row;

	p = put_head(p, x);
	p = put_str(p, series_name_label(x->table, process->name));
	return put_value(put(p, "} ", 2), field(row, f->offset));
}

static char *render_peers(const struct exposition *x, const struct family *f, const void *row,
			  char *p)
{
	const struct peers_row *peers = row;
	uint64_t v = f->type == FAMILY_COUNTER ? peers->stats.overflowed : peers->stats.peers;

	p = put_head(p, x);
	p = put_str(p, peers->label);
	p = put_str(p, ",direction=\"");
	p = put_str(p, peers->direction);
	return put_value(put(p, "\"} ", 3), v);
}

/* `name{label="value"} v` */
static char *put_labelled(char *p, const struct exposition *x, const char *label, const char *value,
			  uint64_t v)
{
	p = put_head(p, x);
	p = put_str(p, label);
	p = put(p, "=\"", 2);
	p = put_str(p, value);
	return put_value(put(p, "\"} ", 3), v);
}

static char *render_kind(const struct exposition *x, const struct family *f, const void *row,
			 char *p)
{
	const struct kind_row *kind = row;

	return put_labelled(p, x, "kind", event_kinds[kind - x->kinds], field(row, f->offset));
}

/* Programs and causes: the name is the first field of both. */
static char *render_named(const struct exposition *x, const struct family *f, const void *row,
			  char *p)
{
	const char *label = f->rows == ROW_PROGRAM ? "program" : "cause";

	_Static_assert(!offsetof(struct exposition_program, program), "first");
	_Static_assert(!offsetof(struct exposition_cause, cause), "first");
	return put_labelled(p, x, label, *(const char *const *)row, field(row, f->offset));
}

static char *render_program(const struct exposition *x, const struct family *f, const void *row,
			    char *p)
{
	const struct exposition_program *program = row;

	(void)f;
	p = put_text(p, &x->name);
	p = put_str(p, "{program=\"");
	p = put_str(p, program->program);
	p = put_str(p, "\",attach=\"");
	p = put_str(p, program->attach);
	return put_str(p, "\"} 1\n");
}

static char *render_one(const struct exposition *x, const struct family *f, const void *row,
			char *p)
{
	p = put_text(p, &x->name);
	*p++ = ' ';
	if (f->offset == offsetof(struct one_row, last_scrape_ns))
		return put_seconds(p, field(row, f->offset));
	return put_value(p, field(row, f->offset));
}

static char *render_build(const struct exposition *x, const struct family *f, const void *row,
			  char *p)
{
	(void)f;
	p = put_head(p, x);
	p = put_str(p, ((const struct one_row *)row)->build);
	return put_str(p, "} 1\n");
}

#define OF(type_name, member) offsetof(struct type_name, member)

static const struct family families[] = {
	{"poolscope_connections_active", FAMILY_GAUGE, ROW_SERIES, render_number,
	 OF(series, active), BOTH, "Established connections."},
	{"poolscope_connections_pending", FAMILY_GAUGE, ROW_SERIES, render_number,
	 OF(series, pending), ONLY_OUTBOUND,
	 "Connection attempts whose SYN is sent and that are not yet established."},
	{"poolscope_connections_queued", FAMILY_GAUGE, ROW_SERIES, render_number,
	 OF(series, queued), ONLY_INBOUND,
	 "Established connections that the process has not yet accepted."},
	{"poolscope_connections_stale", FAMILY_GAUGE, ROW_SERIES, render_number, OF(series, stale),
	 BOTH,
	 "Connections that the peer has closed and the process still holds: what a leaking pool looks like."},
	{"poolscope_connection_attempts", FAMILY_COUNTER, ROW_SERIES, render_number,
	 OF(series, attempts), ONLY_OUTBOUND, "Calls of connect() that sent a SYN."},
	{"poolscope_connection_failures", FAMILY_COUNTER, ROW_SERIES, render_reasons,
	 OF(series, failed), ONLY_OUTBOUND,
	 "Connection attempts that never became established, by reason."},
	{"poolscope_connections_opened", FAMILY_COUNTER, ROW_SERIES, render_number,
	 OF(series, opened), BOTH, "Connections that became established."},
	{"poolscope_connections_adopted", FAMILY_COUNTER, ROW_SERIES, render_number,
	 OF(series, adopted), BOTH,
	 "Connections that were already established when they came to this process (attach, or an inherited listener)."},
	{"poolscope_connections_handed_over", FAMILY_COUNTER, ROW_SERIES, render_number,
	 OF(series, handed_over), BOTH,
	 "Connections that another process accepted while they were established."},
	{"poolscope_connections_closed", FAMILY_COUNTER, ROW_SERIES, render_reasons,
	 OF(series, closed), BOTH, "Connections that stopped being established, by reason."},
	{"poolscope_connection_handshake_duration_seconds", FAMILY_HISTOGRAM, ROW_SERIES,
	 render_histogram, OF(series, handshake), BOTH,
	 "Time to become established: outbound from the SYN, inbound from the SYN-ACK as the kernel measured it."},
	{"poolscope_connection_lifetime_seconds", FAMILY_HISTOGRAM, ROW_SERIES, render_histogram,
	 OF(series, lifetime), BOTH,
	 "Time from established to no longer established; adopted connections are left out."},
	{"poolscope_accept_wait_duration_seconds", FAMILY_HISTOGRAM, ROW_SERIES, render_histogram,
	 OF(series, accept_wait), ONLY_INBOUND,
	 "Time from established until accept() returned the connection."},
	{"poolscope_listeners", FAMILY_GAUGE, ROW_LISTENER, render_listener,
	 OF(exposition_listener, listeners), BOTH, "Listening sockets."},
	{"poolscope_listener_half_open", FAMILY_GAUGE, ROW_LISTENER, render_listener,
	 OF(exposition_listener, half_open), BOTH, "Inbound handshakes in progress."},
	{"poolscope_listener_queue_limit", FAMILY_GAUGE, ROW_LISTENER, render_listener,
	 OF(exposition_listener, queue_limit), BOTH,
	 "Backlog: connections that may wait to be accepted."},
	{"poolscope_listener_dropped", FAMILY_COUNTER, ROW_LISTENER, render_listener,
	 OF(exposition_listener, dropped), BOTH,
	 "Connections that the kernel dropped at the listener since attach: the inbound form of an exhausted pool."},
	{"poolscope_target_processes", FAMILY_GAUGE, ROW_PROCESS, render_process,
	 OF(exposition_process, processes), BOTH, "Live processes attached under this name."},
	{"poolscope_peers", FAMILY_GAUGE, ROW_PEERS, render_peers, 0, BOTH,
	 "Series that have a peer of their own."},
	{"poolscope_peers_limit", FAMILY_GAUGE, ROW_ONE, render_one, OF(one_row, peers_limit), BOTH,
	 "Series with a peer of their own that a process name may have per direction."},
	{"poolscope_peers_overflowed", FAMILY_COUNTER, ROW_PEERS, render_peers, 0, BOTH,
	 "Connections counted under peer_address \"other\" because the series table was full."},
	{"poolscope_connections_tracked", FAMILY_GAUGE, ROW_ONE, render_one, OF(one_row, tracked),
	 BOTH, "Live connections in the mirror of the kernel's records."},
	{"poolscope_connections_tracked_limit", FAMILY_GAUGE, ROW_ONE, render_one,
	 OF(one_row, tracked_limit), BOTH, "Live connections that the mirror holds at most."},
	{"poolscope_events", FAMILY_COUNTER, ROW_KIND, render_kind, OF(kind_row, accounted), BOTH,
	 "Records accounted, by the phase of the connection."},
	{"poolscope_events_refused", FAMILY_COUNTER, ROW_KIND, render_kind, OF(kind_row, refused),
	 BOTH, "Records that the ring buffer had no room for; a later delivery makes them good."},
	{"poolscope_events_lost", FAMILY_COUNTER, ROW_KIND, render_kind, OF(kind_row, lost), BOTH,
	 "Final records whose information is gone for good."},
	{"poolscope_probe_missed", FAMILY_COUNTER, ROW_PROGRAM, render_named,
	 OF(exposition_program, missed), BOTH, "Runs of the program that the kernel skipped."},
	{"poolscope_records_refused", FAMILY_COUNTER, ROW_CAUSE, render_named,
	 OF(exposition_cause, count), BOTH, "Sockets that could not be tracked, by cause."},
	{"poolscope_reconcile", FAMILY_COUNTER, ROW_RECONCILE, render_named,
	 OF(exposition_cause, count), BOTH, "Inventories of the kernel's records, by cause."},
	{"poolscope_reconcile_corrections", FAMILY_COUNTER, ROW_ONE, render_one,
	 OF(one_row, corrections), BOTH,
	 "Connections whose gauges an inventory or a late record put right."},
	{"poolscope_probe", FAMILY_INFO, ROW_PROGRAM, render_program, 0, BOTH,
	 "Kernel programs that run, and how they are attached."},
	{"poolscope_scrape_duration_seconds", FAMILY_GAUGE, ROW_ONE, render_one,
	 OF(one_row, last_scrape_ns), BOTH, "Time to build the previous exposition."},
	{"poolscope_build", FAMILY_INFO, ROW_ONE, render_build, 0, BOTH,
	 "Version of this program and of libbpf."},
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
	x->rows[kind] = (struct rows){copy, count, sizes[kind]};
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
	x->rows[ROW_PEERS] = (struct rows){x->peers, (size_t)(row - x->peers), sizeof(*row)};
}

static const char *known(const char *s)
{
	return s && *s ? s : "unknown";
}

static void self_copy(struct exposition *x, const struct exposition_self *self)
{
	for (int i = 0; i < PS_EVENTS; i++) {
		x->kinds[i].accounted = self->connections.events[i];
		x->kinds[i].refused = self->events_refused[i];
		x->kinds[i].lost = self->events_lost[i];
	}
	x->one.peers_limit = series_peers_max(x->table);
	x->one.tracked = self->connections.tracked;
	x->one.tracked_limit = self->connections.limit;
	x->one.corrections = self->connections.corrections;
	x->one.last_scrape_ns = self->last_scrape_ns;
	snprintf(x->one.build, sizeof(x->one.build),
		 "version=\"%.64s\",revision=\"%.64s\",libbpf=\"%.64s\"", known(self->version),
		 known(self->revision), known(self->libbpf));
	x->rows[ROW_KIND] = (struct rows){x->kinds, PS_EVENTS, sizeof(x->kinds[0])};
	x->rows[ROW_ONE] = (struct rows){&x->one, 1, sizeof(x->one)};
}

int exposition_open(struct exposition **ret, struct pools *pools,
		    const struct exposition_self *self)
{
	struct series_table *t = pools_series(pools);
	struct exposition *x = malloc(sizeof(*x));

	if (!x)
		return -ENOMEM;
	/* the slice is only ever read where it was written */
	memset(x, 0, offsetof(struct exposition, slice));
	x->table = t;
	x->bounds[0] = &pools_config(pools)->handshake;
	x->bounds[1] = &pools_config(pools)->lifetime;
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
		free((void *)x->rows[i].data);
	free(x);
}

/* HELP and TYPE, and the name that the samples bear from now on. */
static char *family_begin(struct exposition *x, const struct family *f, char *p)
{
	const char *name = x->name_text;
	char *end = put_str(put_str(x->name_text, f->name), family_types[f->type].name_suffix);

	x->name.s = name;
	x->name.len = (size_t)(end - name);
	p = put_text(put_str(p, "# HELP "), &x->name);
	p = put_str(put_str(p, " "), f->help);
	p = put_text(put_str(p, "\n# TYPE "), &x->name);
	p = put_str(put_str(p, " "), family_types[f->type].type);
	return put_str(p, "\n");
}

static bool family_wants(const struct family *f, const void *row)
{
	enum ps_direction only = f->directions == ONLY_INBOUND ? PS_INBOUND : PS_OUTBOUND;

	return f->rows != ROW_SERIES || f->directions == BOTH ||
	       ((const struct series *)row)->key.direction == only;
}

/* Fills the slice with whole rows until it might not hold another one. */
static void slice_fill(struct exposition *x)
{
	char *p = x->slice, *end = x->slice + sizeof(x->slice) - ROW_MAX_BYTES;

	for (; x->family < ARRAY_SIZE(families); x->family++, x->row = 0, x->family_begun = false) {
		const struct family *f = &families[x->family];
		const struct rows *rows = &x->rows[f->rows];

		for (; x->row < rows->count && p < end; x->row++) {
			const void *row = (const char *)rows->data + x->row * rows->size;

			if (!family_wants(f, row))
				continue;
			if (!x->family_begun)
				p = family_begin(x, f, p);
			x->family_begun = true;
			p = f->render(x, f, row, p);
		}
		if (p >= end)
			break;
	}
	x->len = (size_t)(p - x->slice);
	x->sent = 0;
}

ssize_t exposition_read(struct exposition *x, char *out, size_t max)
{
	size_t n;

	if (x->sent == x->len)
		slice_fill(x);
	n = x->len - x->sent < max ? x->len - x->sent : max;
	memcpy(out, x->slice + x->sent, n);
	x->sent += n;
	return (ssize_t)n;
}
