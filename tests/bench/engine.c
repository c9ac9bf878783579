/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The figures of engine and exposition. Each round does everything once, in an order drawn anew: drains with 10,000 series and
 * 100,000 live connections, bodies of 100,000 and of 570,000 lines, and a body of each peer. All times are CPU time of who is
 * measured. Knows nothing of the kernel half and of HTTP.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"
#include "feed.h"
#include "exporters.h"
#include "figures.h"
#include "rendering.h"
#include "replays.h"
#include "sample.h"
#include "token.h"
#include "util.h"

#define SERIES 10000
#define LIVE 100000
#define BODY_SERIES 1750 /* 100,077 lines */
#define BODY_SERIES_QUICK 200 /* of the peers' bodies in a quick run */
#define DRAINS 20 /* per round */
#define ROUNDS_MAX 40
#define ROUNDS_QUICK 3
#define SECONDS_MAX 42
#define DIRECTORY "build/bench/exposition"

enum value {
	RECORDS,
	TEXT,
	OPENMETRICS,
	LARGE,
	SNAPSHOT,
	SLICE,
	COMPRESSION,
	COMPRESSION_BYTE,
	COMPRESSION_RATIO,
	PEERS,
	VALUES = PEERS + EXPORTERS_PEERS,
};

struct run {
	struct feed whole, body; /* 10,000 series; as many as make 100,000 lines */
	struct exporters exporters;
	double values[VALUES][ROUNDS_MAX];
	unsigned int counts[VALUES];
	char notes[VALUES][160];
};

static const struct figure figures[VALUES] = {
	[RECORDS] =
		{"Engine", "drain + account", "M/s", 10, 20, true,
		 .how = "records per second of CPU time, read from a ring of 4 MiB, merged into the mirror and "
			"accounted in series and histograms, at 10,000 series and 100,000 live connections; 42,000 "
			"records a drain. The ring is a file in memory, laid out as the kernel's; nobody writes to it "
			"meanwhile"},
	[TEXT] =
		{"Exposition", "rendering, text", "ns", 20, 12,
		 .how = "CPU time per line of a body of 100,000 lines (1,750 series), text 0.0.4, not sent"},
	[OPENMETRICS] = {"Exposition", "rendering, OpenMetrics", "ns", 20, 12,
			 .how = "the same as OpenMetrics 1.0.0"},
	[LARGE] = {"Exposition", "rendering, text, 10,000 series", "ns",
		   .how = "CPU time per line of a body of 570,000 lines"},
	[SNAPSHOT] =
		{"Exposition", "snapshot of 10,000 series", "ms",
		 .how = "CPU time of copying the numbers, which is done at once; faults of fresh memory are in it"},
	[SLICE] = {"Exposition", "longest slice, 10,000 series", "ms",
		   .how = "CPU time of the longest part of rendering that is done at once"},
	[COMPRESSION] =
		{"Exposition", "compression, per line", "ns",
		 .how = "CPU time of gzip per line of the body of 100,000 lines, rendering not in it"},
	[COMPRESSION_BYTE] = {"Exposition", "compression, per byte", "ns",
			      .how = "the same per byte of text"},
	[COMPRESSION_RATIO] = {"Exposition", "compression, size", "x",
			       .how = "bytes sent against bytes of text"},
	[PEERS + EXPORTERS_PYTHON] =
		{"Exposition", "Python's client library, per line", "ns",
		 .how = "CPU time of generate_latest() per line, by itself: the same series, labels and bounds as in the "
			"body of 100,000 lines (quick: 11,700), no HTTP. To be compared with rendering, text"},
	[PEERS + EXPORTERS_NODE] =
		{"Exposition", "node_exporter, per line", "ns",
		 .how = "CPU time of its process during a scrape, per line, with its default collectors: includes "
			"reading /proc and /sys, and HTTP"},
	[PEERS + EXPORTERS_NODE_TEXT] =
		{"Exposition", "node_exporter with a text file, per line", "ns",
		 .how = "the same with our body of 100,000 lines (quick: 11,700) in its textfile collector and no "
			"other: includes reading and parsing the file, and HTTP"},
};

