/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the shape of /metrics: a table of families, each with the rows it hangs on (series, listeners, names, one of a
 * kind) and the field it shows. A cursor (family, row) goes on where the last call ended. Invariant: HELP, TYPE and, in OpenMetrics,
 * UNIT stand directly before a family's first sample, if there is one; both formats have the same samples. No
 * printf per sample: label text is made once per series, numbers are copied digit by digit.
 */
#include "families.h"

#include <string.h>

#include "buf.h"
#include "util.h"

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

enum family_type {
	FAMILY_GAUGE,
	FAMILY_COUNTER,
	FAMILY_HISTOGRAM,
	FAMILY_INFO,
	FAMILY_TYPES,
};

/* What samples have behind the family's name. In text the family's name has it too, and an info is a gauge. */
static const struct {
	const char *suffix, *type[EXPOSITION_FORMATS];
} family_types[FAMILY_TYPES] = {
	[FAMILY_GAUGE] = {"", {"gauge", "gauge"}},
	[FAMILY_COUNTER] = {"_total", {"counter", "counter"}},
	[FAMILY_HISTOGRAM] = {"", {"histogram", "histogram"}},
	[FAMILY_INFO] = {"_info", {"gauge", "info"}},
};

enum row_directions { BOTH, ONLY_OUTBOUND, ONLY_INBOUND };

struct family;
/* Writes the samples of the row at p, where FAMILIES_ROW_MAX fit, and returns the end. */
typedef char *render_fn(const struct families *x, const struct family *f, const void *row, char *p);

struct family {
	const char *name; /* without _total and _info */
	enum family_type type;
	enum row_kind rows;
	render_fn *render;
	size_t offset; /* of the field in the row */
	enum row_directions directions; /* of series */
	const char *help; /* without quotes and backslashes, which the formats escape differently */
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

/* The name ends in its unit, and an info has none. */
static const char *family_unit(const struct family *f)
{
	static const char *const units[] = {"seconds", "bytes"};
	size_t len = strlen(f->name);

	for (size_t i = 0; i < ARRAY_SIZE(units) && f->type != FAMILY_INFO; i++) {
		size_t n = strlen(units[i]);

		if (len > n && f->name[len - n - 1] == '_' && !strcmp(f->name + len - n, units[i]))
			return units[i];
	}
	return NULL;
}

static inline uint64_t field(const void *row, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)row + offset, sizeof(v));
	return v;
}

/* What is shown in seconds is kept in nanoseconds. Looks at the name: not for the samples of series. */
static char *put_in_unit(char *p, const struct family *f, uint64_t v)
{
	const char *unit = family_unit(f);

	return unit && *unit == 's' ? put_seconds(p, v) : put_value(p, v);
}

/* `name{`, open for labels. */
static inline char *put_head(char *p, const struct families *x)
{
	p = put(p, x->name, x->name_len);
	*p++ = '{';
	return p;
}

static inline char *put_series(char *p, const struct families *x, const struct series *s)
{
	return put(put_head(p, x), s->labels, s->labels_len);
}

/* One number: a gauge may be shown negative, which is a bug, but not hidden. */
static char *render_number(const struct families *x, const struct family *f, const void *row,
			   char *p)
{
	int32_t gauge;

	p = put_series(p, x, row);
	p = put(p, "} ", 2);
	if (f->type == FAMILY_COUNTER)
		return put_value(p, field(row, f->offset));
	memcpy(&gauge, (const char *)row + f->offset, sizeof(gauge));
	p = buf_put_i64(p, gauge);
	*p++ = '\n';
	return p;
}

