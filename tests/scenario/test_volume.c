/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections as fast as this machine makes them. The counts must be exact. The kernel may skip runs of a tracing program, and says
 * how many: until an inventory makes that good, a difference passes only if poolscope_probe_missed_total has risen
 * by at least as much, and both are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition_check.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define RUNS 5
#define RUN_CONNECTIONS 20000
#define REUSED_PORTS 64
#define SCRAPES 200

struct storm {
	struct actor *client, *server;
	struct traffic_shared *shared;
	int listener, port;
};

static struct storm storm_prepare(struct scene *s)
{
	struct storm storm = {.shared = traffic_shared()};

	storm.server = scene_actor(s, "server");
	storm.client = scene_actor(s, "client");
	scene_observe(s, NULL);
	storm.port = scene_listen(storm.server, SCENE_BACKLOG, &storm.listener);
	return storm;
}

static void storm_begin(struct storm *storm, int count, const char *from, unsigned int flags)
{
	atomic_store(&storm->shared->clients, 1);
	act_begin(storm->server, step_storm_serve, .fd = storm->listener, .shared = storm->shared);
	act_begin(storm->client, step_storm_connect, .host = HOST, .from = from,
		  .port = storm->port, .count = count, .flags = flags, .shared = storm->shared);
}

/* Returns how many connections there were, which both ends agree on. */
static long storm_finish(struct storm *storm)
{
	long connected = actor_finish(storm->client), accepted = actor_finish(storm->server);

	if (connected < 0 || accepted < 0)
		fail_msg("the storm broke off: client %ld, server %ld", connected, accepted);
	assert_int_equal(connected, accepted);
	return connected;
}

/* ---- what was counted ---- */

struct wanted {
	const char *row, *process, *direction;
	long each; /* per connection */
};

static long text_missed(const char *text)
{
	double sum = 0;

	exposition_sum(text, "poolscope_probe_missed_total", "", &sum);
	return (long)sum;
}

/* Sum of all differences between the change from one exposition to the next and what `count` connections make. */
static long difference(const char *before, const char *after, const struct wanted *wanted,
		       long count, bool say)
{
	long sum = 0;

	for (; wanted->row; wanted++) {
		long change = scene_count(after, wanted->row, wanted->process, wanted->direction) -
			      scene_count(before, wanted->row, wanted->process, wanted->direction);
		long off = labs(change - wanted->each * count);

		if (off && say)
			print_message("# %s %s: %ld, expected %ld\n", wanted->process, wanted->row,
				      change, wanted->each * count);
		sum += off;
	}
	return sum;
}

/* Takes over `before` and returns the exposition that it compared it with. */
static char *expect_storm(struct scene *s, char *before, const struct wanted *wanted, long count,
			  const char *what)
{
	double deadline = now_seconds() + 3;
	char *after = poolscoped_scrape(&s->daemon);
	long off, missed;

	while (difference(before, after, wanted, count, false) != 0 && now_seconds() < deadline) {
		free(after);
		pause_ms(50);
		after = poolscoped_scrape(&s->daemon);
	}
	off = difference(before, after, wanted, count, true);
	missed = text_missed(after) - text_missed(before);
	print_message("# %s: %ld connections, difference %ld, skipped by the kernel %ld\n", what,
		      count, off, missed);
	free(before);
	if (off > missed)
		fail_msg("%ld off, but only %ld runs were skipped", off, missed);
	return after;
}

static const struct wanted quiet_storm[] = {
	{"attempts", "client", "outbound", 1},	 {"opened", "client", "outbound", 1},
	{"handshakes", "client", "outbound", 1}, {"closed_local", "client", "outbound", 1},
	{"lifetimes", "client", "outbound", 1},	 {"active", "client", "outbound", 0},
	{"pending", "client", "outbound", 0},	 {"stale", "client", "outbound", 0},
	{"opened", "server", "inbound", 1},	 {"handshakes", "server", "inbound", 1},
	{"closed_peer", "server", "inbound", 1}, {"lifetimes", "server", "inbound", 1},
	{"active", "server", "inbound", 0},	 {"queued", "server", "inbound", 0},
	{"stale", "server", "inbound", 0},	 {NULL},
};

static void five_times_20000_connections_are_counted_exactly(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s);
	char *text = poolscoped_scrape(&s->daemon);
	char from[16], what[32];

	for (unsigned int run = 0; run < RUNS; run++) {
		double begin = now_seconds();

		traffic_address("127.0.0.50", run,
				from); /* its own range of ports: none is in TIME_WAIT */
		storm_begin(&storm, RUN_CONNECTIONS, from, 0);
		assert_int_equal(storm_finish(&storm), RUN_CONNECTIONS);
		snprintf(what, sizeof(what), "run %u (%.0f/s)", run + 1,
			 RUN_CONNECTIONS / (now_seconds() - begin));
		text = expect_storm(s, text, quiet_storm, RUN_CONNECTIONS, what);
	}
	free(text);
	poolscoped_stop(&s->daemon);
}

