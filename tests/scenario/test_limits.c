/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The bounds of the series table: sums stay right when peers are folded or do not fit.
 */
#include <stdio.h>

#include "scene.h"

#define HOST "127.0.0.1"
#define PEERS 10

/* A stranger that connects `count` times from each of PEERS addresses, one after the other. */
static void connect_from_many(struct actor *stranger, int port, int count)
{
	char from[16];

	for (unsigned int i = 0; i < PEERS; i++) {
		traffic_address("127.0.0.20", i, from);
		act(stranger, step_hold, .host = HOST, .from = from, .port = port, .count = count);
	}
}

static void peers_beyond_the_bound_are_summed_in_the_overflow_series(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *stranger = scene_actor(s, NULL);
	char from[16];
	int l, port;

	scene_observe(s, "--peers.max=4", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	connect_from_many(stranger, port, 3);
	act(server, step_hold_accepted, .fd = l, .count = 30);
	for (unsigned int i = 0; i < 4; i++) {
		traffic_address("127.0.0.20", i, from);
		expect(s, "server", "inbound", from, port, .opened = 3, .active = 3,
		       .handshakes = 3, .accept_waits = 3);
	}
	expect(s, "server", "inbound", "other", 0, .opened = 18, .active = 18, .handshakes = 18,
	       .accept_waits = 18);
	expect_series_total(s, 5);
	poolscoped_wait_value(&s->daemon, "poolscope_peers", "process=server,direction=inbound", 4);
	poolscoped_wait_value(&s->daemon, "poolscope_peers_overflowed_total",
			      "process=server,direction=inbound", 18);
	act(stranger, step_release, .count = 0);
	expect(s, "server", "inbound", "other", 0, .opened = 18, .closed_peer = 18, .stale = 18,
	       .handshakes = 18, .lifetimes = 18, .accept_waits = 18);
	act(server, step_release, .count = 0);
	expect(s, "server", "inbound", NULL, 0, .opened = 30, .closed_peer = 30, .handshakes = 30,
	       .lifetimes = 30, .accept_waits = 30);
}

static void strangers_do_not_push_out_the_pools(void **state)
{
	struct scene *s = *state;
	struct actor *proxy = scene_actor(s, "proxy"), *stranger = scene_actor(s, NULL);
	int l, out, in_port, out_port;

	scene_observe(s, "--peers.max=4", NULL);
	in_port = scene_listen(proxy, SCENE_BACKLOG, &l);
	out_port = scene_listen(stranger, SCENE_BACKLOG, &out);
	connect_from_many(stranger, in_port, 1);
	act(proxy, step_hold, .host = HOST, .port = out_port, .count = 2);
	expect(s, "proxy", "outbound", HOST, out_port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	expect(s, "proxy", "inbound", "other", 0, .opened = 6, .active = 6, .queued = 6,
	       .handshakes = 6);
	expect_series_total(s, 6);
}

static void the_series_bound_holds_for_all_processes_together(void **state)
{
	struct scene *s = *state;
	struct actor *one = scene_actor(s, "one"), *two = scene_actor(s, "two"),
		     *stranger = scene_actor(s, NULL);
	int l, port_one, port_two;

	scene_observe(s, "--series.max=12", NULL);
	port_one = scene_listen(one, SCENE_BACKLOG, &l);
	port_two = scene_listen(two, SCENE_BACKLOG, &l);
	connect_from_many(stranger, port_one, 1);
	connect_from_many(stranger, port_two, 1);
	expect(s, "one", "inbound", NULL, 0, .opened = 10, .active = 10, .queued = 10,
	       .handshakes = 10);
	expect(s, "two", "inbound", NULL, 0, .opened = 10, .active = 10, .queued = 10,
	       .handshakes = 10);
	expect(s, "two", "inbound", "other", 0, .opened = 8, .active = 8, .queued = 8,
	       .handshakes = 8);
	expect_series_total(s, 13);
}

static void inbound_peers_are_folded_into_their_prefix(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *stranger = scene_actor(s, "client");
	int l, port;

	scene_observe(s, "--peers.aggregate=127.0.0.0/8", "--peers.aggregate=127.0.0.24/30", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	connect_from_many(stranger, port, 2);
	act(server, step_hold_accepted, .fd = l, .count = 20);
	expect(s, "server", "inbound", "127.0.0.0/8", port, .opened = 12, .active = 12,
	       .handshakes = 12, .accept_waits = 12);
	expect(s, "server", "inbound", "127.0.0.24/30", port, .opened = 8, .active = 8,
	       .handshakes = 8, .accept_waits = 8);
	expect(s, "client", "outbound", HOST, port, .attempts = 20, .opened = 20, .active = 20,
	       .handshakes = 20);
	expect_series_total(s, 3);
}

/* Scenario 38, with addresses that exist; a million that do not are in tests/unit/test_flood.c. */
static void ten_thousand_peers_cannot_grow_the_table(void **state)
{
	enum { bound = 128 };
	const int peers = traffic_volume(10000);
	struct scene *s = *state;
	struct traffic_shared *shared = traffic_shared();
	struct actor *server = scene_actor(s, "server"), *stranger = scene_actor(s, NULL);
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	atomic_store(&shared->clients, 1);
	act_begin(server, step_storm_serve, .fd = l, .shared = shared);
	assert_int_equal(act(stranger, step_storm_connect, .host = HOST, .from = "127.38.0.1",
			     .from_hosts = peers, .port = port, .count = peers, .shared = shared),
			 peers);
	assert_int_equal(actor_finish(server), peers);
	expect(s, "server", "inbound", NULL, 0, .opened = peers, .closed_peer = peers,
	       .handshakes = peers, .lifetimes = peers, .accept_waits = peers);
	expect(s, "server", "inbound", "127.38.0.1", port, .opened = 1, .closed_peer = 1,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	expect(s, "server", "inbound", "other", 0, .opened = peers - bound,
	       .closed_peer = peers - bound, .handshakes = peers - bound,
	       .lifetimes = peers - bound, .accept_waits = peers - bound);
	expect_series_total(s, bound + 1);
	poolscoped_wait_value(&s->daemon, "poolscope_peers", "process=server,direction=inbound",
			      bound);
	poolscoped_wait_value(&s->daemon, "poolscope_peers_overflowed_total",
			      "process=server,direction=inbound", peers - bound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(peers_beyond_the_bound_are_summed_in_the_overflow_series),
		scene_test(strangers_do_not_push_out_the_pools),
		scene_test(the_series_bound_holds_for_all_processes_together),
		scene_test(inbound_peers_are_folded_into_their_prefix),
		scene_test(ten_thousand_peers_cannot_grow_the_table),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
