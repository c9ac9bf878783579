/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The life of single connections, seen from both ends: how they open, who closes them and how, over which address
 * family and protocol. Client and server are two targets, so every case states the numbers of both.
 */
#include <errno.h>
#include <netinet/in.h>

#include "scene.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define HOST "127.0.0.1"

/* Two targets and a listener of the server that was made after the attach. */
struct ends {
	struct actor *client, *server;
	int listener, port;
};

static struct ends ends_observed(struct scene *s, const char *flag)
{
	struct ends e = {.server = scene_actor(s, "server"), .client = scene_actor(s, "client")};

	scene_observe(s, flag, NULL);
	e.port = scene_listen(e.server, SCENE_BACKLOG, &e.listener);
	return e;
}

/* Scenario 1. */
static void expect_one_life(struct scene *s, const char *accept_probe, long accept_waits)
{
	struct ends e = ends_observed(s, accept_probe);
	int c, a;

	scene_pair(e.client, e.server, e.listener, e.port, &c, &a);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = accept_waits);
	act(e.client, step_write, .fd = c, .count = 100);
	act(e.server, step_write, .fd = a, .count = 100);
	act(e.client, step_shutdown, .fd = c);
	assert_int_equal(act(e.server, step_read_end, .fd = a), 100);
	act(e.server, step_close, .fd = a);
	assert_int_equal(act(e.client, step_read_end, .fd = c), 100);
	act(e.client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .closed_peer = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = accept_waits);
	expect_series_total(s, 2);
	poolscoped_stop(&s->daemon);
}

static void one_connection_is_counted_once_at_each_end(void **state)
{
	expect_one_life(*state, "--accept-probe=auto", 1);
}

static void accept_seen_by_the_syscall_probe_counts_the_same(void **state)
{
	expect_one_life(*state, "--accept-probe=syscall", 1);
}

static void without_an_accept_probe_only_the_accept_wait_is_missing(void **state)
{
	expect_one_life(*state, "--accept-probe=off", 0);
}

static void an_untargeted_process_is_never_counted(void **state)
{
	struct scene *s = *state;
	struct actor *stranger = scene_actor(s, NULL), *other = scene_actor(s, NULL);
	struct ends e = ends_observed(s, NULL);
	int port, l, c, a;

	port = scene_listen(other, SCENE_BACKLOG, &l);
	scene_pair(stranger, other, l, port, &c, &a);
	act(stranger, step_close, .fd = c);
	assert_int_equal(act(other, step_read_end, .fd = a), 0);
	act(other, step_close, .fd = a);
	act(other, step_close, .fd = l);
	assert_int_equal(act_try(stranger, step_connect, .host = HOST, .port = port),
			 -ECONNREFUSED);
	expect_series_total(s, 0);
	scene_pair(stranger, e.server, e.listener, e.port, &c, &a);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	expect_series_total(s, 1);
}

/* Scenario 5. */
static void a_connect_in_progress_is_no_failure(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int c;

	c = (int)act(e.client, step_connect, .host = HOST, .port = e.port, .flags = STEP_NONBLOCK);
	act(e.client, step_finish, .fd = c);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(e.client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
}

/* Scenario 7. */
static void a_reset_counts_as_local_here_and_by_the_peer_there(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int c, a;

	scene_pair(e.client, e.server, e.listener, e.port, &c, &a);
	act(e.client, step_close, .fd = c, .flags = STEP_RESET);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1,
	       .closed_reset_by_local = 1, .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .closed_reset_by_peer = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	assert_int_equal(act_try(e.server, step_read_end, .fd = a), -ECONNRESET);
	act(e.server, step_close, .fd = a);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .closed_reset_by_peer = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
}

/* Scenario 9. */
static void a_socket_that_its_peer_has_closed_is_stale_until_it_is_closed(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int c, a;

	scene_pair(e.client, e.server, e.listener, e.port, &c, &a);
	act(e.server, step_shutdown, .fd = a);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .closed_peer = 1,
	       .stale = 1, .handshakes = 1, .lifetimes = 1);
	act(e.client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 1, .opened = 1, .closed_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, e.port, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
}

/* Scenario 20. */
static void a_socket_that_connects_twice_is_two_connections(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int c;

	c = (int)act(e.client, step_connect_again, .host = HOST, .port = e.port);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 2, .opened = 2, .active = 1,
	       .closed_reset_by_local = 1, .handshakes = 2, .lifetimes = 1);
	act(e.client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, e.port, .attempts = 2, .opened = 2,
	       .closed_reset_by_local = 1, .closed_local = 1, .handshakes = 2, .lifetimes = 2);
}

