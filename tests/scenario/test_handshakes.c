/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Handshakes and ends that do not go by the book: both sides at once, data in the SYN, no state at the server. Whatever
 * way a socket takes, it is one connection. Scenarios 10 and 19.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <unistd.h>

#include "netns.h"
#include "scene.h"
#include "sockets.h"

#define HOST "127.0.0.1"
#define HANDSHAKE "poolscope_connection_handshake_duration_seconds"
#define ACCEPT_WAIT "poolscope_accept_wait_duration_seconds"

/* ---- scenario 10 ---- */

/* One socket that is its own peer, so one connection. */
static void a_socket_connected_to_itself_is_one_connection(void **state)
{
	struct scene *s = *state;
	struct actor *client = scene_actor(s, "client");
	int c, port = process_free_port();

	scene_observe(s, NULL);
	c = (int)act(client, step_connect, .host = HOST, .port = port, .from = HOST,
		     .from_port = port);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(client, step_write, .fd = c, .count = 100);
	act(client, step_shutdown, .fd = c);
	assert_int_equal(act(client, step_read_end, .fd = c), 100);
	act(client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 1);
}

/*
 * Two clients and no listener. The first SYN of one is lost (at a listener that is deaf), so that the SYN of the other meets a
 * socket in SYN_SENT: that one goes through SYN_RECV, and is outbound all the same.
 */
