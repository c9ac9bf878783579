/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections that nobody closed: the peer fell silent, or the administrator ended them. Scenarios 23 and 24.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "netns.h"
#include "scene.h"
#include "sockets.h"

#define HERE "10.9.8.2"
#define THERE "10.9.8.1"
#define PORT 8080

/* ---- scenario 23 ---- */

static void notice_silence(struct actor *client, int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
		       {IPPROTO_TCP, TCP_KEEPIDLE, 1},
		       {IPPROTO_TCP, TCP_KEEPINTVL, 1},
		       {IPPROTO_TCP, TCP_KEEPCNT, 1}};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		act(client, step_option, .fd = fd, .level = options[i].level,
		    .name = options[i].name, .value = options[i].value);
}

/* One is idle with keep-alive, one has sent what nobody acknowledges, one waits for nothing and lives on. */
static void connections_to_a_peer_that_fell_silent_end_by_time_out(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor_in(s, "server", CLONE_NEWNET);
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	int l, idle, sender, patient, a;

	if (act_try(server, step_veth, .pid = client->pid) == -EOPNOTSUPP)
		skip_because("this kernel has no veth");
	act(server, step_veth_up, .host = THERE);
	act(client, step_veth_up, .host = HERE);
	scene_observe(s, NULL);
	l = (int)act(server, step_listen, .host = THERE, .port = PORT, .backlog = 8);
	idle = (int)act(client, step_connect, .host = THERE, .port = PORT);
	sender = (int)act(client, step_connect, .host = THERE, .port = PORT);
	patient = (int)act(client, step_connect, .host = THERE, .port = PORT);
	act(server, step_hold_accepted, .fd = l, .count = 3);
	expect(s, "client", "outbound", THERE, PORT, .attempts = 3, .opened = 3, .active = 3,
	       .handshakes = 3);
	act(server, step_veth_down, .fd = 0);
	notice_silence(client, idle);
	act(client, step_option, .fd = sender, .level = IPPROTO_TCP, .name = TCP_USER_TIMEOUT,
	    .value = 500);
	act(client, step_write, .fd = sender, .count = 100);
	a = (int)act_try(client, step_read_end, .fd = idle);
	assert_true(a == -ETIMEDOUT || a == -EHOSTUNREACH);
	a = (int)act_try(client, step_read_end, .fd = sender);
	assert_true(a == -ETIMEDOUT || a == -EHOSTUNREACH);
	expect(s, "client", "outbound", THERE, PORT, .attempts = 3, .opened = 3, .active = 1,
	       .closed_timeout = 2, .handshakes = 3, .lifetimes = 2);
	act(client, step_close, .fd = idle);
	act(client, step_close, .fd = sender);
	act(client, step_close, .fd = patient);
	expect(s, "client", "outbound", THERE, PORT, .attempts = 3, .opened = 3,
	       .closed_timeout = 2, .closed_local = 1, .handshakes = 3, .lifetimes = 3);
	expect(s, "server", "inbound", HERE, PORT, .opened = 3, .active = 3, .handshakes = 3,
	       .accept_waits = 3);
	expect_series_total(s, 2);
}

/* ---- scenario 24 ---- */

static void a_socket_killed_by_ss_is_reset_locally(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	char filter[32];
	const char *const ss[] = {"ss", "-K", "-t", "dst", "127.0.0.1", "dport", filter, NULL};
	int l, c, a, other, other_a, code, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	snprintf(filter, sizeof(filter), "= :%d", port);
	code = process_run(ss, NULL, 10000, NULL, NULL);
	if (code == 127)
		skip_because("no ss here (iproute2)");
	if (act(client, step_tcp_state, .fd = c) == TCP_ESTABLISHED)
		skip_because("this kernel cannot do ss -K (CONFIG_INET_DIAG_DESTROY)");
	assert_int_equal(code, 0);
	expect(s, "client", "outbound", "127.0.0.1", port, .attempts = 1, .opened = 1,
	       .closed_reset_by_local = 1, .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", "127.0.0.1", port, .opened = 1, .closed_reset_by_peer = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	scene_pair(client, server, l, port, &other, &other_a);
	act(client, step_close, .fd = c);
	act(server, step_close, .fd = a);
	expect(s, "client", "outbound", "127.0.0.1", port, .attempts = 2, .opened = 2, .active = 1,
	       .closed_reset_by_local = 1, .handshakes = 2, .lifetimes = 1);
	expect_series_total(s, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(connections_to_a_peer_that_fell_silent_end_by_time_out),
		scene_test(a_socket_killed_by_ss_is_reset_locally),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("deaths", tests, NULL, NULL);
}
