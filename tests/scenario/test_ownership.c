/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Sockets that several processes share, pass on, or keep across exec(): the numbers stay with whoever connected, or listened
 * and then accepted, and each connection ends once. Scenarios 14 to 17.
 */
#include <signal.h>

#include "scene.h"
#include "sockets.h"

#define HOST "127.0.0.1"

/* ---- scenario 14 ---- */

/* The listener is its parent's and its siblings'; only one worker is a target. */
static void of_one_attached_worker_what_its_siblings_accept_is_handed_over(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor(s, NULL), *parent = scene_actor(s, NULL), *workers[3];
	int l, port = scene_listen(parent, SCENE_BACKLOG, &l);

	for (int i = 0; i < 3; i++)
		workers[i] = scene_fork(s, parent);
	workers[0]->name = "worker";
	act(client, step_hold, .host = HOST, .port = port, .count = 9);
	for (int i = 0; i < 3; i++)
		act(workers[i], step_hold_accepted, .fd = l, .count = 2);
	scene_observe(s, NULL); /* 2 accepted by the worker, 3 queued */
	expect(s, "worker", "inbound", HOST, port, .adopted = 5, .active = 5, .queued = 3);
	act(client, step_hold, .host = HOST, .port = port, .count = 21);
	expect(s, "worker", "inbound", HOST, port, .adopted = 5, .opened = 21, .active = 26,
	       .queued = 24, .handshakes = 21);
	act(workers[1], step_hold_accepted, .fd = l, .count = 3); /* those that were queued */
	act(workers[0], step_hold_accepted, .fd = l, .count = 7);
	act(workers[1], step_hold_accepted, .fd = l, .count = 8);
	act(parent, step_hold_accepted, .fd = l, .count = 6);
	expect(s, "worker", "inbound", HOST, port, .adopted = 5, .opened = 21, .active = 9,
	       .handed_over = 17, .handshakes = 21, .accept_waits = 7);
	act(workers[1], step_release, .count = 0);
	act(workers[0], step_release, .count = 4);
	expect(s, "worker", "inbound", HOST, port, .adopted = 5, .opened = 21, .active = 5,
	       .handed_over = 17, .closed_local = 4, .handshakes = 21, .lifetimes = 2,
	       .accept_waits = 7);
	act(client, step_release, .count = 0);
	expect(s, "worker", "inbound", HOST, port, .adopted = 5, .opened = 21, .handed_over = 17,
	       .closed_local = 4, .closed_peer = 5, .stale = 5, .handshakes = 21, .lifetimes = 7,
	       .accept_waits = 7);
	expect_series_total(s, 1);
}

/* ---- scenario 15 ---- */

#define SHARED_TOTAL 400

static void processes_that_share_a_port_are_counted_apart(void **state)
{
	static const char *const names[] = {"one", "two", "dying", NULL};
	struct scene *s = *state;
	struct actor *client = scene_actor(s, NULL), *servers[4];
	int port = process_free_port(), l[4];
	long got[4], dead = SHARED_TOTAL;

	for (int i = 0; i < 4; i++) {
		servers[i] = scene_actor(s, names[i]);
		l[i] = (int)act(servers[i], step_listen, .host = HOST, .port = port,
				.backlog = SCENE_BACKLOG, .flags = STEP_REUSE_PORT);
	}
	scene_observe(s, NULL);
	act(client, step_hold, .host = HOST, .port = port, .count = SHARED_TOTAL);
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			continue;
		got[i] = act(servers[i], step_hold_waiting, .fd = l[i]);
		assert_true(got[i] > 0); /* the port is shared indeed */
		dead -= got[i];
	}
	assert_true(dead > 0);
	for (int i = 0; i < 2; i++)
		expect(s, names[i], "inbound", HOST, port, .opened = got[i], .active = got[i],
		       .handshakes = got[i], .accept_waits = got[i]);
	expect(s, "dying", "inbound", HOST, port, .opened = dead, .active = dead, .queued = dead,
	       .handshakes = dead);
	actor_end(servers[2], SIGKILL);
	expect(s, "dying", "inbound", HOST, port, .opened = dead, .closed_reset_by_local = dead,
	       .handshakes = dead, .lifetimes = dead);
	act(client, step_release, .count = 0);
	for (int i = 0; i < 2; i++)
		expect(s, names[i], "inbound", HOST, port, .opened = got[i], .closed_peer = got[i],
		       .stale = got[i], .handshakes = got[i], .lifetimes = got[i],
		       .accept_waits = got[i]);
	expect_series_total(s, 3);
}