static void each_peer_has_its_own_series(void **state)
{
	static const long to_each[] = {7, 5, 3};
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int port = process_free_port();
	char address[16];
	int l[3];

	for (unsigned int i = 0; i < 3; i++) {
		traffic_address("127.0.0.2", i, address);
		l[i] = (int)act(e.server, step_listen, .host = address, .port = port,
				.backlog = 16);
	}
	for (int i = 1; i <= 5; i++) {
		traffic_address("127.0.0.10", (unsigned int)i, address);
		act(e.client, step_hold, .host = "127.0.0.2", .spread = 3, .from = address,
		    .port = port, .count = i);
	}
	for (unsigned int i = 0; i < 3; i++) {
		long n = to_each[i];

		act(e.server, step_hold_accepted, .fd = l[i], .count = (int)n);
		traffic_address("127.0.0.2", i, address);
		expect(s, "client", "outbound", address, port, .attempts = n, .opened = n,
		       .active = n, .handshakes = n);
	}
	for (int i = 1; i <= 5; i++) {
		traffic_address("127.0.0.10", (unsigned int)i, address);
		expect(s, "server", "inbound", address, port, .opened = i, .active = i,
		       .handshakes = i, .accept_waits = i);
	}
	expect_series_total(s, 8);
}

/* Scenario 25, on one host. The server's listener takes both families. */
static void ipv6_peers_and_mapped_ones_are_named_right(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int port = process_free_port();
	long l = act_try(e.server, step_listen, .host = "::", .port = port, .backlog = 16);

	if (l == -EAFNOSUPPORT || l == -EADDRNOTAVAIL)
		skip_because("no IPv6 here");
	assert_true(l > 0);
	act(e.client, step_connect, .host = "::1", .port = port);
	act(e.client, step_connect, .host = "127.0.0.1", .port = port);
	act(e.client, step_connect, .host = "::ffff:127.0.0.1", .port = port);
	act(e.server, step_hold_accepted, .fd = (int)l, .count = 3);
	expect(s, "client", "outbound", "::1", port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "client", "outbound", HOST, port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	expect(s, "server", "inbound", "::1", port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 2, .active = 2, .handshakes = 2,
	       .accept_waits = 2);
	expect_series_total(s, 4);
}

/* Scenario 27. */
static void an_mptcp_connection_counts_as_its_first_subflow(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);
	int port = process_free_port();
	long l = act_try(e.server, step_listen, .host = HOST, .port = port, .backlog = 16,
			 .protocol = IPPROTO_MPTCP);
	int c, a;

	if (l == -EPROTONOSUPPORT || l == -ENOPROTOOPT)
		skip_because("this kernel has no MPTCP");
	assert_true(l > 0);
	c = (int)act(e.client, step_connect, .host = HOST, .port = port, .protocol = IPPROTO_MPTCP);
	a = (int)act(e.server, step_accept, .fd = (int)l);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	act(e.client, step_close, .fd = c);
	assert_int_equal(act(e.server, step_read_end, .fd = a), 0);
	act(e.server, step_close, .fd = a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_peer = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	expect_series_total(s, 2);
}

/* Scenario 37. */
static void only_tcp_is_counted(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, NULL);

	act(e.client, step_other_protocols, .fd = 0);
	expect_series_total(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(one_connection_is_counted_once_at_each_end),
		scene_test(accept_seen_by_the_syscall_probe_counts_the_same),
		scene_test(without_an_accept_probe_only_the_accept_wait_is_missing),
		scene_test(an_untargeted_process_is_never_counted),
		scene_test(a_connect_in_progress_is_no_failure),
		scene_test(a_reset_counts_as_local_here_and_by_the_peer_there),
		scene_test(a_socket_that_its_peer_has_closed_is_stale_until_it_is_closed),
		scene_test(a_socket_that_connects_twice_is_two_connections),
		scene_test(each_peer_has_its_own_series),
		scene_test(ipv6_peers_and_mapped_ones_are_named_right),
		scene_test(an_mptcp_connection_counts_as_its_first_subflow),
		scene_test(only_tcp_is_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
