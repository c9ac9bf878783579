/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections as fast as this machine makes them, and what that does to the daemon. Gauges, counters and histogram counts must be exact, also where
 * the kernel skipped runs of a program. VOLUME_RUNS: how often 100,000 (3). VOLUME_DIVISOR: how many times fewer in each.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition_check.h"
#include "storm.h"

#define HOST "127.0.0.1"
#define RUN_CONNECTIONS 100000
#define RUN_ADDRESSES 5 /* each has ports for 20,000, of which none may be in TIME_WAIT */
#define REUSED_CONNECTIONS 20000
#define REUSED_PORTS 64
#define SCRAPES 1000
#define RSS_GROWTH_MAX (1 << 20)

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

/* How much the change from one exposition to the next is off what `count` connections make, over all rows. */
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
	double deadline = now_seconds() + 6; /* an inventory later */
	char *after = poolscoped_scrape(&s->daemon);
	long off;

	while (difference(before, after, wanted, count, false) != 0 && now_seconds() < deadline) {
		free(after);
		pause_ms(50);
		after = poolscoped_scrape(&s->daemon);
	}
	off = difference(before, after, wanted, count, true);
	print_message("# %s: %ld connections, difference %ld; %ld runs skipped\n", what, count, off,
		      text_missed(after) - text_missed(before));
	free(before);
	if (off != 0)
		scene_print_losses(after);
	assert_int_equal(off, 0);
	return after;
}

static const struct wanted quiet_storm[] = {
	{"attempts", "client", "outbound", 1},
	{"opened", "client", "outbound", 1},
	{"handshakes", "client", "outbound", 1},
	{"closed_local", "client", "outbound", 1},
	{"lifetimes", "client", "outbound", 1},
	{"active", "client", "outbound", 0},
	{"pending", "client", "outbound", 0},
	{"stale", "client", "outbound", 0},
	{"opened", "server", "inbound", 1},
	{"handshakes", "server", "inbound", 1},
	{"closed_peer", "server", "inbound", 1},
	{"lifetimes", "server", "inbound", 1},
	{"accept_waits", "server", "inbound", 1},
	{"active", "server", "inbound", 0},
	{"queued", "server", "inbound", 0},
	{"stale", "server", "inbound", 0},
	{NULL},
};

static unsigned int runs_wanted(void)
{
	const char *text = getenv("VOLUME_RUNS");

	return text ? (unsigned int)atoi(text) : 3;
}

/* Its own addresses: none of their ports is in TIME_WAIT. Takes over the exposition before and returns the one after. */
static char *storm_run(struct scene *s, struct storm *storm, unsigned int run, char *before,
		       bool frozen)
{
	int count = traffic_volume(RUN_CONNECTIONS) / (frozen ? 4 : 1);
	double begin = now_seconds();
	char from[16], what[48];

	traffic_address("127.0.50.1", run * RUN_ADDRESSES, from);
	if (frozen)
		kill(s->daemon.process.pid, SIGSTOP);
	storm_begin(storm, count, from, RUN_ADDRESSES, 0);
	assert_int_equal(storm_finish(storm), count);
	snprintf(what, sizeof(what), "run %u (%.0f/s)%s", run, count / (now_seconds() - begin),
		 frozen ? ", daemon frozen" : "");
	if (frozen)
		kill(s->daemon.process.pid, SIGCONT);
	before = expect_storm(s, before, quiet_storm, count, what);
	poolscoped_wait_value(&s->daemon, "poolscope_connections_tracked", "", 0);
	return before;
}

/*
 * Scenario 33, and what it costs the daemon. Frozen in the first run, it has to take more at once than ever after, which brings rings, tables
 * and malloc's arenas to their size; from then on memory and descriptors stay.
 */
static void each_100000_connections_are_counted_exactly_and_cost_nothing(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--reconcile-interval=2s");
	char *text = storm_run(s, &storm, 0, poolscoped_scrape(&s->daemon), true);
	long rss = process_rss_bytes(&s->daemon.process);
	int descriptors = process_descriptors(&s->daemon.process);
	double deadline;

	for (unsigned int run = 1; run <= runs_wanted(); run++)
		text = storm_run(s, &storm, run, text, false);
	free(text);
	deadline = now_seconds() + 2;
	rss = process_rss_bytes(&s->daemon.process) - rss;
	print_message("# resident memory grew by %ld KiB\n", rss / 1024);
	assert_true(rss <= RSS_GROWTH_MAX);
	while (process_descriptors(&s->daemon.process) > descriptors && now_seconds() < deadline)
		pause_ms(10); /* a scrape's connection is closed a moment after its answer */
	assert_true(process_descriptors(&s->daemon.process) <= descriptors);
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

	scene_observe(s, "--reconcile-interval=2s", NULL);
	text = poolscoped_scrape(&s->daemon);
	begin = now_seconds();
	act(both, step_storm_alone, .fd = l, .host = HOST, .port = port, .from = "127.0.0.9",
	    .from_port = 33000, .from_spread = REUSED_PORTS,
	    .count = traffic_volume(REUSED_CONNECTIONS), .flags = STEP_RESET);
	snprintf(what, sizeof(what), "reuse (%.0f/s)",
		 traffic_volume(REUSED_CONNECTIONS) / (now_seconds() - begin));
	free(expect_storm(s, text, wanted, traffic_volume(REUSED_CONNECTIONS), what));
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
	struct storm storm = storm_prepare(s, "--reconcile-interval=2s");
	char *first = poolscoped_scrape(&s->daemon), *last = strdup(first);

	storm_begin(&storm, 0, "127.0.60.1", RUN_ADDRESSES, STEP_RESET);
	for (int i = 0; i < traffic_volume(SCRAPES); i++) {
		char *text = poolscoped_scrape(&s->daemon);

		expect_no_fall(last, text);
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
		scene_test(each_100000_connections_are_counted_exactly_and_cost_nothing),
		scene_test(connections_that_reuse_their_ports_are_counted_exactly),
		scene_test(a_scrape_in_a_storm_shows_no_negative_gauge_and_no_falling_counter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
