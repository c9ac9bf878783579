/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The control socket of the real daemon, which has no capability left: by the client as people use it, and byte by byte where the
 * client is too well-behaved. Numbers are those that the workload itself counted. Scenario 40.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "scene.h"
#include "schema.h"
#include "started.h"

#define HOST "127.0.0.1"
#define CLIENT_MS 20000
#define ANSWER_MAX 65536
#define CYCLES 70 /* there may be 64 names */
#define PATIENCE_S 5 /* CONTROL_PATIENCE_NS */
/* numbers that no user and no group has */
#define SOMEBODY 54321
#define GROUP 54322
#define ADMINS 54323

static char directory[] = "/tmp/poolscope-control.XXXXXX";
static char path[sizeof(directory) + 16], socket_flag[sizeof(path) + 32];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chmod(directory, 0755))
		return -1;
	snprintf(path, sizeof(path), "%s/run/sock", directory);
	snprintf(socket_flag, sizeof(socket_flag), "--control.socket=%s", path);
	return 0;
}

static int remove_directory(void **state)
{
	char run[sizeof(directory) + 8];

	(void)state;
	snprintf(run, sizeof(run), "%s/run", directory);
	unlink(path);
	return rmdir(run) || rmdir(directory);
}

/* ---- the client ---- */

static const char *client_path(void)
{
	const char *name = getenv("POOLSCOPE");

	return name ? name : "build/poolscope";
}

#define WORDS_MAX 6

/* Its exit status; *ret_out and *ret_err (NULL: not wanted) are to be freed. */
static int run_client(char **ret_out, char **ret_err, const char *const words[])
{
	const char *argv[WORDS_MAX + 4] = {client_path(), "--socket", path};
	char *out, *err;
	int code, n = 3;

	for (; *words; words++)
		argv[n++] = *words;
	code = process_run(argv, NULL, CLIENT_MS, &out, &err);
	if (ret_out)
		*ret_out = out;
	else
		free(out);
	if (ret_err)
		*ret_err = err;
	else
		free(err);
	return code;
}

#define CLIENT(ret_out, ret_err, ...) \
	run_client(ret_out, ret_err, (const char *const[]){__VA_ARGS__, NULL})

/* Must succeed, without a word on stderr; free() it. */
static char *client_says(const char *const words[])
{
	char *out, *err;
	int code = run_client(&out, &err, words);

	if (code != 0 || err[0])
		fail_msg("poolscope %s: exit %d: %s", words[0], code, err);
	free(err);
	return out;
}

#define SAYS(...) client_says((const char *const[]){__VA_ARGS__, NULL})

static void client_refuses(int expected_code, const char *expected, const char *const words[])
{
	char *out, *err;
	int code = run_client(&out, &err, words);

	assert_string_equal(out, "");
	if (!strstr(err, expected))
		fail_msg("poolscope %s: %s", words[0], err);
	assert_int_equal(code, expected_code);
	free(out);
	free(err);
}

#define REFUSES(code, text, ...) \
	client_refuses(code, text, (const char *const[]){__VA_ARGS__, NULL})

static json_t *client_json(const char *command)
{
	char *text = SAYS(command, "--format=json");
	json_t *answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (!answer)
		fail_msg("no JSON: %s", text);
	free(text);
	return answer;
}

static void attach(const struct actor *a, const char *name)
{
	char word[64];

	snprintf(word, sizeof(word), "%d=%s", (int)a->pid, name);
	free(SAYS("attach", word));
}

/* ---- by hand ---- */

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -errno;
}

/* Up to the end, or to an error, of which a client that has not been listened to must not be surprised. */
static void read_end(int fd, char ret[ANSWER_MAX])
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, ret + len, ANSWER_MAX - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = '\0';
	close(fd);
}

static void expect_start(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("%.200s", text);
}

