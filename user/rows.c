// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The mirror decides which connections there are, whose they are and in which state: it knows of accepts that the kernel's
 * records do not. The record and the socket add times, the ports and what went over the wire. What nobody knows is null, never 0.
 * Rows stand in the order of their ids, which is about that of their sockets' creation. Knows no iterator and no HTTP.
 */
#include "rows.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Of a real number: a year in microseconds takes 14. */
#define DIGITS 15

struct row {
	struct connections_live live;
	struct ps_connection_row kernel; /* all 0 unless joined */
	uint32_t pid; /* 0: no target process holds it */
	bool joined;
};

struct rows {
	struct query query;
	const struct series_name
		*names[SERIES_NAMES_MAX]; /* held: one may be dropped before all is written */
	uint64_t now_ns;
	struct row *at;
	size_t count, cap, unjoined, unheld;
	uint64_t total;
	bool failed; /* no memory */
};

int rows_open(struct rows **ret, const struct query *query, const struct series_table *names,
	      uint64_t now_ns)
{
	struct rows *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->query = *query;
	for (uint32_t i = 0; i < series_names(names); i++)
		r->names[i] = series_name_hold(names, (uint16_t)i);
	r->now_ns = now_ns;
	*ret = r;
	return 0;
}

void rows_close(struct rows *r)
{
	if (!r)
		return;
	for (int i = 0; i < SERIES_NAMES_MAX; i++)
		series_name_release(r->names[i]);
	free(r->at);
	free(r);
}

static bool is_asked_for(const struct rows *r, const struct connections_live *live)
{
	if (r->query.has_process && strcmp(r->names[live->name]->text, r->query.process) != 0)
		return false;
	return !r->query.has_peer || address_prefix_contains(&r->query.peer, live->peer);
}

static bool make_room(struct rows *r)
{
	size_t cap = r->cap ? r->cap * 2 : 64;
	struct row *at;

	if (r->count < r->cap)
		return true;
	if (cap > r->query.limit)
		cap = r->query.limit;
	at = realloc(r->at, cap * sizeof(*at));
	if (!at)
		return false;
	r->at = at;
	r->cap = cap;
	return true;
}

void rows_select(void *rows, const struct connections_live *live)
{
	struct rows *r = rows;

	if (!is_asked_for(r, live))
		return;
	r->total++;
	if (r->count == r->query.limit)
		return;
	if (make_room(r))
		r->at[r->count++] = (struct row){.live = *live};
	else
		r->failed = true;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->live.id > y->live.id) - (x->live.id < y->live.id);
}

int rows_selected(struct rows *r)
{
	if (r->count)
		qsort(r->at, r->count, sizeof(*r->at), by_id);
	r->unjoined = r->unheld = r->count;
	return r->failed ? -ENOMEM : 0;
}

uint64_t rows_id(const struct rows *r, size_t i)
{
	return r->at[i].live.id;
}

static struct row *find(const struct rows *r, uint64_t id)
{
	struct row key = {.live.id = id};

	return r->count ? bsearch(&key, r->at, r->count, sizeof(key), by_id) : NULL;
}

void rows_join(struct rows *r, const struct ps_connection_row *kernel)
{
	struct row *row = find(r, kernel->record.id);

	if (!row || row->joined)
		return;
	row->kernel = *kernel;
	row->joined = true;
	r->unjoined--;
}

void rows_hold(struct rows *r, uint64_t id, uint32_t tgid)
{
	struct row *row = find(r, id);

	if (!row || (row->pid && row->pid <= tgid))
		return;
	r->unheld -= !row->pid;
	row->pid = tgid;
}

uint64_t rows_total(const struct rows *r)
{
	return r->total;
}

size_t rows_count(const struct rows *r)
{
	return r->count;
}

size_t rows_unjoined(const struct rows *r)
{
	return r->unjoined;
}

size_t rows_unheld(const struct rows *r)
{
	return r->unheld;
}

/* ---- JSON ---- */

static json_t *number(uint64_t value, bool known)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

/* From one point in time to another, if both were seen. What happened after now_ns was just read. */
static json_t *seconds(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ns = to_ns > from_ns ? to_ns - from_ns : 0;

	return from_ns && to_ns ? json_real((double)ns / NSEC_PER_SEC) : json_null();
}

static json_t *microseconds(uint64_t us)
{
	return us ? json_real((double)us / 1e6) : json_null();
}

static const char *state_text(const struct row *row)
{
	switch (row->live.phase) {
	case PS_PHASE_PENDING:
		return "pending";
	case PS_PHASE_STALE:
		return "stale";
	}
	return row->kernel.unaccepted && !row->live.accepted ? "queued" : "active";
}

/* When the age began, 0 if nobody saw it. */
static uint64_t born_ns(const struct row *row)
{
	if (row->live.phase == PS_PHASE_PENDING)
		return row->kernel.record.attempt_ns;
	return row->live.established_ns;
}

static json_t *handshake(const struct row *row)
{
	const struct ps_record *record = &row->kernel.record;

	if (row->live.phase == PS_PHASE_PENDING)
		return json_null();
	if (row->live.direction == PS_INBOUND)
		return microseconds(record->handshake_us);
	return seconds(record->attempt_ns, row->live.established_ns);
}

static json_t *make_object(const struct rows *r, const struct row *row)
{
	const struct ps_connection_row *k = &row->kernel;
	bool inbound = row->live.direction == PS_INBOUND, stale = row->live.phase == PS_PHASE_STALE;
	uint16_t local_port = row->joined ? k->record.local_port : row->live.local_port;
	uint16_t server_port = inbound ? local_port : k->record.peer_port;
	char peer[ADDRESS_TEXT_MAX];

	address_format(row->live.peer, peer);
	return json_pack(
		"{s:s,s:o,s:s,s:s,s:s,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", /**/
		"process", r->names[row->live.name]->text, /**/
		"pid", number(row->pid, row->pid), /**/
		"direction", inbound ? "inbound" : "outbound", /**/
		"state", state_text(row), /**/
		"peer_address", peer, /**/
		"peer_port", number(k->record.peer_port, k->record.peer_port), /**/
		"server_port", number(server_port, server_port), /**/
		"local_port", number(local_port, local_port), /**/
		"adopted", (int)row->live.adopted, /**/
		"age_seconds", seconds(born_ns(row), r->now_ns), /**/
		"handshake_seconds", handshake(row), /**/
		"accept_wait_seconds",
		seconds(k->record.accepted_ns ? k->record.established_ns : 0,
			k->record.accepted_ns), /**/
		"stale_seconds", seconds(stale ? k->record.closed_ns : 0, r->now_ns), /**/
		"bytes_sent", number(k->bytes_sent, row->joined), /**/
		"bytes_received", number(k->bytes_received, row->joined), /**/
		"retransmits", number(k->retransmits, row->joined), /**/
		"rtt_seconds", microseconds(k->rtt_us));
}

int rows_render(const struct rows *r, size_t i, char ret[ROWS_TEXT_MAX])
{
	json_t *object = make_object(r, &r->at[i]);
	size_t len;

	if (!object)
		return -ENOMEM;
	len = json_dumpb(object, ret, ROWS_TEXT_MAX, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
	json_decref(object);
	return len && len <= ROWS_TEXT_MAX ? (int)len : -ENOMEM;
}
