/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What tests/cost/count counts the instructions of: some drains, a body in both formats, a compressed one. No clock, and no hash of
 * an address or of a key that is drawn: each run does the same. Prints how often each part was done; callgrind counts between
 * the requests only, and writes a file for each part, named as the part.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "feed.h"
#include "exposition.h"
#include "gzip.h"
#include "snapshot.h"
#include "util.h"

#define SERIES 10000
#define LIVE 100000
#define DRAINS 2 /* counted, after as many that are not */
#define BODY_SERIES 200
#define BODY_MAX (4 * 1024 * 1024)

#ifdef __clang__
#define COMPILER "clang " STRINGIFY(__clang_major__)
#else
#define COMPILER "gcc " STRINGIFY(__GNUC__)
#endif

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "instructions: %s\n", what);
	exit(1);
}

static void drain(struct feed *f, bool counted)
{
	feed_next(f);
	if (counted)
		CALLGRIND_ZERO_STATS;
	if (feed_read(f))
		fail("cannot map the ring");
	if (counted)
		CALLGRIND_DUMP_STATS_AT("record");
	feed_end(f);
	if (counted)
		CALLGRIND_DUMP_STATS_AT("drain");
}

static void count_records(void)
{
	struct feed f;

	if (feed_open(&f, SERIES, LIVE))
		fail("no memory");
	for (int i = 0; i < 2 * DRAINS; i++) {
		if (i == DRAINS)
			CALLGRIND_START_INSTRUMENTATION;
		drain(&f, i >= DRAINS);
	}
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("record %d\ndrain %d\n", DRAINS * FEED_RECORDS, DRAINS);
	feed_close(&f);
}

struct text {
	char *data;
	size_t len, at;
};

static ssize_t text_read(void *body, char *out, size_t max)
{
	struct text *t = body;
	size_t n = t->len - t->at < max ? t->len - t->at : max;

	memcpy(out, t->data + t->at, n);
	t->at += n;
	return (ssize_t)n;
}

static size_t count_lines(const struct text *t)
{
	size_t lines = 0;

	for (size_t i = 0; i < t->len; i++)
		lines += t->data[i] == '\n';
	return lines;
}

/* Reads a body into *t, which begins anew; returns what a counted part was done for: lines. */
static size_t count_body(struct pools *p, enum exposition_format format, struct text *t)
{
	struct exposition_self self = {};
	struct snapshot *snapshot;
	struct exposition *x;
	ssize_t n;

	if (snapshot_take(&snapshot, p, &self) || exposition_open(&x, format, snapshot))
		fail("no memory");
	t->len = 0;
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
	while ((n = exposition_read(x, t->data + t->len, BODY_MAX - t->len)) > 0)
		t->len += (size_t)n;
	CALLGRIND_DUMP_STATS_AT(format == EXPOSITION_TEXT ? "text" : "openmetrics");
	CALLGRIND_STOP_INSTRUMENTATION;
	if (t->len == BODY_MAX)
		fail("the body is too long");
	exposition_close(x);
	snapshot_release(snapshot);
	return count_lines(t);
}

static void count_compression(struct text *t)
{
	static char out[EXPOSITION_SLICE_BYTES];
	struct gzip *g;

	t->at = 0;
	if (gzip_open(&g, text_read, t))
		fail("no memory");
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
	while (gzip_read(g, out, sizeof(out)) > 0)
		;
	CALLGRIND_DUMP_STATS_AT("gzip");
	CALLGRIND_STOP_INSTRUMENTATION;
	gzip_close(g);
}

static void count_bodies(void)
{
	struct text t = {.data = malloc(BODY_MAX)};
	struct feed f;
	size_t lines;

	if (!t.data || feed_open(&f, BODY_SERIES, LIVE))
		fail("no memory");
	drain(&f, false);
	printf("openmetrics %zu\n", count_body(f.pools, EXPOSITION_OPENMETRICS, &t));
	lines = count_body(f.pools, EXPOSITION_TEXT, &t);
	count_compression(&t);
	printf("text %zu\ngzip %zu\n", lines, lines);
	feed_close(&f);
	free(t.data);
}

int main(void)
{
	printf("compiler %s\n", COMPILER);
	count_records();
	count_bodies();
	return 0;
}
