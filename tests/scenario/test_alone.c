/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * poolscope snapshot --pid: attached without a daemon, or beside one, and gone without a trace. A first line of --watch says that it is
 * attached; what is expected is what the workload itself counted from there on. Scenario 43.
 */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "objects.h"
#include "scene.h"
#include "schema.h"

#define HOST "127.0.0.1"
#define CLIENT_MS 20000
#define FLAGS_MAX 8
#define HELD 7
#define OPENED 500
#define SOMEBODY 54321

static const char *client_path(void)
{
	const char *name = getenv("POOLSCOPE");

	return name ? name : "build/poolscope";
}

/* ---- running it ---- */

struct line {
	char targets[SCENE_ACTORS_MAX][64];
	const char *argv[2 + SCENE_ACTORS_MAX + FLAGS_MAX + 1];
};

/* On all actors of the scene that have a name. */
static void make_line(struct line *l, const struct scene *s, const char *const flags[])
{
	int n = 0;

	*l = (struct line){};
	l->argv[n++] = client_path();
	l->argv[n++] = "snapshot";
	for (size_t i = 0; i < s->actor_count; i++) {
		if (!s->actors[i].name)
			continue;
		snprintf(l->targets[i], sizeof(l->targets[i]), "--pid=%d=%s", s->actors[i].pid,
			 s->actors[i].name);
		l->argv[n++] = l->targets[i];
	}
	for (; *flags; flags++)
		l->argv[n++] = *flags;
}

static int run(const struct scene *s, const struct process_how *how, char **ret_out, char **ret_err,
	       const char *const flags[])
{
	struct line line;

	make_line(&line, s, flags);
	return process_run(line.argv, how, CLIENT_MS, ret_out, ret_err);
}

/* To its end; must succeed without a word on stderr. */
static char *says(const struct scene *s, const char *const flags[])
{
	char *out, *err;
	int code = run(s, NULL, &out, &err, flags);

	if (code != 0 || err[0])
		fail_msg("exit %d: %s", code, err);
	free(err);
	return out;
}

#define SAYS(s, ...) says(s, (const char *const[]){__VA_ARGS__, NULL})

static int count_lines(const struct process *p)
{
	char *text = process_stdout(p);
	int count = 0;

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	free(text);
	return count;
}

/* Until something asks it to end; it is attached when this returns. `more`: a further flag, or NULL. */
static void begin(struct process *p, const struct scene *s, const char *more)
{
	const char *const flags[] = {"--for=1h", "--watch=3600", "--format=json", more, NULL};
	double deadline = now_seconds() + CLIENT_MS / 1000.0;
	struct line line;

	make_line(&line, s, flags);
	process_start(p, line.argv, NULL);
	while (!count_lines(p)) {
		if (process_wait(p, 20) >= 0 || now_seconds() > deadline) {
			char *err = process_stderr(p);

			fail_msg("it does not begin: %s", err);
		}
	}
}

/* Its second line, the last. */
static json_t *end(struct process *p, int signo)
{
	json_t *snapshot;
	char *text;

	assert_int_equal(kill(p->pid, signo), 0);
	assert_int_equal(process_wait(p, CLIENT_MS), 0);
	assert_int_equal(count_lines(p), 2);
	text = process_stdout(p);
	snapshot = json_loads(strchr(text, '\n') + 1, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(snapshot);
	free(text);
	process_done(p);
	return snapshot;
}

/* ---- numbers ---- */

struct pool {
	int active, opened, adopted, closed_local, closed_peer;
};

static struct pool find_pool(const json_t *snapshot, const char *process, const char *direction)
{
	const char *row_process, *row_direction;
	struct pool found = {.active = -1}, p;
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(snapshot, "series"), i, row)
	{
		assert_int_equal(json_unpack(row, "{s:s, s:s, s:i, s:i, s:i, s:{s:i, s:i}}",
					     "process", &row_process, "direction", &row_direction,
					     "active", &p.active, "opened", &p.opened, "adopted",
					     &p.adopted, "closed", "local", &p.closed_local, "peer",
					     &p.closed_peer),
				 0);
		if (strcmp(row_process, process) != 0 || strcmp(row_direction, direction) != 0)
			continue;
		assert_int_equal(found.active, -1);
		found = p;
	}
	return found;
}

static void expect_in(const json_t *snapshot, const char *process, const char *direction,
		      struct pool expected)
{
	struct pool found = find_pool(snapshot, process, direction);

	assert_int_equal(found.active, expected.active);
	assert_int_equal(found.opened, expected.opened);
	assert_int_equal(found.adopted, expected.adopted);
	assert_int_equal(found.closed_local, expected.closed_local);
	assert_int_equal(found.closed_peer, expected.closed_peer);
}

