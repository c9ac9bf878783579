// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * File → replay → body. Opens the file and knows its name; what is in it is user/replay's.
 */
#include "playback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "replay.h"
#include "report.h"
#include "util.h"

#define PIECE_BYTES 16384

/* The time of the recording's end. */
static uint64_t realtime_ns(const struct replay_result *result)
{
	return result->header.begun_realtime_ns + (result->end_ns - result->begin_ns);
}

static int write_report(struct snapshot *snapshot, uint64_t at_realtime_ns, FILE *out)
{
	char piece[PIECE_BYTES];
	struct report *report;
	ssize_t n;
	int err = report_open(&report, snapshot, at_realtime_ns);

	if (err)
		return err;
	while ((n = report_read(report, piece, sizeof(piece))) > 0)
		fwrite(piece, 1, (size_t)n, out);
	report_close(report);
	return n < 0 ? (int)n : 0;
}

static int write_json(struct replay *r, const struct replay_result *result, FILE *out)
{
	struct snapshot *snapshot;
	int err = replay_snapshot(r, &snapshot);

	if (err)
		return err;
	err = write_report(snapshot, realtime_ns(result), out);
	snapshot_release(snapshot);
	return err;
}

static int write_body(const struct arguments *a, struct replay *r,
		      const struct replay_result *result, FILE *copy, char **ret_body)
{
	size_t len;
	FILE *out;
	int err;

	if (a->format == FORMAT_PROM)
		return replay_print(r, copy, EXPOSITION_TEXT);
	if (a->format == FORMAT_OPENMETRICS)
		return replay_print(r, copy, EXPOSITION_OPENMETRICS);
	if (copy)
		return write_json(r, result, copy);
	out = open_memstream(ret_body, &len);
	if (!out)
		return -ENOMEM;
	err = write_json(r, result, out);
	return fclose(out) && !err ? -ENOMEM : err;
}

static enum exit_code refuse(const struct arguments *a, int err, const char *reason, char *why,
			     size_t why_size)
{
	snprintf(why, why_size, "%s: %s%s", a->file, reason,
		 err == -ENODATA ? " (--partial takes what there is)" : "");
	return err == -ENODATA || err == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
}

enum exit_code playback(const struct arguments *a, FILE *copy, char **ret_body, char *why,
			size_t why_size)
{
	_cleanup_fclose_ FILE *in = fopen(a->file, "re");
	struct replay_result result;
	struct replay *r;
	char reason[256];
	int err;

	*why = '\0';
	if (!in) {
		snprintf(why, why_size, "cannot open %s: %s", a->file, strerror(errno));
		return EXIT_USAGE;
	}
	err = replay_open(&r, in, a->partial, &result, reason, sizeof(reason));
	if (err)
		return refuse(a, err, reason, why, why_size);
	err = write_body(a, r, &result, copy, ret_body);
	replay_close(r);
	if (err)
		return refuse(a, err, strerror(-err), why, why_size);
	if (result.cut)
		snprintf(why, why_size, "%s ends early: shown is what there is up to offset %llu",
			 a->file, (unsigned long long)result.bytes);
	else if (result.wrongs)
		snprintf(why, why_size,
			 "the numbers may be wrong, please report this and %s: %llu contradictions",
			 a->file, (unsigned long long)result.wrongs);
	return EXIT_OK;
}