static double cpu_ns(void)
{
	return (double)util_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void put(struct run *r, enum value v, double value)
{
	r->values[v][r->counts[v]++] = value;
}

/* The messages are in the ring before the clock starts. Returns the CPU time. */
static double drain(struct feed *f)
{
	double start;

	feed_next(f);
	start = cpu_ns();
	assert_int_equal(feed_read(f), 0);
	feed_end(f);
	return cpu_ns() - start;
}

static void measure_records(struct run *r)
{
	struct connections_stats stats;
	double ns = 0;

	for (int i = 0; i < DRAINS; i++)
		ns += drain(&r->whole);
	put(r, RECORDS, 1e3 * DRAINS * FEED_RECORDS / ns);
	connections_stats(r->whole.connections, &stats);
	assert_int_equal(stats.full + stats.invalid + stats.negative, 0);
	assert_int_equal(stats.tracked, LIVE);
	assert_int_equal(series_count(pools_series(r->whole.pools)), SERIES);
	snprintf(r->notes[RECORDS], sizeof(r->notes[0]), "mirror: %.0f B per live connection",
		 (double)connections_bytes(r->whole.connections) / LIVE);
}

static void put_rendering(struct run *r, enum value v, const struct rendering *told)
{
	put(r, v, told->render_ns / (double)told->lines);
	snprintf(r->notes[v], sizeof(r->notes[0]), "%zu lines, %zu bytes", told->lines,
		 told->bytes);
}

static void measure_text(struct run *r)
{
	struct rendering told;

	rendering_run(r->body.pools, EXPOSITION_TEXT, NULL, &told);
	put_rendering(r, TEXT, &told);
}

static void measure_openmetrics(struct run *r)
{
	struct rendering told;

	rendering_run(r->body.pools, EXPOSITION_OPENMETRICS, NULL, &told);
	put_rendering(r, OPENMETRICS, &told);
}

static void measure_large(struct run *r)
{
	struct rendering told;

	rendering_run(r->whole.pools, EXPOSITION_TEXT, NULL, &told);
	put_rendering(r, LARGE, &told);
	put(r, SNAPSHOT, told.snapshot_ms);
	put(r, SLICE, told.slice_ms);
}

static void measure_compression(struct run *r)
{
	struct rendering text, told;

	rendering_run(r->body.pools, EXPOSITION_TEXT, NULL, &text);
	rendering_compress(r->body.pools, &told);
	put(r, COMPRESSION, told.compress_ns / (double)text.lines);
	put(r, COMPRESSION_BYTE, told.compress_ns / (double)told.bytes);
	put(r, COMPRESSION_RATIO, (double)told.compressed_bytes / (double)told.bytes);
}

static void measure_peer(struct run *r, enum exporters_peer peer)
{
	struct exporters_scrape scrape;
	const char **missing = &r->exporters.missing[peer];

	if (!*missing && exporters_scrape(&r->exporters, peer, &scrape)) {
		*missing = "a scrape failed";
		r->counts[PEERS + peer] = 0;
	}
	if (*missing) {
		snprintf(r->notes[PEERS + peer], sizeof(r->notes[0]), "%s", *missing);
		return;
	}
	put(r, PEERS + peer, scrape.ns_per_line);
	snprintf(r->notes[PEERS + peer], sizeof(r->notes[0]), "%ld lines", scrape.lines);
}

static void measure_python(struct run *r)
{
	measure_peer(r, EXPORTERS_PYTHON);
}

static void measure_node(struct run *r)
{
	measure_peer(r, EXPORTERS_NODE);
}

static void measure_node_text(struct run *r)
{
	measure_peer(r, EXPORTERS_NODE_TEXT);
}

static void run_rounds(struct run *r, bool quick)
{
	static void (*const tasks[])(struct run *) = {measure_records,	   measure_text,
						      measure_openmetrics, measure_large,
						      measure_compression, measure_python,
						      measure_node,	   measure_node_text};
	unsigned int order[ARRAY_SIZE(tasks)], rounds = quick ? ROUNDS_QUICK : ROUNDS_MAX;
	double end = now_seconds() + SECONDS_MAX;

	for (unsigned int round = 0; round < rounds && now_seconds() < end; round++) {
		sample_shuffle(order, ARRAY_SIZE(tasks));
		for (unsigned int i = 0; i < ARRAY_SIZE(tasks); i++)
			tasks[order[i]](r);
	}
}

/* What the peers show: the same lines as ours. */
static void write_text(uint32_t series)
{
	struct feed f;
	struct rendering told;
	FILE *file;

	assert_true(mkdir("build/bench", 0755) == 0 || errno == EEXIST);
	assert_true(mkdir(DIRECTORY, 0755) == 0 || errno == EEXIST);
	file = fopen(DIRECTORY "/text.prom", "we");
	assert_non_null(file);
	assert_int_equal(feed_open(&f, series, LIVE), 0);
	drain(&f);
	rendering_run(f.pools, EXPOSITION_TEXT, file, &told);
	assert_int_equal(fclose(file), 0);
	feed_close(&f);
}

static int add_figures(struct run *r)
{
	double ours_ns = 0;
	int status = 0;

	for (int v = 0; v < VALUES; v++) {
		struct figure f = figures[v];

		sample_figure(r->values[v], r->counts[v], &f);
		snprintf(f.note, sizeof(f.note), "%s", r->notes[v]);
		if (v == TEXT)
			ours_ns = f.median;
		if (v == PEERS + EXPORTERS_PYTHON && f.count > 0)
			snprintf(f.note, sizeof(f.note), "%.99s; %u times ours", r->notes[v],
				 (unsigned int)(f.median / ours_ns));
		figures_add(&f);
		if (f.count == 0)
			status = -1;
	}
	return status;
}

int engine_measure(bool quick)
{
	static struct run r;
	int status = replays_measure(quick);

	token_measure(quick);
	write_text(quick ? BODY_SERIES_QUICK : BODY_SERIES);
	exporters_open(&r.exporters, DIRECTORY);
	assert_int_equal(feed_open(&r.whole, SERIES, LIVE), 0);
	assert_int_equal(feed_open(&r.body, BODY_SERIES, LIVE), 0);
	drain(&r.whole);
	drain(&r.body);
	run_rounds(&r, quick);
	feed_close(&r.body);
	feed_close(&r.whole);
	exporters_close(&r.exporters);
	return add_figures(&r) || status ? -1 : 0;
}
