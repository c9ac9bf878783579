/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections made, accepted, used and closed through io_uring count as any other: scenario 18. The fallback for accept() hooks system
 * calls, so it does not see these accepts. Still exact then are all numbers but two: accept wait has no sample, and an accept
 * by another process hands nothing over. Which of the two holds here, poolscope_probe_info says.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "scene.h"
#include "uring.h"

#define HOST "127.0.0.1"
#define MANY 20

struct ends {
	struct actor *client, *server;
	int listener, port;
	bool accepts_seen;
};

static void ring_open(struct actor *a, unsigned int flags)
{
	long r = act_try(a, step_uring_open, .flags = flags);

	if (r == -ENOSYS || r == -EPERM)
		skip_because("no io_uring here");
	assert_int_equal(r, 0);
}

static struct ends ends_observed(struct scene *s, unsigned int flags)
{
	struct ends e = {.server = scene_actor(s, "server"), .client = scene_actor(s, "client")};

	ring_open(e.server, flags);
	ring_open(e.client, flags);
	scene_observe(s, NULL);
	e.port = scene_listen(e.server, SCENE_BACKLOG, &e.listener);
	e.accepts_seen = scene_has_fexit(s);
	return e;
}

static void expect_lives(struct scene *s, const struct ends *e, long count)
{
	expect(s, "client", "outbound", HOST, e->port, .attempts = count, .opened = count,
	       .closed_local = count, .handshakes = count, .lifetimes = count);
	expect(s, "server", "inbound", HOST, e->port, .opened = count, .closed_peer = count,
	       .handshakes = count, .lifetimes = count, .accept_waits = e->accepts_seen * count);
	expect_series_total(s, 2);
}

/* Scenario 1, by io_uring; `flags`: STEP_DIRECT or 0. */
static void expect_one_life(struct scene *s, const struct ends *e, unsigned int flags)
{
	int c, a;

	c = (int)act(e->client, step_uring_connect, .host = HOST, .port = e->port, .flags = flags,
		     .value = 3);
	a = (int)act(e->server, step_uring_accept, .fd = e->listener, .flags = flags, .value = 5);
	expect(s, "client", "outbound", HOST, e->port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "server", "inbound", HOST, e->port, .opened = 1, .active = 1, .handshakes = 1,
	       .accept_waits = e->accepts_seen);
	act(e->client, step_uring_send, .fd = c, .flags = flags, .count = 100);
	assert_int_equal(act(e->server, step_uring_receive, .fd = a, .flags = flags), 100);
	act(e->client, step_uring_close, .fd = c, .flags = flags);
	assert_int_equal(act(e->server, step_uring_receive, .fd = a, .flags = flags), 0);
	act(e->server, step_uring_close, .fd = a, .flags = flags);
	expect_lives(s, e, 1);
}

static void a_connection_by_io_uring_counts_as_any_other(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);

	expect_one_life(s, &e, 0);
}

static void a_connection_submitted_by_a_kernel_thread_counts_as_any_other(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, STEP_SQPOLL);

	expect_one_life(s, &e, 0);
}

static void a_connection_in_no_descriptor_table_counts_as_any_other(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);

	expect_one_life(s, &e, STEP_DIRECT);
}

static void direct_descriptors_of_a_kernel_thread_count_as_any_other(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, STEP_SQPOLL);

	expect_one_life(s, &e, STEP_DIRECT);
}

static void one_accept_for_many_counts_each(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);

	act_begin(e.server, step_uring_accept_many, .fd = e.listener, .count = MANY);
	for (int i = 0; i < MANY; i++)
		act(e.client, step_uring_connect, .host = HOST, .port = e.port);
	assert_int_equal(actor_finish(e.server), MANY);
	expect(s, "server", "inbound", HOST, e.port, .opened = MANY, .active = MANY,
	       .handshakes = MANY, .accept_waits = e.accepts_seen * MANY);
	actor_end(e.client, SIGKILL);
	act(e.server, step_release, .count = MANY);
	expect_lives(s, &e, MANY);
}

static void a_refused_connect_by_io_uring_is_a_failed_attempt(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);
	int port = process_free_port();

	assert_int_equal(act_try(e.client, step_uring_connect, .host = HOST, .port = port),
			 -ECONNREFUSED);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .refused = 1);
	expect_series_total(s, 1);
}

/* Nobody closes them: the ring goes with its process. */
static void direct_descriptors_end_with_their_process(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);

	for (int i = 0; i < MANY; i++)
		act(e.client, step_uring_connect, .host = HOST, .port = e.port,
		    .flags = STEP_DIRECT, .value = i);
	for (int i = 0; i < MANY; i++)
		act(e.server, step_uring_accept, .fd = e.listener, .flags = STEP_DIRECT,
		    .value = i);
	expect(s, "server", "inbound", HOST, e.port, .opened = MANY, .active = MANY,
	       .handshakes = MANY, .accept_waits = e.accepts_seen * MANY);
	actor_end(e.client, SIGKILL);
	expect(s, "client", "outbound", HOST, e.port, .attempts = MANY, .opened = MANY,
	       .closed_local = MANY, .handshakes = MANY, .lifetimes = MANY);
	actor_end(e.server, SIGKILL);
	expect_lives(s, &e, MANY);
}

static void an_accept_by_io_uring_hands_over_where_it_is_seen(void **state)
{
	struct scene *s = *state;
	struct ends e = ends_observed(s, 0);
	int taken = (int)act(e.client, step_take, .pid = e.server->pid, .fd = e.listener);
	struct actor *stranger = scene_actor(s, NULL);
	int a;

	act(stranger, step_connect, .host = HOST, .port = e.port);
	a = (int)act(e.client, step_uring_accept, .fd = taken);
	if (e.accepts_seen) {
		expect(s, "server", "inbound", HOST, e.port, .opened = 1, .handed_over = 1,
		       .handshakes = 1);
		expect(s, "client", "inbound", HOST, e.port, .adopted = 1, .active = 1,
		       .accept_waits = 1);
	} else {
		expect(s, "server", "inbound", HOST, e.port, .opened = 1, .active = 1,
		       .handshakes = 1);
	}
	act(e.client, step_uring_close, .fd = a);
	if (e.accepts_seen)
		expect(s, "client", "inbound", HOST, e.port, .adopted = 1, .closed_local = 1,
		       .accept_waits = 1);
	else
		expect(s, "server", "inbound", HOST, e.port, .opened = 1, .closed_local = 1,
		       .handshakes = 1, .lifetimes = 1);
	expect_series_total(s, 1 + e.accepts_seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_connection_by_io_uring_counts_as_any_other),
		scene_test(a_connection_submitted_by_a_kernel_thread_counts_as_any_other),
		scene_test(a_connection_in_no_descriptor_table_counts_as_any_other),
		scene_test(direct_descriptors_of_a_kernel_thread_count_as_any_other),
		scene_test(one_accept_for_many_counts_each),
		scene_test(a_refused_connect_by_io_uring_is_a_failed_attempt),
		scene_test(direct_descriptors_end_with_their_process),
		scene_test(an_accept_by_io_uring_hands_over_where_it_is_seen),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uring", tests, NULL, NULL);
}
