/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * nginx against its own stub_status: poolscope is attached to the master while the workers run, and what both count must be
 * equal. The same for ab and curl as outbound targets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "servers.h"

#define HOST "127.0.0.1"

struct nginx_scene {
	struct scene scene; /* first: the helpers take it */
	struct server nginx;
	struct process client;
};

static int nginx_setup(void **state)
{
	*state = calloc(1, sizeof(struct nginx_scene));
	return *state ? 0 : -1;
}

static int nginx_teardown(void **state)
{
	struct nginx_scene *n = *state;

	process_done(&n->client);
	server_stop(&n->nginx);
	return scene_teardown(state);
}
#define nginx_test(name) cmocka_unit_test_setup_teardown(name, nginx_setup, nginx_teardown)

static void a_busy_nginx_is_adopted_and_followed(void **state)
{
	struct nginx_scene *n = *state;
	struct scene *s = &n->scene;
	struct actor *client = scene_actor(s, NULL);
	struct server_numbers before, after;
	char target[96];

	server_start_nginx(&n->nginx);
	act(client, step_get_hold, .host = HOST, .port = n->nginx.port, .count = 10);
	before = server_settled(&n->nginx, 11); /* with the one that asks */
	assert_int_equal(before.accepted, 11);
	scene_observe(s, server_target(&n->nginx.process, "nginx", target), NULL);
	expect(s, "nginx", "inbound", HOST, n->nginx.port, .adopted = before.active,
	       .active = before.active);
	act(client, step_get_hold, .host = HOST, .port = n->nginx.port, .count = 7);
	act(client, step_get_once, .host = HOST, .port = n->nginx.port, .count = 25);
	after = server_settled(&n->nginx, 18);
	assert_int_equal(after.accepted - before.accepted, 32);
	expect(s, "nginx", "inbound", HOST, n->nginx.port, .adopted = before.active,
	       .active = after.active, .opened = after.accepted - before.accepted,
	       .closed_local = 25, .handshakes = 32, .accept_waits = 32, .lifetimes = 25);
	act(client, step_release, .count = 12); /* the ten old ones and two of the new */
	after = server_settled(&n->nginx, 6);
	expect(s, "nginx", "inbound", HOST, n->nginx.port, .adopted = before.active,
	       .active = after.active, .opened = after.accepted - before.accepted,
	       .closed_local = 25, .closed_peer = 12, .handshakes = 32, .accept_waits = 32,
	       .lifetimes = 27);
	expect_series_total(s, 1);
	poolscoped_wait_value(&s->daemon, "poolscope_target_processes", "process=nginx", 3);
}

/* Starts `argv` stopped, attaches to it and to nginx, and lets it go until it ends. */
static long watch_client(struct nginx_scene *n, const char *name, const char *const argv[])
{
	struct server_numbers before, after;
	char target[96], client[96];

	process_start(&n->client, argv, &(struct process_how){.stopped = true});
	scene_observe(&n->scene, server_target(&n->nginx.process, "nginx", target),
		      server_target(&n->client, name, client), NULL);
	before = server_settled(&n->nginx, 1);
	process_continue(&n->client);
	assert_int_equal(process_wait(&n->client, 30000), 0);
	after = server_settled(&n->nginx, 1);
	return after.accepted - before.accepted;
}

static void expect_both_ends(struct nginx_scene *n, const char *client, long count,
			     bool client_closes)
{
	struct scene *s = &n->scene;
	long by_client = client_closes ? count : 0, by_server = count - by_client;

	expect(s, client, "outbound", HOST, n->nginx.port, .attempts = count, .opened = count,
	       .handshakes = count, .lifetimes = count, .closed_local = by_client,
	       .closed_peer = by_server);
	expect(s, "nginx", "inbound", HOST, n->nginx.port, .adopted = 1, .active = 1,
	       .opened = count, .handshakes = count, .lifetimes = count, .accept_waits = count,
	       .closed_local = by_server, .closed_peer = by_client);
	expect_series_total(s, 2);
}

/* Like expect_both_ends() where it is open who closes first. */
static void expect_ended(struct nginx_scene *n, const char *process, const char *direction,
			 long count)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "process=%s,direction=%s", process, direction);
	poolscoped_wait_sum(&n->scene.daemon, "poolscope_connections_opened_total", filter,
			    (double)count);
	poolscoped_wait_sum(&n->scene.daemon, "poolscope_connections_closed_total", filter,
			    (double)count);
	poolscoped_wait_sum(&n->scene.daemon,
			    "poolscope_connection_handshake_duration_seconds_count", filter,
			    (double)count);
	poolscoped_wait_sum(&n->scene.daemon, "poolscope_connection_lifetime_seconds_count", filter,
			    (double)count);
}

