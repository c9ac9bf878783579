// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * One listing under way: the kernel half is told what is wanted, its records are read, then the descriptor tables of the targets'
 * processes, then the rows are sent. Each call of listing_read() goes on for a slice of time, so the loop turns in between. Owns the
 * iterator that is open; what a row says is not its business.
 */
#include "listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "rows.h"
#include "util.h"

#define SLICE_NS (2 * NSEC_PER_MSEC)
#define PIECE_BYTES (32 * 1024)
/* Of rendered rows: about 30, some tenths of a millisecond. */
#define TEXT_BYTES (16 * 1024)

_Static_assert(QUERY_LIMIT_MAX <= PS_WANTED_MAX, "the ids of a listing fit");

enum stage { STAGE_WANT, STAGE_RECORDS, STAGE_PROCESSES, STAGE_ROWS, STAGE_ENDED };

struct listing {
	struct listing_source *source;
	struct probes *probes;
	struct rows *rows;
	enum stage stage;
	int fd; /* the iterator that is being read, or -1 */
	uint32_t tgids[PS_PROCESSES_MAX]; /* rising */
	size_t tgid_count, tgid_next; /* tgids[tgid_next - 1] is being read */
	size_t wanted; /* rows whose ids the kernel half has */
	size_t row_next;
	size_t piece_len; /* of a row whose rest is still to come */
	size_t text_len, text_at;
	union {
		uint64_t align;
		char bytes[PIECE_BYTES];
	} piece;
	char text[TEXT_BYTES];
};

static void on_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct listing *l = arg;

	(void)process;
	if (l->tgid_count < ARRAY_SIZE(l->tgids))
		l->tgids[l->tgid_count++] = tgid;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void begin_text(struct listing *l, const struct query *query)
{
	l->text_len =
		(size_t)snprintf(l->text, sizeof(l->text),
				 "{\"total\":%llu,\"limit\":%u,\"truncated\":%s,\"connections\":[",
				 (unsigned long long)rows_total(l->rows), query->limit,
				 rows_total(l->rows) > rows_count(l->rows) ? "true" : "false");
}

/* Up to PROBES_WANT_BATCH ids of the rows from `first` on. */
static uint32_t batch(const struct listing *l, size_t first, uint64_t ids[PROBES_WANT_BATCH])
{
	size_t left = rows_count(l->rows) - first;
	uint32_t n = left < PROBES_WANT_BATCH ? (uint32_t)left : PROBES_WANT_BATCH;

	for (size_t i = 0; i < n; i++)
		ids[i] = rows_id(l->rows, first + i);
	return n;
}

static void want_no_more(struct listing *l)
{
	uint64_t ids[PROBES_WANT_BATCH];

	for (size_t at = 0; at < l->wanted; at += PROBES_WANT_BATCH)
		probes_want(l->probes, ids, batch(l, at, ids), false);
	l->wanted = 0;
}

static int begin(struct listing *l, const struct query *query, uint64_t now_ns)
{
	int err = rows_open(&l->rows, query, pools_series(l->source->pools), now_ns);

	if (err)
		return err;
	connections_visit(l->source->connections, rows_select, l->rows);
	err = rows_selected(l->rows);
	if (err)
		return err;
	begin_text(l, query);
	if (!rows_count(l->rows)) {
		l->stage = STAGE_ROWS;
		return 0;
	}
	err = probes_processes(l->probes, on_process, l);
	if (err)
		return err;
	qsort(l->tgids, l->tgid_count, sizeof(l->tgids[0]), by_number);
	return 0;
}

int listing_open(struct listing **ret, struct listing_source *source,
		 const struct body_request *request, uint64_t now_ns)
{
	struct listing *l;
	struct query query;
	int err = query_parse(request->query, &query, request->why, BODY_WHY_BYTES);

	if (err)
		return err;
	if (source->busy || (source->last_ns && now_ns - source->last_ns < LISTING_PAUSE_NS))
		return -EBUSY;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->fd = -1;
	l->source = source;
	l->probes = source->probes;
	source->busy = true;
	source->last_ns = now_ns;
	err = begin(l, &query, now_ns);
	if (err) {
		listing_close(l);
		return err;
	}
	*ret = l;
	return 0;
}

void listing_close(void *listing)
{
	struct listing *l = listing;

	if (l->fd >= 0)
		close(l->fd);
	want_no_more(l);
	rows_close(l->rows);
	l->source->busy = false;
	free(l);
}

/* ---- reading the kernel ---- */

