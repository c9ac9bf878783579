// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Chooses what a person wants to see at a glance, and in which order. What calls for attention is marked: connections that the peer has
 * closed and the process still holds, attempts that failed, what is waiting or dropped. Whatever is not in the answer is shown as
 * "-", so that an older daemon's answer can be shown, too.
 */
#include "show.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "histogram.h"
#include "quantile.h"
#include "table.h"
#include "util.h"

/* ---- cells ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static void add_number(struct table *t, const json_t *value, bool notice)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value))
		table_cell(t, "-");
	else if (notice && n)
		table_notice(t, "%" JSON_INTEGER_FORMAT, n);
	else
		table_cell(t, "%" JSON_INTEGER_FORMAT, n);
}

static void add_member(struct table *t, const json_t *object, const char *key, bool notice)
{
	add_number(t, json_object_get(object, key), notice);
}

/* The sum over the reasons. */
static void add_sum(struct table *t, const json_t *reasons, bool notice)
{
	const char *key;
	json_t *value, *sum = json_is_object(reasons) ? json_integer(0) : NULL;

	json_object_foreach((json_t *)reasons, key, value)
	{
		json_integer_set(sum, json_integer_value(sum) + json_integer_value(value));
	}
	add_number(t, sum, notice);
	json_decref(sum);
}

void show_seconds(double seconds, char ret[SHOW_SECONDS_MAX])
{
	static const struct {
		double below, unit;
		const char *text;
	} units[] = {
		{1e-3, 1e-6, "us"}, {1, 1e-3, "ms"},	       {60, 1, "s"},
		{3600, 60, "m"},    {100 * 3600.0, 3600, "h"}, {INFINITY, 24 * 3600.0, "d"},
	};
	size_t i = 0;

	if (isnan(seconds)) {
		strcpy(ret, "-");
		return;
	}
	while (seconds >= units[i].below && i + 1 < ARRAY_SIZE(units))
		i++;
	snprintf(ret, SHOW_SECONDS_MAX, "%.3g%s", seconds / units[i].unit, units[i].text);
}

static void add_seconds(struct table *t, double seconds)
{
	char text[SHOW_SECONDS_MAX];

	show_seconds(seconds, text);
	table_cell(t, "%s", text);
}

static void add_seconds_member(struct table *t, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	add_seconds(t, json_is_number(value) ? json_number_value(value) : NAN);
}

static void add_quantile(struct table *t, double q, const json_t *histogram, const json_t *bounds)
{
	const json_t *from = json_object_get(histogram, "buckets");
	size_t count = json_array_size(bounds);
	double upper[HISTOGRAM_BOUNDS_MAX];
	uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1];

	if (!count || count > HISTOGRAM_BOUNDS_MAX || json_array_size(from) != count + 1) {
		table_cell(t, "-");
		return;
	}
	for (size_t i = 0; i < count; i++)
		upper[i] = json_number_value(json_array_get(bounds, i));
	for (size_t i = 0; i <= count; i++)
		buckets[i] = (uint64_t)json_integer_value(json_array_get(from, i));
	add_seconds(t, quantile(q, upper, buckets, count));
}

/* "10.0.0.1:5432", "[::1]:5432", "10.0.0.0/8:5432", "other" */
static void add_peer(struct table *t, const json_t *row, const char *port_key)
{
	const char *peer = text_of(row, "peer_address");
	const json_t *port = json_object_get(row, port_key);
	bool v6 = strchr(peer, ':') != NULL;

	if (!json_is_integer(port))
		table_cell(t, "%s", peer);
	else
		table_cell(t, "%s%s%s:%" JSON_INTEGER_FORMAT, v6 ? "[" : "", peer, v6 ? "]" : "",
			   json_integer_value(port));
}

/* Prints and closes it; NULL: there was no memory for it. */
static bool finish(struct table *t, FILE *out, bool color)
{
	bool good = t && table_print(t, out, color);

	table_close(t);
	return good;
}

/* ---- snapshot ---- */

static void add_series(struct table *t, const json_t *row, const json_t *bounds)
{
	const json_t *handshake = json_object_get(row, "handshake"),
		     *handshake_bounds = json_object_get(bounds, "handshake_seconds");

	table_cell(t, "%s", text_of(row, "process"));
	table_cell(t, "%s", text_of(row, "direction"));
	add_peer(t, row, "server_port");
	add_member(t, row, "active", false);
	add_member(t, row, "pending", true);
	add_member(t, row, "queued", true);
	add_member(t, row, "stale", true);
	add_member(t, row, "opened", false);
	add_sum(t, json_object_get(row, "closed"), false);
	add_sum(t, json_object_get(row, "failed"), true);
	add_quantile(t, 0.5, handshake, handshake_bounds);
	add_quantile(t, 0.99, handshake, handshake_bounds);
	add_quantile(t, 0.5, json_object_get(row, "lifetime"),
		     json_object_get(bounds, "lifetime_seconds"));
}

