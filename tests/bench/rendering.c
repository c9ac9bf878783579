/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Renders and compresses bodies. The clock is the CPU time of this thread, read once per slice, and stands still while lines are
 * counted. Knows nothing of rounds and of figures.
 */
#include "rendering.h"

#include <string.h>
#include <time.h>

#include "check.h"
#include "gzip.h"
#include "snapshot.h"
#include "util.h"

struct body {
	struct exposition *exposition;
	struct rendering *told;
};

static double cpu_ns(void)
{
	return (double)util_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void body_open(struct body *b, struct pools *p, enum exposition_format format,
		      struct rendering *ret)
{
	struct exposition_self self = {};
	struct snapshot *snapshot;
	double start = cpu_ns();

	*b = (struct body){.told = ret};
	*ret = (struct rendering){};
	assert_int_equal(snapshot_take(&snapshot, p, &self), 0);
	assert_int_equal(exposition_open(&b->exposition, format, snapshot), 0);
	snapshot_release(snapshot);
	ret->snapshot_ms = (cpu_ns() - start) / 1e6;
}

static ssize_t body_read(void *body, char *out, size_t max)
{
	struct body *b = body;
	struct rendering *told = b->told;
	double start = cpu_ns(), ns;
	ssize_t n = exposition_read(b->exposition, out, max);

	ns = cpu_ns() - start;
	told->render_ns += ns;
	told->slice_ms = ns / 1e6 > told->slice_ms ? ns / 1e6 : told->slice_ms;
	told->bytes += (size_t)n;
	return n;
}

void rendering_run(struct pools *p, enum exposition_format format, FILE *copy,
		   struct rendering *ret)
{
	static char out[EXPOSITION_SLICE_BYTES];
	struct body b;
	ssize_t n;

	body_open(&b, p, format, ret);
	while ((n = body_read(&b, out, sizeof(out))) > 0) {
		for (char *at = out; (at = memchr(at, '\n', (size_t)(out + n - at))); at++)
			ret->lines++;
		if (copy)
			assert_int_equal(fwrite(out, 1, (size_t)n, copy), n);
	}
	exposition_close(b.exposition);
}

void rendering_compress(struct pools *p, struct rendering *ret)
{
	static char out[EXPOSITION_SLICE_BYTES];
	struct body b;
	struct gzip *g;
	double start;
	ssize_t n;

	body_open(&b, p, EXPOSITION_TEXT, ret);
	start = cpu_ns();
	assert_int_equal(gzip_open(&g, body_read, &b), 0);
	while ((n = gzip_read(g, out, sizeof(out))) > 0)
		ret->compressed_bytes += (size_t)n;
	gzip_close(g);
	ret->compress_ns = cpu_ns() - start - ret->render_ns;
	exposition_close(b.exposition);
}
