/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is read of listening sockets: accept queues, handshakes in progress, drops.
 */
#include <errno.h>
#include <stdio.h>

#include "scene.h"

#define HOST "127.0.0.1"

static void expect_listener(struct scene *s, const char *what, int port, double expected)
{
	char name[80], filter[80];

	snprintf(name, sizeof(name), "poolscope_listener%s", what);
	snprintf(filter, sizeof(filter), "process=server,server_port=%d", port);
	poolscoped_wait_value(&s->daemon, name, filter, expected);
}

static void established_connections_are_queued_until_they_are_accepted(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 37);
	expect(s, "server", "inbound", HOST, port, .opened = 37, .active = 37, .queued = 37,
	       .handshakes = 37);
	act(server, step_hold_accepted, .fd = l, .count = 30);
	expect(s, "server", "inbound", HOST, port, .opened = 37, .active = 37, .queued = 7,
	       .handshakes = 37, .accept_waits = 30);
	act(server, step_hold_accepted, .fd = l, .count = 7);
	expect(s, "server", "inbound", HOST, port, .opened = 37, .active = 37, .handshakes = 37,
	       .accept_waits = 37);
}

/* Scenario 21. */
static void closing_a_listener_ends_what_is_queued(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 20);
	expect(s, "server", "inbound", HOST, port, .opened = 20, .active = 20, .queued = 20,
	       .handshakes = 20);
	act(server, step_close, .fd = l);
	expect(s, "server", "inbound", HOST, port, .opened = 20, .closed_reset_by_local = 20,
	       .handshakes = 20, .lifetimes = 20);
	expect(s, "client", "outbound", HOST, port, .attempts = 20, .opened = 20,
	       .closed_reset_by_peer = 20, .handshakes = 20, .lifetimes = 20);
}

/* Scenario 8. */
static void a_connection_reset_before_its_accept_is_closed_once(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	c = (int)act(client, step_connect, .host = HOST, .port = port);
	act(client, step_close, .fd = c, .flags = STEP_RESET);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_reset_by_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
	a = (int)act(server, step_accept, .fd = l);
	act(server, step_close, .fd = a);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_reset_by_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
}

static void listeners_of_one_port_are_summed(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server");
	int port = process_free_port(), first, second;

	first = (int)act(server, step_listen, .host = HOST, .port = port, .backlog = 11,
			 .flags = STEP_REUSE_PORT);
	scene_observe(s, NULL);
	expect_listener(s, "s", port, 1);
	expect_listener(s, "_queue_limit", port, 11);
	second = (int)act(server, step_listen, .host = HOST, .port = port, .backlog = 31,
			  .flags = STEP_REUSE_PORT);
	expect_listener(s, "s", port, 2);
	expect_listener(s, "_queue_limit", port, 42);
	act(server, step_close, .fd = first);
	expect_listener(s, "s", port, 1);
	expect_listener(s, "_queue_limit", port, 31);
	act(server, step_close, .fd = second);
}

static void a_handshake_in_progress_is_half_open(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int port = process_free_port(), c, l;

	scene_observe(s, NULL);
	/* TCP_DEFER_ACCEPT: the handshake ends with the first data. */
	l = (int)act(server, step_listen, .host = HOST, .port = port, .backlog = 16,
		     .flags = STEP_DEFER);
	expect_listener(s, "_half_open", port, 0);
	c = (int)act(client, step_connect, .host = HOST, .port = port);
	expect_listener(s, "_half_open", port, 1);
	expect_series_total(s, 0);
	act(client, step_write, .fd = c, .count = 1);
	act(server, step_accept, .fd = l);
	expect_listener(s, "_half_open", port, 0);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
}

static void a_dropped_connect_is_counted_at_the_listener(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, c, port;

	scene_observe(s, NULL);
	port = scene_full_listener(server, &l);
	expect_listener(s, "_dropped_total", port, 0);
	for (int i = 0; i < 3; i++) {
		c = (int)act(client, step_connect, .host = HOST, .port = port,
			     .flags = STEP_NONBLOCK);
		act(client, step_close, .fd = c); /* before a SYN is sent again */
	}
	expect_listener(s, "_dropped_total", port, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(established_connections_are_queued_until_they_are_accepted),
		scene_test(closing_a_listener_ends_what_is_queued),
		scene_test(a_connection_reset_before_its_accept_is_closed_once),
		scene_test(listeners_of_one_port_are_summed),
		scene_test(a_handshake_in_progress_is_half_open),
		scene_test(a_dropped_connect_is_counted_at_the_listener),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