static void become(uid_t uid, gid_t gid, gid_t more)
{
	if (setgroups(1, &more) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		_exit(99);
}

/* As that user, of that group and one more. The answer, or what connecting failed with. */
static void ask_as(uid_t uid, gid_t gid, gid_t more, const char *request, char ret[ANSWER_MAX])
{
	int pipe_fds[2], fd;
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		become(uid, gid, more);
		fd = dial();
		if (fd < 0)
			snprintf(ret, ANSWER_MAX, "%s", strerror(-fd));
		else if (write(fd, request, strlen(request)) > 0)
			read_end(fd, ret);
		_exit(write(pipe_fds[1], ret, strlen(ret)) < 0);
	}
	close(pipe_fds[1]);
	read_end(pipe_fds[0], ret);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define LIST "{\"command\":\"list\"}\n"
#define ATTACH "{\"command\":\"attach\",\"pid\":4194304}\n"

/* ---- numbers ---- */

static long number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", key);
	return (long)json_integer_value(value);
}

static bool has_text(const json_t *object, const char *key, const char *text)
{
	const char *found = json_string_value(json_object_get(object, key));

	return found && strcmp(found, text) == 0;
}

/* NULL: there is none. */
static json_t *find_series(const json_t *snapshot, const char *process, const char *direction)
{
	size_t i;
	json_t *row, *found = NULL;

	json_array_foreach(json_object_get(snapshot, "series"), i, row)
	{
		if (!has_text(row, "process", process) || !has_text(row, "direction", direction))
			continue;
		assert_null(found);
		found = row;
	}
	return found;
}

static void check_schema(const json_t *snapshot)
{
	json_t *schema = json_load_file("docs/snapshot.schema.json", 0, NULL);
	char why[512];

	assert_non_null(schema);
	if (schema_check(schema, snapshot, why, sizeof(why)))
		fail_msg("%s", why);
	json_decref(schema);
}

static void attached_at_run_time_it_counts_what_the_workload_counts(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, NULL);
	json_t *snapshot, *row;
	int l, port;
	char *out;

	scene_observe(s, socket_flag, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	attach(client, "shop");
	act(client, step_hold, .host = HOST, .port = port, .count = 20);
	act(server, step_hold_accepted, .fd = l, .count = 20);
	act(client, step_release, .count = 5);
	expect(s, "shop", "outbound", HOST, port, .attempts = 20, .opened = 20, .active = 15,
	       .closed_local = 5, .handshakes = 20, .lifetimes = 5);
	snapshot = client_json("snapshot");
	check_schema(snapshot);
	assert_int_equal(json_array_size(json_object_get(snapshot, "series")), 1);
	row = find_series(snapshot, "shop", "outbound");
	assert_true(has_text(row, "peer_address", HOST));
	assert_int_equal(number(row, "server_port"), port);
	assert_int_equal(number(row, "active"), 15);
	assert_int_equal(number(row, "attempts"), 20);
	assert_int_equal(number(row, "opened"), 20);
	assert_int_equal(number(json_object_get(row, "closed"), "local"), 5);
	assert_int_equal(number(json_object_get(row, "handshake"), "count"), 20);
	assert_int_equal(number(json_object_get(row, "lifetime"), "count"), 5);
	json_decref(snapshot);

	attach(server, "store");
	expect(s, "store", "inbound", NULL, 0, .adopted = 15, .active = 15, .stale = 5);
	free(SAYS("detach", "shop"));
	snapshot = client_json("snapshot");
	assert_null(find_series(snapshot, "shop", "outbound"));
	assert_int_equal(number(find_series(snapshot, "store", "inbound"), "active"), 15);
	json_decref(snapshot);
	out = SAYS("list");
	assert_null(strstr(out, "shop"));
	assert_non_null(strstr(out, "store"));
	free(out);
}

/* Once the connections of the last scrape are closed on both sides. */
static int settled_descriptors(struct scene *s)
{
	pause_ms(200);
	return process_descriptors(&s->daemon.process);
}

