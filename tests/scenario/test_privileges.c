/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the daemon may do once it serves: nothing but read what it holds. And how little it needs to start.
 */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privileges.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define TWO ((1ULL << CAP_BPF) | (1ULL << CAP_PERFMON))

#define REFUSAL_MS 30000
/* a number that no user has */
#define SOMEBODYS "54321\t54321\t54321\t54321\n"

/* What a line of /proc/PID/status says behind "KEY:\t", with its newline. */
static void status_text(pid_t pid, const char *key, char text[256])
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	text[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			snprintf(text, 256, "%s", line + strlen(key) + 2);
	fclose(f);
	assert_true(text[0] != '\0');
}

/* A number, in base 16 as the sets of capabilities stand there. */
static unsigned long long status_of(const struct scene *s, const char *key)
{
	char text[256];

	status_text(s->daemon.process.pid, key, text);
	return strtoull(text, NULL, 16);
}

static void expect_line(const struct scene *s, const char *key, const char *expected)
{
	char text[256];

	status_text(s->daemon.process.pid, key, text);
	assert_string_equal(text, expected);
}

static void expect_no_power(const struct scene *s, unsigned long long bounding)
{
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		assert_int_equal(status_of(s, sets[i]), 0);
	assert_int_equal(status_of(s, "CapBnd"), bounding);
	assert_int_equal(status_of(s, "NoNewPrivs"), 1);
	assert_int_equal(status_of(s, "Seccomp"), 2);
}

static void expect_it_counts(struct scene *s, struct actor *server, struct actor *client)
{
	int l, c, a, port = scene_listen(server, SCENE_BACKLOG, &l);

	scene_pair(client, server, l, port, &c, &a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(client, step_close, .fd = c);
	act(server, step_close, .fd = a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
}

/* The inventories of each second adopt what the targets hold, by iterators that are made for it. */
static void as_root_it_keeps_no_capability_and_goes_on_counting(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	double before, deadline;
	char *log;

	scene_observe(s, "--reconcile-interval=1s", NULL);
	expect_no_power(s, 0);
	expect_it_counts(s, server, client);
	before = poolscoped_sum(&s->daemon, "poolscope_reconcile_total", "");
	deadline = now_seconds() + 30;
	while (poolscoped_sum(&s->daemon, "poolscope_reconcile_total", "") < before + 2) {
		assert_true(now_seconds() < deadline);
		pause_ms(100);
	}
	log = process_stderr(&s->daemon.process);
	if (strstr(log, "level=error"))
		fail_msg("%s", log);
	free(log);
}

/* root, but for the other capabilities: exec() gives no more than the bounding set. */
static void keep_two(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(TWO & 1ULL << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			_exit(99);
}

/* But for the accept fallback, whose tracepoints Debian's kernels give to more power only: auto does without. */
static void two_capabilities_suffice(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");

	s->daemon.prepare = keep_two;
	scene_observe(s, "--accept-probe=auto", NULL);
	expect_no_power(s, TWO); /* emptying that set takes CAP_SETPCAP */
	expect_it_counts(s, server, client);
}

/* What a feature needs is told before it is asked for. */
static void check_names_what_the_features_need(void **state)
{
	static const char *const lines[][2] = {
		{"--user           yes      CAP_SETUID and CAP_SETGID\n",
		 "--user           no       missing CAP_SETUID CAP_SETGID\n"},
		{"bounding set     yes      CAP_SETPCAP: it will be emptied\n",
		 "bounding set     no       missing CAP_SETPCAP: it stays as it is\n"},
		{"--probe-stats    yes      CAP_SYS_ADMIN\n",
		 "--probe-stats    no       missing CAP_SYS_ADMIN\n"},
	};
	const char *const argv[] = {poolscoped_path(), "--check", NULL};
	const struct process_how how[] = {{}, {.prepare = keep_two}};

	(void)state;
	for (size_t two = 0; two < 2; two++) {
		char *out;

		assert_int_equal(process_run(argv, &how[two], 10000, &out, NULL), 0);
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			assert_non_null(strstr(out, lines[i][two]));
			assert_null(strstr(out, lines[i][!two]));
		}
		free(out);
	}
}

static void probe_stats_without_its_capability_are_refused(void **state)
{
	struct scene *s = *state;
	const char *const argv[] = {"--probe-stats", NULL};
	char *log;

	s->daemon.prepare = keep_two;
	assert_int_equal(poolscoped_start(&s->daemon, argv), 4);
	log = process_stderr(&s->daemon.process);
	assert_non_null(
		strstr(log, "--probe-stats: Operation not permitted (it takes CAP_SYS_ADMIN)"));
	free(log);
}

/* ---- under the filter ---- */

/* Sends this on a connection of its own. Returns the status of the answer; 0: none came. */
static int answer_to(const struct scene *s, const char *request)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->daemon.port)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
	char head[64] = "";
	ssize_t n;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	n = recv(fd, head, sizeof(head) - 1, MSG_WAITALL);
	close(fd); /* whatever else there is: torn */
	if (n <= 0)
		return 0;
	assert_int_equal(sscanf(head, "HTTP/1.1 %d ", &status), 1);
	return status;
}

