/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon is frozen while the ring overflows, or the kernel skips programs: what can be delivered later is, and the rest is reported
 * to the last one. Scenarios 34 and 36.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "exposition_check.h"
#include "netns.h"
#include "storm.h"

#define HOST "127.0.0.1"
#define PARKED_MAX 65536

static long total(const char *text, const char *name, const char *filter)
{
	double sum;

	exposition_sum(text, name, filter, &sum);
	return (long)sum;
}

/* ---- scenario 34 ---- */

/* The daemon sees nothing of it until this returns, for at least `seconds`; then SIGCONT. */
static void storm_behind_its_back(struct scene *s, struct storm *storm, const char *from, int count,
				  double seconds)
{
	double end = now_seconds() + seconds;

	kill(s->daemon.process.pid, SIGSTOP);
	storm_begin(storm, count, from, 4, 0);
	assert_int_equal(storm_finish(storm), count);
	while (now_seconds() < end)
		pause_ms(50);
	kill(s->daemon.process.pid, SIGCONT);
}

/* 2 finals and one accept of each connection fit the parking maps. */
static void what_a_frozen_daemon_missed_is_made_good_in_two_seconds(void **state)
{
	const int count = traffic_volume(30000);
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=64KiB");
	double begin;
	char *text;

	storm_behind_its_back(s, &storm, "127.0.34.1", count, 10);
	begin = now_seconds();
	expect(s, "client", "outbound", HOST, storm.port, .attempts = count, .opened = count,
	       .closed_local = count, .handshakes = count, .lifetimes = count);
	expect(s, "server", "inbound", NULL, 0, .opened = count, .closed_peer = count,
	       .handshakes = count, .lifetimes = count, .accept_waits = count);
	assert_true(now_seconds() - begin < 2);
	text = poolscoped_scrape(&s->daemon);
	print_message("# %ld records refused, made good after %.2f s\n",
		      total(text, "poolscope_events_refused_total", ""), now_seconds() - begin);
	assert_true(total(text, "poolscope_events_refused_total", "kind=ended") > count);
	assert_true(total(text, "poolscope_events_refused_total", "kind=established") > 0);
	assert_int_equal(total(text, "poolscope_events_lost_total", ""), 0);
	assert_int_equal(total(text, "poolscope_connections_tracked", ""), 0);
	free(text);
}

/* Connections that live through it all: nobody told of their beginning, the inventory finds them. */
static void what_is_open_when_the_daemon_goes_on_is_counted(void **state)
{
	enum { count = 2000 };
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=64KiB");

	kill(s->daemon.process.pid, SIGSTOP);
	act(storm.client, step_hold, .host = HOST, .port = storm.port, .count = count);
	act(storm.server, step_hold_accepted, .fd = storm.listener, .count = count);
	act(storm.client, step_release, .count = count / 2);
	kill(s->daemon.process.pid, SIGCONT);
	expect(s, "client", "outbound", HOST, storm.port, .attempts = count, .opened = count,
	       .active = count / 2, .closed_local = count / 2, .handshakes = count,
	       .lifetimes = count / 2);
	expect(s, "server", "inbound", HOST, storm.port, .opened = count, .active = count / 2,
	       .stale = count / 2, .closed_peer = count / 2, .handshakes = count,
	       .lifetimes = count / 2, .accept_waits = count);
	assert_int_equal((long)poolscoped_sum(&s->daemon, "poolscope_events_lost_total", ""), 0);
	act(storm.client, step_release, .count = 0);
	act(storm.server, step_release, .count = 0);
	expect(s, "client", "outbound", HOST, storm.port, .attempts = count, .opened = count,
	       .closed_local = count, .handshakes = count, .lifetimes = count);
}

/*
 * Twice as many finals as can be parked. Of each connection whose final is lost either nothing was counted, or its beginning was:
 * then absence ends it, as `other` and without a lifetime. So: lifetimes + lost = all, opened + lost = all + closed as other.
 */
