/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Attaching to a process that has been busy for long: what it holds is counted at once, in the right direction, without
 * inventing durations. Scenario 28.
 */
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

#include "netns.h"
#include "scene.h"
#include "sockets.h"

#define HOST "127.0.0.1"
#define MANY 1000
#define PEERS 5
#define QUEUED 7
#define UNANSWERED 3
#define HALF_CLOSED 2 /* in each direction */

struct busy {
	struct actor *pool, *peer;
	int out_port, in_port, full_port;
	int pool_listener;
	int half_closed[2 * HALF_CLOSED];
};

/* A pool with connections of every kind, before anybody looks. */
static struct busy busy_pool(struct scene *s)
{
	struct busy b = {.pool = scene_actor(s, "pool"), .peer = scene_actor(s, NULL)};
	int listeners[PEERS], full;
	char host[16];

	b.out_port = process_free_port();
	for (unsigned int i = 0; i < PEERS; i++) {
		traffic_address(HOST, i, host);
		listeners[i] = (int)act(b.peer, step_listen, .host = host, .port = b.out_port,
					.backlog = SCENE_BACKLOG);
	}
	act(b.pool, step_hold, .host = HOST, .spread = PEERS, .port = b.out_port, .count = MANY);
	for (int i = 0; i < PEERS; i++)
		act(b.peer, step_hold_accepted, .fd = listeners[i], .count = MANY / PEERS);
	b.in_port = scene_listen(b.pool, SCENE_BACKLOG, &b.pool_listener);
	act(b.peer, step_hold, .host = HOST, .from = "127.0.0.77", .port = b.in_port,
	    .count = MANY);
	act(b.pool, step_hold_accepted, .fd = b.pool_listener, .count = MANY);
	for (int i = 0; i < HALF_CLOSED; i++) {
		int c, a;

		scene_pair(b.pool, b.peer, listeners[0], b.out_port, &c, &a);
		act(b.peer, step_shutdown, .fd = a);
		b.half_closed[i] = c;
		scene_pair(b.peer, b.pool, b.pool_listener, b.in_port, &c, &a);
		act(b.peer, step_shutdown, .fd = c);
		b.half_closed[HALF_CLOSED + i] = a;
	}
	act(b.peer, step_hold, .host = HOST, .from = "127.0.0.88", .port = b.in_port,
	    .count = QUEUED);
	b.full_port = scene_full_listener(b.peer, &full);
	act(b.pool, step_hold, .host = HOST, .port = b.full_port, .count = UNANSWERED,
	    .flags = STEP_NONBLOCK);
	return b;
}

static void expect_adopted(struct scene *s, const struct busy *b)
{
	const long each = MANY / PEERS;
	char host[16];

	for (unsigned int i = 0; i < PEERS; i++) {
		traffic_address(HOST, i, host);
		expect(s, "pool", "outbound", host, b->out_port, .adopted = each, .active = each,
		       .stale = i == 0 ? HALF_CLOSED : 0);
	}
	expect(s, "pool", "outbound", HOST, b->full_port, .attempts = UNANSWERED,
	       .pending = UNANSWERED);
	expect(s, "pool", "inbound", "127.0.0.77", b->in_port, .adopted = MANY, .active = MANY);
	expect(s, "pool", "inbound", "127.0.0.88", b->in_port, .adopted = QUEUED, .active = QUEUED,
	       .queued = QUEUED);
	expect(s, "pool", "inbound", HOST, b->in_port, .stale = HALF_CLOSED);
	expect_series_total(s, PEERS + 4);
}

static void what_a_busy_process_holds_is_adopted_exactly(void **state)
{
	struct scene *s = *state;
	struct busy b = busy_pool(s);

	scene_observe(s, NULL);
	expect_adopted(s, &b);
	act(b.pool, step_hold_accepted, .fd = b.pool_listener, .count = QUEUED);
	expect(s, "pool", "inbound", "127.0.0.88", b.in_port, .adopted = QUEUED, .active = QUEUED);
	for (int i = 0; i < 2 * HALF_CLOSED; i++)
		act(b.pool, step_close, .fd = b.half_closed[i]);
	expect(s, "pool", "inbound", HOST, b.in_port, .stale = 0);
	act(b.pool, step_release, .count = 0);
	expect(s, "pool", "outbound", NULL, b.out_port, .adopted = MANY, .closed_local = MANY);
	expect(s, "pool", "outbound", HOST, b.full_port, .attempts = UNANSWERED,
	       .aborted = UNANSWERED);
	expect(s, "pool", "inbound", NULL, b.in_port, .adopted = MANY + QUEUED,
	       .closed_local = MANY + QUEUED);
}