static void attaching_again_and_again_counts_each_time_and_leaves_nothing(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, NULL);
	int l, port, descriptors = 0, cycles = traffic_volume(CYCLES);
	char pid[16];

	scene_observe(s, socket_flag, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	snprintf(pid, sizeof(pid), "%d", (int)client->pid);
	for (int i = 0; i < cycles; i++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%d", i); /* more than there may be at once */
		attach(client, name);
		act(client, step_hold, .host = HOST, .port = port, .count = 3);
		act(client, step_release, .count = 0);
		expect(s, name, "outbound", HOST, port, .attempts = 3, .opened = 3,
		       .closed_local = 3, .handshakes = 3, .lifetimes = 3);
		free(SAYS("detach", i % 2 ? name : pid));
		expect_series_total(s, 1);
		if (i == 0)
			descriptors = settled_descriptors(s);
	}
	assert_int_equal(settled_descriptors(s), descriptors);
}

static void the_list_names_targets_and_their_processes(void **state)
{
	struct scene *s = *state;
	struct actor *pool = scene_actor(s, "pool"), *late = scene_actor(s, NULL);
	json_t *list, *targets, *row;
	char word[16];

	scene_observe(s, socket_flag, NULL);
	scene_fork(s, pool);
	snprintf(word, sizeof(word), "%d", (int)late->pid);
	free(SAYS("attach", word, "--no-follow"));
	list = client_json("list");
	targets = json_object_get(list, "targets");
	assert_int_equal(json_array_size(targets), 2);
	row = json_array_get(targets, 0);
	assert_true(has_text(row, "name", "pool"));
	assert_true(json_is_null(json_object_get(row, "selector")));
	assert_int_equal(number(row, "pid"), pool->pid);
	assert_int_equal(json_array_size(json_object_get(row, "processes")), 2);
	row = json_array_get(targets, 1);
	assert_true(has_text(row, "name", "test_control")); /* its comm */
	assert_true(json_is_false(json_object_get(row, "follow")));
	json_decref(list);
	free(SAYS("detach", word));
	list = client_json("list");
	assert_int_equal(json_array_size(json_object_get(list, "targets")), 1);
	json_decref(list);
}

static void what_cannot_be_attached_or_detached_is_told(void **state)
{
	struct scene *s = *state;
	struct actor *a = scene_actor(s, "pool");
	char word[16];

	scene_observe(s, socket_flag, NULL);
	snprintf(word, sizeof(word), "%d", (int)a->pid);
	REFUSES(5, "poolscope: attach: ", "attach", "4194304");
	REFUSES(5, "poolscope: attach: ", "attach", word);
	REFUSES(5, "poolscope: detach: ", "detach", "4194304");
	REFUSES(5, "poolscope: detach: ", "detach", "nobody");
}

/* With this PID, 0: any. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args args = {.exit_signal = SIGCHLD,
				  .set_tid = pid ? (uintptr_t)&pid : 0,
				  .set_tid_size = pid ? 1 : 0};
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	return child;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_pid_that_is_another_process_by_now_is_refused(void **state)
{
	struct scene *s = *state;
	char request[128], answer[ANSWER_MAX], expected[128];
	pid_t pid = fork_as(0);
	uint64_t ticks = started_ticks(pid);

	scene_observe(s, socket_flag, NULL);
	snprintf(request, sizeof(request),
		 "{\"command\":\"attach\",\"pid\":%d,\"start_ticks\":%llu}\n", (int)pid,
		 (unsigned long long)ticks);
	end(pid);
	assert_int_equal(fork_as(pid), pid);
	assert_true(started_ticks(pid) > ticks); /* the daemon took its time to start */
	ask_as(0, 0, 0, request, answer);
	snprintf(expected, sizeof(expected),
		 "{\"ok\":false,\"code\":5,\"error\":\"PID %d is another process by now\"}\n",
		 (int)pid);
	assert_string_equal(answer, expected);

	snprintf(request, sizeof(request),
		 "{\"command\":\"attach\",\"pid\":%d,\"start_ticks\":%llu}\n", (int)pid,
		 (unsigned long long)started_ticks(pid));
	ask_as(0, 0, 0, request, answer);
	assert_string_equal(answer, "{\"ok\":true}\n");
	end(pid);
}