static long run_ab(struct nginx_scene *n, const char *flag)
{
	const char *ab = process_external("usr/bin/ab");
	char path[4096], url[64];

	if (!ab)
		skip_because("ab is not unpacked (make ext)");
	snprintf(path, sizeof(path), "%s", ab);
	server_start_nginx(&n->nginx);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", n->nginx.port);
	return watch_client(n, "ab",
			    (const char *[]){path, flag, "-q", "-n", "300", "-c", "10", url, NULL});
}

/* ab may have up to 9 more open when the 300th answer arrives, and drops them. */
static void ab_opens_a_connection_for_each_request(void **state)
{
	struct nginx_scene *n = *state;
	long count = run_ab(n, "-d");

	print_message("# nginx accepted %ld connections of ab\n", count);
	assert_in_range(count, 300, 309);
	expect_ended(n, "ab", "outbound", count);
	expect_ended(n, "nginx", "inbound", count);
	expect_series_total(&n->scene, 2);
}

static void ab_with_keep_alive_opens_one_for_each_of_its_slots(void **state)
{
	struct nginx_scene *n = *state;
	long count = run_ab(n, "-k");

	assert_int_equal(count, 10);
	expect_both_ends(n, "ab", count, true);
}

static void curl_uses_one_connection_for_three_requests(void **state)
{
	struct nginx_scene *n = *state;
	char url[64];

	server_start_nginx(&n->nginx);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", n->nginx.port);
	if (process_run((const char *[]){"curl", "--version", NULL}, NULL, 5000, NULL, NULL) != 0)
		skip_because("no curl here");
	assert_int_equal(watch_client(n, "curl",
				      (const char *[]){"curl", "-s", "-S", url, url, url, NULL}),
			 1);
	expect_both_ends(n, "curl", 1, true);
}

/* A refused attempt has no counterpart at the server. */
static void curl_at_a_closed_port_is_a_failed_attempt(void **state)
{
	struct nginx_scene *n = *state;
	int port = process_free_port();
	char url[64], target[96];

	if (process_run((const char *[]){"curl", "--version", NULL}, NULL, 5000, NULL, NULL) != 0)
		skip_because("no curl here");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	process_start(&n->client, (const char *[]){"curl", "-s", url, NULL},
		      &(struct process_how){.stopped = true});
	scene_observe(&n->scene, server_target(&n->client, "curl", target), NULL);
	process_continue(&n->client);
	assert_int_equal(process_wait(&n->client, 10000), 7); /* CURLE_COULDNT_CONNECT */
	expect(&n->scene, "curl", "outbound", HOST, port, .attempts = 1, .refused = 1);
}

static void promtool_has_nothing_to_say(void **state)
{
	struct nginx_scene *n = *state;
	struct scene *s = &n->scene;
	struct actor *client = scene_actor(s, "client");
	const char *promtool = process_external("usr/bin/promtool");
	char target[96];
	char *text, *out, *err;
	int in, code;

	if (!promtool)
		skip_because("promtool is not unpacked (make ext)");
	server_start_nginx(&n->nginx);
	promtool = process_external("usr/bin/promtool");
	scene_observe(s, server_target(&n->nginx.process, "nginx", target), NULL);
	act(client, step_get_once, .host = HOST, .port = n->nginx.port, .count = 20);
	assert_true(act_try(client, step_connect, .host = HOST, .port = process_free_port()) < 0);
	text = poolscoped_scrape(&s->daemon);
	in = memfd_create("exposition", MFD_CLOEXEC);
	assert_int_equal(write(in, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	code = process_run((const char *[]){promtool, "check", "metrics", NULL},
			   &(struct process_how){.in = in}, 20000, &out, &err);
	close(in);
	assert_string_equal(out, "");
	assert_string_equal(err, "");
	assert_int_equal(code, 0);
	free(text);
	free(out);
	free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		nginx_test(a_busy_nginx_is_adopted_and_followed),
		nginx_test(ab_opens_a_connection_for_each_request),
		nginx_test(ab_with_keep_alive_opens_one_for_each_of_its_slots),
		nginx_test(curl_uses_one_connection_for_three_requests),
		nginx_test(curl_at_a_closed_port_is_a_failed_attempt),
		nginx_test(promtool_has_nothing_to_say),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("nginx", tests, NULL, NULL);
}
