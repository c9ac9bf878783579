/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * /connections and /metadata of the real daemon, which has no capability left: each connection with its state, its holder and the
 * bytes that the workload itself counted.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "sockets.h"

#define HOST "127.0.0.1"
#define MANY 10000
/*
 * The slices are 2 ms; the rest is what a busy machine adds, and a slow one (VOLUME_DIVISOR) so many times more. An inventory
 * may come in between: so the best of some tries counts.
 */
#define PAUSE_MAX_S 0.05
#define PAUSE_TRIES 4

/* ---- asking ---- */

static json_t *parse(char *text)
{
	json_error_t why;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &why);

	if (!j)
		fail_msg("no JSON at byte %d: %s", why.position, why.text);
	free(text);
	return j;
}

/* json_decref() it. Waits for the second between two listings. */
static json_t *list(struct scene *s, const char *query)
{
	double deadline = now_seconds() + 3;
	char path[256];
	char *text = NULL;
	int status;

	snprintf(path, sizeof(path), "/connections%s", query);
	while ((status = poolscoped_get(&s->daemon, path, &text)) == 503) {
		assert_true(now_seconds() < deadline);
		free(text);
		pause_ms(50);
	}
	assert_int_equal(status, 200);
	return parse(text);
}

static json_t *rows_of(json_t *answer)
{
	return json_object_get(answer, "connections");
}

static long number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", name);
	return (long)json_integer_value(value);
}

static double seconds(json_t *row, const char *name)
{
	json_t *value = json_object_get(row, name);

	if (!json_is_real(value))
		fail_msg("%s is no real number", name);
	return json_real_value(value);
}

static bool is_null(json_t *row, const char *name)
{
	return json_is_null(json_object_get(row, name));
}

static bool has_text(json_t *row, const char *name, const char *expected)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text && strcmp(text, expected) == 0;
}

/* How many there are of this process in this state; the last one of them. */
static size_t find(json_t *answer, const char *process, const char *state, json_t **ret)
{
	size_t i, count = 0;
	json_t *row;

	json_array_foreach(rows_of(answer), i, row)
	{
		if (!has_text(row, "process", process) || !has_text(row, "state", state))
			continue;
		count++;
		if (ret)
			*ret = row;
	}
	return count;
}

/* The only one. */
static json_t *one(json_t *answer, const char *process, const char *state)
{
	json_t *row = NULL;
	size_t count = find(answer, process, state, &row);

	if (count != 1)
		fail_msg("%zu connections of %s are %s, expected one", count, process, state);
	return row;
}

/* Of the whole answer; also that what was promised has come. */
static void expect_total(json_t *answer, long total, long limit)
{
	size_t rows = json_array_size(rows_of(answer));

	assert_int_equal(number(answer, "total"), total);
	assert_int_equal(number(answer, "limit"), limit);
	assert_int_equal(rows, total < limit ? total : limit);
	assert_int_equal(json_is_true(json_object_get(answer, "truncated")), total > limit);
}

/* ---- one connection ---- */

static void expect_bytes(json_t *row, long sent, long received)
{
	assert_int_equal(number(row, "bytes_sent"), sent);
	assert_int_equal(number(row, "bytes_received"), received);
	assert_int_equal(number(row, "retransmits"), 0);
	assert_true(seconds(row, "rtt_seconds") > 0 && seconds(row, "rtt_seconds") < 1);
}

static void expect_ends(json_t *row, const char *direction, long peer_port, long server_port,
			long local_port)
{
	assert_true(has_text(row, "direction", direction));
	assert_true(has_text(row, "peer_address", HOST));
	assert_int_equal(number(row, "peer_port"), peer_port);
	assert_int_equal(number(row, "server_port"), server_port);
	assert_int_equal(number(row, "local_port"), local_port);
}