/* ---- scenario 16 ---- */

/* A UNIX socket between two actors; each has its own descriptor of it. */
static void connect_by_unix(struct actor *from, struct actor *to, int *ret_from, int *ret_to)
{
	*ret_from = (int)act(from, step_unix_pair, .fd = 0);
	*ret_to = (int)act(to, step_take, .pid = from->pid, .fd = *ret_from + 1);
}

static void a_connection_sent_to_another_process_is_closed_once(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *beta = scene_actor(s, "beta"),
		     *server = scene_actor(s, "server");
	int l, c, a, mine, yours, got, port;

	scene_observe(s, NULL);
	connect_by_unix(alpha, beta, &mine, &yours);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(alpha, server, l, port, &c, &a);
	act(alpha, step_send_fd, .fd = mine, .to_fd = c);
	act(alpha, step_close, .fd = c); /* held by nothing but the message */
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	got = (int)act(beta, step_receive_fd, .fd = yours);
	act(beta, step_write, .fd = got, .count = 10);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(beta, step_close, .fd = got);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_peer = 1, .stale = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	expect_series_total(s, 2);
}

/* A message that nobody reads is thrown away with its socket. */
static void a_connection_lost_in_a_message_is_closed_once(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *server = scene_actor(s, NULL);
	int l, c, a, pair, port;

	scene_observe(s, NULL);
	pair = (int)act(alpha, step_unix_pair, .fd = 0);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(alpha, server, l, port, &c, &a);
	act(alpha, step_send_fd, .fd = pair, .to_fd = c);
	act(alpha, step_close, .fd = c);
	act(alpha, step_close, .fd = pair);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(alpha, step_close, .fd = pair + 1);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
}

static void a_listener_sent_to_another_process_hands_over_what_that_accepts(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *beta = scene_actor(s, "beta"),
		     *client = scene_actor(s, NULL);
	int l, mine, yours, got, port;

	scene_observe(s, NULL);
	connect_by_unix(alpha, beta, &mine, &yours);
	port = scene_listen(alpha, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	act(alpha, step_send_fd, .fd = mine, .to_fd = l);
	act(alpha, step_close, .fd = l);
	got = (int)act(beta, step_receive_fd, .fd = yours);
	act(beta, step_hold_accepted, .fd = got, .count = 2);
	expect(s, "alpha", "inbound", HOST, port, .opened = 3, .active = 1, .queued = 1,
	       .handed_over = 2, .handshakes = 3);
	expect(s, "beta", "inbound", HOST, port, .adopted = 2, .active = 2, .accept_waits = 2);
	act(beta, step_close, .fd = got);
	act(beta, step_release, .count = 0);
	expect(s, "alpha", "inbound", HOST, port, .opened = 3, .handed_over = 2,
	       .closed_reset_by_local = 1, .handshakes = 3, .lifetimes = 1);
	expect(s, "beta", "inbound", HOST, port, .adopted = 2, .closed_local = 2,
	       .accept_waits = 2);
}

/* pidfd_getfd() by another target, which outlives the owner. */
static void a_connection_taken_from_a_process_outlives_it(void **state)
{
	struct scene *s = *state;
	struct actor *alpha = scene_actor(s, "alpha"), *beta = scene_actor(s, "beta"),
		     *server = scene_actor(s, NULL);
	int l, c, a, taken, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(alpha, server, l, port, &c, &a);
	taken = (int)act(beta, step_take, .pid = alpha->pid, .fd = c);
	actor_end(alpha, SIGKILL);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(beta, step_close, .fd = taken, .flags = STEP_RESET);
	expect(s, "alpha", "outbound", HOST, port, .attempts = 1, .opened = 1,
	       .closed_reset_by_local = 1, .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 1);
}

/* ---- scenario 17 ---- */

static void what_is_close_on_exec_closes_at_exec_and_the_rest_stays(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, kept, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	kept = (int)act(client, step_connect, .host = HOST, .port = port);
	act(client, step_hold, .host = HOST, .port = port, .count = 3, .flags = STEP_CLOEXEC);
	expect(s, "client", "outbound", HOST, port, .attempts = 4, .opened = 4, .active = 4,
	       .handshakes = 4);
	actor_exec(client);
	expect(s, "client", "outbound", HOST, port, .attempts = 4, .opened = 4, .active = 1,
	       .closed_local = 3, .handshakes = 4, .lifetimes = 3);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	act(client, step_close, .fd = kept);
	expect(s, "client", "outbound", HOST, port, .attempts = 6, .opened = 6, .active = 2,
	       .closed_local = 4, .handshakes = 6, .lifetimes = 4);
	expect_series_total(s, 1);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=client", 1);
}

static void a_listener_kept_across_exec_goes_on(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor(s, NULL), *server = scene_actor(s, "server");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	actor_exec(server);
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	expect(s, "server", "inbound", HOST, port, .opened = 5, .active = 5, .handshakes = 5,
	       .accept_waits = 5);
	expect_series_total(s, 1);
}

/* The child holds what its parent had, and close-on-exec parts them. */
static void a_program_started_by_vfork_is_of_the_same_target(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, "parent");
	struct actor *child = &s->actors[s->actor_count];
	int l, shared, own, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	shared = (int)act(parent, step_connect, .host = HOST, .port = port);
	own = (int)act(parent, step_connect, .host = HOST, .port = port, .flags = STEP_CLOEXEC);
	s->actor_count++;
	actor_spawn(parent, child);
	act(child, step_hold, .host = HOST, .port = port, .count = 3);
	act(parent, step_close, .fd = shared);
	act(parent, step_close, .fd = own);
	expect(s, "parent", "outbound", HOST, port, .attempts = 5, .opened = 5, .active = 4,
	       .closed_local = 1, .handshakes = 5, .lifetimes = 1);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=parent", 2);
	act(child, step_close, .fd = shared);
	actor_end(child, 0);
	expect(s, "parent", "outbound", HOST, port, .attempts = 5, .opened = 5, .closed_local = 5,
	       .handshakes = 5, .lifetimes = 5);
	expect_series_total(s, 1);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=parent", 1);
}