/* Scenario 26: the same few 4-tuples again and again; a reset leaves no TIME_WAIT behind. */
static void connections_that_reuse_their_ports_are_counted_exactly(void **state)
{
	static const struct wanted wanted[] = {
		{"attempts", "both", "outbound", 1},
		{"opened", "both", "outbound", 1},
		{"handshakes", "both", "outbound", 1},
		{"closed_reset_by_local", "both", "outbound", 1},
		{"lifetimes", "both", "outbound", 1},
		{"active", "both", "outbound", 0},
		{"opened", "both", "inbound", 1},
		{"handshakes", "both", "inbound", 1},
		{"closed_reset_by_peer", "both", "inbound", 1},
		{"lifetimes", "both", "inbound", 1},
		{"accept_waits", "both", "inbound", 1},
		{"active", "both", "inbound", 0},
		{NULL},
	};
	struct scene *s = *state;
	struct actor *both = scene_actor(s, "both");
	int l, port = scene_listen(both, SCENE_BACKLOG, &l);
	double begin;
	char what[32];
	char *text;

	scene_observe(s, NULL);
	text = poolscoped_scrape(&s->daemon);
	begin = now_seconds();
	act(both, step_storm_alone, .fd = l, .host = HOST, .port = port, .from = "127.0.0.9",
	    .from_port = 33000, .from_spread = REUSED_PORTS, .count = RUN_CONNECTIONS,
	    .flags = STEP_RESET);
	snprintf(what, sizeof(what), "reuse (%.0f/s)", RUN_CONNECTIONS / (now_seconds() - begin));
	free(expect_storm(s, text, wanted, RUN_CONNECTIONS, what));
}

/* ---- scrapes meanwhile ---- */

static bool is_counter(const char *name)
{
	static const char *const suffixes[] = {"_total", "_count", "_bucket", "_sum"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && strcmp(name + len - n, suffixes[i]) == 0)
			return true;
	}
	return false;
}

static bool same_sample(const struct exposition_sample *a, const struct exposition_sample *b)
{
	if (strcmp(a->name, b->name) != 0 || a->label_count != b->label_count)
		return false;
	for (size_t i = 0; i < a->label_count; i++)
		if (strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

/* The order of samples is stable, so one pass over both texts finds every sample of the older again. */
static void expect_no_fall(const char *before, const char *after)
{
	struct exposition_sample *pair = calloc(2, sizeof(*pair));

	assert_non_null(pair);
	while (exposition_next(&before, &pair[0]) == 1) {
		do {
			if (exposition_next(&after, &pair[1]) != 1)
				fail_msg("a sample of %s is gone", pair[0].name);
			if (pair[1].value < 0)
				fail_msg("%s is %g", pair[1].name, pair[1].value);
		} while (!same_sample(&pair[0], &pair[1]));
		if (is_counter(pair[0].name) && pair[1].value < pair[0].value)
			fail_msg("%s has fallen from %g to %g", pair[0].name, pair[0].value,
				 pair[1].value);
	}
	free(pair);
}

static void a_scrape_in_a_storm_shows_no_negative_gauge_and_no_falling_counter(void **state)
{
	static const struct wanted wanted[] = {
		{"attempts", "client", "outbound", 1},
		{"opened", "client", "outbound", 1},
		{"closed_reset_by_local", "client", "outbound", 1},
		{"active", "client", "outbound", 0},
		{"opened", "server", "inbound", 1},
		{"closed_reset_by_peer", "server", "inbound", 1},
		{"active", "server", "inbound", 0},
		{"stale", "server", "inbound", 0},
		{NULL},
	};
	struct scene *s = *state;
	struct storm storm = storm_prepare(s);
	char *first = poolscoped_scrape(&s->daemon), *last = strdup(first);

	storm_begin(&storm, 0, "127.0.0.60", STEP_RESET);
	for (int i = 0; i < SCRAPES; i++) {
		char *text = poolscoped_scrape(&s->daemon);

		expect_no_fall(last, text);
		pause_ms(5);
		free(last);
		last = text;
	}
	atomic_store(&storm.shared->stop, true);
	free(expect_storm(s, first, wanted, storm_finish(&storm), "scraped storm"));
	free(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(five_times_20000_connections_are_counted_exactly),
		scene_test(connections_that_reuse_their_ports_are_counted_exactly),
		scene_test(a_scrape_in_a_storm_shows_no_negative_gauge_and_no_falling_counter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