static void both_ends_are_listed_with_their_exact_bytes(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, c, a, port;
	json_t *answer, *row;
	long ephemeral;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	act(client, step_write, .fd = c, .count = 4001);
	act(server, step_wait, .fd = a);
	act(server, step_write, .fd = a, .count = 313);
	act(client, step_wait, .fd = c);
	pause_ms(100); /* an acknowledgement may be delayed by 40 ms */
	answer = list(s, "");
	expect_total(answer, 2, 1000);
	row = one(answer, "client", "active");
	ephemeral = number(row, "local_port");
	expect_ends(row, "outbound", port, port, ephemeral);
	expect_bytes(row, 4001, 313);
	assert_int_equal(number(row, "pid"), client->pid);
	assert_true(json_is_false(json_object_get(row, "adopted")));
	assert_true(seconds(row, "handshake_seconds") > 0 && seconds(row, "handshake_seconds") < 1);
	assert_true(seconds(row, "age_seconds") >= 0.1 && seconds(row, "age_seconds") < 10);
	assert_true(is_null(row, "accept_wait_seconds"));
	assert_true(is_null(row, "stale_seconds"));
	row = one(answer, "server", "active");
	expect_ends(row, "inbound", ephemeral, port, port);
	expect_bytes(row, 313, 4001);
	assert_int_equal(number(row, "pid"), server->pid);
	assert_true(seconds(row, "handshake_seconds") > 0 && seconds(row, "handshake_seconds") < 1);
	/* the fallback's time of accept() is not kept */
	assert_int_equal(is_null(row, "accept_wait_seconds"), !scene_has_fexit(s));
	json_decref(answer);
}

static void states_are_those_of_the_gauges(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client"),
		     *wall = scene_actor(s, NULL);
	int l, c, a, port, full, full_port;
	json_t *answer, *row;

	full_port = scene_full_listener(wall, &full);
	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	act(client, step_write, .fd = c, .count = 7);
	act(client, step_shutdown, .fd = c);
	scene_pair(client, server, l, port, &c, &a);
	act(client, step_hold, .host = HOST, .port = port, .count = 3); /* not accepted */
	act(client, step_connect, .host = HOST, .port = full_port, .flags = STEP_NONBLOCK);
	pause_ms(100);
	answer = list(s, "");
	expect_total(answer, 10, 1000); /* the one that has sent its FIN is not live */
	row = one(answer, "server", "stale");
	expect_bytes(row, 0, 7);
	assert_int_equal(number(row, "pid"), server->pid);
	assert_true(seconds(row, "stale_seconds") >= 0.1);
	assert_true(seconds(row, "stale_seconds") <= seconds(row, "age_seconds"));
	one(answer, "server", "active");
	assert_int_equal(find(answer, "server", "queued", &row), 3);
	assert_true(is_null(row, "pid"));
	assert_true(is_null(row, "accept_wait_seconds"));
	assert_int_equal(find(answer, "client", "active", NULL), 4);
	row = one(answer, "client", "pending");
	expect_ends(row, "outbound", full_port, full_port, number(row, "local_port"));
	assert_true(number(row, "local_port") > 0);
	assert_int_equal(number(row, "pid"), client->pid);
	assert_int_equal(number(row, "bytes_sent") + number(row, "bytes_received"), 0);
	assert_true(seconds(row, "age_seconds") >= 0.1);
	assert_true(is_null(row, "handshake_seconds"));
	assert_true(is_null(row, "rtt_seconds"));
	json_decref(answer);
}

static void what_was_there_before_is_adopted_and_has_no_age(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int l, c, a, port = scene_listen(server, SCENE_BACKLOG, &l);
	json_t *answer, *row;

	scene_pair(client, server, l, port, &c, &a);
	act(client, step_write, .fd = c, .count = 99);
	act(server, step_wait, .fd = a);
	scene_observe(s, NULL);
	answer = list(s, "");
	expect_total(answer, 1, 1000);
	row = one(answer, "client", "active");
	expect_ends(row, "outbound", port, port, number(row, "local_port"));
	assert_true(json_is_true(json_object_get(row, "adopted")));
	assert_true(is_null(row, "age_seconds"));
	assert_true(is_null(row, "handshake_seconds"));
	assert_int_equal(number(row, "pid"), client->pid);
	expect_bytes(row, 99, 0);
	json_decref(answer);
}

/* ---- who holds it ---- */

static void expect_holder(struct scene *s, const char *process, pid_t pid)
{
	json_t *answer = list(s, ""), *row;

	expect_total(answer, 1, 1000);
	row = one(answer, process, "active");
	if (pid)
		assert_int_equal(number(row, "pid"), pid);
	else
		assert_true(is_null(row, "pid"));
	json_decref(answer);
}

