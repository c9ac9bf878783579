/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the last snapshot, the sums of the listeners and what is counted for one scrape. The order matters: the accept queues are
 * read first, then the ring is drained, so that the mirror knows every connection that was seen in a queue. Invariant: at
 * most one snapshot is taken in SHARE_NS, however many ask. Knows nothing of formats and of HTTP.
 */
#include "scrape.h"

#include <errno.h>
#include <string.h>

#include "exposition.h"
#include "gather.h"
#include "listeners.h"
#include "log.h"
#include "snapshot.h"
#include "usage.h"
#include "util.h"
#include "version.h"

#define SHARE_NS (50 * NSEC_PER_MSEC)

struct scrape {
	struct scrape_sources from;
	struct listeners *listeners;
	struct snapshot *snapshot; /* the last one; NULL: too old to be shared */
	uint64_t taken_ns; /* when it was begun */
	uint64_t last_ns; /* how long the previous body took to build */
	uint64_t *queued; /* cookies found in accept queues */
	size_t queued_count, queued_cap;
	uint64_t processes[SERIES_NAMES_MAX];
	const struct requests *requests;
	struct usage_files usage_files;
	bool reload_ok;
	uint64_t reload_realtime_ns;
};

int scrape_open(struct scrape **ret, const struct scrape_sources *sources)
{
	struct scrape *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->from = *sources;
	usage_init(&s->usage_files);
	scrape_set_reload(s, true, util_realtime_ns());
	if (listeners_open(&s->listeners)) {
		scrape_close(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void scrape_close(struct scrape *s)
{
	if (!s)
		return;
	snapshot_release(s->snapshot);
	listeners_close(s->listeners);
	usage_done(&s->usage_files);
	free(s->queued);
	free(s);
}

void scrape_set_requests(struct scrape *s, const struct requests *requests)
{
	s->requests = requests;
}

void scrape_set_reload(struct scrape *s, bool ok, uint64_t realtime_ns)
{
	s->reload_ok = ok;
	if (ok)
		s->reload_realtime_ns = realtime_ns;
}

static void on_listener(void *arg, const struct ps_listener_row *row, const uint64_t *cookies,
			size_t count)
{
	struct scrape *s = arg;
	int name = pools_owner_name(s->from.pools, row->owner);

	if (name < 0)
		return;
	recording_listener(s->from.recording, row);
	listeners_add(s->listeners, row, (uint16_t)name);
	if (s->queued_cap - s->queued_count < count) {
		size_t cap = s->queued_cap * 2 + count;
		uint64_t *more = realloc(s->queued, cap * sizeof(*more));

		if (!more)
			return;
		s->queued = more;
		s->queued_cap = cap;
	}
	if (count)
		memcpy(s->queued + s->queued_count, cookies, count * sizeof(*cookies));
	s->queued_count += count;
}

static void read_listeners(struct scrape *s)
{
	int err;

	s->queued_count = 0;
	recording_mark(s->from.recording, RECORDING_LISTENERS_BEGIN);
	listeners_begin(s->listeners);
	err = probes_listeners(s->from.probes, on_listener, s);
	recording_mark(s->from.recording, RECORDING_LISTENERS_END);
	listeners_end(s->listeners);
	if (err)
		log_error("cannot read the listening sockets: %s", strerror(-err));
	s->from.drain(s->from.arg);
	recording_mark(s->from.recording, RECORDING_QUEUED_RESET);
	recording_queued(s->from.recording, s->queued, s->queued_count);
	pools_queued_reset(s->from.pools);
	for (size_t i = 0; i < s->queued_count; i++)
		connections_queued(s->from.connections, s->queued[i]);
}

static void on_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct scrape *s = arg;
	int name = pools_owner_name(s->from.pools, process->owner);

	(void)tgid;
	if (name >= 0)
		s->processes[name]++;
}

/* One row for each name, also for those whose processes are all gone. */
static size_t count_processes(struct scrape *s, struct exposition_process rows[SERIES_NAMES_MAX])
{
	struct recording_processes recorded[SERIES_NAMES_MAX];
	bool known[SERIES_NAMES_MAX] = {};
	size_t count = 0;

	memset(s->processes, 0, sizeof(s->processes));
	probes_processes(s->from.probes, on_process, s);
	for (size_t i = 0; i < targets_count(s->from.targets); i++) {
		int name = pools_owner_name(s->from.pools, targets_at(s->from.targets, i)->id);

		if (name < 0 || known[name])
			continue;
		known[name] = true;
		recorded[count] = (struct recording_processes){
			.name = (uint32_t)name, .processes = (uint32_t)s->processes[name]};
		rows[count++] = (struct exposition_process){.name = (uint16_t)name,
							    .processes = s->processes[name]};
	}
	recording_processes(s->from.recording, recorded, count);
	return count;
}

static size_t gather_programs(const struct scrape *s,
			      struct exposition_program rows[PROBES_PROGRAMS_MAX])
{
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	size_t count = probes_programs(s->from.probes, programs);

	for (size_t i = 0; i < count; i++)
		rows[i] = (struct exposition_program){.program = programs[i].name,
						      .attach = programs[i].attach,
						      .missed = programs[i].missed,
						      .runs = programs[i].runs,
						      .run_ns = programs[i].run_ns};
	return count;
}

static void read_counters(const struct scrape *s, struct gather_counters *ret)
{
	struct probes_counters counters;

	probes_counters(s->from.probes, &counters);
	*ret = (struct gather_counters){};
	memcpy(ret->kernel.refused, counters.refused, sizeof(counters.refused));
	memcpy(ret->kernel.lost, counters.lost, sizeof(counters.lost));
	memcpy(ret->kernel.refusals, counters.refusals, sizeof(counters.refusals));
	_Static_assert((int)INVENTORY_CAUSES == GATHER_RECONCILES, "one counter each");
	for (int i = 0; i < INVENTORY_CAUSES; i++)
		ret->reconciles[i] = inventory_count(s->from.inventory, (enum inventory_cause)i);
	recording_counters(s->from.recording, ret);
}

/* What a replay cannot find out by itself. */
struct readings {
	struct exposition_process processes[SERIES_NAMES_MAX];
	size_t process_count;
	struct gather_counters counters;
};

static void read_engine(struct scrape *s, struct readings *ret)
{
	read_listeners(s);
	ret->process_count = count_processes(s, ret->processes);
	read_counters(s, &ret->counters);
}

void scrape_read(struct scrape *s)
{
	struct readings readings;

	read_engine(s, &readings);
}

static int take_snapshot(struct scrape *s)
{
	struct exposition_program programs[PROBES_PROGRAMS_MAX];
	struct readings readings;
	struct gather rows;
	struct usage usage;

	read_engine(s, &readings);
	usage_read(&s->usage_files, &usage);
	struct exposition_self self = {
		.processes = readings.processes,
		.process_count = readings.process_count,
		.programs = programs,
		.program_count = gather_programs(s, programs),
		.last_scrape_ns = s->last_ns,
		.requests = s->requests,
		.usage = &usage,
		.probe_stats = probes_stats_enabled(s->from.probes),
		.reload_ok = s->reload_ok,
		.reload_realtime_ns = s->reload_realtime_ns,
		.version = version_text,
		.revision = version_revision,
		.libbpf = probes_libbpf_version(),
	};
	gather_engine(&rows, &self, s->from.connections, s->listeners, &readings.counters);
	return snapshot_take(&s->snapshot, s->from.pools, &self);
}

static void forget_snapshot(struct scrape *s)
{
	snapshot_release(s->snapshot);
	s->snapshot = NULL;
}

void scrape_tick(struct scrape *s, uint64_t now_ns)
{
	if (s->snapshot && now_ns - s->taken_ns >= SHARE_NS)
		forget_snapshot(s);
}

void scrape_forget(struct scrape *s, uint64_t names)
{
	forget_snapshot(s);
	listeners_forget(s->listeners, names);
}

/* One exposition under way. */
struct body {
	struct scrape *scrape;
	struct exposition *exposition;
	uint64_t spent_ns; /* on building it so far; not on sending */
};

static const enum exposition_format exposition_formats[NEGOTIATE_FORMATS] = {
	[NEGOTIATE_TEXT] = EXPOSITION_TEXT,
	[NEGOTIATE_OPENMETRICS] = EXPOSITION_OPENMETRICS,
};

int scrape_snapshot(struct scrape *s, struct snapshot **ret)
{
	uint64_t now_ns = util_now_ns();
	int err = 0;

	scrape_tick(s, now_ns);
	if (!s->snapshot) {
		s->taken_ns = now_ns;
		err = take_snapshot(s);
	}
	if (!err)
		*ret = snapshot_hold(s->snapshot);
	return err;
}

int scrape_body_open(struct scrape *s, const struct body_request *request, void **ret_body)
{
	uint64_t started_ns = util_now_ns();
	struct body *body = calloc(1, sizeof(*body));
	struct snapshot *snapshot = NULL;
	int err = body ? scrape_snapshot(s, &snapshot) : -ENOMEM;

	if (!err)
		err = exposition_open(&body->exposition, exposition_formats[request->format],
				      snapshot);
	snapshot_release(snapshot);
	if (err) {
		free(body);
		return err;
	}
	body->scrape = s;
	body->spent_ns = util_now_ns() - started_ns;
	*ret_body = body;
	return 0;
}

ssize_t scrape_body_read(void *arg, char *out, size_t max)
{
	uint64_t started_ns = util_now_ns();
	struct body *body = arg;
	ssize_t n = exposition_read(body->exposition, out, max);

	body->spent_ns += util_now_ns() - started_ns;
	return n;
}

void scrape_body_close(void *arg)
{
	struct body *body = arg;

	body->scrape->last_ns = body->spent_ns;
	exposition_close(body->exposition);
	free(body);
}