#define expect_pool(snapshot, process, direction, ...) \
	expect_in(snapshot, process, direction, (struct pool){__VA_ARGS__})

struct pair {
	struct traffic_shared *storm;
	struct actor *server, *client;
	int listener, port;
};

/* A server and a client, both to be watched; the client holds HELD connections that were accepted. */
static struct pair make_pair(struct scene *s)
{
	struct pair p = {.storm = traffic_shared()}; /* before its users */

	p.server = scene_actor(s, "server");
	p.client = scene_actor(s, "client");
	p.port = scene_listen(p.server, SCENE_BACKLOG, &p.listener);
	act(p.client, step_hold, .host = HOST, .port = p.port, .count = HELD);
	act(p.server, step_hold_accepted, .fd = p.listener, .count = HELD);
	return p;
}

/* OPENED more, of which all are closed by the client and read to their end by the server. */
static void make_traffic(const struct pair *p)
{
	atomic_store(&p->storm->clients, 1);
	act_begin(p->server, step_storm_serve, .fd = p->listener, .shared = p->storm);
	act(p->client, step_storm_connect, .host = HOST, .port = p->port, .count = OPENED,
	    .shared = p->storm);
	assert_int_equal(actor_finish(p->server), OPENED);
}

static void expect_traffic(const json_t *snapshot)
{
	expect_pool(snapshot, "client", "outbound", .active = HELD, .opened = OPENED,
		    .adopted = HELD, .closed_local = OPENED);
	expect_pool(snapshot, "server", "inbound", .active = HELD, .opened = OPENED,
		    .adopted = HELD, .closed_peer = OPENED);
}

/* ---- the tests ---- */