static size_t row_bytes(const struct listing *l)
{
	return l->stage == STAGE_RECORDS ? sizeof(struct ps_connection_row)
					 : sizeof(struct ps_held_row);
}

static void take_row(struct listing *l, const char *bytes)
{
	struct ps_connection_row row;
	struct ps_held_row held;

	if (l->stage == STAGE_RECORDS) {
		memcpy(&row, bytes, sizeof(row));
		rows_join(l->rows, &row);
	} else {
		memcpy(&held, bytes, sizeof(held));
		rows_hold(l->rows, held.id, l->tgids[l->tgid_next - 1]);
	}
}

/* What stands in the piece now; the begin of a row whose rest follows is kept. */
static void take_piece(struct listing *l)
{
	size_t size = row_bytes(l), at = 0;

	for (; l->piece_len - at >= size; at += size)
		take_row(l, l->piece.bytes + at);
	l->piece_len -= at;
	memmove(l->piece.bytes, l->piece.bytes + at, l->piece_len);
}

static void end_reading(struct listing *l)
{
	close(l->fd);
	l->fd = -1;
	l->piece_len = 0;
	if (l->stage == STAGE_RECORDS)
		l->stage = STAGE_PROCESSES;
}

/* Names some more of the rows to the kernel half; after the last its records can be read. */
static int want_more(struct listing *l)
{
	uint64_t ids[PROBES_WANT_BATCH];
	uint32_t n = batch(l, l->wanted, ids);
	int fd;

	if (n) {
		l->wanted += n; /* also of a batch that breaks off some are there */
		return probes_want(l->probes, ids, n, true);
	}
	fd = probes_open_records(l->probes);
	if (fd < 0)
		return fd;
	l->fd = fd;
	l->stage = STAGE_RECORDS;
	return 0;
}

static int next_process(struct listing *l)
{
	int fd;

	/* their numbers rise, so the first holder found is the lowest */
	if (l->tgid_next == l->tgid_count || !rows_unheld(l->rows)) {
		l->stage = STAGE_ROWS;
		return 0;
	}
	fd = probes_open_held(l->probes, l->tgids[l->tgid_next++]);
	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	l->fd = fd;
	return 0;
}

static int read_piece(struct listing *l)
{
	ssize_t n = probes_read_rows(l->probes, l->fd, l->piece.bytes + l->piece_len,
				     sizeof(l->piece.bytes) - l->piece_len);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return (int)n;
	l->piece_len += (size_t)n;
	take_piece(l);
	if (!n || (l->stage == STAGE_RECORDS && !rows_unjoined(l->rows)))
		end_reading(l);
	return 0;
}

static int step(struct listing *l)
{
	if (l->stage == STAGE_WANT)
		return want_more(l);
	return l->fd >= 0 ? read_piece(l) : next_process(l);
}

/* Goes on for a slice of time. */
static int gather(struct listing *l)
{
	uint64_t end_ns = util_now_ns() + SLICE_NS;
	int err = 0;

	while (!err && l->stage < STAGE_ROWS && util_now_ns() < end_ns)
		err = step(l);
	return err;
}

/* ---- sending ---- */

static void add_text(struct listing *l, const char *text)
{
	size_t len = strlen(text);

	memcpy(l->text + l->text_len, text, len);
	l->text_len += len;
}

static int render(struct listing *l)
{
	while (l->row_next < rows_count(l->rows)) {
		int len;

		if (sizeof(l->text) - l->text_len < ROWS_TEXT_MAX + 8)
			return 0;
		add_text(l, l->row_next ? ",\n" : "\n");
		len = rows_render(l->rows, l->row_next, l->text + l->text_len);
		if (len < 0)
			return len;
		l->text_len += (size_t)len;
		l->row_next++;
	}
	add_text(l, "]}\n");
	l->stage = STAGE_ENDED;
	return 0;
}

/* The next text, if there is any. */
static int fill(struct listing *l)
{
	int err = 0;

	l->text_len = l->text_at = 0;
	if (l->stage < STAGE_ROWS) {
		err = gather(l);
		add_text(l, "\n");
	} else if (l->stage == STAGE_ROWS) {
		err = render(l);
	}
	return err;
}

ssize_t listing_read(void *listing, char *out, size_t max)
{
	struct listing *l = listing;
	size_t n;
	int err;

	if (l->text_at == l->text_len) {
		err = fill(l);
		if (err)
			return err;
	}
	n = l->text_len - l->text_at;
	n = n < max ? n : max;
	memcpy(out, l->text + l->text_at, n);
	l->text_at += n;
	return (ssize_t)n;
}
