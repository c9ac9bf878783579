/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a scrape shows of the moment it is taken in, of names that strangers choose, of the daemon itself, and of series that nobody uses.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "exposition_check.h"
#include "scene.h"
#include "util.h"

#define HOST "127.0.0.1"
#define SHARED_MS 40 /* well below the 50 ms in which a snapshot is shared */
#define ATTEMPTS 50
#define PAUSE_MS 60 /* the next scrape shares nothing with the last */

static char *scrape(struct scene *s)
{
	char *body;

	assert_int_equal(poolscoped_get(&s->daemon, "/metrics", &body), 200);
	return body;
}

static void sleep_ms(long ms)
{
	const struct timespec ts = {.tv_nsec = ms * 1000000};

	nanosleep(&ts, NULL);
}

/*
 * Two scrapes and a connect() between them, all within the time that a snapshot is shared; false: it took longer. The bodies
 * come to the same snapshot, so they are the same text.
 */
static bool shares_a_snapshot(struct scene *s, struct actor *client, int port, char *ret[2])
{
	uint64_t begin;
	int fd;

	sleep_ms(200); /* whatever was shared is too old */
	begin = util_now_ns();
	ret[0] = scrape(s);
	fd = (int)act(client, step_connect, .host = HOST, .port = port);
	ret[1] = scrape(s);
	act(client, step_close, .fd = fd);
	if (util_now_ns() - begin < SHARED_MS * NSEC_PER_MSEC)
		return true;
	free(ret[0]);
	free(ret[1]);
	return false;
}

static void scrapes_at_once_show_the_same_moment(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int listener, port = scene_listen(server, SCENE_BACKLOG, &listener), attempt = 0;
	char *bodies[2];
	double before, after;

	scene_observe(s, NULL);
	while (!shares_a_snapshot(s, client, port, bodies)) {
		if (++attempt < ATTEMPTS)
			continue;
		print_message("# two scrapes take longer than %d ms here\n", SHARED_MS);
		skip();
	}
	assert_string_equal(bodies[0], bodies[1]);
	exposition_sum(bodies[0], "poolscope_connection_attempts_total", NULL, &before);
	free(bodies[0]);
	free(bodies[1]);
	sleep_ms(PAUSE_MS);
	bodies[0] = scrape(s);
	exposition_sum(bodies[0], "poolscope_connection_attempts_total", NULL, &after);
	assert_true(after == before + 1);
	free(bodies[0]);
}

/* ---- names that are chosen to harm ---- */

static long step_rename(const struct step *step)
{
	return prctl(PR_SET_NAME, step->host) ? -1 : 0;
}