static bool show_series(const json_t *answer, FILE *out, bool color)
{
	static const struct table_column columns[] = {
		{"PROCESS", false},	{"DIRECTION", false},	 {"PEER", false},
		{"ACTIVE", true},	{"PENDING", true},	 {"QUEUED", true},
		{"STALE", true},	{"OPENED", true},	 {"CLOSED", true},
		{"FAILED", true},	{"HANDSHAKE P50", true}, {"P99", true},
		{"LIFETIME P50", true}, {NULL, false},
	};
	struct table *t = table_open(columns);
	size_t i;
	json_t *row;

	if (t) {
		json_array_foreach(json_object_get(answer, "series"), i, row)
		{
			add_series(t, row, json_object_get(answer, "bounds"));
		}
	}
	return finish(t, out, color);
}

static bool show_listeners(const json_t *answer, FILE *out, bool color)
{
	static const struct table_column columns[] = {
		{"PROCESS", false},    {"LISTENS AT", true}, {"HALF OPEN", true},
		{"QUEUE LIMIT", true}, {"DROPPED", true},    {NULL, false},
	};
	struct table *t = table_open(columns);
	size_t i;
	json_t *row;

	if (t) {
		json_array_foreach(json_object_get(answer, "listeners"), i, row)
		{
			table_cell(t, "%s", text_of(row, "process"));
			add_member(t, row, "server_port", false);
			add_member(t, row, "half_open", false);
			add_member(t, row, "queue_limit", false);
			add_member(t, row, "dropped", true);
		}
	}
	return finish(t, out, color);
}

bool show_snapshot(const json_t *answer, FILE *out, bool color)
{
	bool good = show_series(answer, out, color);

	if (!json_array_size(json_object_get(answer, "listeners")))
		return good;
	fputc('\n', out);
	return show_listeners(answer, out, color) && good;
}

/* ---- the others ---- */

bool show_list(const json_t *answer, FILE *out, bool color)
{
	static const struct table_column columns[] = {{"NAME", false},	       {"PID", true},
						      {"SELECTOR", false},     {"FOLLOWED", false},
						      {"PROCESSES NOW", true}, {NULL, false}};
	struct table *t = table_open(columns);
	size_t i;
	json_t *row;

	if (t) {
		json_array_foreach(json_object_get(answer, "targets"), i, row)
		{
			table_cell(t, "%s", text_of(row, "name"));
			add_member(t, row, "pid", false);
			table_cell(t, "%s", text_of(row, "selector"));
			table_cell(t, json_is_true(json_object_get(row, "follow")) ? "yes" : "no");
			table_cell(t, "%zu", json_array_size(json_object_get(row, "processes")));
		}
	}
	return finish(t, out, color);
}

static void add_check(struct table *t, const json_t *row)
{
	table_cell(t, "%s", text_of(row, "id"));
	if (json_is_true(json_object_get(row, "present")))
		table_cell(t, "yes");
	else
		table_notice(t, "no");
	table_cell(t, "%s", text_of(row, "detail"));
}

bool show_check(const json_t *answer, FILE *out, bool color)
{
	static const struct table_column columns[] = {
		{"WHAT", false}, {"HERE", false}, {"HOW, OR WHAT TO DO", false}, {NULL, false}};
	struct table *t = table_open(columns);
	size_t i;
	json_t *row;

	if (!t)
		return false;
	json_array_foreach(json_object_get(answer, "checks"), i, row)
	{
		add_check(t, row);
	}
	json_array_foreach(json_object_get(answer, "programs"), i, row)
	{
		table_cell(t, "%s", text_of(row, "program"));
		table_cell(t, "runs");
		table_cell(t, "%s", text_of(row, "attach"));
	}
	return finish(t, out, color);
}

static void add_connection(struct table *t, const json_t *row)
{
	const char *state = text_of(row, "state");

	table_cell(t, "%s", text_of(row, "process"));
	add_member(t, row, "pid", false);
	table_cell(t, "%s", text_of(row, "direction"));
	if (strcmp(state, "active") == 0)
		table_cell(t, "%s", state);
	else
		table_notice(t, "%s", state);
	add_peer(t, row, "peer_port");
	add_member(t, row, "local_port", false);
	add_seconds_member(t, row, "age_seconds");
	add_seconds_member(t, row, "handshake_seconds");
	add_seconds_member(t, row, "rtt_seconds");
	add_member(t, row, "bytes_sent", false);
	add_member(t, row, "bytes_received", false);
	add_member(t, row, "retransmits", true);
}

bool show_connections(const json_t *answer, FILE *out, bool color)
{
	static const struct table_column columns[] = {
		{"PROCESS", false}, {"PID", true},	 {"DIRECTION", false},
		{"STATE", false},   {"PEER", false},	 {"LOCAL PORT", true},
		{"AGE", true},	    {"HANDSHAKE", true}, {"RTT", true},
		{"SENT", true},	    {"RECEIVED", true},	 {"RETRANSMITS", true},
		{NULL, false},
	};
	struct table *t = table_open(columns);
	size_t i;
	json_t *row;
	bool good;

	if (t) {
		json_array_foreach(json_object_get(answer, "connections"), i, row)
		{
			add_connection(t, row);
		}
	}
	good = finish(t, out, color);
	if (json_is_true(json_object_get(answer, "truncated")))
		fprintf(out, "%zu of %" JSON_INTEGER_FORMAT " (--limit)\n",
			json_array_size(json_object_get(answer, "connections")),
			json_integer_value(json_object_get(answer, "total")));
	return good;
}