static void the_pid_is_of_the_process_that_holds_it_now(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, "pool"),
		     *other = scene_actor(s, "other"), *stranger = scene_actor(s, NULL), *child;
	int l, c, a, taken, port = scene_listen(server, SCENE_BACKLOG, &l);

	scene_observe(s, NULL);
	scene_pair(parent, server, l, port, &c, &a);
	expect_holder(s, "pool", parent->pid);
	child = scene_fork(s, parent);
	expect_holder(s, "pool", parent->pid < child->pid ? parent->pid : child->pid);
	act(parent, step_close, .fd = c);
	expect_holder(s, "pool", child->pid);
	taken = (int)act(other, step_take, .pid = child->pid, .fd = c);
	actor_end(child, SIGKILL);
	expect_holder(s, "pool", other->pid);
	act(stranger, step_take, .pid = other->pid, .fd = taken);
	act(other, step_close, .fd = taken);
	expect_holder(s, "pool", 0);
}

/* ---- what is asked for ---- */

static void expect_listed(struct scene *s, const char *query, long total, long limit)
{
	json_t *answer = list(s, query);

	expect_total(answer, total, limit);
	json_decref(answer);
}

static void a_query_chooses_and_the_total_counts_what_it_asks_for(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "a client");
	int port = process_free_port(), l;

	scene_observe(s, NULL);
	l = (int)act(server, step_listen, .host = "0.0.0.0", .port = port,
		     .backlog = SCENE_BACKLOG);
	act(client, step_hold, .host = "127.0.0.1", .spread = 2, .port = port, .count = 10);
	act(server, step_hold_accepted, .fd = l, .count = 10);
	expect_listed(s, "", 20, 1000);
	expect_listed(s, "?process=server", 10, 1000);
	expect_listed(s, "?process=a%20client&limit=4", 10, 4);
	expect_listed(s, "?process=nobody", 0, 1000);
	expect_listed(s, "?peer=127.0.0.2", 5, 1000);
	expect_listed(s, "?peer=127.0.0.0/8&limit=20", 20, 20);
	expect_listed(s, "?peer=127.0.0.0/8&limit=19", 20, 19);
	expect_listed(s, "?peer=10.0.0.0/8", 0, 1000);
}

static void a_bad_query_is_refused_and_so_is_a_second_one_in_a_second(void **state)
{
	static const char *const bad[] = {"?limit=0",	     "?limit=10001", "?limit=x",
					  "?peer=localhost", "?what=1",	     "?process=%00"};
	struct scene *s = *state;
	char path[64];

	scene_actor(s, "idle");
	scene_observe(s, NULL);
	expect_listed(s, "", 0, 1000);
	assert_int_equal(poolscoped_get(&s->daemon, "/connections", NULL), 503);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(path, sizeof(path), "/connections%s", bad[i]);
		assert_int_equal(poolscoped_get(&s->daemon, path, NULL), 400);
	}
	expect_listed(s, "?limit=10000", 0, 10000);
}

/* ---- many ---- */

/* Asks for /-/healthy until it is killed, and keeps the longest that it waited in *longest. */
static pid_t start_watching(struct scene *s, double *longest)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (;;) {
		double begin = now_seconds(), took;

		poolscoped_get(&s->daemon, "/-/healthy", NULL);
		took = now_seconds() - begin;
		if (took > *longest)
			*longest = took;
		pause_ms(1);
	}
}

