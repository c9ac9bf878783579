/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Attaching in the middle of it, and again after the daemon has ended, well or by SIGKILL, which leaves nothing of it in the kernel.
 * Scenarios 29, 30 (by its end and restart; test_detach has the other way) and 35.
 */
#include <signal.h>
#include <stdlib.h>

#include "objects.h"
#include "scene.h"

#define HOST "127.0.0.1"

/* ---- scenario 29 ---- */

#define BEFORE 10
#define STORM_MAX (TRAFFIC_HELD_MAX - BEFORE)
#define ROUNDS 3

/* In a fresh scrape, at once. */
static long sum_of(struct scene *s, const char *row, const char *process, const char *direction)
{
	char *text = poolscoped_scrape(&s->daemon);
	long value = scene_count(text, row, process, direction);

	free(text);
	return value;
}

/* What a scrape says was adopted, opened, and has a handshake sample. */
static struct counts begun(struct scene *s, const char *process, const char *direction)
{
	char *text = poolscoped_scrape(&s->daemon);
	struct counts c = {.adopted = scene_count(text, "adopted", process, direction),
			   .opened = scene_count(text, "opened", process, direction),
			   .handshakes = scene_count(text, "handshakes", process, direction)};

	free(text);
	return c;
}

static void expect_end_of_storm(struct scene *s, int port, struct counts client,
				struct counts server)
{
	client.attempts = client.opened;
	client.closed_local = client.opened + client.adopted;
	client.lifetimes = client.opened;
	expect_series(s, "client", "outbound", HOST, port, client);
	server.accept_waits = server.lifetimes = server.opened;
	server.closed_peer = server.opened + server.adopted;
	expect_series(s, "server", "inbound", HOST, port, server);
	expect_series_total(s, 2);
}

/*
 * Everything that is opened is held, so however the attach cuts the storm in two, the parts make the whole. Returns how many were
 * opened after the attach.
 */
static long attach_into_a_storm(struct scene *s, int round)
{
	struct traffic_shared *shared = traffic_shared();
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	struct counts at_client, at_server;
	long count;

	act(client, step_hold, .host = HOST, .port = port, .count = BEFORE);
	act_begin(server, step_hold_waiting, .fd = l);
	act_begin(client, step_hold, .host = HOST, .port = port, .count = STORM_MAX,
		  .shared = shared);
	pause_ms(20 * round); /* another cut each time */
	scene_observe(s, NULL);
	pause_ms(50);
	atomic_store(&shared->stop, true);
	count = BEFORE + actor_finish(client);
	assert_int_equal(actor_finish(server), count);
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_active", "process=client",
			    (double)count);
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_active", "process=server",
			    (double)count);
	at_client = begun(s, "client", "outbound");
	at_server = begun(s, "server", "inbound");
	print_message("# attached after %ld of %ld connections\n", at_client.adopted, count);
	assert_int_equal(at_client.opened + at_client.adopted, count);
	assert_int_equal(at_server.opened + at_server.adopted, count);
	assert_true(at_client.adopted >= BEFORE && at_server.adopted >= BEFORE);
	/* One may have been found in SYN_SENT. */
	assert_true(at_client.opened - at_client.handshakes <= 1);
	act(client, step_release, .count = 0);
	/* every FIN has arrived: else the server's close comes first */
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_stale", "process=server",
			    (double)count);
	act(server, step_release, .count = 0);
	expect_end_of_storm(s, port, at_client, at_server);
	poolscoped_stop(&s->daemon);
	actor_end(client, SIGKILL);
	actor_end(server, SIGKILL);
	s->actor_count = 0;
	return at_client.opened;
}

static void an_attach_in_a_storm_counts_nothing_twice_and_misses_nothing(void **state)
{
	long opened = 0;

	for (int round = 0; round < ROUNDS; round++)
		opened += attach_into_a_storm(*state, round);
	assert_true(opened > 0); /* else no attach was in a storm */
}

/* ---- scenario 30 ---- */

static void after_a_restart_the_series_begin_anew(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	scene_observe(s, NULL);
	act(client, step_hold, .host = HOST, .port = port, .count = 6);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	act(client, step_release, .count = 2);
	expect(s, "client", "outbound", HOST, port, .attempts = 6, .opened = 6, .active = 4,
	       .closed_local = 2, .handshakes = 6, .lifetimes = 2);
	poolscoped_stop(&s->daemon);
	act(client, step_release, .count = 1); /* nobody is looking */
	scene_observe(s, NULL);
	expect(s, "client", "outbound", HOST, port, .adopted = 3, .active = 3);
	expect(s, "server", "inbound", HOST, port, .adopted = 3, .active = 3, .queued = 1,
	       .stale = 3);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	act(server, step_hold_accepted, .fd = l, .count = 3);
	expect(s, "server", "inbound", HOST, port, .adopted = 3, .opened = 2, .active = 5,
	       .stale = 3, .handshakes = 2, .accept_waits = 2);
	act(client, step_release, .count = 0);
	expect(s, "client", "outbound", HOST, port, .adopted = 3, .attempts = 2, .opened = 2,
	       .closed_local = 5, .handshakes = 2, .lifetimes = 2);
	expect_series_total(s, 2);
}

/* ---- scenario 35 ---- */

#define LIVE 1000
static void after_a_kill_nothing_is_left_and_the_first_scrape_is_exact(void **state)
{
	struct object objects[OBJECTS_MAX];
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	size_t count;

	scene_observe(s, NULL);
	act(client, step_hold, .host = HOST, .port = port, .count = LIVE);
	act(server, step_hold_accepted, .fd = l, .count = LIVE);
	expect(s, "client", "outbound", HOST, port, .attempts = LIVE, .opened = LIVE,
	       .active = LIVE, .handshakes = LIVE);
	count = objects_of(s->daemon.process.pid, objects);
	kill(s->daemon.process.pid, SIGKILL);
	poolscoped_done(&s->daemon);
	objects_expect_gone(objects, count);
	act(client, step_release, .count = 100);
	scene_observe(s, NULL);
	assert_int_equal(sum_of(s, "active", "client", "outbound"), LIVE - 100);
	assert_int_equal(sum_of(s, "active", "server", "inbound"), LIVE - 100);
	expect(s, "client", "outbound", HOST, port, .adopted = LIVE - 100, .active = LIVE - 100);
	expect(s, "server", "inbound", HOST, port, .adopted = LIVE - 100, .active = LIVE - 100,
	       .stale = 100);
	act(client, step_release, .count = 0);
	expect(s, "client", "outbound", HOST, port, .adopted = LIVE - 100,
	       .closed_local = LIVE - 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(an_attach_in_a_storm_counts_nothing_twice_and_misses_nothing),
		scene_test(after_a_restart_the_series_begin_anew),
		scene_test(after_a_kill_nothing_is_left_and_the_first_scrape_is_exact),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
