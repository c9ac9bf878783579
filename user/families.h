/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The families of /metrics and how their rows are written, in both formats. Between snapshot, which gathers the rows, and
 * exposition, which hands on the text.
 */
#ifndef FAMILIES_H
#define FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "exposition.h"
#include "histogram.h"
#include "series.h"

#define FAMILIES_NAME_MAX 64 /* bytes of a family's name; asserted by test */
#define FAMILIES_LINE_MAX (FAMILIES_NAME_MAX + SERIES_LABELS_MAX + 64 + BUF_NUMBER_MAX)
/* Room for any row, and for the comments before it or the end after it. */
#define FAMILIES_ROW_MAX ((HISTOGRAM_BOUNDS_MAX + 6) * FAMILIES_LINE_MAX)
#define FAMILIES_BUILD_MAX 256 /* version texts */

/* What a family's rows are. */
enum row_kind {
	ROW_LISTENER,
	ROW_PROCESS,
	ROW_PROGRAM,
	ROW_CAUSE,
	ROW_RECONCILE,
	ROWS_COPIED, /* the rows above are memory of their own */
	ROW_SERIES = ROWS_COPIED,
	ROW_PEERS, /* one per process name and direction */
	ROW_KIND, /* of events */
	ROW_ONE,
	ROW_DAEMON, /* one_row, if the numbers are those of a running daemon */
	ROW_PROBE_STATS, /* programs, if their runs are counted */
	ROW_IN_FLIGHT, /* one_row, if requests are counted, as the next three */
	ROW_REQUESTS,
	ROW_DURATIONS, /* one per endpoint */
	ROW_REFUSED, /* exposition_cause */
	ROW_USAGE, /* struct usage, as the next three, which need not be known */
	ROW_USAGE_MEMORY,
	ROW_USAGE_FDS,
	ROW_USAGE_START,
	ROW_KINDS,
};

struct peers_row {
	const char *label; /* process="…" */
	const char *direction;
	struct series_peers stats;
};

/* What is shown once, laid out so that a family is an offset. */
struct one_row {
	uint64_t peers_limit, tracked, tracked_limit, corrections, last_scrape_ns;
	uint64_t in_flight, reload_ok, reload_realtime_ns;
	char build[FAMILIES_BUILD_MAX];
};

struct kind_row {
	const char *kind;
	uint64_t accounted, refused, lost;
};

struct request_row {
	const char *endpoint, *method;
	unsigned int code; /* 0: other */
	uint64_t count;
};

struct duration_row {
	char labels[32]; /* endpoint="…" */
	struct histogram durations; /* in the bounds of requests_bounds() */
};

struct rows {
	const void *data;
	size_t count, size;
};

/* What there is to write; it may be written several times at once. */
struct families_data {
	const struct series_name *const *names; /* by index */
	const struct histogram_bounds *bounds[2]; /* of handshake and accept wait; of lifetime */
	struct rows rows[ROW_KINDS];
};

/* How far it is written; the caller sets what stands above the cursor. */
struct families {
	enum exposition_format format;
	const struct families_data *data;
	/* the cursor */
	size_t family, row;
	bool family_begun, ended;
	size_t name_len; /* of the samples of the family under way */
	char name[FAMILIES_NAME_MAX];
};

/*
 * Writes whole rows from p on until fewer than FAMILIES_ROW_MAX bytes are left before `end`, or all is written. Returns where
 * it stopped; p itself: there was nothing left.
 */
char *families_write(struct families *x, char *p, const char *end);

#endif