static void what_a_selector_does_not_name_is_told_by_the_client(void **state)
{
	struct scene *s = *state;

	scene_observe(s, socket_flag, NULL);
	REFUSES(2, "poolscope: attach: expected the absolute path of a program", "attach", "--exe",
		"sh");
	REFUSES(5, "poolscope: attach: cannot open /none as user 0", "attach", "--exe=/none");
	REFUSES(2, "poolscope: attach: expected a command name of 1 to 15 bytes", "attach",
		"--comm=0123456789abcdef");
	REFUSES(2, "--unit: the name is empty", "attach", "--unit=a=");
}

static bool has_process(const json_t *target, pid_t pid)
{
	size_t i;
	json_t *value;

	json_array_foreach(json_object_get(target, "processes"), i, value)
	{
		if (json_integer_value(value) == pid)
			return true;
	}
	return false;
}

static void a_selector_is_attached_listed_and_detached_by_its_name(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, NULL);
	char program[64], word[80], selector[80];
	json_t *list, *row;
	int l, port;

	scene_observe(s, socket_flag, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	snprintf(program, sizeof(program), "/proc/%d/exe", (int)client->pid);
	snprintf(word, sizeof(word), "--exe=%s=all", program);
	snprintf(selector, sizeof(selector), "exe:%s", program);
	free(SAYS("attach", word));
	free(SAYS("attach", "--comm", "psc-nobody"));
	act(client, step_hold, .host = HOST, .port = port, .count = 5);
	act(server, step_hold_accepted, .fd = l, .count = 5);
	expect(s, "all", "outbound", HOST, port, .attempts = 5, .opened = 5, .active = 5,
	       .handshakes = 5);
	list = client_json("list");
	row = json_array_get(json_object_get(list, "targets"), 0);
	assert_true(has_text(row, "name", "all"));
	assert_true(has_text(row, "selector", selector));
	assert_true(json_is_null(json_object_get(row, "pid")));
	assert_true(has_process(row, client->pid) && has_process(row, server->pid));
	assert_false(has_process(row, s->daemon.process.pid));
	row = json_array_get(json_object_get(list, "targets"), 1);
	assert_true(has_text(row, "name", "psc-nobody"));
	assert_true(has_text(row, "selector", "comm:psc-nobody"));
	assert_int_equal(json_array_size(json_object_get(row, "processes")), 0);
	json_decref(list);

	REFUSES(5, "is attached already, as all", "attach", word);
	free(SAYS("detach", "psc-nobody"));
	free(SAYS("detach", "all"));
	expect_series_total(s, 0);
	list = client_json("list");
	assert_int_equal(json_array_size(json_object_get(list, "targets")), 0);
	json_decref(list);
}

/* ---- looking ---- */

