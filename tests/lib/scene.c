/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The fixture and the expectations. An expectation is a whole row of numbers: every one of them is compared, so what
 * a test does not expect is expected not to happen. Knows the names of docs/metrics.md, nothing of how they come about.
 */
#include "scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition_check.h"

#define SETTLE_SECONDS 15 /* as in poolscoped.c */
#define ARGV_MAX 64

static const struct row {
	const char *name, *metric, *filter;
	size_t at;
} rows[] = {
#define ROW(field, metric, filter)                                                  \
	{                                                                           \
#field, "poolscope_" metric, filter, offsetof(struct counts, field) \
	}
	ROW(active, "connections_active", ""),
	ROW(pending, "connections_pending", ""),
	ROW(queued, "connections_queued", ""),
	ROW(stale, "connections_stale", ""),
	ROW(attempts, "connection_attempts_total", ""),
	ROW(opened, "connections_opened_total", ""),
	ROW(adopted, "connections_adopted_total", ""),
	ROW(handed_over, "connections_handed_over_total", ""),
	ROW(refused, "connection_failures_total", ",reason=refused"),
	ROW(timeout, "connection_failures_total", ",reason=timeout"),
	ROW(unreachable, "connection_failures_total", ",reason=unreachable"),
	ROW(reset, "connection_failures_total", ",reason=reset"),
	ROW(aborted, "connection_failures_total", ",reason=aborted"),
	ROW(failed_other, "connection_failures_total", ",reason=other"),
	ROW(closed_local, "connections_closed_total", ",reason=local"),
	ROW(closed_peer, "connections_closed_total", ",reason=peer"),
	ROW(closed_reset_by_peer, "connections_closed_total", ",reason=reset_by_peer"),
	ROW(closed_reset_by_local, "connections_closed_total", ",reason=reset_by_local"),
	ROW(closed_timeout, "connections_closed_total", ",reason=timeout"),
	ROW(closed_other, "connections_closed_total", ",reason=other"),
	ROW(handshakes, "connection_handshake_duration_seconds_count", ""),
	ROW(lifetimes, "connection_lifetime_seconds_count", ""),
	ROW(accept_waits, "accept_wait_duration_seconds_count", ""),
#undef ROW
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static long *count_at(struct counts *c, const struct row *row)
{
	return (long *)((char *)c + row->at);
}

/* ---- fixture ---- */

int scene_setup(void **state)
{
	*state = calloc(1, sizeof(struct scene));
	return *state ? 0 : -1;
}

int scene_teardown(void **state)
{
	struct scene *s = *state;

	poolscoped_done(&s->daemon);
	for (size_t i = 0; i < s->actor_count; i++)
		if (s->actors[i].pid)
			actor_end(&s->actors[i], SIGKILL);
	free(s);
	return 0;
}

static struct actor *scene_slot(struct scene *s)
{
	assert_true(s->actor_count < SCENE_ACTORS_MAX);
	return &s->actors[s->actor_count++];
}

struct actor *scene_actor_in(struct scene *s, const char *name, unsigned int namespaces)
{
	struct actor *a = scene_slot(s);

	actor_start(a, namespaces);
	a->name = name;
	return a;
}

struct actor *scene_actor(struct scene *s, const char *name)
{
	return scene_actor_in(s, name, 0);
}

struct actor *scene_fork(struct scene *s, struct actor *parent)
{
	struct actor *a = scene_slot(s);

	actor_fork(parent, a);
	return a;
}

void scene_observe(struct scene *s, ...)
{
	const char *argv[ARGV_MAX] = {NULL};
	char targets[SCENE_ACTORS_MAX][96];
	size_t count = 0;
	va_list more;

	for (size_t i = 0; i < s->actor_count; i++) {
		if (!s->actors[i].name)
			continue;
		snprintf(targets[i], sizeof(targets[i]), "--pid=%d=%s", s->actors[i].pid,
			 s->actors[i].name);
		argv[count++] = targets[i];
	}
	va_start(more, s);
	while (count < ARGV_MAX - 1 && (argv[count] = va_arg(more, const char *)))
		count++;
	va_end(more);
	poolscoped_must_start(&s->daemon, argv);
}

static char *scene_scrape(struct scene *s)
{
	return s->scrape ? s->scrape(s->scrape_arg) : poolscoped_scrape(&s->daemon);
}

bool scene_has_fexit(struct scene *s)
{
	char *text = scene_scrape(s);
	double sum;
	bool has = exposition_sum(text, "poolscope_probe_info", "attach=fexit", &sum) > 0;

	free(text);
	return has;
}

/* ---- expectations ---- */

static void filter_of(const char *process, const char *direction, const char *peer, int port,
		      char filter[256])
{
	int n = snprintf(filter, 256, "process=%s,direction=%s", process, direction);

	if (peer)
		n += snprintf(filter + n, 256 - (size_t)n, ",peer_address=%s", peer);
	if (peer && strcmp(peer, "other") == 0)
		snprintf(filter + n, 256 - (size_t)n, ",server_port=other");
	else if (port)
		snprintf(filter + n, 256 - (size_t)n, ",server_port=%d", port);
}

static long row_value(const char *text, const struct row *row, const char *filter)
{
	char full[320];
	double value;

	snprintf(full, sizeof(full), "%s%s", filter, row->filter);
	exposition_sum(text, row->metric, full, &value);
	return (long)value;
}

static bool counts_equal(const char *text, const char *filter, struct counts *expected)
{
	for (size_t i = 0; i < ROWS; i++)
		if (row_value(text, &rows[i], filter) != *count_at(expected, &rows[i]))
			return false;
	return true;
}

void scene_print_losses(const char *text)
{
	static const char *const names[] = {"poolscope_events_refused_total",
					    "poolscope_events_lost_total",
					    "poolscope_records_refused_total",
					    "poolscope_probe_missed_total",
					    "poolscope_reconcile_corrections_total"};
	struct exposition_sample sample;

	while (exposition_next(&text, &sample) == 1)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (sample.value != 0 && strcmp(sample.name, names[i]) == 0)
				print_error("# %s{%s} %g\n", sample.name,
					    sample.label_count ? sample.labels[0].value : "",
					    sample.value);
}

static void counts_explain(const struct scene *s, const char *text, const char *filter,
			   struct counts *expected)
{
	for (size_t i = 0; i < ROWS; i++) {
		long value = row_value(text, &rows[i], filter),
		     wanted = *count_at(expected, &rows[i]);

		if (value != wanted)
			print_error("# {%s} %s is %ld, expected %ld\n", filter, rows[i].name, value,
				    wanted);
	}
	scene_print_losses(text);
	if (!s->scrape)
		poolscoped_print_log(&s->daemon);
}

void expect_series(struct scene *s, const char *process, const char *direction, const char *peer,
		   int port, struct counts expected)
{
	double deadline = now_seconds() + SETTLE_SECONDS;
	char *text = scene_scrape(s);
	char filter[256], why[512] = "";

	filter_of(process, direction, peer, port, filter);
	while (!counts_equal(text, filter, &expected)) {
		if (now_seconds() > deadline) {
			counts_explain(s, text, filter, &expected);
			fail_msg("the numbers of {%s} are wrong", filter);
		}
		free(text);
		pause_ms(20);
		text = scene_scrape(s);
	}
	if (exposition_check_invariants(text, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	free(text);
}

void expect_series_total(struct scene *s, long expected)
{
	char *text = scene_scrape(s);
	double sum;
	long count = (long)exposition_sum(text, "poolscope_connections_opened_total", "", &sum);

	if (count != expected)
		print_error("%s\n", text);
	free(text);
	assert_int_equal(count, expected);
}

long scene_count(const char *text, const char *row, const char *process, const char *direction)
{
	char filter[256];

	filter_of(process, direction, NULL, 0, filter);
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, row) == 0)
			return row_value(text, &rows[i], filter);
	fail_msg("no row %s", row);
	return -1;
}

double expect_sample(struct scene *s, const char *histogram, const char *filter, double low,
		     double high)
{
	char *text = scene_scrape(s);
	struct exposition_sample sample;
	const char *cursor = text;
	char name[160];
	double sum = 0;
	int buckets = 0;

	snprintf(name, sizeof(name), "%s_sum", histogram);
	assert_int_equal(exposition_value(text, name, filter, &sum), 0);
	if (sum < low || sum > high)
		fail_msg("%s{%s}: %g s, expected between %g and %g", histogram, filter, sum, low,
			 high);
	snprintf(name, sizeof(name), "%s_bucket", histogram);
	while (exposition_next(&cursor, &sample) == 1) {
		if (strcmp(sample.name, name) != 0 || !exposition_matches(&sample, filter))
			continue;
		buckets++;
		assert_int_equal(sample.value,
				 sum <= strtod(exposition_label_value(&sample, "le"), NULL));
	}
	assert_true(buckets > 1);
	free(text);
	return sum;
}

/* ---- common beginnings ---- */

int scene_listen(struct actor *server, int backlog, int *ret_fd)
{
	int port = process_free_port();

	*ret_fd = (int)act(server, step_listen, .host = "127.0.0.1", .port = port,
			   .backlog = backlog);
	return port;
}

void scene_pair(struct actor *client, struct actor *server, int listener, int port, int *ret_client,
		int *ret_server)
{
	*ret_client = (int)act(client, step_connect, .host = "127.0.0.1", .port = port);
	*ret_server = (int)act(server, step_accept, .fd = listener);
}

int scene_full_listener(struct actor *owner, int *ret_fd)
{
	int port = scene_listen(owner, 0, ret_fd);

	/* A backlog of 0 still holds one (sk_acceptq_is_full: more than the backlog); then the kernel drops SYNs. */
	act(owner, step_connect, .host = "127.0.0.1", .port = port);
	act(owner, step_wait, .fd = *ret_fd);
	return port;
}
