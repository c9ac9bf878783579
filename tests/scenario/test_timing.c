/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Durations. The workload measures around each step what the sample must lie between, so a slow machine widens the bounds instead of
 * breaking the test; with one sample, the histogram's sum is its value, and the buckets must agree with it.
 */
#include <stdio.h>

#include "scene.h"

#define HOST "127.0.0.1"
#define HANDSHAKE "poolscope_connection_handshake_duration_seconds"
#define LIFETIME "poolscope_connection_lifetime_seconds"
#define ACCEPT_WAIT "poolscope_accept_wait_duration_seconds"
#define GRAIN \
	2e-6 /* the kernel measures the handshake of an inbound connection in whole microseconds */

/* The first SYN is dropped; its retransmission, a second later, is answered. */
static void an_outbound_handshake_lasts_from_the_first_syn_to_the_answer(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	double begin, pending, answered, end;
	int l, c, port;

	scene_observe(s, NULL);
	port = scene_full_listener(server, &l);
	begin = now_seconds();
	c = (int)act(client, step_connect, .host = HOST, .port = port, .flags = STEP_NONBLOCK);
	pending = now_seconds();
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .pending = 1);
	pause_ms(300);
	answered = now_seconds(); /* not before: the queue is full until here */
	act(server, step_accept, .fd = l);
	act(client, step_finish, .fd = c);
	end = now_seconds();
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	assert_true(end - begin > 0.9); /* else no SYN was lost, and the test shows nothing */
	expect_sample(s, HANDSHAKE, "process=client", answered - pending, end - begin);
}

/* On loopback it takes microseconds; what the kernel says of the accepted socket is the only expectation. */
static void an_inbound_handshake_is_the_round_trip_of_the_connection(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	double begin, rtt;
	int l, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	begin = now_seconds();
	scene_pair(client, server, l, port, &c, &a);
	rtt = (double)act(server, step_rtt_us, .fd = a) / 1e6;
	assert_true(rtt > 0 && rtt < now_seconds() - begin);
	expect_sample(s, HANDSHAKE, "process=server", rtt - GRAIN, rtt + GRAIN);
}

/* With TCP_DEFER_ACCEPT the first data ends the handshake, while the states still change back to back. */
static void an_inbound_handshake_is_not_the_gap_between_two_events(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int port = process_free_port(), l, c, a;
	double begin, connected, written, end, rtt;

	scene_observe(s, NULL);
	l = (int)act(server, step_listen, .host = HOST, .port = port, .backlog = 16,
		     .flags = STEP_DEFER);
	begin = now_seconds();
	c = (int)act(client, step_connect, .host = HOST, .port = port);
	connected = now_seconds();
	pause_ms(60);
	written = now_seconds();
	act(client, step_write, .fd = c, .count = 1);
	a = (int)act(server, step_accept, .fd = l);
	end = now_seconds();
	rtt = (double)act(server, step_rtt_us, .fd = a) / 1e6;
	expect_sample(s, HANDSHAKE, "process=server", written - connected - GRAIN,
		      end - begin + GRAIN);
	expect_sample(s, HANDSHAKE, "process=server", rtt - GRAIN, rtt + GRAIN);
}

static void expect_lifetime(void **state, long held_ms)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	double begin, established, closing, end;
	int l, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	begin = now_seconds();
	scene_pair(client, server, l, port, &c, &a);
	established = now_seconds();
	pause_ms(held_ms);
	closing = now_seconds();
	act(client, step_close, .fd = c);
	act(server, step_read_end, .fd = a);
	end = now_seconds();
	pause_ms(50); /* what the server does with a closed connection is not its lifetime */
	act(server, step_close, .fd = a);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_peer = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	expect_sample(s, LIFETIME, "process=server", closing - established, end - begin);
	expect_sample(s, LIFETIME, "process=client", closing - established, end - begin);
}

static void a_connection_held_for_120_ms_lived_that_long(void **state)
{
	expect_lifetime(state, 120);
}

static void a_connection_held_for_700_ms_lived_that_long(void **state)
{
	expect_lifetime(state, 700);
}

static void an_accept_wait_lasts_from_established_to_accept(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	double begin, queued, accepting, end;
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	begin = now_seconds();
	act(client, step_connect, .host = HOST, .port = port);
	act(server, step_wait, .fd = l);
	queued = now_seconds();
	pause_ms(150);
	accepting = now_seconds();
	act(server, step_accept, .fd = l);
	end = now_seconds();
	expect(s, "server", "inbound", HOST, port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	expect_sample(s, ACCEPT_WAIT, "process=server", accepting - queued, end - begin);
}

static void bucket_flags_replace_the_bounds(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, c, a, port;

	scene_observe(s, "--buckets.handshake=0.5,2", "--buckets.lifetime=1e-3,3,7", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	pause_ms(20);
	act(client, step_close, .fd = c);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_peer = 1, .stale = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	poolscoped_wait_value(&s->daemon, HANDSHAKE "_bucket", "process=server,le=0.5", 1);
	poolscoped_wait_value(&s->daemon, HANDSHAKE "_bucket", "process=server,le=2.0", 1);
	poolscoped_wait_value(&s->daemon, LIFETIME "_bucket", "process=server,le=0.001", 0);
	poolscoped_wait_value(&s->daemon, LIFETIME "_bucket", "process=server,le=3.0", 1);
	poolscoped_wait_value(&s->daemon, LIFETIME "_bucket", "process=server,le=7.0", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(an_outbound_handshake_lasts_from_the_first_syn_to_the_answer),
		scene_test(an_inbound_handshake_is_the_round_trip_of_the_connection),
		scene_test(an_inbound_handshake_is_not_the_gap_between_two_events),
		scene_test(a_connection_held_for_120_ms_lived_that_long),
		scene_test(a_connection_held_for_700_ms_lived_that_long),
		scene_test(an_accept_wait_lasts_from_established_to_accept),
		scene_test(bucket_flags_replace_the_bounds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("timing", tests, NULL, NULL);
}
