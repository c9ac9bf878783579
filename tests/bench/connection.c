/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What connections cost the daemon, and each program of the kernel half, while one process opens and closes them as fast as it goes: it is both
 * ends, so a connection of the workload is two that are tracked. The daemon's CPU is read after it had time to read all of the ring.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "daemon.h"
#include "exposition_check.h"
#include "meter.h"
#include "scene.h"

#define ROUNDS 5
#define CONNECTIONS 50000
#define ROUNDS_QUICK 2
#define CONNECTIONS_QUICK 10000
#define SETTLE_MS 300 /* the daemon reads the ring every 100 */
#define RUNS_TOTAL "poolscope_probe_runs_total"
#define SECONDS_TOTAL "poolscope_probe_run_seconds_total"
#define PROGRAMS_MAX 40

static int connections(bool quick)
{
	return quick ? CONNECTIONS_QUICK : CONNECTIONS;
}

static void watch(struct poolscoped *d, const struct churn *churn, const char *flag)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "--pid=%d=churn", churn->actor.pid);
	poolscoped_must_start(d, (const char *[]){pid, flag, NULL});
}

/* Of what matches the filter, summed up. */
static double difference(const char *before, const char *after, const char *name,
			 const char *filter)
{
	double first, last;

	exposition_sum(before, name, filter, &first);
	exposition_sum(after, name, filter, &last);
	return last - first;
}

/* ---- the daemon ---- */

static void add_cpu(struct values *pairs, const char *note)
{
	struct figure pair = {
		.name = "CPU per connection, both ends tracked",
		.unit = "ns",
		.bar = 250,
		.goal = 120,
		.how = "CPU of poolscoped, user and system, in a storm, over its connections: all records of both ends, mirror, "
		       "histograms, timer",
	};
	struct figure end = {
		.name = "CPU per tracked connection",
		.unit = "ns",
		.how = "half of the same: one end",
	};
	struct values ends = {.count = 0};

	snprintf(pair.note, sizeof(pair.note), "%s", note);
	for (unsigned int i = 0; i < pairs->count; i++)
		values_add(&ends, pairs->at[i] / 2);
	daemon_add(pair, pairs);
	daemon_add(end, &ends);
}

static void daemon_cpu(struct churn *churn, bool quick)
{
	struct poolscoped d = {.port = 0};
	struct values ns = {.count = 0};
	int rounds = quick ? ROUNDS_QUICK : ROUNDS;
	char *before, *after, note[160];

	watch(&d, churn, NULL);
	churn_run(churn, connections(quick) / 10, 0);
	before = poolscoped_scrape(&d);
	for (int i = 0; i < rounds; i++) {
		double begin = meter_cpu_ns(d.process.pid);

		churn_run(churn, connections(quick), 0);
		pause_ms(SETTLE_MS);
		values_add(&ns, (meter_cpu_ns(d.process.pid) - begin) / connections(quick));
	}
	after = poolscoped_scrape(&d);
	snprintf(
		note, sizeof(note),
		"%.2f messages per connection; ring refused %.0f, runs skipped %.0f, inventories %.0f",
		difference(before, after, "poolscope_events_total", "") / rounds /
			connections(quick),
		difference(before, after, "poolscope_events_refused_total", ""),
		difference(before, after, "poolscope_probe_missed_total", ""),
		difference(before, after, "poolscope_reconcile_total", ""));
	add_cpu(&ns, note);
	free(before);
	free(after);
	poolscoped_stop(&d);
}

/* ---- the programs ---- */

/* The names of figures, which the report keeps. */
static char names[PROGRAMS_MAX][2][96];

static void add_program(const char *program, int number, double runs, double ns)
{
	struct figure one = {
		.section = "Kernel",
		.name = names[number][0],
		.unit = "ns",
		.how = "the kernel's own statistics (--probe-stats) over a storm with both "
		       "ends attached"};
	struct figure all = one;

	snprintf(names[number][0], sizeof(names[number][0]), "%s: one run", program);
	snprintf(names[number][1], sizeof(names[number][1]), "%s: per connection", program);
	all.name = names[number][1];
	snprintf(all.note, sizeof(all.note), "%.2f runs", runs);
	daemon_add(one, &(struct values){.at = {ns / runs}, .count = 1});
	daemon_add(all, &(struct values){.at = {ns}, .count = 1});
}

/* Each program that ran, and their sum. */
static void add_programs(const char *before, const char *after, int count)
{
	struct exposition_sample sample;
	const char *cursor = after;
	double total = 0;
	int number = 0;

	while (exposition_next(&cursor, &sample) == 1) {
		char filter[128];
		double runs, ns;

		if (strcmp(sample.name, RUNS_TOTAL) != 0)
			continue;
		snprintf(filter, sizeof(filter), "program=%s",
			 exposition_label_value(&sample, "program"));
		runs = difference(before, after, RUNS_TOTAL, filter) / count;
		ns = difference(before, after, SECONDS_TOTAL, filter) * 1e9 / count;
		total += ns;
		if (runs < 0.01)
			continue;
		assert_true(number < PROGRAMS_MAX);
		add_program(exposition_label_value(&sample, "program"), number++, runs, ns);
	}
	daemon_add(
		(struct figure){
			.section = "Kernel",
			.name = "all programs: per connection",
			.unit = "ns",
			.how = "sum of the above: what the kernel half takes of the traced program's "
			       "CPU for a connection of both ends"},
		&(struct values){.at = {total}, .count = 1});
}

static void program_ns(struct churn *churn, bool quick)
{
	struct poolscoped d = {.port = 0};
	char *before, *after;

	watch(&d, churn, "--probe-stats");
	churn_run(churn, connections(quick) / 10, 0);
	before = poolscoped_scrape(&d);
	churn_run(churn, connections(quick), 0);
	after = poolscoped_scrape(&d);
	add_programs(before, after, connections(quick));
	free(before);
	free(after);
	poolscoped_stop(&d);
}

int connection_measure(bool quick)
{
	struct churn churn;

	churn_start(&churn);
	daemon_cpu(&churn, quick);
	program_ns(&churn, quick);
	churn_end(&churn);
	return 0;
}