static void a_simultaneous_open_is_outbound_at_both_ends(void **state)
{
	struct scene *s = *state;
	struct actor *one = scene_actor(s, "one"), *two = scene_actor(s, "two"),
		     *stranger = scene_actor(s, NULL);
	int port_one, port_two, first, second, deaf;

	scene_observe(s, NULL);
	port_two = scene_listen(stranger, 1, &deaf);
	port_one = process_free_port();
	act(stranger, step_deaf, .fd = deaf);
	first = (int)act(one, step_connect, .host = HOST, .port = port_two, .from = HOST,
			 .from_port = port_one, .flags = STEP_NONBLOCK);
	expect(s, "one", "outbound", HOST, port_two, .attempts = 1, .pending = 1);
	act(stranger, step_close, .fd = deaf);
	second = (int)act(two, step_connect, .host = HOST, .port = port_one, .from = HOST,
			  .from_port = port_two);
	assert_int_equal(act(one, step_finish, .fd = first), 0);
	expect(s, "one", "outbound", HOST, port_two, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "two", "outbound", HOST, port_one, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(one, step_close, .fd = first);
	assert_int_equal(act(two, step_read_end, .fd = second), 0);
	act(two, step_close, .fd = second);
	expect(s, "one", "outbound", HOST, port_two, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "two", "outbound", HOST, port_one, .attempts = 1, .opened = 1, .closed_peer = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 2);
}

/* Each FIN is on its way before the other arrives: none of the two was closed by its peer. */
static void a_simultaneous_close_is_local_at_both_ends(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, c, a, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	act(server, step_deaf, .fd = a);
	act(client, step_shutdown, .fd = c);
	act(server, step_shutdown, .fd = a);
	assert_int_equal(act(client, step_tcp_state, .fd = c), TCP_CLOSING);
	act(server, step_hears, .fd = a);
	act(client, step_close, .fd = c);
	act(server, step_close, .fd = a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_local = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	expect_series_total(s, 2);
}

/* ---- scenario 19 ---- */

#define PORT 8080

/* Client and server are one process in a namespace of its own, where the test may set what it likes. */
static struct actor *both_ends(struct scene *s, const char *sysctl, int value)
{
	struct actor *both = scene_actor_in(s, "both", CLONE_NEWNET);
	long r = act_try(both, step_sysctl, .host = sysctl, .value = value);

	act(both, step_loopback_up, .fd = 0);
	if (r == -ENOENT)
		skip_because("no %s here", sysctl);
	assert_int_equal(r, 0);
	return both;
}

static void expect_lives(struct scene *s, long count)
{
	expect(s, "both", "outbound", HOST, PORT, .attempts = count, .opened = count,
	       .closed_local = count, .handshakes = count, .lifetimes = count);
	expect(s, "both", "inbound", HOST, PORT, .opened = count, .closed_peer = count,
	       .handshakes = count, .lifetimes = count, .accept_waits = count);
	expect_series_total(s, 2);
}

static void close_both(struct actor *both, int c, int a, long bytes)
{
	act(both, step_close, .fd = c);
	assert_int_equal(act(both, step_read_end, .fd = a), bytes);
	act(both, step_close, .fd = a);
}

/* The first connect fetches a cookie, the second has data in its SYN: its socket exists at the server before the handshake ends. */
static void fast_open_counts_as_any_other(void **state)
{
	struct scene *s = *state;
	struct actor *both = both_ends(s, "ipv4/tcp_fastopen", 3);
	double begin, elapsed;
	int l, c, a;

	scene_observe(s, NULL);
	l = (int)act(both, step_listen, .host = HOST, .port = PORT, .backlog = 16);
	act(both, step_option, .fd = l, .level = IPPROTO_TCP, .name = TCP_FASTOPEN, .value = 16);
	for (int i = 0; i < 2; i++) {
		begin = now_seconds();
		c = (int)act(both, step_fast_open, .host = HOST, .port = PORT, .count = 100);
		a = (int)act(both, step_accept, .fd = l);
		assert_int_equal(act(both, step_syn_data, .fd = c), i);
		if (i == 0) {
			expect(s, "both", "outbound", HOST, PORT, .attempts = 1, .opened = 1,
			       .active = 1, .handshakes = 1);
			elapsed = now_seconds() - begin;
			expect_sample(s, HANDSHAKE, "direction=outbound", 1e-9, elapsed);
			expect_sample(s, HANDSHAKE, "direction=inbound", 1e-9, elapsed);
			expect_sample(s, ACCEPT_WAIT, "direction=inbound", 0, elapsed);
		}
		close_both(both, c, a, 100);
	}
	expect_lives(s, 2);
}

/* connect() only notes the address; the SYN waits for the first write, `value` ms later. */
static long step_connect_lazily(const struct step *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)s->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	pause_ms(s->value);
	return write(fd, "x", 1) == 1 ? fd : -errno;
}

static void a_handshake_begins_with_the_syn_and_not_with_a_lazy_connect(void **state)
{
	struct scene *s = *state;
	struct actor *both = both_ends(s, "ipv4/tcp_fastopen", 0x207); /* without cookies */
	int l, c, a;

	scene_observe(s, NULL);
	l = (int)act(both, step_listen, .host = HOST, .port = PORT, .backlog = 16);
	act(both, step_option, .fd = l, .level = IPPROTO_TCP, .name = TCP_FASTOPEN, .value = 16);
	c = (int)act(both, step_connect_lazily, .port = PORT, .value = 500);
	a = (int)act(both, step_accept, .fd = l);
	expect(s, "both", "outbound", HOST, PORT, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect_sample(s, HANDSHAKE, "direction=outbound", 1e-9, 0.25);
	close_both(both, c, a, 1);
}

/*
 * The answer to a SYN with data is lost, so the server has accepted long before its handshake ends. fexit sees that, as a wait of 0; for
 * the fallback the socket has no cookie yet. The handshake is what the kernel measured, if it could (some tell repeated SYN-ACKs apart by
 * their timestamps).
 */
static void a_fast_open_accepted_before_it_is_established_counts_from_then(void **state)
{
	struct scene *s = *state;
	struct actor *both = both_ends(s, "ipv4/tcp_fastopen", 0x207); /* without cookies */
	struct actor *client;
	int l, c, a;
	long rtt, seen;

	scene_observe(s, NULL);
	seen = scene_has_fexit(s);
	l = (int)act(both, step_listen, .host = HOST, .port = PORT, .backlog = 16);
	act(both, step_option, .fd = l, .level = IPPROTO_TCP, .name = TCP_FASTOPEN, .value = 16);
	c = (int)act(both, step_bind, .host = "0.0.0.0", .port = 0);
	act(both, step_deaf, .fd = c);
	client = scene_fork(s, both);
	act_begin(client, step_fast_open, .fd = c, .host = HOST, .port = PORT, .count = 100);
	a = (int)act(both, step_accept, .fd = l);
	assert_int_equal(act(both, step_tcp_state, .fd = a), TCP_SYN_RECV);
	expect(s, "both", "outbound", HOST, PORT, .attempts = 1, .pending = 1);
	expect_series_total(s, 1);
	act(both, step_hears, .fd = c);
	assert_int_equal(actor_finish(client), c);
	expect(s, "both", "outbound", HOST, PORT, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	rtt = act(both, step_rtt_us, .fd = a);
	expect(s, "both", "inbound", HOST, PORT, .opened = 1, .active = 1, .handshakes = rtt > 0,
	       .accept_waits = seen);
	if (rtt > 0)
		expect_sample(s, HANDSHAKE, "direction=inbound", (double)rtt / 1e6 - 2e-6,
			      (double)rtt / 1e6 + 2e-6);
	act(client, step_close, .fd = c);
	close_both(both, c, a, 100);
	expect(s, "both", "inbound", HOST, PORT, .opened = 1, .closed_peer = 1,
	       .handshakes = rtt > 0, .lifetimes = 1, .accept_waits = seen);
	expect_series_total(s, 2);
}

static void a_deferred_accept_counts_as_any_other(void **state)
{
	struct scene *s = *state;
	struct actor *both = scene_actor_in(s, "both", CLONE_NEWNET);
	int l, c, a;

	act(both, step_loopback_up, .fd = 0);
	scene_observe(s, NULL);
	l = (int)act(both, step_listen, .host = HOST, .port = PORT, .backlog = 16,
		     .flags = STEP_DEFER);
	c = (int)act(both, step_connect, .host = HOST, .port = PORT);
	expect(s, "both", "outbound", HOST, PORT, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect_series_total(s, 1);
	act(both, step_write, .fd = c, .count = 100);
	a = (int)act(both, step_accept, .fd = l);
	close_both(both, c, a, 100);
	expect_lives(s, 1);
}

/* The server forgets the SYN: the child is made of nothing but the ACK. */
static void connections_by_syn_cookies_count_as_any_other(void **state)
{
	struct scene *s = *state;
	struct actor *both = both_ends(s, "ipv4/tcp_syncookies", 2);
	int l, c, a;

	scene_observe(s, NULL);
	l = (int)act(both, step_listen, .host = HOST, .port = PORT, .backlog = 16);
	for (int i = 0; i < 5; i++) {
		scene_pair(both, both, l, PORT, &c, &a);
		act(both, step_write, .fd = c, .count = 100);
		close_both(both, c, a, 100);
	}
	expect_lives(s, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_socket_connected_to_itself_is_one_connection),
		scene_test(a_simultaneous_open_is_outbound_at_both_ends),
		scene_test(a_simultaneous_close_is_local_at_both_ends),
		scene_test(fast_open_counts_as_any_other),
		scene_test(a_handshake_begins_with_the_syn_and_not_with_a_lazy_connect),
		scene_test(a_fast_open_accepted_before_it_is_established_counts_from_then),
		scene_test(a_deferred_accept_counts_as_any_other),
		scene_test(connections_by_syn_cookies_count_as_any_other),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("handshakes", tests, NULL, NULL);
}
