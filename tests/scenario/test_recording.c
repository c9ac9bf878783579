// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What the daemon records is replayed by nobody, in an empty directory: no root, no BTF, no /proc. What the engine says of itself must come out
 * byte for byte as the daemon served it. And a recording that cannot go on is lost, the daemon is not. Scenario 42.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "replay.h"
#include "scene.h"
#include "tape.h"

#define HOST "127.0.0.1"
#define NOBODY 65534
#define PEERS 40 /* more than --peers.max here */
#define QUIET_MS 1300 /* an inventory after a skipped run comes within a second */
#define QUIET_SECONDS 15
#define DAY_RECORDS 10000000 /* of a day with 115 a second */
#define DAY_BYTES (32 << 20) /* of address space, program and libraries included */
#define DAY_MS 120000
#define OPENMETRICS "Accept: application/openmetrics-text; version=1.0.0\r\n"

/* Where the recording is made; also for the daemon's child before exec. */
static char directory[64], empty[96], recording[96], control[96];

static int setup(void **state)
{
	strcpy(directory, "/tmp/poolscope-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(empty, sizeof(empty), "%s/empty", directory);
	snprintf(recording, sizeof(recording), "%s/recording", directory);
	snprintf(control, sizeof(control), "%s/control", directory);
	if (mkdir(empty, 0755))
		return -1;
	return scene_setup(state);
}

static int teardown(void **state)
{
	int err = scene_teardown(state);

	unlink(recording);
	unlink(control);
	rmdir(empty);
	return rmdir(directory) || err ? -1 : 0;
}

static char *record_flag(char flag[128])
{
	snprintf(flag, 128, "--record=%s", recording);
	return flag;
}

/* ---- what is compared ---- */

/* What a daemon says of itself, and no replay. */
static bool is_daemons(const char *line)
{
	static const char *const prefixes[] = {"poolscope_probe",  "poolscope_http_",
					       "poolscope_config", "poolscope_scrape_",
					       "poolscope_build",  "process_"};

	if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0 ||
	    strncmp(line, "# UNIT ", 7) == 0)
		line += 7;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(line, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The lines of the engine, in place. */
static char *engine_lines(char *text)
{
	char *to = text;

	for (char *line = text, *next; *line; line = next) {
		next = strchr(line, '\n');
		assert_non_null(next);
		next++;
		if (is_daemons(line))
			continue;
		memmove(to, line, (size_t)(next - line));
		to += next - line;
	}
	*to = '\0';
	return text;
}

static char *scrape_engine(const struct scene *s, const char *headers)
{
	char *text = NULL;

	assert_int_equal(poolscoped_get_with(&s->daemon, "/metrics", headers, &text), 200);
	return engine_lines(text);
}

/* When nothing changes any more: no inventory is due, no queue is read anew. It stays so for a moment only, since a skipped run anywhere
 * on the host makes an inventory due: stop the daemon at once. */
static char *scrape_quiet(const struct scene *s, const char *headers)
{
	double deadline = now_seconds() + QUIET_SECONDS;
	char *before = scrape_engine(s, headers), *text;

	for (;;) {
		pause_ms(QUIET_MS);
		text = scrape_engine(s, headers);
		if (strcmp(before, text) == 0)
			break;
		free(before);
		before = text;
		assert_true(now_seconds() < deadline);
	}
	free(before);
	return text;
}

/* ---- the replay ---- */

struct replayed {
	int code; /* of replay_open() */
	char *text;
	char why[256];
	struct replay_result result;
};

static int replay_as_nobody(int in_fd, int out_fd, enum exposition_format format, bool partial,
			    struct replayed *shared)
{
	FILE *in = fdopen(in_fd, "r"), *out = fdopen(out_fd, "w");
	struct replay *r = NULL;

	if (!in || !out || chroot(empty) || chdir("/") || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || access("/sys", F_OK) == 0)
		return 1;
	shared->code =
		replay_open(&r, in, partial, &shared->result, shared->why, sizeof(shared->why));
	return shared->code || !replay_print(r, out, format) ? 0 : 2;
}

/* free() the text. */
static struct replayed replay(enum exposition_format format, bool partial)
{
	struct replayed *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
			ret;
	int in = open(recording, O_RDONLY | O_CLOEXEC), out = memfd_create("replayed", MFD_CLOEXEC),
	    status;
	struct stat st;
	pid_t child;

	assert_true(in >= 0 && out >= 0 && shared != MAP_FAILED);
	child = fork();
	if (!child)
		_exit(replay_as_nobody(in, out, format, partial, shared));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ret = *shared;
	assert_int_equal(fstat(out, &st), 0);
	ret.text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(ret.text);
	assert_int_equal(pread(out, ret.text, (size_t)st.st_size, 0), st.st_size);
	munmap(shared, sizeof(*shared));
	close(in);
	close(out);
	return ret;
}

static void expect_same(const char *served, enum exposition_format format)
{
	struct replayed r = replay(format, false);
	const char *a = served, *b = r.text;

	if (r.code)
		fail_msg("%s", r.why);
	while (*a && *a == *b)
		a++, b++;
	if (*a || *b) {
		while (a > served && a[-1] != '\n')
			a--, b--;
		fail_msg("served: %.*s, replayed: %.*s", (int)strcspn(a, "\n"), a,
			 (int)strcspn(b, "\n"), b);
	}
	assert_int_equal(r.result.wrongs, 0);
	print_message("# %llu bytes, %llu records, the same %zu bytes of text\n",
		      (unsigned long long)r.result.bytes, (unsigned long long)r.result.records,
		      strlen(r.text));
	free(r.text);
}

static const char *client_path(void)
{
	const char *name = getenv("POOLSCOPE");

	return name ? name : "build/poolscope";
}

/* Without root, BTF, /proc, and with little memory. */
static void live_on_nothing(void)
{
	const struct rlimit limit = {DAY_BYTES, DAY_BYTES};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/sys", "tmpfs", 0, NULL) || mount("none", "/proc", "tmpfs", 0, NULL) ||
	    chmod(directory, 0711) || chown(recording, NOBODY, NOBODY) || setgroups(0, NULL) ||
	    setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
	    setrlimit(RLIMIT_AS, &limit) || access("/sys/kernel", F_OK) == 0)
		_exit(99);
}

/* As people do it; free() it. */
static char *program_replays(void)
{
	const char *const argv[] = {client_path(), "replay", recording, "--format=prom", NULL};
	const struct process_how how = {.prepare = live_on_nothing};
	char *out, *err;
	int code = process_run(argv, &how, DAY_MS, &out, &err);

	if (code || err[0])
		fail_msg("exit %d: %s", code, err);
	free(err);
	return out;
}

/* ---- workloads ---- */

struct storm {
	struct actor *client, *server;
	struct traffic_shared *shared;
	int listener, port;
};

static void storm_run(struct storm *storm, const char *from, int count)
{
	atomic_store(&storm->shared->clients, 1);
	act_begin(storm->server, step_storm_serve, .fd = storm->listener, .shared = storm->shared);
	act_begin(storm->client, step_storm_connect, .host = HOST, .from = from,
		  .from_hosts = PEERS, .port = storm->port, .count = count,
		  .shared = storm->shared);
	assert_int_equal(actor_finish(storm->client), count);
	assert_int_equal(actor_finish(storm->server), count);
}

/* Some of everything: refused, aborted, open, stale, queued, handed over, and peers beyond the bound. */
static void fail_and_hold(struct scene *s, struct storm *storm)
{
	struct actor *mute = scene_actor(s, NULL);
	int refused = process_free_port(), l, full = scene_full_listener(mute, &l), c, a;

	for (int i = 0; i < 20; i++)
		assert_int_equal(act_try(storm->client, step_connect, .host = HOST,
					 .port = refused),
				 -ECONNREFUSED);
	c = (int)act(storm->client, step_connect, .host = HOST, .port = full,
		     .flags = STEP_NONBLOCK);
	act(storm->client, step_close, .fd = c);
	act(storm->client, step_connect, .host = HOST, .port = full, .flags = STEP_NONBLOCK);
	act(storm->client, step_hold, .host = HOST, .port = storm->port, .count = 5);
	act(storm->server, step_hold_accepted, .fd = storm->listener, .count = 3);
	act(storm->client, step_release, .count = 1);
	c = (int)act(storm->client, step_connect, .host = HOST, .port = storm->port);
	a = (int)act(storm->server, step_accept, .fd = storm->listener);
	act(storm->client, step_close, .fd = c, .flags = STEP_RESET);
	act(storm->server, step_close, .fd = a);
}

static struct storm storm_prepare(struct scene *s, const char *ring)
{
	struct storm storm = {.shared = traffic_shared()};
	char flag[128];

	storm.server = scene_actor(s, "server");
	storm.client = scene_actor(s, "client \"one\"");
	scene_observe(s, record_flag(flag), ring, "--reconcile-interval=1h", "--peers.max=20",
		      "--peers.aggregate=127.0.51.0/28", "--buckets.lifetime=.001,1e0,2.5", NULL);
	storm.port = scene_listen(storm.server, SCENE_BACKLOG, &storm.listener);
	return storm;
}

/* ---- tests ---- */

static void a_recorded_storm_replays_byte_for_byte(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=4MiB");
	const int count = traffic_volume(20000);
	char *text, *openmetrics, *replayed;
	struct stat st;

	storm_run(&storm, "127.0.50.1", count);
	free(scrape_engine(s, "")); /* one in between */
	storm_run(&storm, "127.0.51.1", count);
	fail_and_hold(s, &storm);
	free(scrape_quiet(s, ""));
	openmetrics = scrape_engine(s, OPENMETRICS);
	text = scrape_engine(s, "");
	assert_int_equal(scene_count(text, "refused", "client \"one\"", "outbound"), 20);
	assert_int_equal(scene_count(text, "opened", "server", "inbound"), 2 * count + 6);
	assert_int_equal(stat(recording, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	poolscoped_stop(&s->daemon);
	expect_same(text, EXPOSITION_TEXT);
	expect_same(openmetrics, EXPOSITION_OPENMETRICS);
	replayed = program_replays();
	assert_string_equal(replayed, text);
	free(replayed);
	free(openmetrics);
	free(text);
}

/* Records that were refused, finals that were parked, inventories that put gauges right: all of it is in the recording. */
static void what_was_made_good_replays_byte_for_byte(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=64KiB");
	const int count = traffic_volume(20000);
	double sum;
	char *text;

	kill(s->daemon.process.pid, SIGSTOP);
	storm_run(&storm, "127.0.52.1", count);
	act(storm.client, step_hold, .host = HOST, .port = storm.port, .count = 500);
	kill(s->daemon.process.pid, SIGCONT);
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_opened_total", "process=server",
			    count + 500);
	text = scrape_quiet(s, "");
	exposition_sum(text, "poolscope_events_refused_total", "", &sum);
	assert_true(sum > 0);
	exposition_sum(text, "poolscope_reconcile_total", "cause=loss", &sum);
	assert_true(sum > 0);
	poolscoped_stop(&s->daemon);
	expect_same(text, EXPOSITION_TEXT);
	free(text);
}

static void tell_daemon(const char *command, const char *what)
{
	const char *const argv[] = {client_path(), "--socket", control, command, what, NULL};

	assert_int_equal(process_run(argv, NULL, 10000, NULL, NULL), 0);
}

/* Names come, go and come back, connections are open meanwhile, and the last to go is shown by no reading. */
static void targets_that_come_and_go_replay_byte_for_byte(void **state)
{
	struct scene *s = *state;
	struct storm storm = {.shared = traffic_shared()};
	const int count = traffic_volume(500);
	char flag[128], socket_flag[128], what[64], from[16], *text;

	storm.server = scene_actor(s, "server");
	storm.client = scene_actor(s, "client");
	snprintf(socket_flag, sizeof(socket_flag), "--control.socket=%s", control);
	scene_observe(s, record_flag(flag), socket_flag, "--reconcile-interval=1h", NULL);
	storm.port = scene_listen(storm.server, SCENE_BACKLOG, &storm.listener);
	act(storm.client, step_hold, .host = HOST, .port = storm.port, .count = 5);
	act(storm.server, step_hold_accepted, .fd = storm.listener, .count = 5);
	for (unsigned int i = 0; i < 5; i++) {
		traffic_address("127.0.55.1", i * PEERS, from);
		snprintf(what, sizeof(what), "%d", storm.client->pid);
		tell_daemon("detach", what);
		snprintf(what, sizeof(what), "%d=client%u", storm.client->pid, i % 2);
		tell_daemon("attach", what);
		storm_run(&storm, from, count);
		free(scrape_engine(s, ""));
	}
	tell_daemon("detach", "server");
	text = scrape_quiet(s, "");
	assert_null(strstr(text, "server\""));
	assert_int_equal(scene_count(text, "attempts", "client0", "outbound"), count);
	poolscoped_stop(&s->daemon);
	expect_same(text, EXPOSITION_TEXT);
	free(text);
}

/* Nobody has scraped it. */
static void the_end_is_a_reading(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=4MiB");
	struct replayed r;
	double sum;

	act(storm.client, step_hold, .host = HOST, .port = storm.port, .count = 3);
	pause_ms(1500);
	poolscoped_stop(&s->daemon);
	r = replay(EXPOSITION_TEXT, false);
	assert_int_equal(r.code, 0);
	exposition_sum(r.text, "poolscope_connections_queued", "process=server", &sum);
	assert_int_equal(sum, 3);
	exposition_sum(r.text, "poolscope_target_processes", "", &sum);
	assert_int_equal(sum, 2);
	free(r.text);
}

static void what_a_killed_daemon_recorded_is_refused_unless_asked_for(void **state)
{
	struct scene *s = *state;
	struct storm storm = storm_prepare(s, "--ring-size=4MiB");
	struct replayed r;
	double sum;

	act(storm.client, step_hold, .host = HOST, .port = storm.port, .count = 3);
	pause_ms(2500);
	kill(s->daemon.process.pid, SIGKILL);
	assert_int_equal(process_wait(&s->daemon.process, 5000), 128 + SIGKILL);
	r = replay(EXPOSITION_TEXT, false);
	assert_int_equal(r.code, -ENODATA);
	assert_non_null(strstr(r.why, "offset "));
	assert_string_equal(r.text, "");
	free(r.text);
	r = replay(EXPOSITION_TEXT, true);
	assert_int_equal(r.code, 0);
	exposition_sum(r.text, "poolscope_connections_active", "direction=outbound", &sum);
	assert_int_equal(sum, 3);
	free(r.text);
}

/* Into a pipe: nothing of that size is kept. Waits for who reads it, but not longer than the test lives. */
static int write_day(uint64_t connections)
{
	struct recording_header header = tape_header();
	struct recording *r;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(recording, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || recording_open_fd(&r, fd, &header))
		return 1;
	tape_write(r, connections);
	return recording_close(r) ? 2 : 0;
}

static void a_day_replays_in_bounded_memory(void **state)
{
	uint64_t connections = (uint64_t)traffic_volume(DAY_RECORDS) / TAPE_RECORDS;
	double closed, active, start = now_seconds();
	pid_t writer;
	int status;
	char *text;

	(void)state;
	assert_int_equal(mkfifo(recording, 0600), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (!writer)
		_exit(write_day(connections));
	text = program_replays();
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	exposition_sum(text, "poolscope_connections_closed_total", "process=" TAPE_NAME, &closed);
	exposition_sum(text, "poolscope_connections_active", "process=" TAPE_NAME, &active);
	assert_int_equal(closed, connections);
	assert_int_equal(active, 0);
	print_message("# %d records in %.1f s\n", (int)connections * TAPE_RECORDS,
		      now_seconds() - start);
	free(text);
}

/* A file system of its own for the daemon, with room for the header and little more. */
static void small_disk(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("small", directory, "tmpfs", 0, "size=256k"))
		_exit(99);
}

static void a_full_disk_loses_the_recording_and_never_the_daemon(void **state)
{
	struct scene *s = *state;
	const int count = traffic_volume(20000);
	struct storm storm;
	const char *said;
	char *log;

	s->daemon.prepare = small_disk;
	storm = storm_prepare(s, "--ring-size=4MiB");
	storm_run(&storm, "127.0.53.1", count);
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_closed_total", "process=server",
			    count);
	storm_run(&storm, "127.0.54.1", count);
	poolscoped_wait_sum(&s->daemon, "poolscope_connections_closed_total", "process=server",
			    2 * count);
	log = process_stderr(&s->daemon.process);
	said = strstr(log, "is given up: No space left on device");
	assert_non_null(said);
	assert_null(strstr(said + 1, "is given up"));
	free(log);
	poolscoped_stop(&s->daemon);
}

static int start_and_fail(const char *flag, const char *pid, char **ret_log)
{
	const char *const argv[] = {poolscoped_path(), flag, pid,
				    "--web.listen-address=127.0.0.1:0", NULL};

	return process_run(argv, NULL, 30000, NULL, ret_log);
}

static void a_file_that_exists_is_left_alone(void **state)
{
	struct scene *s = *state;
	struct actor *a = scene_actor(s, NULL);
	char flag[128], pid[32], *log;
	FILE *f = fopen(recording, "we");
	struct stat st;

	assert_non_null(f);
	fputs("precious", f);
	fclose(f);
	snprintf(pid, sizeof(pid), "--pid=%d", a->pid);
	assert_int_equal(start_and_fail(record_flag(flag), pid, &log), 2);
	assert_non_null(strstr(log, "File exists (a recording never replaces a file)"));
	assert_int_equal(stat(recording, &st), 0);
	assert_int_equal(st.st_size, 8);
	free(log);
}

static void a_start_that_fails_leaves_no_file(void **state)
{
	char flag[128];

	(void)state;
	assert_int_equal(start_and_fail(record_flag(flag), "--pid=4194304", NULL), 5);
	assert_int_equal(access(recording, F_OK), -1);
}

#define recording_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		recording_test(a_recorded_storm_replays_byte_for_byte),
		recording_test(what_was_made_good_replays_byte_for_byte),
		recording_test(targets_that_come_and_go_replay_byte_for_byte),
		recording_test(the_end_is_a_reading),
		recording_test(what_a_killed_daemon_recorded_is_refused_unless_asked_for),
		recording_test(a_day_replays_in_bounded_memory),
		recording_test(a_full_disk_loses_the_recording_and_never_the_daemon),
		recording_test(a_file_that_exists_is_left_alone),
		recording_test(a_start_that_fails_leaves_no_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
