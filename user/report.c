// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Renders a snapshot as JSON: first what there is once, then the series one by one, as many as the reader takes. Invariant: the
 * order of keys and rows is that of this file and of the snapshot; what does not exist for a direction is null, so every series
 * has the same keys. The numbers of a histogram are those of its buckets, not cumulative.
 */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "buf.h"
#include "families.h"
#include "pools.h"
#include "util.h"
#include "version.h"

#define SERIES_AT_ONCE 32
#define DIGITS 15 /* of a double; more show how it is stored */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(DIGITS))

static const char *const close_reasons[PS_CLOSES] = {
	[PS_CLOSE_LOCAL] = "local",
	[PS_CLOSE_PEER] = "peer",
	[PS_CLOSE_RESET_BY_PEER] = "reset_by_peer",
	[PS_CLOSE_RESET_BY_LOCAL] = "reset_by_local",
	[PS_CLOSE_TIMEOUT] = "timeout",
	[PS_CLOSE_OTHER] = "other",
};

static const char *const fail_reasons[PS_FAILS] = {
	[PS_FAIL_REFUSED] = "refused",	       [PS_FAIL_TIMEOUT] = "timeout",
	[PS_FAIL_UNREACHABLE] = "unreachable", [PS_FAIL_RESET] = "reset",
	[PS_FAIL_ABORTED] = "aborted",	       [PS_FAIL_OTHER] = "other",
};

struct report {
	struct snapshot *snapshot;
	const struct families_data *data;
	struct buf text;
	size_t at; /* of the text, handed out */
	size_t next; /* series */
	bool ended;
};

/* ---- pieces; all return NULL without memory ---- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *seconds(uint64_t ns)
{
	return json_real((double)ns / NSEC_PER_SEC);
}

static json_t *only_if(bool known, json_t *(*make)(uint64_t value), uint64_t value)
{
	return known ? make(value) : json_null();
}

static json_t *list_bounds(const struct histogram_bounds *b)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < b->count; i++)
		json_array_append_new(list, seconds(b->upper_ns[i]));
	return list;
}

static json_t *make_histogram(const struct histogram *h, const struct histogram_bounds *b)
{
	json_t *buckets = json_array();

	for (uint32_t i = 0; buckets && i <= b->count; i++)
		json_array_append_new(buckets, number(h->buckets[i]));
	return json_pack("{s:o,s:o,s:o}", /**/
			 "count", number(histogram_count(h, b)), /**/
			 "sum_seconds", seconds(h->sum_ns), /**/
			 "buckets", buckets);
}

static json_t *make_reasons(const uint64_t *counts, const char *const *reasons, size_t count)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < count; i++)
		json_object_set_new(object, reasons[i], number(counts[i]));
	return object;
}

static const char *name_text(const struct families_data *data, uint16_t name)
{
	return data->names[name]->text;
}

static json_t *list_processes(const struct families_data *data)
{
	const struct rows *rows = &data->rows[ROW_PROCESS];
	const struct exposition_process *at = rows->data;
	json_t *list = json_array();

	for (size_t i = 0; list && i < rows->count; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:o}", "process", name_text(data, at[i].name),
						"processes", number(at[i].processes)));
	return list;
}

static json_t *list_listeners(const struct families_data *data)
{
	const struct rows *rows = &data->rows[ROW_LISTENER];
	const struct exposition_listener *at = rows->data;
	json_t *list = json_array();

	for (size_t i = 0; list && i < rows->count; i++)
		json_array_append_new(
			list, json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", /**/
					"process", name_text(data, at[i].name), /**/
					"server_port",
					only_if(at[i].server_port, number, at[i].server_port), /**/
					"listeners", number(at[i].listeners), /**/
					"half_open", number(at[i].half_open), /**/
					"queue_limit", number(at[i].queue_limit), /**/
					"dropped", number(at[i].dropped)));
	return list;
}

static void peer_text(const struct series_key *key, char ret[ADDRESS_TEXT_MAX])
{
	struct address_prefix prefix = {.len = key->prefix_len};

	memcpy(prefix.address, key->peer, sizeof(prefix.address));
	if (key->overflow)
		strcpy(ret, "other");
	else if (key->prefix_len < 128)
		address_prefix_format(&prefix, ret);
	else
		address_format(key->peer, ret);
}

