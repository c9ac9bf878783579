/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Attempts that never become a connection. The server is no target here, so that every number is the client's. SYNs go
 * unanswered where the listener's accept queue is full.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>

#include "netns.h"
#include "scene.h"
#include "sockets.h"

#define HOST "127.0.0.1"

/* Scenario 2. */
static void a_refused_connect_is_a_failed_attempt(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor(s, "client");
	int port = process_free_port();

	scene_observe(s, NULL);
	assert_int_equal(act_try(client, step_connect, .host = HOST, .port = port), -ECONNREFUSED);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .refused = 1);
	assert_int_equal(act_try(client, step_connect, .host = "127.0.0.9", .port = port),
			 -ECONNREFUSED);
	expect(s, "client", "outbound", "127.0.0.9", port, .attempts = 1, .refused = 1);
	expect_series_total(s, 2);
}

/* Scenario 3. */
static void an_unanswered_connect_is_pending_until_it_times_out(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, c, port;

	scene_observe(s, NULL);
	port = scene_full_listener(server, &l);
	c = (int)act(client, step_connect, .host = HOST, .port = port,
		     .flags = STEP_NONBLOCK | STEP_IMPATIENT);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .pending = 1);
	assert_int_equal(act_try(client, step_finish, .fd = c), -ETIMEDOUT);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .timeout = 1);
}

/* A route that swallows every SYN, in a namespace of its own. */
static void a_connect_into_a_black_hole_times_out(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	int c;

	act(client, step_loopback_up, .fd = 0);
	act(client, step_black_hole, .host = "10.0.0.0");
	act(client, step_sysctl, .host = "ipv4/tcp_syn_retries", .value = 1);
	scene_observe(s, NULL);
	act_begin(client, step_connect, .host = "10.1.2.3", .port = 80);
	expect(s, "client", "outbound", "10.1.2.3", 80, .attempts = 1, .pending = 1);
	assert_int_equal(actor_finish(client), -ETIMEDOUT);
	expect(s, "client", "outbound", "10.1.2.3", 80, .attempts = 1, .timeout = 1);
	c = (int)act(client, step_bind, .host = "0.0.0.0", .port = 0);
	act(client, step_option, .fd = c, .level = IPPROTO_TCP, .name = TCP_USER_TIMEOUT,
	    .value = 100);
	assert_int_equal(act_try(client, step_connect_bound, .fd = c, .host = "10.1.2.3",
				 .port = 80),
			 -ETIMEDOUT);
	expect(s, "client", "outbound", "10.1.2.3", 80, .attempts = 2, .timeout = 2);
	expect_series_total(s, 1);
}

/* Scenario 4. */
static void a_connect_closed_before_the_answer_is_aborted(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, c, port;

	scene_observe(s, NULL);
	port = scene_full_listener(server, &l);
	c = (int)act(client, step_connect, .host = HOST, .port = port, .flags = STEP_NONBLOCK);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .pending = 1);
	act(client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .aborted = 1);
	expect_series_total(s, 1);
}

/* Scenario 6: what fails before a SYN is no attempt. */
static void a_connect_without_a_route_is_no_attempt(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);

	scene_observe(s, NULL);
	assert_int_equal(act_try(client, step_connect, .host = "10.1.2.3", .port = 80),
			 -ENETUNREACH);
	assert_int_equal(act_try(client, step_connect, .host = "255.255.255.255", .port = 80),
			 -ENETUNREACH);
	expect_series_total(s, 0);
}

/* Some are refused by the system call, some by the protocol, all before SYN_SENT. */
static void an_invalid_address_is_no_attempt(void **state)
{
	static const long errors[STEP_ODDS] = {
		[STEP_ODD_FAMILY] = -EAFNOSUPPORT,   [STEP_ODD_LENGTH] = -EINVAL,
		[STEP_ODD_POINTER] = -EFAULT,	     [STEP_ODD_MULTICAST] = -ENETUNREACH,
		[STEP_ODD_BROADCAST] = -ENETUNREACH,
	};
	struct scene *s = *state;
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	int l;

	act(client, step_loopback_up, .fd = 0);
	scene_observe(s, NULL);
	for (int odd = 0; odd < STEP_ODDS; odd++)
		assert_int_equal(act_try(client, step_connect_oddly, .value = odd), errors[odd]);
	expect_series_total(s, 0);
	l = (int)act(client, step_listen, .host = HOST, .port = 25000, .backlog = 8);
	act(client, step_connect, .host = HOST, .port = 25000);
	act(client, step_accept, .fd = l);
	expect(s, "client", "outbound", HOST, 25000, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
}

static void a_connect_without_a_free_port_fails_otherwise(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	int l;

	act(client, step_loopback_up, .fd = 0);
	act(client, step_one_port, .port = 40000);
	l = (int)act(client, step_listen, .host = HOST, .port = 25000, .backlog = 8);
	scene_observe(s, NULL);
	act(client, step_connect, .host = HOST, .port = 25000);
	act(client, step_accept, .fd = l);
	assert_int_equal(act_try(client, step_connect, .host = HOST, .port = 25000),
			 -EADDRNOTAVAIL);
	expect(s, "client", "outbound", HOST, 25000, .attempts = 2, .opened = 1, .active = 1,
	       .handshakes = 1, .failed_other = 1);
}

/* Scenario 22. */
static void what_a_full_backlog_keeps_out_stays_pending(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, 1, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	expect(s, "server", "inbound", HOST, port, .opened = 2, .active = 2, .queued = 2,
	       .handshakes = 2);
	act(client, step_hold, .host = HOST, .port = port, .count = 3, .flags = STEP_NONBLOCK);
	expect(s, "client", "outbound", HOST, port, .attempts = 5, .opened = 2, .active = 2,
	       .pending = 3, .handshakes = 2);
	expect(s, "server", "inbound", HOST, port, .opened = 2, .active = 2, .queued = 2,
	       .handshakes = 2);
	act(client, step_release, .count = 5);
	expect(s, "client", "outbound", HOST, port, .attempts = 5, .opened = 2, .closed_local = 2,
	       .aborted = 3, .handshakes = 2, .lifetimes = 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_refused_connect_is_a_failed_attempt),
		scene_test(an_unanswered_connect_is_pending_until_it_times_out),
		scene_test(a_connect_into_a_black_hole_times_out),
		scene_test(a_connect_closed_before_the_answer_is_aborted),
		scene_test(a_connect_without_a_route_is_no_attempt),
		scene_test(an_invalid_address_is_no_attempt),
		scene_test(a_connect_without_a_free_port_fails_otherwise),
		scene_test(what_a_full_backlog_keeps_out_stays_pending),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}