/* The first line is written, the head of the others is copied from it. */
static char *render_reasons(const struct families *x, const struct family *f, const void *row,
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

static char *put_histogram(char *p, const struct families *x, const struct text *labels,
			   const struct histogram_bounds *b, const struct histogram *h)
{
	struct text head = {.s = p};
	uint64_t count = 0;

	p = put(p, x->name, x->name_len);
	p = put(p, "_bucket{", 8);
	p = put_text(p, labels);
	p = put(p, ",le=\"", 5);
	head.len = (size_t)(p - head.s);
	for (uint32_t i = 0; i < b->count; i++) {
		count += h->buckets[i];
		memcpy(p, b->le[i], sizeof(b->le[i])); /* quicker than only what it holds */
		p += strlen(b->le[i]);
		p = put(p, "\"} ", 3);
		p = put_value(p, count);
		p = put_text(p, &head);
	}
	count += h->buckets[b->count];
	p = put(p, "+Inf\"} ", 7);
	p = put_value(p, count);
	p = put(p, x->name, x->name_len);
	p = put(p, "_sum{", 5);
	p = put_text(p, labels);
	p = put_seconds(put(p, "} ", 2), h->sum_ns);
	p = put(p, x->name, x->name_len);
	p = put(p, "_count{", 7);
	p = put_text(p, labels);
	return put_value(put(p, "} ", 2), count);
}

static char *render_histogram(const struct families *x, const struct family *f, const void *row,
			      char *p)
{
	const struct histogram *h = (const void *)((const char *)row + f->offset);
	const struct series *s = row;
	const struct text labels = {s->labels, s->labels_len};

	return put_histogram(p, x, &labels,
			     x->data->bounds[f->offset == offsetof(struct series, lifetime)], h);
}

static char *render_duration(const struct families *x, const struct family *f, const void *row,
			     char *p)
{
	const struct duration_row *duration = row;
	const struct text labels = {duration->labels, strlen(duration->labels)};

	(void)f;
	return put_histogram(p, x, &labels, requests_bounds(), &duration->durations);
}

static char *render_request(const struct families *x, const struct family *f, const void *row,
			    char *p)
{
	const struct request_row *request = row;

	(void)f;
	p = put_str(put_head(p, x), "endpoint=\"");
	p = put_str(p, request->endpoint);
	p = put_str(p, "\",method=\"");
	p = put_str(p, request->method);
	p = put_str(p, "\",code=\"");
	p = request->code ? buf_put_u64(p, request->code) : put_str(p, "other");
	return put_value(put(p, "\"} ", 3), request->count);
}

static char *render_listener(const struct families *x, const struct family *f, const void *row,
			     char *p)
{
	const struct exposition_listener *l = row;

	p = put_head(p, x);
	p = put_str(p, x->data->names[l->name]->label);
	p = put_str(p, ",server_port=\"");
	p = l->server_port ? buf_put_u64(p, l->server_port) : put_str(p, "other");
	return put_value(put(p, "\"} ", 3), field(row, f->offset));
}

static char *render_process(const struct families *x, const struct family *f, const void *row,
			    char *p)
{
	const struct exposition_process *process = row;

	p = put_head(p, x);
	p = put_str(p, x->data->names[process->name]->label);
	return put_value(put(p, "} ", 2), field(row, f->offset));
}

static char *render_peers(const struct families *x, const struct family *f, const void *row,
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
static char *put_labelled(char *p, const struct families *x, const struct family *f,
			  const char *label, const char *value, const void *row)
{
	p = put_head(p, x);
	p = put_str(p, label);
	p = put(p, "=\"", 2);
	p = put_str(p, value);
	return put_in_unit(put(p, "\"} ", 3), f, field(row, f->offset));
}

static char *render_kind(const struct families *x, const struct family *f, const void *row, char *p)
{
	return put_labelled(p, x, f, "kind", ((const struct kind_row *)row)->kind, row);
}

/* Programs and causes: the name is the first field of both. */
static char *render_named(const struct families *x, const struct family *f, const void *row,
			  char *p)
{
	bool program = f->rows == ROW_PROGRAM || f->rows == ROW_PROBE_STATS;

	_Static_assert(!offsetof(struct exposition_program, program), "first");
	_Static_assert(!offsetof(struct exposition_cause, cause), "first");
	return put_labelled(p, x, f, program ? "program" : "cause", *(const char *const *)row, row);
}

static char *render_program(const struct families *x, const struct family *f, const void *row,
			    char *p)
{
	const struct exposition_program *program = row;

	(void)f;
	p = put(p, x->name, x->name_len);
	p = put_str(p, "{program=\"");
	p = put_str(p, program->program);
	p = put_str(p, "\",attach=\"");
	p = put_str(p, program->attach);
	return put_str(p, "\"} 1\n");
}

static char *render_one(const struct families *x, const struct family *f, const void *row, char *p)
{
	p = put(p, x->name, x->name_len);
	*p++ = ' ';
	return put_in_unit(p, f, field(row, f->offset));
}

static char *render_build(const struct families *x, const struct family *f, const void *row,
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
	 "Connections counted in the overflow series because the series table was full."},
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
	{"poolscope_probe_runs", FAMILY_COUNTER, ROW_PROBE_STATS, render_named,
	 OF(exposition_program, runs), BOTH, "Runs of the kernel program."},
	{"poolscope_probe_run_seconds", FAMILY_COUNTER, ROW_PROBE_STATS, render_named,
	 OF(exposition_program, run_ns), BOTH, "Time that the kernel program ran."},
	{"poolscope_http_requests_in_flight", FAMILY_GAUGE, ROW_IN_FLIGHT, render_one,
	 OF(one_row, in_flight), BOTH, "Requests of this endpoint that are being answered."},
	{"poolscope_http_requests", FAMILY_COUNTER, ROW_REQUESTS, render_request, 0, BOTH,
	 "Requests answered by this endpoint."},
	{"poolscope_http_request_duration_seconds", FAMILY_HISTOGRAM, ROW_DURATIONS,
	 render_duration, 0, BOTH,
	 "Time from the complete header of a request to the end of its answer."},
	{"poolscope_http_connections_refused", FAMILY_COUNTER, ROW_REFUSED, render_named,
	 OF(exposition_cause, count), BOTH,
	 "Connections to this endpoint that were refused, or ended before their time, by cause."},
	{"poolscope_config_last_reload_successful", FAMILY_GAUGE, ROW_DAEMON, render_one,
	 OF(one_row, reload_ok), BOTH, "Whether the configuration was last loaded successfully."},
	{"poolscope_config_last_reload_success_timestamp_seconds", FAMILY_GAUGE, ROW_DAEMON,
	 render_one, OF(one_row, reload_realtime_ns), BOTH,
	 "When the configuration was last loaded successfully."},
	{"poolscope_scrape_duration_seconds", FAMILY_GAUGE, ROW_DAEMON, render_one,
	 OF(one_row, last_scrape_ns), BOTH, "Time to build the previous exposition."},
	{"poolscope_build", FAMILY_INFO, ROW_DAEMON, render_build, 0, BOTH,
	 "Version of this program and of libbpf."},
	{"process_cpu_seconds", FAMILY_COUNTER, ROW_USAGE, render_one, OF(usage, cpu_ns), BOTH,
	 "Total user and system CPU time spent in seconds."},
	{"process_open_fds", FAMILY_GAUGE, ROW_USAGE_FDS, render_one, OF(usage, open_fds), BOTH,
	 "Number of open file descriptors."},
	{"process_max_fds", FAMILY_GAUGE, ROW_USAGE, render_one, OF(usage, max_fds), BOTH,
	 "Maximum number of open file descriptors."},
	{"process_virtual_memory_bytes", FAMILY_GAUGE, ROW_USAGE_MEMORY, render_one,
	 OF(usage, virtual_bytes), BOTH, "Virtual memory size in bytes."},
	{"process_virtual_memory_max_bytes", FAMILY_GAUGE, ROW_USAGE, render_one,
	 OF(usage, virtual_max_bytes), BOTH,
	 "Maximum amount of virtual memory available in bytes."},
	{"process_resident_memory_bytes", FAMILY_GAUGE, ROW_USAGE_MEMORY, render_one,
	 OF(usage, resident_bytes), BOTH, "Resident memory size in bytes."},
	{"process_start_time_seconds", FAMILY_GAUGE, ROW_USAGE_START, render_one,
	 OF(usage, start_realtime_ns), BOTH,
	 "Start time of the process since unix epoch in seconds."},
};

/* `# KEYWORD name text` */
static char *put_comment(char *p, const char *keyword, const struct text *name, const char *text)
{
	p = put_str(put(p, "# ", 2), keyword);
	*p++ = ' ';
	p = put_text(p, name);
	*p++ = ' ';
	p = put_str(p, text);
	*p++ = '\n';
	return p;
}

/* The comments, and the name that the samples bear from now on. */
static char *family_begin(struct families *x, const struct family *f, char *p)
{
	bool openmetrics = x->format == EXPOSITION_OPENMETRICS;
	struct text name = {.s = x->name};

	x->name_len = (size_t)(put_str(put_str(x->name, f->name), family_types[f->type].suffix) -
			       x->name);
	name.len = openmetrics ? strlen(f->name) : x->name_len;
	p = put_comment(p, "HELP", &name, f->help);
	p = put_comment(p, "TYPE", &name, family_types[f->type].type[x->format]);
	if (openmetrics && family_unit(f))
		p = put_comment(p, "UNIT", &name, family_unit(f));
	return p;
}

static bool family_wants(const struct family *f, const void *row)
{
	enum ps_direction only = f->directions == ONLY_INBOUND ? PS_INBOUND : PS_OUTBOUND;

	return f->rows != ROW_SERIES || f->directions == BOTH ||
	       ((const struct series *)row)->key.direction == only;
}

static char *family_write(struct families *x, const struct family *f, char *p, const char *limit)
{
	const struct rows *rows = &x->data->rows[f->rows];

	for (; x->row < rows->count && p < limit; x->row++) {
		const void *row = (const char *)rows->data + x->row * rows->size;

		if (!family_wants(f, row))
			continue;
		if (!x->family_begun)
			p = family_begin(x, f, p);
		x->family_begun = true;
		p = f->render(x, f, row, p);
	}
	return p;
}

char *families_write(struct families *x, char *p, const char *end)
{
	const char *limit = end - FAMILIES_ROW_MAX;

	for (; x->family < ARRAY_SIZE(families); x->family++, x->row = 0, x->family_begun = false) {
		p = family_write(x, &families[x->family], p, limit);
		if (p >= limit)
			return p;
	}
	if (!x->ended && x->format == EXPOSITION_OPENMETRICS)
		p = put_str(p, "# EOF\n");
	x->ended = true;
	return p;
}
