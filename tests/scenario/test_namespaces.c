/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Targets in namespaces of their own, which poolscoped never enters. Scenarios 25 and 39.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "netns.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define PORT 8080

/* Source and destination are the same in both namespaces, to the port. */
static void equal_tuples_in_two_namespaces_are_two_connections(void **state)
{
	struct scene *s = *state;
	struct actor *twins[2];
	int c[2];

	for (int i = 0; i < 2; i++)
		twins[i] = scene_actor_in(s, "twins", CLONE_NEWNET);
	scene_observe(s, NULL);
	for (int i = 0; i < 2; i++) {
		int l;

		act(twins[i], step_loopback_up, .fd = 0);
		l = (int)act(twins[i], step_listen, .host = HOST, .port = PORT, .backlog = 8);
		c[i] = (int)act(twins[i], step_connect, .host = HOST, .port = PORT, .from = HOST,
				.from_port = 45000);
		act(twins[i], step_accept, .fd = l);
	}
	expect(s, "twins", "outbound", HOST, PORT, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	expect(s, "twins", "inbound", HOST, PORT, .opened = 2, .active = 2, .handshakes = 2,
	       .accept_waits = 2);
	act(twins[0], step_close, .fd = c[0]);
	expect(s, "twins", "outbound", HOST, PORT, .attempts = 2, .opened = 2, .active = 1,
	       .closed_local = 1, .handshakes = 2, .lifetimes = 1);
	expect(s, "twins", "inbound", HOST, PORT, .opened = 2, .active = 1, .closed_peer = 1,
	       .stale = 1, .handshakes = 2, .lifetimes = 1, .accept_waits = 2);
	expect_series_total(s, 2);
}

static void expect_across(struct scene *s, struct actor *server, struct actor *client,
			  const char *here, const char *there)
{
	int l = (int)act(server, step_listen, .host = here, .port = PORT, .backlog = 8);
	int c = (int)act(client, step_connect, .host = here, .port = PORT);
	int a = (int)act(server, step_accept, .fd = l);

	expect(s, "client", "outbound", here, PORT, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "server", "inbound", there, PORT, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	act(server, step_close, .fd = a);
	act(client, step_read_end, .fd = c);
	act(client, step_close, .fd = c);
	expect(s, "client", "outbound", here, PORT, .attempts = 1, .opened = 1, .closed_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", there, PORT, .opened = 1, .closed_local = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	act(server, step_close, .fd = l);
}

static void both_ends_of_a_veth_pair_are_counted(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor_in(s, "server", CLONE_NEWNET);
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);

	if (act_try(server, step_veth, .pid = client->pid) == -EOPNOTSUPP)
		skip_because("this kernel has no veth");
	act(server, step_veth_up, .host = "10.9.8.1");
	act(client, step_veth_up, .host = "10.9.8.2");
	scene_observe(s, NULL);
	expect_across(s, server, client, "10.9.8.1", "10.9.8.2");
	expect_series_total(s, 2);
	if (act_try(server, step_veth_up, .host = "fd00::1") == -EAFNOSUPPORT)
		skip_because("no IPv6 here; IPv4 was right");
	act(client, step_veth_up, .host = "fd00::2");
	expect_across(s, server, client, "fd00::1", "fd00::2");
	expect_series_total(s, 4);
}

/* Scenario 39: as a container, attached by its PID on the host. */
static void a_target_in_its_own_namespaces_is_adopted_and_counted(void **state)
{
	struct scene *s = *state;
	struct actor *box = scene_actor_in(s, "box", CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS),
		     *inner;
	int l;

	act(box, step_loopback_up, .fd = 0);
	l = (int)act(box, step_listen, .host = HOST, .port = PORT, .backlog = 64);
	inner = scene_fork(s, box);
	act(box, step_hold, .host = HOST, .port = PORT, .count = 5);
	act(box, step_hold_accepted, .fd = l, .count = 5);
	scene_observe(s, NULL);
	act(inner, step_hold, .host = HOST, .port = PORT, .count = 3);
	act(box, step_hold_accepted, .fd = l, .count = 3);
	expect(s, "box", "outbound", HOST, PORT, .adopted = 5, .attempts = 3, .opened = 3,
	       .active = 8, .handshakes = 3);
	expect(s, "box", "inbound", HOST, PORT, .adopted = 5, .opened = 3, .active = 8,
	       .handshakes = 3, .accept_waits = 3);
	expect_series_total(s, 2);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=box", 2);
	act(box, step_release, .count = 5);
	actor_end(inner, SIGKILL);
	expect(s, "box", "outbound", HOST, PORT, .adopted = 5, .attempts = 3, .opened = 3,
	       .closed_local = 8, .handshakes = 3, .lifetimes = 3);
	actor_end(box, SIGKILL);
	expect(s, "box", "inbound", HOST, PORT, .adopted = 5, .opened = 3, .closed_peer = 8,
	       .handshakes = 3, .lifetimes = 3, .accept_waits = 3);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=box", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(equal_tuples_in_two_namespaces_are_two_connections),
		scene_test(both_ends_of_a_veth_pair_are_counted),
		scene_test(a_target_in_its_own_namespaces_is_adopted_and_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("namespaces", tests, NULL, NULL);
}