static void threads_share_what_their_process_owns(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	c = (int)act(client, step_connect, .host = HOST, .port = port, .flags = STEP_THREAD);
	a = (int)act(server, step_accept, .fd = l, .flags = STEP_THREAD);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	act(server, step_close, .fd = a, .flags = STEP_THREAD);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_local = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	act(client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 2);
}

static void a_process_whose_main_thread_has_left_is_still_a_target(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 2);
	actor_leave_main_thread(client);
	actor_leave_main_thread(server);
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	expect(s, "client", "outbound", HOST, port, .attempts = 5, .opened = 5, .active = 5,
	       .handshakes = 5);
	expect(s, "server", "inbound", HOST, port, .opened = 5, .active = 5, .handshakes = 5,
	       .accept_waits = 5);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=client", 1);
	actor_end(client, SIGKILL);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=client", 0);
	expect(s, "client", "outbound", HOST, port, .attempts = 5, .opened = 5, .closed_local = 5,
	       .handshakes = 5, .lifetimes = 5);
	expect(s, "server", "inbound", HOST, port, .opened = 5, .closed_peer = 5, .stale = 5,
	       .handshakes = 5, .lifetimes = 5, .accept_waits = 5);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		scene_test(of_one_attached_worker_what_its_siblings_accept_is_handed_over),
		scene_test(processes_that_share_a_port_are_counted_apart),
		scene_test(a_connection_sent_to_another_process_is_closed_once),
		scene_test(a_connection_lost_in_a_message_is_closed_once),
		scene_test(a_listener_sent_to_another_process_hands_over_what_that_accepts),
		scene_test(a_connection_taken_from_a_process_outlives_it),
		scene_test(what_is_close_on_exec_closes_at_exec_and_the_rest_stays),
		scene_test(a_listener_kept_across_exec_goes_on),
		scene_test(a_program_started_by_vfork_is_of_the_same_target),
		scene_test(threads_share_what_their_process_owns),
		scene_test(a_process_whose_main_thread_has_left_is_still_a_target),
	};

	if (argc == 2)
		actor_resume(argv[1]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ownership", tests, NULL, NULL);
}