static void an_adopted_listener_counts_what_comes_after(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	act(server, step_hold_accepted, .fd = l, .count = 2);
	scene_observe(s, NULL);
	act(client, step_hold, .host = HOST, .port = port, .count = 4);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	expect(s, "server", "inbound", HOST, port, .adopted = 3, .opened = 4, .active = 7,
	       .handshakes = 4, .accept_waits = 4);
	act(client, step_release, .count = 7);
	expect(s, "server", "inbound", HOST, port, .adopted = 3, .opened = 4, .closed_peer = 7,
	       .stale = 7, .handshakes = 4, .lifetimes = 4, .accept_waits = 4);
}

/* Neither a listener nor a backlog tells the direction here. */
static void the_direction_is_known_without_the_listener(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, c, a, port = scene_listen(server, 0, &l);

	scene_pair(client, server, l, port, &c, &a);
	act(client, step_write, .fd = c, .count = 10);
	act(server, step_write, .fd = a, .count = 10);
	act(server, step_close, .fd = l);
	scene_observe(s, NULL);
	expect(s, "server", "inbound", HOST, port, .adopted = 1, .active = 1);
	expect(s, "client", "outbound", HOST, port, .adopted = 1, .active = 1);
	expect_series_total(s, 2);
}

/* What a host without a link could not send counts as sent in the kernel, so it must not decide who connected. */
static void the_direction_is_known_after_a_segment_could_not_be_sent(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor_in(s, "server", CLONE_NEWNET);
	struct actor *client = scene_actor_in(s, "client", CLONE_NEWNET);
	int l, c, a, port = 8080;

	if (act_try(server, step_veth, .pid = client->pid) == -EOPNOTSUPP)
		skip_because("this kernel has no veth");
	act(server, step_veth_up, .host = "10.9.8.1");
	act(client, step_veth_up, .host = "10.9.8.2");
	l = (int)act(server, step_listen, .host = "10.9.8.1", .port = port, .backlog = 8);
	c = (int)act(client, step_connect, .host = "10.9.8.1", .port = port);
	a = (int)act(server, step_accept, .fd = l);
	act(client, step_veth_down);
	act(client, step_write, .fd = c, .count = 1000);
	act(client, step_veth_up, .host = "10.9.8.2");
	act(server, step_wait, .fd = a);
	scene_observe(s, NULL);
	expect(s, "client", "outbound", "10.9.8.1", port, .adopted = 1, .active = 1);
	expect(s, "server", "inbound", "10.9.8.2", port, .adopted = 1, .active = 1);
	expect_series_total(s, 2);
}

/* It listened before it connected, and keeps the backlog limit of that. */
static long step_listen_then_connect(const struct step *s)
{
	long fd = step_listen(&(struct step){.host = HOST, .backlog = 4});

	if (fd < 0)
		return fd;
	if (shutdown((int)fd, SHUT_RDWR) < 0)
		return -errno;
	return step_connect_bound(&(struct step){.fd = (int)fd, .host = s->host, .port = s->port});
}

static void a_listener_that_became_a_client_is_adopted_outbound(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, port = scene_listen(server, 4, &l);

	act(client, step_listen_then_connect, .host = HOST, .port = port);
	scene_observe(s, NULL);
	expect(s, "client", "outbound", HOST, port, .adopted = 1, .active = 1);
	expect_series_total(s, 1);
}

/* One that finds its way after the attach: its handshake has no beginning that we saw. */
static void an_attempt_found_pending_opens_without_a_handshake_sample(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, c, port = scene_full_listener(server, &l);

	c = (int)act(client, step_connect, .host = HOST, .port = port, .flags = STEP_NONBLOCK);
	scene_observe(s, NULL);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .pending = 1);
	act(server, step_accept, .fd = l);
	act(client, step_finish, .fd = c);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1);
	act(client, step_close, .fd = c);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .lifetimes = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(what_a_busy_process_holds_is_adopted_exactly),
		scene_test(an_adopted_listener_counts_what_comes_after),
		scene_test(the_direction_is_known_without_the_listener),
		scene_test(the_direction_is_known_after_a_segment_could_not_be_sent),
		scene_test(a_listener_that_became_a_client_is_adopted_outbound),
		scene_test(an_attempt_found_pending_opens_without_a_handshake_sample),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("adoption", tests, NULL, NULL);
}