static void ask_all(const struct scene *s)
{
	static const struct {
		const char *request;
		int status;
	} table[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /metrics HTTP/1.0\r\n\r\n", 200},
		{"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", 200},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n",
		 200},
		{"GET /connections HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /connections HTTP/1.1\r\nHost: x\r\n\r\n", 503},
		{"GET /connections?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /metadata HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 400},
		{"GET /metrics HTTP/1.1\r\n\r\n", 400},
		{"nonsense\r\n\r\n", 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int status = answer_to(s, table[i].request);

		if (status != table[i].status && table[i].status)
			fail_msg("%s: status %d, expected %d", table[i].request, status,
				 table[i].status);
	}
}

/* A call that the filter does not know would end the daemon with 128 + SIGSYS. */
static void nothing_that_it_does_is_killed(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");

	scene_observe(s, "--reconcile-interval=1s", "--log.level=debug", NULL);
	assert_int_equal(status_of(s, "Seccomp"), 2);
	ask_all(s);
	assert_int_equal(kill(s->daemon.process.pid, SIGHUP), 0);
	expect_it_counts(s, server, client);
	/* what is interrupted by a stop goes on by restart_syscall() */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(kill(s->daemon.process.pid, SIGSTOP), 0);
		pause_ms(10);
		assert_int_equal(kill(s->daemon.process.pid, SIGCONT), 0);
		pause_ms(10);
	}
	pause_ms(1500); /* an inventory, with its adoptions */
	ask_all(s);
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	poolscoped_stop(&s->daemon);
}

/* ---- another user ---- */

static void as_another_user_it_goes_on_counting(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");

	scene_observe(s, "--reconcile-interval=1s", "--user=54321", NULL);
	expect_no_power(s, 0);
	expect_line(s, "Uid", SOMEBODYS);
	expect_line(s, "Gid", SOMEBODYS);
	expect_line(s, "Groups", " \n");
	expect_it_counts(s, server, client);
	pause_ms(1500);
	ask_all(s);
	poolscoped_stop(&s->daemon);
}

/* Not by poolscoped_start(): it would ask a daemon that listens already, and ends. */
static void expect_refusal(const char *user, void (*prepare)(void), int status, const char *text)
{
	const char *const argv[] = {poolscoped_path(), "--web.listen-address=127.0.0.1:0",
				    "--control.socket=off", user, NULL};
	char *log;

	assert_int_equal(process_run(argv, &(struct process_how){.prepare = prepare}, REFUSAL_MS,
				     NULL, &log),
			 status);
	if (!strstr(log, text))
		fail_msg("no \"%s\" in: %s", text, log);
	free(log);
}

static void another_user_takes_capabilities(void **state)
{
	(void)state;
	expect_refusal("--user=54321", keep_two, 4,
		       "cannot become user 54321: missing CAP_SETGID CAP_SETUID");
}

static void an_unknown_user_is_told(void **state)
{
	(void)state;
	expect_refusal("--user=poolscope-nobody", NULL, 2, "there is no user poolscope-nobody");
	expect_refusal("--user=4294967295", NULL, 2, "no user has such a number");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(as_root_it_keeps_no_capability_and_goes_on_counting),
		scene_test(two_capabilities_suffice),
		scene_test(check_names_what_the_features_need),
		scene_test(probe_stats_without_its_capability_are_refused),
		scene_test(nothing_that_it_does_is_killed),
		scene_test(as_another_user_it_goes_on_counting),
		cmocka_unit_test(another_user_takes_capabilities),
		cmocka_unit_test(an_unknown_user_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