static json_t *make_series(const struct families_data *data, const struct series *s)
{
	bool out = s->key.direction == PS_OUTBOUND;
	char peer[ADDRESS_TEXT_MAX];

	peer_text(&s->key, peer);
	return json_pack(
		"{s:s,s:s,s:s,s:o,s:i,s:o,s:o,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", /**/
		"process", name_text(data, s->key.name), /**/
		"direction", out ? "outbound" : "inbound", /**/
		"peer_address", peer, /**/
		"server_port", only_if(!s->key.overflow, number, s->key.server_port), /**/
		"active", (int)s->active, /**/
		"pending", out ? json_integer(s->pending) : json_null(), /**/
		"queued", out ? json_null() : json_integer(s->queued), /**/
		"stale", (int)s->stale, /**/
		"attempts", only_if(out, number, s->attempts), /**/
		"opened", number(s->opened), /**/
		"adopted", number(s->adopted), /**/
		"handed_over", number(s->handed_over), /**/
		"closed", make_reasons(s->closed, close_reasons, PS_CLOSES), /**/
		"failed", out ? make_reasons(s->failed, fail_reasons, PS_FAILS) : json_null(), /**/
		"handshake", make_histogram(&s->handshake, data->bounds[0]), /**/
		"lifetime", make_histogram(&s->lifetime, data->bounds[1]), /**/
		"accept_wait",
		out ? json_null() : make_histogram(&s->accept_wait, data->bounds[0]));
}

/* Everything but the series. */
static json_t *make_head(const struct families_data *data, uint64_t realtime_ns)
{
	const struct one_row *one = data->rows[ROW_ONE].data;

	return json_pack("{s:i,s:s,s:s,s:o,s:{s:o,s:o},s:o,s:o,s:o,s:o}", /**/
			 "schema", REPORT_SCHEMA, /**/
			 "version", version_text, /**/
			 "revision", version_revision, /**/
			 "time_seconds", seconds(realtime_ns), /**/
			 "bounds", /**/
			 "handshake_seconds", list_bounds(data->bounds[0]), /**/
			 "lifetime_seconds", list_bounds(data->bounds[1]), /**/
			 "connections_tracked", number(one->tracked), /**/
			 "connections_tracked_limit", number(one->tracked_limit), /**/
			 "processes", list_processes(data), /**/
			 "listeners", list_listeners(data));
}

/* ---- text ---- */

static int add_text(const char *bytes, size_t len, void *arg)
{
	struct buf *text = arg;

	buf_add(text, bytes, len);
	return buf_failed(text) ? -1 : 0;
}

/* Takes the object. */
static int add_object(struct report *r, json_t *object)
{
	int err = object && !json_dump_callback(object, add_text, &r->text, JSON_FLAGS) ? 0
											: -ENOMEM;

	json_decref(object);
	return err;
}

int report_open(struct report **ret, struct snapshot *snapshot, uint64_t realtime_ns)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->snapshot = snapshot_hold(snapshot);
	r->data = snapshot_data(snapshot);
	if (add_object(r, make_head(r->data, realtime_ns))) {
		report_close(r);
		return -ENOMEM;
	}
	r->text.len--; /* the brace: more members follow */
	buf_add_str(&r->text, ",\"series\":[");
	*ret = r;
	return 0;
}

/* The next series, or the end of it all. */
static int render(struct report *r)
{
	const struct rows *rows = &r->data->rows[ROW_SERIES];
	const struct series *at = rows->data;
	int err = 0;

	buf_reset(&r->text);
	r->at = 0;
	for (int i = 0; i < SERIES_AT_ONCE && r->next < rows->count && !err; i++) {
		if (r->next)
			buf_add_str(&r->text, ",");
		err = add_object(r, make_series(r->data, &at[r->next++]));
	}
	if (r->next == rows->count) {
		buf_add_str(&r->text, "]}\n");
		r->ended = true;
	}
	return buf_failed(&r->text) ? -ENOMEM : err;
}

ssize_t report_read(void *report, char *out, size_t max)
{
	struct report *r = report;
	size_t n;
	int err;

	if (r->at == r->text.len && !r->ended) {
		err = render(r);
		if (err)
			return err;
	}
	n = r->text.len - r->at < max ? r->text.len - r->at : max;
	memcpy(out, r->text.data + r->at, n);
	r->at += n;
	return (ssize_t)n;
}

void report_close(void *report)
{
	struct report *r = report;

	if (!r)
		return;
	snapshot_release(r->snapshot);
	buf_done(&r->text);
	free(r);
}
