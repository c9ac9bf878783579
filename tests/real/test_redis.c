/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * redis-server against its own INFO, and redis-benchmark and curl as outbound targets at the other end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "servers.h"

#define HOST "127.0.0.1"

struct redis_scene {
	struct scene scene; /* first: the helpers take it */
	struct server redis;
	struct process client;
};

static int redis_setup(void **state)
{
	*state = calloc(1, sizeof(struct redis_scene));
	return *state ? 0 : -1;
}

static int redis_teardown(void **state)
{
	struct redis_scene *r = *state;

	process_done(&r->client);
	server_stop(&r->redis);
	return scene_teardown(state);
}
#define redis_test(name) cmocka_unit_test_setup_teardown(name, redis_setup, redis_teardown)

static void the_clients_of_a_running_redis_are_adopted(void **state)
{
	struct redis_scene *r = *state;
	struct scene *s = &r->scene;
	struct actor *client = scene_actor(s, NULL);
	struct server_numbers before, after;
	char target[96];

	server_start_redis(&r->redis);
	act(client, step_hold, .host = HOST, .port = r->redis.port, .count = 15);
	before = server_settled(&r->redis, 16); /* with the one that asks */
	scene_observe(s, server_target(&r->redis.process, "redis", target), NULL);
	act(client, step_hold, .host = HOST, .port = r->redis.port, .count = 9);
	act(client, step_release, .count = 20);
	after = server_settled(&r->redis, 5);
	expect(s, "redis", "inbound", HOST, r->redis.port, .adopted = before.active,
	       .opened = after.accepted - before.accepted, .active = after.active,
	       .closed_peer = 20, .handshakes = 9, .accept_waits = 9, .lifetimes = 5);
	expect_series_total(s, 1);
}

/* Starts `argv` stopped, attaches to it and to redis, lets it go until it ends, and compares both ends with INFO. */
static void watch_client(struct redis_scene *r, const char *name, const char *const argv[],
			 long *ret_count)
{
	struct server_numbers before, after;
	struct scene *s = &r->scene;
	char target[96], client[96];
	long n;

	process_start(&r->client, argv, &(struct process_how){.stopped = true});
	scene_observe(s, server_target(&r->redis.process, "redis", target),
		      server_target(&r->client, name, client), NULL);
	before = server_settled(&r->redis, 1);
	process_continue(&r->client);
	assert_int_equal(process_wait(&r->client, 60000), 0);
	after = server_settled(&r->redis, 1);
	n = after.accepted - before.accepted;
	print_message("# redis counts %ld connections of %s\n", n, name);
	*ret_count = n;
}

static void expect_closed_by_client(struct redis_scene *r, const char *client, long n)
{
	struct scene *s = &r->scene;

	expect(s, client, "outbound", HOST, r->redis.port, .attempts = n, .opened = n,
	       .closed_local = n, .handshakes = n, .lifetimes = n);
	expect(s, "redis", "inbound", HOST, r->redis.port, .adopted = 1, .active = 1, .opened = n,
	       .closed_peer = n, .handshakes = n, .lifetimes = n, .accept_waits = n);
	expect_series_total(s, 2);
}

static void run_benchmark(struct redis_scene *r, const char *keep_alive, long *ret_count)
{
	const char *benchmark = process_external("usr/bin/redis-benchmark");
	char path[4096], port[16];

	if (!benchmark)
		skip_because("redis-benchmark is not unpacked (make ext)");
	snprintf(path, sizeof(path), "%s", benchmark);
	server_start_redis(&r->redis);
	snprintf(port, sizeof(port), "%d", r->redis.port);
	watch_client(r, "bench",
		     (const char *[]){path, "-h", HOST, "-p", port, "-n", "1000", "-c", "20", "-t",
				      "ping_mbulk", "-k", keep_alive, "-q", NULL},
		     ret_count);
	expect_closed_by_client(r, "bench", *ret_count);
}

static void redis_benchmark_with_keep_alive_counts_the_same_as_redis(void **state)
{
	long count;

	run_benchmark(*state, "1", &count);
	assert_in_range(count, 20, 25); /* its 20 clients, and what it asks before */
}

static void redis_benchmark_without_keep_alive_counts_the_same_as_redis(void **state)
{
	long count;

	run_benchmark(*state, "0", &count);
	assert_in_range(count, 1000, 1050);
}

/* Gopher is a line and an answer until the server closes: curl's way to speak redis. */
static void curl_opens_a_connection_for_each_gopher_request(void **state)
{
	struct redis_scene *r = *state;
	struct scene *s = &r->scene;
	char url[64];
	long n;

	if (process_run((const char *[]){"curl", "--version", NULL}, NULL, 5000, NULL, NULL) != 0)
		skip_because("no curl here");
	server_start_redis(&r->redis);
	snprintf(url, sizeof(url), "gopher://127.0.0.1:%d/_QUIT", r->redis.port);
	watch_client(r, "curl", (const char *[]){"curl", "-s", "-S", url, url, url, NULL}, &n);
	assert_int_equal(n, 3);
	expect(s, "curl", "outbound", HOST, r->redis.port, .attempts = 3, .opened = 3,
	       .closed_peer = 3, .handshakes = 3, .lifetimes = 3);
	expect(s, "redis", "inbound", HOST, r->redis.port, .adopted = 1, .active = 1, .opened = 3,
	       .closed_local = 3, .handshakes = 3, .lifetimes = 3, .accept_waits = 3);
	expect_series_total(s, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		redis_test(the_clients_of_a_running_redis_are_adopted),
		redis_test(redis_benchmark_with_keep_alive_counts_the_same_as_redis),
		redis_test(redis_benchmark_without_keep_alive_counts_the_same_as_redis),
		redis_test(curl_opens_a_connection_for_each_gopher_request),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
