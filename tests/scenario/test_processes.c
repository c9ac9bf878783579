/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who owns a connection while processes fork, share descriptors, exit and reuse PIDs: whoever connected, or listened and then
 * accepted, never whoever happens to hold the descriptor.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "scene.h"

#define HOST "127.0.0.1"

static void expect_processes(struct scene *s, const char *name, long expected)
{
	char filter[80];

	snprintf(filter, sizeof(filter), "process=%s", name);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", filter, (double)expected);
}

/* ---- descriptors: scenario 11 ---- */

static void a_connection_lives_until_its_last_descriptor_is_closed(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client"), *child;
	int l, c, a, copy, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	copy = (int)act(client, step_dup, .fd = c);
	act(client, step_close, .fd = c);
	act(client, step_dup2, .fd = copy, .to_fd = copy + 10);
	act(client, step_close, .fd = copy);
	child = scene_fork(s, client);
	act(client, step_close, .fd = copy + 10);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(child, step_close, .fd = copy + 10);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
}

/* ---- ends: scenario 12 ---- */

static void leave_by(struct actor *a, int fd, int how)
{
	switch (how) {
	case 0:
		act(a, step_close_all, .fd = fd);
		break;
	case 1:
		actor_end(a, 0);
		break;
	case 2:
		actor_end(a, SIGKILL);
		break;
	default:
		act_begin(a, step_abort, .fd = 0);
		actor_end(a, SIGCONT); /* waits for its end */
	}
}

static void however_a_process_leaves_its_connections_are_closed_once(void **state)
{
	static const char *const names[] = {"close_range", "exit", "sigkill", "abort"};
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *clients[4];
	int l, fd[4], port;

	for (int i = 0; i < 4; i++)
		clients[i] = scene_actor(s, names[i]);
	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	for (int i = 0; i < 4; i++) {
		fd[i] = (int)act(clients[i], step_connect, .host = HOST, .port = port);
		act(clients[i], step_hold, .host = HOST, .port = port, .count = 2);
	}
	act(server, step_hold_accepted, .fd = l, .count = 12);
	for (int i = 0; i < 4; i++) {
		expect(s, names[i], "outbound", HOST, port, .attempts = 3, .opened = 3, .active = 3,
		       .handshakes = 3);
		leave_by(clients[i], fd[i], i);
		expect(s, names[i], "outbound", HOST, port, .attempts = 3, .opened = 3,
		       .closed_local = 3, .handshakes = 3, .lifetimes = 3);
		expect_processes(s, names[i], i == 0);
	}
	expect(s, "server", "inbound", HOST, port, .opened = 12, .closed_peer = 12, .stale = 12,
	       .handshakes = 12, .lifetimes = 12, .accept_waits = 12);
	act(server, step_release, .count = 12);
	expect(s, "server", "inbound", HOST, port, .opened = 12, .closed_peer = 12,
	       .handshakes = 12, .lifetimes = 12, .accept_waits = 12);
}

static void when_all_targets_are_gone_the_counters_stay(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, c, a, port;

	scene_observe(s, NULL);
	expect_processes(s, "client", 1);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	actor_end(client, SIGKILL);
	expect_processes(s, "client", 0);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	poolscoped_stop(&s->daemon);
}

/* Scenario 31. */
static void a_stranger_with_the_pid_of_a_dead_target_is_no_target(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	pid_t pid = client->pid;
	int l, port, r;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	actor_end(client, SIGKILL);
	r = actor_start_as(client, pid);
	if (r == -EPERM || r == -ENOSYS || r == -EEXIST)
		skip_because("that PID cannot be had again here");
	assert_int_equal(r, 0);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	expect(s, "client", "outbound", HOST, port, .attempts = 3, .opened = 3, .closed_local = 3,
	       .handshakes = 3, .lifetimes = 3);
	expect_processes(s, "client", 0);
	expect_series_total(s, 1);
}

/* ---- families ---- */

static void children_are_followed_under_the_name_of_their_parent(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, "family");
	struct actor *before = scene_fork(s, parent), *after, *grandchild;
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	after = scene_fork(s, parent);
	grandchild = scene_fork(s, after);
	expect_processes(s, "family", 4);
	actor_end(after, SIGKILL);
	expect_processes(s, "family", 3);
	act(before, step_connect, .host = HOST, .port = port);
	act(grandchild, step_connect, .host = HOST, .port = port);
	act(parent, step_connect, .host = HOST, .port = port);
	expect(s, "family", "outbound", HOST, port, .attempts = 3, .opened = 3, .active = 3,
	       .handshakes = 3);
	expect_series_total(s, 1);
}