static void what_is_lost_beyond_the_parking_is_reported_to_the_last(void **state)
{
	const int count = traffic_volume(60000);
	struct scene *s = *state;
	struct storm storm;
	double deadline;
	long lifetimes, lost, other, opened;
	char *text;

	if (2 * count <= PARKED_MAX)
		skip_because("%d finals are no more than can be parked (VOLUME_DIVISOR)",
			     2 * count);
	storm = storm_prepare(s, "--ring-size=64KiB");
	storm_behind_its_back(s, &storm, "127.0.34.11", count, 0);
	deadline = now_seconds() + 10;
	for (;;) {
		text = poolscoped_scrape(&s->daemon);
		lost = total(text, "poolscope_events_lost_total", "kind=ended");
		lifetimes = scene_count(text, "lifetimes", "client", "outbound") +
			    scene_count(text, "lifetimes", "server", "inbound");
		other = scene_count(text, "closed_other", "client", "outbound") +
			scene_count(text, "closed_other", "server", "inbound");
		opened = scene_count(text, "opened", "client", "outbound") +
			 scene_count(text, "opened", "server", "inbound");
		if ((lifetimes + lost == 2 * count && opened + lost == 2 * count + other &&
		     total(text, "poolscope_connections_active", "") == 0) ||
		    now_seconds() > deadline)
			break;
		free(text);
		pause_ms(50);
	}
	print_message(
		"# %ld lost, %ld lifetimes, %ld opened, %ld closed as other, %ld runs skipped\n",
		lost, lifetimes, opened, other, total(text, "poolscope_probe_missed_total", ""));
	assert_true(lost >= 2 * count - PARKED_MAX - 2000); /* the ring held the others */
	assert_int_equal(lifetimes + lost, 2 * count);
	assert_int_equal(opened + lost, 2 * count + other);
	assert_int_equal(total(text, "poolscope_connections_active", ""), 0);
	assert_int_equal(total(text, "poolscope_connections_pending", ""), 0);
	assert_int_equal(total(text, "poolscope_connections_stale", ""), 0);
	assert_int_equal(total(text, "poolscope_connections_queued", ""), 0);
	assert_int_equal(total(text, "poolscope_events_lost_total", "kind=accept"), 0);
	assert_int_equal(total(text, "poolscope_connections_tracked", ""), 0);
	free(text);
}

/* ---- scenario 36 ---- */

static void time_outs_by_the_thousand_beside_a_storm_are_counted_exactly(void **state)
{
	const int attempts = traffic_volume(8000), count = traffic_volume(40000);
	struct scene *s = *state;
	struct traffic_shared *shared = traffic_shared();
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client"),
		     *lost[2];
	int l, port;

	lost[0] = scene_actor_in(s, "lost", CLONE_NEWNET);
	act(lost[0], step_loopback_up, .fd = 0);
	act(lost[0], step_black_hole, .host = "10.0.0.0");
	act(lost[0], step_sysctl, .host = "ipv4/tcp_syn_retries", .value = 1);
	lost[1] = scene_fork(s, lost[0]);
	scene_observe(s, "--reconcile-interval=2s", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	atomic_store(&shared->clients, 1);
	act_begin(server, step_storm_serve, .fd = l, .shared = shared);
	act_begin(client, step_storm_connect, .host = HOST, .from = "127.0.36.1", .from_hosts = 4,
		  .port = port, .count = count, .shared = shared);
	for (int i = 0; i < 2; i++)
		act_begin(lost[i], step_hold, .host = i ? "10.2.0.1" : "10.1.0.1", .port = 80,
			  .count = attempts, .flags = STEP_NONBLOCK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(actor_finish(lost[i]), attempts);
	assert_int_equal(actor_finish(client), count);
	assert_int_equal(actor_finish(server), count);
	pause_ms(3000); /* all of them have timed out: 1 s, and 2 s after the only repetition */
	expect(s, "lost", "outbound", "10.1.0.1", 80, .attempts = attempts, .timeout = attempts);
	expect(s, "lost", "outbound", "10.2.0.1", 80, .attempts = attempts, .timeout = attempts);
	expect(s, "client", "outbound", HOST, port, .attempts = count, .opened = count,
	       .closed_local = count, .handshakes = count, .lifetimes = count);
	expect(s, "server", "inbound", NULL, 0, .opened = count, .closed_peer = count,
	       .handshakes = count, .lifetimes = count, .accept_waits = count);
	print_message("# %.0f runs skipped\n",
		      poolscoped_sum(&s->daemon, "poolscope_probe_missed_total", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(what_a_frozen_daemon_missed_is_made_good_in_two_seconds),
		scene_test(what_is_open_when_the_daemon_goes_on_is_counted),
		scene_test(what_is_lost_beyond_the_parking_is_reported_to_the_last),
		scene_test(time_outs_by_the_thousand_beside_a_storm_are_counted_exactly),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