static void every_format_shows_the_same_moment(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, port;
	char *text, why[512];
	double value;

	scene_observe(s, socket_flag, NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	act(client, step_hold, .host = HOST, .port = port, .count = 7);
	act(server, step_hold_accepted, .fd = l, .count = 7);
	expect(s, "client", "outbound", HOST, port, .attempts = 7, .opened = 7, .active = 7,
	       .handshakes = 7);
	text = SAYS("snapshot", "--format=prom");
	if (exposition_check(text, why, sizeof(why)))
		fail_msg("%s", why);
	assert_true(exposition_sum(text, "poolscope_connections_active", "process=client", &value) >
		    0);
	assert_true(value == 7);
	free(text);
	text = SAYS("snapshot", "--format=openmetrics");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
	text = SAYS("snapshot");
	assert_non_null(strstr(text, "client   outbound   " HOST));
	assert_non_null(strstr(text, "server   inbound    " HOST));
	assert_null(strchr(text, '\033')); /* no terminal */
	free(text);
	text = SAYS("connections", "--process=client", "--limit=3");
	assert_non_null(strstr(text, "\n3 of 7 (--limit)\n"));
	free(text);
	text = SAYS("connections",
		    "--peer=10.0.0.0/8"); /* the client waits for the second between two */
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	text = SAYS("check");
	assert_non_null(strstr(text, "kernel BTF"));
	assert_non_null(strstr(text, "optmem_max"));
	free(text);
}

static void watching_gives_an_object_a_line(void **state)
{
	const char *const argv[] = {client_path(), "--socket",	    path, "snapshot",
				    "--watch=1",   "--format=json", NULL};
	struct scene *s = *state;
	struct process watcher = {};
	char *text, *rest, *line;
	int lines = 0;

	scene_actor(s, "idle");
	scene_observe(s, socket_flag, NULL);
	process_start(&watcher, argv, &(struct process_how){0});
	pause_ms(2600);
	kill(watcher.pid, SIGTERM);
	assert_int_equal(process_wait(&watcher, CLIENT_MS), 128 + SIGTERM);
	text = process_stdout(&watcher);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_t *snapshot = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(snapshot);
		check_schema(snapshot);
		json_decref(snapshot);
		lines++;
	}
	assert_in_range(lines, 2, 3);
	free(text);
	process_done(&watcher);
}

/* What the client writes to a terminal; with $NO_COLOR or without. */
static void run_on_terminal(const char *no_color, char ret[ANSWER_MAX])
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), other;
	pid_t pid;

	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	other = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(other >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("NO_COLOR", no_color, 1);
		dup2(other, STDOUT_FILENO);
		execl(client_path(), "poolscope", "--socket", path, "list", (char *)NULL);
		_exit(99);
	}
	close(other);
	read_end(terminal, ret);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_terminal_has_color_unless_it_is_not_wanted(void **state)
{
	struct scene *s = *state;
	char text[ANSWER_MAX];

	scene_actor(s, "pool");
	scene_observe(s, socket_flag, NULL);
	run_on_terminal("", text);
	assert_non_null(strstr(text, "\033[1mNAME\033[0m"));
	run_on_terminal("1", text);
	assert_null(strchr(text, '\033'));
	expect_start(text, "NAME");
}

/* ---- who may ---- */

static bool has_logged(const struct scene *s, const char *words)
{
	char *text = process_stderr(&s->daemon.process);
	bool found = strstr(text, words) != NULL;

	free(text);
	return found;
}

static void without_a_group_it_is_roots_alone(void **state)
{
	struct scene *s = *state;
	char answer[ANSWER_MAX];
	struct stat st;

	scene_observe(s, socket_flag, NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, 0);
	ask_as(SOMEBODY, SOMEBODY, GROUP, LIST, answer);
	assert_string_equal(answer, "Permission denied");
	/* and if the file lets him: the daemon does not */
	assert_int_equal(chmod(path, 0666), 0);
	ask_as(SOMEBODY, SOMEBODY, GROUP, LIST, answer);
	assert_string_equal(
		answer, "{\"ok\":false,\"code\":4,\"error\":\"user 54321 may not list: be root, "
			"or in the group of --control.group\"}\n");
	assert_true(has_logged(s, "refused 'list' to user 54321, PID "));
	ask_as(0, 0, 0, LIST, answer);
	expect_start(answer, "{\"ok\":true}\n");
}

static void a_group_may_look_and_another_may_change(void **state)
{
	static const char refused[] =
		"{\"ok\":false,\"code\":4,\"error\":\"user 54321 may not attach: be root, or in the "
		"group of --control.admin-group\"}\n";
	struct scene *s = *state;
	char answer[ANSWER_MAX];
	struct stat st;

	scene_observe(s, socket_flag, "--control.group=54322", "--control.admin-group=54323", NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, GROUP);
	ask_as(SOMEBODY, SOMEBODY, GROUP, LIST, answer);
	expect_start(answer, "{\"ok\":true}\n");
	ask_as(SOMEBODY, GROUP, SOMEBODY, LIST, answer);
	expect_start(answer, "{\"ok\":true}\n");
	ask_as(SOMEBODY, GROUP, SOMEBODY, ATTACH, answer);
	assert_string_equal(answer, refused);
	assert_true(has_logged(s, "refused 'attach' to user 54321, PID "));
	ask_as(SOMEBODY, GROUP, ADMINS, ATTACH, answer);
	expect_start(answer,
		     "{\"ok\":false,\"code\":5,"); /* allowed, but there is no such process */
	ask_as(SOMEBODY, SOMEBODY, SOMEBODY, LIST, answer);
	assert_string_equal(answer, "Permission denied");
}