static json_t *list_watched(struct scene *s, const char *query, double *ret_longest)
{
	double *longest = mmap(NULL, sizeof(*longest), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	       begin;
	json_t *answer;
	pid_t watcher;

	assert_true(longest != MAP_FAILED);
	pause_ms(1000); /* so that this one is not refused */
	watcher = start_watching(s, longest);
	begin = now_seconds();
	answer = list(s, query);
	begin = now_seconds() - begin;
	kill(watcher, SIGKILL);
	waitpid(watcher, NULL, 0);
	print_message("# %zu of %ld listed in %.0f ms; meanwhile the longest answer took %.1f ms\n",
		      json_array_size(rows_of(answer)), number(answer, "total"), begin * 1e3,
		      *longest * 1e3);
	*ret_longest = *longest;
	munmap(longest, sizeof(*longest));
	return answer;
}

static void expect_all_held(json_t *answer, const struct actor *holder)
{
	static bool used[65536];
	size_t i;
	json_t *row;

	memset(used, 0, sizeof(used));
	json_array_foreach(rows_of(answer), i, row)
	{
		long port = number(row, "local_port");

		assert_false(used[port]);
		used[port] = true;
		assert_int_equal(number(row, "pid"), holder->pid);
		assert_int_equal(number(row, "bytes_sent"), 0);
	}
}

static void many_are_listed_without_stopping_the_loop(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int count = traffic_volume(MANY), tries = 0, l, port, descriptors;
	double longest = 0, longest_allowed = PAUSE_MAX_S * (MANY / count);
	json_t *answer = NULL;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act_begin(server, step_hold_accepted, .fd = l, .count = count);
	act(client, step_hold, .host = HOST, .port = port, .count = count);
	actor_finish(server);
	expect(s, "client", "outbound", NULL, 0, .attempts = count, .opened = count,
	       .active = count, .handshakes = count);
	descriptors = process_descriptors(&s->daemon.process);
	do {
		json_decref(answer);
		answer = list_watched(s, "?process=client&limit=10000", &longest);
	} while (longest > longest_allowed && ++tries < PAUSE_TRIES);
	assert_true(longest > 0 && longest <= longest_allowed);
	expect_total(answer, count, 10000);
	assert_int_equal(find(answer, "client", "active", NULL), count);
	expect_all_held(answer, client);
	json_decref(answer);
	while (process_descriptors(&s->daemon.process) > descriptors)
		pause_ms(10); /* the runner's time-out ends it if need be */
}

/* Connections come and go while the kernel is read: an answer stays whole. */
static void a_listing_in_a_storm_adds_up(void **state)
{
	struct scene *s = *state;
	struct traffic_shared *shared = traffic_shared();
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port;

	scene_observe(s, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 500);
	act(server, step_hold_accepted, .fd = l, .count = 500);
	atomic_store(&shared->clients, 1);
	act_begin(server, step_storm_serve, .fd = l, .shared = shared);
	act_begin(client, step_storm_connect, .host = HOST, .port = port, .shared = shared,
		  .flags = STEP_RESET);
	for (int i = 0; i < 3; i++) {
		json_t *answer = list(s, "?limit=10000");

		expect_total(answer, number(answer, "total"), 10000);
		assert_true(number(answer, "total") >= 1000);
		assert_true(find(answer, "client", "active", NULL) >= 500);
		json_decref(answer);
	}
	atomic_store(&shared->stop, true);
	assert_int_equal(actor_finish(client), actor_finish(server));
}

/* ---- /metadata ---- */

static void metadata_names_targets_and_their_processes(void **state)
{
	struct scene *s = *state;
	struct actor *pool = scene_actor(s, "pool"), *worker = scene_actor(s, "worker"), *child;
	json_t *answer, *targets, *row, *pids;
	char *text;

	scene_observe(s, "--peers.max=77", NULL);
	child = scene_fork(s, pool);
	assert_int_equal(poolscoped_get(&s->daemon, "/metadata", &text), 200);
	answer = parse(text);
	assert_true(json_is_true(json_object_get(answer, "btf")));
	assert_true(json_string_length(json_object_get(answer, "kernel")) > 0);
	assert_true(json_array_size(json_object_get(answer, "programs")) >= 9);
	assert_int_equal(has_text(answer, "accept_probe", "fexit"), scene_has_fexit(s));
	assert_int_equal(number(json_object_get(answer, "limits"), "peers"), 77);
	targets = json_object_get(answer, "targets");
	assert_int_equal(json_array_size(targets), 2);
	row = json_array_get(targets, 0);
	assert_true(has_text(row, "name", "pool"));
	assert_int_equal(number(row, "pid"), pool->pid);
	assert_true(json_is_true(json_object_get(row, "follow")));
	pids = json_object_get(row, "processes");
	assert_int_equal(json_array_size(pids), 2);
	assert_int_equal(json_integer_value(json_array_get(pids, pool->pid > child->pid)),
			 pool->pid);
	assert_int_equal(json_integer_value(json_array_get(pids, pool->pid < child->pid)),
			 child->pid);
	row = json_array_get(targets, 1);
	assert_true(has_text(row, "name", "worker"));
	pids = json_object_get(row, "processes");
	assert_int_equal(json_array_size(pids), 1);
	assert_int_equal(json_integer_value(json_array_get(pids, 0)), worker->pid);
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(both_ends_are_listed_with_their_exact_bytes),
		scene_test(states_are_those_of_the_gauges),
		scene_test(what_was_there_before_is_adopted_and_has_no_age),
		scene_test(the_pid_is_of_the_process_that_holds_it_now),
		scene_test(a_query_chooses_and_the_total_counts_what_it_asks_for),
		scene_test(a_bad_query_is_refused_and_so_is_a_second_one_in_a_second),
		scene_test(many_are_listed_without_stopping_the_loop),
		scene_test(a_listing_in_a_storm_adds_up),
		scene_test(metadata_names_targets_and_their_processes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("listing", tests, NULL, NULL);
}