static void no_follow_leaves_the_children_alone(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, "parent");
	struct actor *before = scene_fork(s, parent), *after;
	int l, port;

	scene_observe(s, "--no-follow", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	after = scene_fork(s, parent);
	act(before, step_connect, .host = HOST, .port = port);
	act(after, step_connect, .host = HOST, .port = port);
	expect_series_total(s, 0);
	act(parent, step_connect, .host = HOST, .port = port);
	expect(s, "parent", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect_processes(s, "parent", 1);
}

/* Scenario 13. */
static void a_prefork_server_is_counted_under_one_name(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor(s, NULL), *parent = scene_actor(s, "prefork"),
		     *workers[4];
	int l, port = scene_listen(parent, SCENE_BACKLOG, &l);

	for (int i = 0; i < 3; i++)
		workers[i] = scene_fork(s, parent);
	scene_observe(s, NULL);
	workers[3] = scene_fork(s, parent);
	act(client, step_hold, .host = HOST, .port = port, .count = 20);
	expect(s, "prefork", "inbound", HOST, port, .opened = 20, .active = 20, .queued = 20,
	       .handshakes = 20);
	for (int i = 0; i < 20; i++)
		act(workers[i % 4], step_hold_accepted, .fd = l, .count = 1);
	expect(s, "prefork", "inbound", HOST, port, .opened = 20, .active = 20, .handshakes = 20,
	       .accept_waits = 20);
	for (int i = 0; i < 3; i++)
		act(workers[i], step_release, .count = 5);
	actor_end(workers[3], SIGKILL);
	expect(s, "prefork", "inbound", HOST, port, .opened = 20, .closed_local = 20,
	       .handshakes = 20, .lifetimes = 20, .accept_waits = 20);
	expect_series_total(s, 1);
	expect_processes(s, "prefork", 4);
}

/* Scenario 32, its first half; the second is bad input. */
static void two_targets_of_one_name_are_summed(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *one = scene_actor(s, "twins"),
		     *two = scene_actor(s, "twins");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(one, step_hold, .host = HOST, .port = port, .count = 3);
	act(two, step_hold, .host = HOST, .port = port, .count = 4);
	act(one, step_release, .count = 1);
	expect(s, "twins", "outbound", HOST, port, .attempts = 7, .opened = 7, .active = 6,
	       .closed_local = 1, .handshakes = 7, .lifetimes = 1);
	expect_processes(s, "twins", 2);
	expect_series_total(s, 1);
}

/* ---- hand-over ---- */

static void an_accept_by_another_target_hands_over(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *beta = scene_actor(s, "beta"),
		     *client = scene_actor(s, NULL);
	int l, taken, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(alpha, SCENE_BACKLOG, &l);
	taken = (int)act(beta, step_take, .pid = alpha->pid, .fd = l);
	c = (int)act(client, step_connect, .host = HOST, .port = port);
	expect(s, "alpha", "inbound", HOST, port, .opened = 1, .active = 1, .queued = 1,
	       .handshakes = 1);
	a = (int)act(beta, step_accept, .fd = taken);
	expect(s, "alpha", "inbound", HOST, port, .opened = 1, .handed_over = 1, .handshakes = 1);
	expect(s, "beta", "inbound", HOST, port, .adopted = 1, .active = 1, .accept_waits = 1);
	act(client, step_close, .fd = c);
	assert_int_equal(act(beta, step_read_end, .fd = a), 0);
	act(beta, step_close, .fd = a);
	expect(s, "beta", "inbound", HOST, port, .adopted = 1, .closed_peer = 1, .accept_waits = 1);
	expect(s, "alpha", "inbound", HOST, port, .opened = 1, .handed_over = 1, .handshakes = 1);
}

static void an_accept_by_a_stranger_hands_over_to_nobody(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *stranger = scene_actor(s, NULL),
		     *client = scene_actor(s, NULL);
	int l, taken, a, port;

	scene_observe(s, NULL);
	port = scene_listen(alpha, SCENE_BACKLOG, &l);
	taken = (int)act(stranger, step_take, .pid = alpha->pid, .fd = l);
	act(client, step_connect, .host = HOST, .port = port);
	a = (int)act(stranger, step_accept, .fd = taken);
	expect(s, "alpha", "inbound", HOST, port, .opened = 1, .handed_over = 1, .handshakes = 1);
	act(stranger, step_close, .fd = a);
	expect(s, "alpha", "inbound", HOST, port, .opened = 1, .handed_over = 1, .handshakes = 1);
	expect_series_total(s, 1);
}

/* Not an accept: scenario 16. */
static void a_descriptor_passed_on_stays_with_its_owner(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *beta = scene_actor(s, "beta"),
		     *server = scene_actor(s, NULL);
	int l, c, a, taken, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(alpha, server, l, port, &c, &a);
	taken = (int)act(beta, step_take, .pid = alpha->pid, .fd = c);
	act(alpha, step_close, .fd = c);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(beta, step_close, .fd = taken);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_connection_lives_until_its_last_descriptor_is_closed),
		scene_test(however_a_process_leaves_its_connections_are_closed_once),
		scene_test(when_all_targets_are_gone_the_counters_stay),
		scene_test(a_stranger_with_the_pid_of_a_dead_target_is_no_target),
		scene_test(children_are_followed_under_the_name_of_their_parent),
		scene_test(no_follow_leaves_the_children_alone),
		scene_test(a_prefork_server_is_counted_under_one_name),
		scene_test(two_targets_of_one_name_are_summed),
		scene_test(an_accept_by_another_target_hands_over),
		scene_test(an_accept_by_a_stranger_hands_over_to_nobody),
		scene_test(a_descriptor_passed_on_stays_with_its_owner),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("processes", tests, NULL, NULL);
}