/* Twelve of them wait for nothing; the 13th is told, and root finds a place. */
static void who_may_only_look_keeps_nobody_out(void **state)
{
	struct scene *s = *state;
	char answer[ANSWER_MAX] = "";
	int told[2], end[2];
	pid_t pid;

	scene_observe(s, socket_flag, "--control.group=54322", NULL);
	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(end[1]);
		become(SOMEBODY, SOMEBODY, GROUP);
		for (int i = 0; i < 12; i++)
			if (dial() < 0)
				_exit(98);
		read_end(dial(), answer);
		if (write(told[1], answer, strlen(answer)) < 0 || close(told[1]))
			_exit(97);
		_exit(read(end[0], answer, 1) != 0);
	}
	close(told[1]);
	close(end[0]);
	read_end(told[0], answer);
	assert_string_equal(
		answer, "{\"ok\":false,\"code\":1,\"error\":\"12 clients that may not attach are "
			"connected already\",\"retry\":true}\n");
	ask_as(0, 0, 0, LIST, answer);
	expect_start(answer, "{\"ok\":true}\n");
	close(end[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Who the daemon runs as may do what it may; and it can still attach as nobody in particular. */
static void it_works_as_another_user(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *client = scene_actor(s, NULL);
	char answer[ANSWER_MAX];
	int l, port;

	scene_observe(s, socket_flag, "--user=54321", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	attach(client, "client");
	act(client, step_hold, .host = HOST, .port = port, .count = 3);
	expect(s, "client", "outbound", HOST, port, .attempts = 3, .opened = 3, .active = 3,
	       .handshakes = 3);
	assert_int_equal(chmod(path, 0666), 0);
	ask_as(SOMEBODY, SOMEBODY, SOMEBODY, ATTACH, answer);
	expect_start(answer, "{\"ok\":false,\"code\":5,");
}

static void a_group_that_nobody_knows_is_refused(void **state)
{
	const char *const argv[] = {"--control.group=poolscope-no-such-group", socket_flag, NULL};
	struct scene *s = *state;
	char *err;

	assert_int_equal(poolscoped_start(&s->daemon, argv), 2);
	err = process_stderr(&s->daemon.process);
	assert_non_null(strstr(err, "--control.group: there is no group poolscope-no-such-group"));
	free(err);
}

/* ---- bounds ---- */

static void the_17th_client_waits_for_another_to_go(void **state)
{
	int fds[16], extra;
	struct scene *s = *state;
	char answer[ANSWER_MAX];

	scene_observe(s, socket_flag, NULL);
	for (int i = 0; i < 16; i++)
		assert_true((fds[i] = dial()) >= 0);
	extra = dial();
	read_end(extra, answer);
	assert_string_equal(answer, "{\"ok\":false,\"code\":1,\"error\":\"16 clients are connected "
				    "already\",\"retry\":true}\n");
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	close(fds[7]);
	free(SAYS("list"));
	for (int i = 0; i < 16; i++)
		if (i != 7)
			close(fds[i]);
}

static void an_oversized_request_is_refused(void **state)
{
	static char line[65537];
	struct scene *s = *state;
	char answer[ANSWER_MAX];
	int fd;

	scene_observe(s, socket_flag, NULL);
	fd = dial();
	memset(line, 'x', sizeof(line));
	assert_int_equal(send(fd, line, 65536, MSG_NOSIGNAL), 65536);
	read_end(fd, answer);
	assert_string_equal(
		answer,
		"{\"ok\":false,\"code\":2,\"error\":\"a request has at most 65536 bytes\"}\n");
	free(SAYS("list"));
}

static void a_slow_client_is_closed_and_nothing_is_left(void **state)
{
	struct scene *s = *state;
	char answer[ANSWER_MAX];
	double begin;
	int fd, descriptors;

	scene_actor(s, "idle");
	scene_observe(s, socket_flag, NULL);
	free(SAYS("list"));
	descriptors = settled_descriptors(s);
	begin = now_seconds();
	fd = dial();
	assert_int_equal(write(fd, "{\"command\"", 10), 10);
	for (int i = 0; i < 20; i++)
		free(SAYS("snapshot"));
	read_end(fd, answer);
	assert_string_equal(answer, "");
	assert_true(now_seconds() - begin >= PATIENCE_S);
	assert_true(now_seconds() - begin < PATIENCE_S + 3);
	assert_int_equal(settled_descriptors(s), descriptors);
}

/* ---- one daemon, and none ---- */

static void a_live_socket_names_its_daemon_and_a_stale_one_is_replaced(void **state)
{
	const char *const argv[] = {socket_flag, NULL};
	struct poolscoped second = {};
	struct scene *s = *state;
	char expected[256], *err;

	scene_observe(s, socket_flag, NULL);
	assert_int_equal(poolscoped_start(&second, argv), 6);
	err = process_stderr(&second.process);
	snprintf(expected, sizeof(expected), "cannot listen on %s: Address already in use (PID %d ",
		 path, (int)s->daemon.process.pid);
	assert_non_null(strstr(err, expected));
	free(err);
	poolscoped_done(&second);
	free(SAYS("list"));

	poolscoped_done(&s->daemon); /* killed: the file stays */
	assert_int_equal(access(path, F_OK), 0);
	REFUSES(6, "nobody answers at ", "list");
	memset(&s->daemon, 0, sizeof(s->daemon));
	scene_observe(s, socket_flag, NULL);
	free(SAYS("list"));
}

static void without_a_socket_the_client_says_what_to_do(void **state)
{
	struct scene *s = *state;
	char *err;

	unlink(path);
	REFUSES(6, "is poolscoped running?", "list");
	scene_observe(s, "--control.socket=off", NULL);
	REFUSES(6, "is poolscoped running?", "list");
	assert_int_equal(CLIENT(NULL, &err, "list", "--watch"), 2);
	assert_string_equal(err, "poolscope: --watch: not for list\ntry 'poolscope --help'\n");
	free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(attached_at_run_time_it_counts_what_the_workload_counts),
		scene_test(attaching_again_and_again_counts_each_time_and_leaves_nothing),
		scene_test(the_list_names_targets_and_their_processes),
		scene_test(what_cannot_be_attached_or_detached_is_told),
		scene_test(a_pid_that_is_another_process_by_now_is_refused),
		scene_test(a_selector_is_attached_listed_and_detached_by_its_name),
		scene_test(what_a_selector_does_not_name_is_told_by_the_client),
		scene_test(every_format_shows_the_same_moment),
		scene_test(watching_gives_an_object_a_line),
		scene_test(a_terminal_has_color_unless_it_is_not_wanted),
		scene_test(without_a_group_it_is_roots_alone),
		scene_test(a_group_may_look_and_another_may_change),
		scene_test(who_may_only_look_keeps_nobody_out),
		scene_test(it_works_as_another_user),
		scene_test(a_group_that_nobody_knows_is_refused),
		scene_test(the_17th_client_waits_for_another_to_go),
		scene_test(an_oversized_request_is_refused),
		scene_test(a_slow_client_is_closed_and_nothing_is_left),
		scene_test(a_live_socket_names_its_daemon_and_a_stale_one_is_replaced),
		scene_test(without_a_socket_the_client_says_what_to_do),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("control", tests, make_directory, remove_directory);
}