static void what_happens_meanwhile_is_counted_exactly(void **state)
{
	struct scene *s = *state;
	struct pair pair = make_pair(s);
	struct object objects[OBJECTS_MAX];
	json_t *schema = json_load_file("docs/snapshot.schema.json", 0, NULL), *snapshot;
	struct process p = {};
	char why[512];
	size_t count;

	begin(&p, s, NULL);
	count = objects_of(p.pid, objects);
	make_traffic(&pair);
	snapshot = end(&p, SIGINT);
	if (schema_check(schema, snapshot, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(json_array_size(json_object_get(snapshot, "series")), 2);
	expect_traffic(snapshot);
	json_decref(snapshot);
	json_decref(schema);
	objects_expect_gone(objects, count);
}

static void the_time_ends_it(void **state)
{
	struct scene *s = *state;
	struct pair pair = make_pair(s);
	double start = now_seconds(), value;
	char *text, row[96], why[512];

	text = SAYS(s, "--for=2s", "--watch=1", "--format=json");
	assert_in_range(now_seconds() - start, 2, 4);
	for (int i = 0; i < 3; i++) { /* at once, after a second, at the end */
		char *line = strtok(i ? NULL : text, "\n");
		json_t *snapshot = line ? json_loads(line, 0, NULL) : NULL;

		expect_pool(snapshot, "client", "outbound", .active = HELD, .adopted = HELD);
		json_decref(snapshot);
	}
	assert_null(strtok(NULL, "\n"));
	free(text);
	text = SAYS(s, "--for=1s");
	snprintf(row, sizeof(row), "client   outbound   %s:%d       %d  ", HOST, pair.port, HELD);
	assert_non_null(strstr(text, row));
	assert_null(strchr(text, '\033'));
	free(text);
	text = SAYS(s, "--for=1s", "--format=prom");
	if (exposition_check(text, why, sizeof(why)) ||
	    exposition_check_invariants(text, why, sizeof(why)))
		fail_msg("%s", why);
	exposition_sum(text, "poolscope_connections_active", "process=server", &value);
	assert_int_equal(value, HELD);
	free(text);
}

static void a_daemon_beside_it_sees_nothing_of_it(void **state)
{
	struct scene *s = *state;
	struct pair pair = make_pair(s);
	struct process p = {};
	json_t *snapshot;

	scene_observe(s, NULL);
	begin(&p, s, NULL);
	make_traffic(&pair);
	snapshot = end(&p, SIGTERM);
	expect_traffic(snapshot);
	json_decref(snapshot);
	expect(s, "client", "outbound", HOST, pair.port, .attempts = OPENED, .opened = OPENED,
	       .adopted = HELD, .active = HELD, .closed_local = OPENED, .handshakes = OPENED,
	       .lifetimes = OPENED);
}

/* Both actors, which are called as this test is. */
static void what_is_selected_is_counted(void **state)
{
	struct scene *s = *state;
	struct pair pair = make_pair(s);
	struct process p = {};
	json_t *snapshot;

	pair.server->name = pair.client->name = NULL;
	begin(&p, s, "--comm=test_alone=all");
	make_traffic(&pair);
	snapshot = end(&p, SIGINT);
	expect_pool(snapshot, "all", "outbound", .active = HELD, .opened = OPENED, .adopted = HELD,
		    .closed_local = OPENED);
	expect_pool(snapshot, "all", "inbound", .active = HELD, .opened = OPENED, .adopted = HELD,
		    .closed_peer = OPENED);
	json_decref(snapshot);
}

static void targets_may_end_meanwhile(void **state)
{
	struct scene *s = *state;
	struct pair pair = make_pair(s);
	struct process p = {};
	json_t *snapshot;

	begin(&p, s, NULL);
	actor_end(pair.client, SIGKILL);
	act(pair.server, step_release, .count = HELD);
	snapshot = end(&p, SIGINT);
	expect_pool(snapshot, "client", "outbound", .adopted = HELD, .closed_local = HELD);
	expect_pool(snapshot, "server", "inbound", .adopted = HELD, .closed_peer = HELD);
	json_decref(snapshot);
}

/* A line of /proc/PID/status. */
static void expect_status(pid_t pid, const char *key, unsigned long long expected)
{
	char path[64], line[256];
	int found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		assert_int_equal(strtoull(line + strlen(key), NULL, 16), expected);
		found++;
	}
	fclose(f);
	assert_int_equal(found, 1);
}

static void it_watches_without_privileges_and_dies_without_a_trace(void **state)
{
	struct object objects[OBJECTS_MAX];
	struct scene *s = *state;
	struct process p = {};
	size_t count;

	make_pair(s);
	begin(&p, s, NULL);
	expect_status(p.pid, "CapPrm:", 0);
	expect_status(p.pid, "CapEff:", 0);
	expect_status(p.pid, "CapBnd:", 0);
	expect_status(p.pid, "NoNewPrivs:", 1);
	expect_status(p.pid, "Seccomp:", 2);
	count = objects_of(p.pid, objects);
	assert_int_equal(kill(p.pid, SIGKILL), 0);
	assert_int_equal(process_wait(&p, CLIENT_MS), 128 + SIGKILL);
	objects_expect_gone(objects, count);
	process_done(&p);
}

/* The system call filter is installed by the time that it writes there. */
static void a_terminal_is_drawn_anew(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), other, status;
	const char *const flags[] = {"--for=1s", "--watch", NULL};
	struct scene *s = *state;
	char text[8192], *second;
	struct line line;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	make_pair(s);
	make_line(&line, s, flags);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	other = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0 && other >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(other, STDOUT_FILENO);
		execv(line.argv[0], (char **)(uintptr_t)line.argv);
		_exit(99);
	}
	close(other);
	while ((n = read(terminal, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(terminal);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(strncmp(text, "\033[H\033[2J", 7), 0);
	second = strstr(text + 7, "\033[H\033[2J");
	assert_non_null(second);
	assert_non_null(strstr(second, "\033[1mPROCESS\033[0m"));
}

static void become_somebody(void)
{
	if (setresgid(SOMEBODY, SOMEBODY, SOMEBODY) || setresuid(SOMEBODY, SOMEBODY, SOMEBODY))
		_exit(99);
}

static void refuses(const struct scene *s, const struct process_how *how, int expected_code,
		    const char *expected)
{
	const char *const flags[] = {"--for=1h", NULL};
	char *out, *err;
	int code = run(s, how, &out, &err, flags);

	assert_string_equal(out, "");
	if (!strstr(err, expected))
		fail_msg("%s", err);
	assert_int_equal(code, expected_code);
	free(out);
	free(err);
}

static void what_cannot_be_attached_is_told(void **state)
{
	struct scene *s = *state;
	struct actor *a = scene_actor(s, "service");

	refuses(s, &(struct process_how){.prepare = become_somebody}, 4,
		"poolscope: snapshot: capabilities: missing CAP_BPF CAP_PERFMON: run as root");
	actor_end(a, SIGKILL);
	a->pid = 4194303; /* the highest that may be, and rarely is */
	refuses(s, NULL, 5, "poolscope: snapshot: no process with PID 4194303");
	a->pid = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(what_happens_meanwhile_is_counted_exactly),
		scene_test(the_time_ends_it),
		scene_test(a_daemon_beside_it_sees_nothing_of_it),
		scene_test(what_is_selected_is_counted),
		scene_test(targets_may_end_meanwhile),
		scene_test(it_watches_without_privileges_and_dies_without_a_trace),
		scene_test(a_terminal_is_drawn_anew),
		scene_test(what_cannot_be_attached_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("alone", tests, NULL, NULL);
}
