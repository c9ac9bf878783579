/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Targets in namespaces of their own, which poolscoped never enters. Scenarios 25, 39, and 27 over two addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns.h"
#include "scene.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

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

/* ---- scenario 27 ---- */

static pid_t namespace_of; /* of the next command */

static void namespace_enter(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", namespace_of);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		_exit(126);
}

/* A command in the network namespace of an actor: its exit status, and what it said if that is wanted. */
static int run_in(const struct actor *a, const char *const argv[], char **ret_stdout)
{
	namespace_of = a->pid;
	return process_run(argv, &(struct process_how){.prepare = namespace_enter}, 10000,
			   ret_stdout, NULL);
}
#define ip(actor, ...) run_in(actor, (const char *const[]){"ip", __VA_ARGS__, NULL}, NULL)

/* How many TCP sockets with local port 8080 the namespace of an actor has, listeners not counted. */
static int tcp_sockets(const struct actor *a)
{
	const char *argv[] = {"ss", "-tHn", "state", "established", "sport", "=", ":8080", NULL};
	int lines = 0;
	char *text;

	if (run_in(a, argv, &text) != 0)
		lines = -1;
	for (const char *p = text; lines >= 0 && (p = strchr(p, '\n')); p++)
		lines++;
	free(text);
	return lines;
}

/* The second subflow is the kernel's doing, on both sides: none of the client's, but one more of the listener's children, with
 * the address that it came from. */
/* Once both ends of an MPTCP connection are through, the kernels close its subflows: which of them comes first is theirs. */
static void expect_one_closed(struct scene *s, const char *process, const char *direction,
			      const char *peer, struct counts expected)
{
	static const char name[] = "poolscope_connections_closed_total";
	char filter[160];

	snprintf(filter, sizeof(filter), "process=%s,direction=%s,peer_address=%s", process,
		 direction, peer);
	poolscoped_wait_sum(&s->daemon, name, filter, 1);
	snprintf(filter, sizeof(filter), "process=%s,direction=%s,peer_address=%s,reason=local",
		 process, direction, peer);
	expected.closed_local = (long)poolscoped_value(&s->daemon, name, filter);
	expected.closed_peer = 1 - expected.closed_local;
	expected.lifetimes = 1;
	expect_series(s, process, direction, peer, PORT, expected);
}

static void a_further_subflow_is_one_more_inbound_connection(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor_in(s, "server", CLONE_NEWNET);
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	double deadline = now_seconds() + 5;
	int l, c, a, subflows;

	if (act_try(server, step_veth, .pid = client->pid) == -EOPNOTSUPP)
		skip_because("this kernel has no veth");
	act(server, step_veth_up, .host = "10.9.8.1");
	act(client, step_veth_up, .host = "10.9.8.2");
	if (ip(client, "address", "add", "10.9.8.3/24", "dev", "veth0") != 0 ||
	    ip(client, "mptcp", "limits", "set", "subflows", "2") != 0 ||
	    ip(server, "mptcp", "limits", "set", "subflows", "2") != 0 ||
	    ip(client, "mptcp", "endpoint", "add", "10.9.8.3", "dev", "veth0", "subflow") != 0)
		skip_because("this kernel or ip(8) has no multipath TCP");
	scene_observe(s, NULL);
	l = (int)act(server, step_listen, .host = "10.9.8.1", .port = PORT, .backlog = 8,
		     .protocol = IPPROTO_MPTCP);
	c = (int)act(client, step_connect, .host = "10.9.8.1", .port = PORT,
		     .protocol = IPPROTO_MPTCP);
	a = (int)act(server, step_accept, .fd = l);
	act(client, step_write, .fd = c, .count = 100);
	act(server, step_write, .fd = a, .count = 100);
	while ((subflows = tcp_sockets(server)) != 2 && now_seconds() < deadline)
		pause_ms(20);
	assert_int_equal(subflows, 2);
	expect(s, "client", "outbound", "10.9.8.1", PORT, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "server", "inbound", "10.9.8.2", PORT, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = 1);
	expect(s, "server", "inbound", "10.9.8.3", PORT, .opened = 1, .active = 1, .handshakes = 1);
	expect_series_total(s, 3);
	act(client, step_shutdown, .fd = c);
	assert_int_equal(act(server, step_read_end, .fd = a), 100);
	act(server, step_close, .fd = a);
	assert_int_equal(act(client, step_read_end, .fd = c), 100);
	act(client, step_close, .fd = c);
	expect_one_closed(s, "client", "outbound", "10.9.8.1",
			  (struct counts){.attempts = 1, .opened = 1, .handshakes = 1});
	expect_one_closed(s, "server", "inbound", "10.9.8.2",
			  (struct counts){.opened = 1, .handshakes = 1, .accept_waits = 1});
	expect_one_closed(s, "server", "inbound", "10.9.8.3",
			  (struct counts){.opened = 1, .handshakes = 1});
	expect_series_total(s, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(equal_tuples_in_two_namespaces_are_two_connections),
		scene_test(both_ends_of_a_veth_pair_are_counted),
		scene_test(a_target_in_its_own_namespaces_is_adopted_and_counted),
		scene_test(a_further_subflow_is_one_more_inbound_connection),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("namespaces", tests, NULL, NULL);
}