static void expect_name(struct scene *s, const char *comm, const char *label)
{
	struct actor *target = scene_actor(s, NULL), *server = scene_actor(s, NULL);
	char arg[32], accept[64], *body;
	int listener, accepted, fd, port = scene_listen(server, SCENE_BACKLOG, &listener);
	char why[512] = "";

	act(target, step_rename, .host = comm);
	snprintf(arg, sizeof(arg), "--pid=%d", target->pid);
	scene_observe(s, arg, NULL);
	scene_pair(target, server, listener, port, &fd, &accepted);
	expect(s, label, "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	snprintf(accept, sizeof(accept), "Accept: application/openmetrics-text\r\n");
	assert_int_equal(poolscoped_get_with(&s->daemon, "/metrics", accept, &body), 200);
	if (exposition_check_openmetrics(body, why, sizeof(why)))
		fail_msg("%s", why);
	assert_null(strstr(body, "\n evil"));
	free(body);
}

static void a_comm_that_looks_like_a_sample_is_a_name(void **state)
{
	expect_name(*state, "\"}\n evil 1", "\"}\xef\xbf\xbd evil 1");
}

static void a_comm_of_invalid_utf8_is_a_name(void **state)
{
	expect_name(*state, "\xff\xc0\xaf\xed\xa0x",
		    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		    "\xef\xbf\xbd\xef\xbf\xbdx");
}

/* ---- the daemon itself ---- */

static void expect_itself(struct scene *s)
{
	char *text = poolscoped_scrape(&s->daemon);
	double cpu, virtual_bytes, resident, fds, max_fds, limit, start, loaded,
		now = (double)time(NULL);
	struct rlimit rlimit;

	assert_int_equal(exposition_value(text, "process_cpu_seconds_total", NULL, &cpu), 0);
	assert_int_equal(
		exposition_value(text, "process_virtual_memory_bytes", NULL, &virtual_bytes), 0);
	assert_int_equal(exposition_value(text, "process_virtual_memory_max_bytes", NULL, &limit),
			 0);
	assert_int_equal(exposition_value(text, "process_resident_memory_bytes", NULL, &resident),
			 0);
	assert_int_equal(exposition_value(text, "process_open_fds", NULL, &fds), 0);
	assert_int_equal(exposition_value(text, "process_max_fds", NULL, &max_fds), 0);
	assert_int_equal(exposition_value(text, "process_start_time_seconds", NULL, &start), 0);
	assert_int_equal(exposition_value(text,
					  "poolscope_config_last_reload_success_timestamp_seconds",
					  NULL, &loaded),
			 0);
	assert_true(cpu > 0 && cpu < 60);
	assert_true(resident > 1e6 && resident < virtual_bytes);
	/* the connection of the scrape was among them; the daemon sees its end a little later */
	for (int i = 0; i < 200 && fds != process_descriptors(&s->daemon.process) + 1; i++)
		sleep_ms(10);
	assert_int_equal((int)fds, process_descriptors(&s->daemon.process) + 1);
	assert_int_equal(prlimit(s->daemon.process.pid, RLIMIT_NOFILE, NULL, &rlimit), 0);
	assert_true(max_fds == (double)rlimit.rlim_cur);
	assert_int_equal(prlimit(s->daemon.process.pid, RLIMIT_AS, NULL, &rlimit), 0);
	assert_true(limit == (double)rlimit.rlim_cur);
	assert_true(start > now - 60 && start <= now + 1);
	assert_true(loaded >= start - 0.02 && loaded <= now + 1);
	assert_int_equal(
		exposition_sum(text, "poolscope_config_last_reload_successful", NULL, &cpu), 1);
	assert_true(cpu == 1);
	free(text);
}

static void it_shows_what_it_uses(void **state)
{
	struct scene *s = *state;

	scene_observe(s, NULL);
	expect_itself(s);
}

static void it_counts_what_it_is_asked(void **state)
{
	enum { SCRAPES = 5 };
	struct scene *s = *state;
	char *before, *after;
	double count, durations;

	scene_observe(s, NULL);
	before = scrape(s);
	assert_int_equal(
		exposition_value(before, "poolscope_http_requests_in_flight", NULL, &count), 0);
	assert_int_equal((int)count, 1); /* itself */
	for (int i = 0; i < SCRAPES - 1; i++)
		free(scrape(s));
	assert_int_equal(poolscoped_get(&s->daemon, "/nothing", NULL), 404);
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	sleep_ms(PAUSE_MS);
	after = poolscoped_scrape(&s->daemon);
	exposition_sum(after, "poolscope_http_requests_total",
		       "endpoint=metrics,method=GET,code=200", &count);
	exposition_sum(after, "poolscope_http_request_duration_seconds_count", "endpoint=metrics",
		       &durations);
	assert_true(count == durations);
	exposition_sum(before, "poolscope_http_requests_total",
		       "endpoint=metrics,method=GET,code=200", &durations);
	assert_int_equal((int)(count - durations), SCRAPES);
	assert_int_equal(exposition_value(after, "poolscope_http_requests_total",
					  "endpoint=other,method=GET,code=404", &count),
			 0);
	assert_int_equal((int)count, 1);
	assert_int_equal(exposition_value(after, "poolscope_http_requests_total",
					  "endpoint=health,method=GET,code=200", &count),
			 0);
	assert_int_equal((int)count, 1);
	assert_int_equal(exposition_sum(after, "poolscope_probe_runs_total", NULL, &count), 0);
	free(before);
	free(after);
}

static void probe_stats_show_what_the_programs_cost(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int listener, port = scene_listen(server, SCENE_BACKLOG, &listener);
	double before, after, seconds, missed;

	scene_observe(s, "--probe-stats", NULL);
	before = poolscoped_value(&s->daemon, "poolscope_probe_runs_total", "program=set_state");
	act(client, step_hold, .host = HOST, .port = port, .count = 100);
	sleep_ms(PAUSE_MS);
	after = poolscoped_value(&s->daemon, "poolscope_probe_runs_total", "program=set_state");
	missed = poolscoped_value(&s->daemon, "poolscope_probe_missed_total", "program=set_state");
	seconds = poolscoped_value(&s->daemon, "poolscope_probe_run_seconds_total",
				   "program=set_state");
	assert_true(after + missed >= before + 200); /* at least two states each */
	assert_true(seconds > 0 && seconds < after * 1e-3);
}

/* ---- series that go ---- */

static void a_series_without_connections_goes_and_begins_anew(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, "client");
	int listener, port = scene_listen(server, SCENE_BACKLOG, &listener), fd;
	int second, second_port = scene_listen(server, SCENE_BACKLOG, &second);

	scene_observe(s, "--peers.ttl=2s", NULL);
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	fd = (int)act(client, step_connect, .host = HOST, .port = second_port);
	act(client, step_release, .count = 0);
	expect(s, "client", "outbound", HOST, port, .attempts = 3, .opened = 3, .closed_local = 3,
	       .handshakes = 3, .lifetimes = 3);
	poolscoped_wait_value(&s->daemon, "poolscope_peers", "process=client,direction=outbound",
			      1);
	expect_series_total(s, 1);
	expect(s, "client", "outbound", HOST, second_port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(client, step_hold, .host = HOST, .port = port, .count = 1);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(client, step_close, .fd = fd);
	poolscoped_wait_value(&s->daemon, "poolscope_peers", "process=client,direction=outbound",
			      1);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	actor_end(client, SIGKILL);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	poolscoped_wait_value(&s->daemon, "poolscope_peers", "process=client,direction=outbound",
			      0);
	expect_series_total(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(scrapes_at_once_show_the_same_moment),
		scene_test(a_comm_that_looks_like_a_sample_is_a_name),
		scene_test(a_comm_of_invalid_utf8_is_a_name),
		scene_test(it_shows_what_it_uses),
		scene_test(it_counts_what_it_is_asked),
		scene_test(probe_stats_show_what_the_programs_cost),
		scene_test(a_series_without_connections_goes_and_begins_anew),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
