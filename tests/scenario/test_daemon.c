/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon as a program: what it answers, and how it ends.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "exposition_check.h"
#include "scene.h"

#define RUN_MS 10000

static void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

static void help_and_version_are_answers(void **state)
{
	static const char *const flags[] = {
		"--pid",       "--no-follow",	      "--accept-probe",	   "--web.listen-address",
		"--peers.max", "--series.max",	      "--peers.aggregate", "--ring-size",
		"--log.level", "--log.format",	      "--check",	   "--version",
		"--help",      "--web.telemetry-path"};
	char *out, *err;

	(void)state;
	assert_int_equal(process_run((const char *[]){poolscoped_path(), "--help", NULL}, NULL,
				     RUN_MS, &out, &err),
			 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		expect_text(out, flags[i]);
	assert_string_equal(err, "");
	free(out);
	free(err);
	assert_int_equal(process_run((const char *[]){poolscoped_path(), "--version", NULL}, NULL,
				     RUN_MS, &out, &err),
			 0);
	assert_int_equal(strncmp(out, "poolscoped ", 11), 0);
	assert_string_equal(err, "");
	free(out);
	free(err);
}

/* ---- ends ---- */

static void expect_end_by(struct scene *s, int signal, int code)
{
	assert_int_equal(poolscoped_start(&s->daemon, (const char *[]){NULL}), 0);
	assert_int_equal(kill(s->daemon.process.pid, signal), 0);
	assert_int_equal(process_wait(&s->daemon.process, 5000), code);
	poolscoped_done(&s->daemon);
}

static void sigterm_and_sigint_end_it_cleanly(void **state)
{
	expect_end_by(*state, SIGTERM, 0);
	expect_end_by(*state, SIGINT, 0);
}

static void check_reports_and_ends(void **state)
{
	static const char *const parts[] = {"socket storage", "kernel BTF", "set_state", "tp_btf",
					    "target"};
	struct scene *s = *state;
	struct actor *target = scene_actor(s, NULL);
	char arg[32];
	char *out;

	snprintf(arg, sizeof(arg), "--pid=%d=target", target->pid);
	assert_int_equal(process_run((const char *[]){poolscoped_path(), "--check", arg, NULL},
				     NULL, RUN_MS, &out, NULL),
			 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		expect_text(out, parts[i]);
	free(out);
}

/* ---- the endpoint ---- */

static void without_a_target_it_serves(void **state)
{
	struct scene *s = *state;
	char *body;

	scene_observe(s, NULL);
	expect_series_total(s, 0);
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	assert_int_equal(poolscoped_get(&s->daemon, "/", &body), 200);
	expect_text(body, "/metrics");
	free(body);
	assert_int_equal(poolscoped_get(&s->daemon, "/nothing", NULL), 404);
	poolscoped_stop(&s->daemon);
}

/* What Prometheus 2.42 sends. */
static void who_asks_for_openmetrics_gets_it(void **state)
{
	struct scene *s = *state;
	char *body, why[512] = "";

	scene_actor(s, "target");
	scene_observe(s, NULL);
	assert_int_equal(poolscoped_get_with(&s->daemon, "/metrics",
					     "Accept: application/openmetrics-text;version=1.0.0,"
					     "application/openmetrics-text;version=0.0.1;q=0.75,"
					     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
					     &body),
			 200);
	if (exposition_check_openmetrics(body, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	expect_text(body, "# EOF\n");
	free(body);
}

static void the_path_of_the_metrics_can_be_moved(void **state)
{
	struct scene *s = *state;
	char *body;

	scene_observe(s, "--web.telemetry-path=/pools", NULL);
	assert_int_equal(poolscoped_get(&s->daemon, "/pools", &body), 200);
	expect_text(body, "poolscope_build_info");
	free(body);
	assert_int_equal(poolscoped_get(&s->daemon, "/metrics", NULL), 404);
}

static void each_listen_address_serves(void **state)
{
	struct scene *s = *state;
	struct poolscoped second = {.port = process_free_port()};
	char arg[64];
	char *text;

	snprintf(arg, sizeof(arg), "--web.listen-address=127.0.0.1:%d", second.port);
	scene_observe(s, arg, NULL);
	text = poolscoped_scrape(&second);
	free(text);
	text = poolscoped_scrape(&s->daemon);
	free(text);
}

/* ---- what it may be started with ---- */

#define LOG_PIPE "/tmp/poolscope-log.pipe"

/* Open at both ends, so that it has a reader, who never reads. */
static void log_to_pipe(void)
{
	int fd = open(LOG_PIPE, O_RDWR);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(97);
	close(fd);
}

static void a_log_that_nobody_reads_does_not_stop_it(void **state)
{
	struct scene *s = *state;

	unlink(LOG_PIPE);
	assert_int_equal(mkfifo(LOG_PIPE, 0600), 0);
	s->daemon.prepare = log_to_pipe;
	assert_int_equal(poolscoped_start(&s->daemon, (const char *[]){NULL}), 0);
	/* Each of them one line, of which the pipe holds less than a thousand. */
	for (int i = 0; i < 1500; i++) {
		assert_int_equal(kill(s->daemon.process.pid, SIGHUP), 0);
		if (i % 50 == 0)
			assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	}
	for (int i = 0; i < 1000; i++) {
		kill(s->daemon.process.pid, SIGHUP);
		pause_ms(1);
	}
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	poolscoped_stop(&s->daemon);
	unlink(LOG_PIPE);
}

static void close_standard_descriptors(void)
{
	close(0);
	close(1);
	close(2);
}

static void without_standard_descriptors_it_serves(void **state)
{
	struct scene *s = *state;
	char path[64], target[64] = "";

	s->daemon.prepare = close_standard_descriptors;
	assert_int_equal(poolscoped_start(&s->daemon, (const char *[]){NULL}), 0);
	for (int fd = 0; fd <= 2; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", s->daemon.process.pid, fd);
		memset(target, 0, sizeof(target));
		assert_true(readlink(path, target, sizeof(target) - 1) > 0);
		assert_string_equal(target, "/dev/null");
	}
	poolscoped_stop(&s->daemon);
}

static void log_session_keys(void)
{
	setenv("SSLKEYLOGFILE", "/tmp/poolscope-session-keys", 1);
}

static void session_keys_are_not_logged(void **state)
{
	struct scene *s = *state;
	char directory[] = "/tmp/poolscope-tls.XXXXXX", cert[128], key[128];
	struct certificate_files files = {};

	assert_non_null(mkdtemp(directory));
	certificate_make_files(directory, &files);
	snprintf(cert, sizeof(cert), "--web.tls.cert-file=%s", files.certificate);
	snprintf(key, sizeof(key), "--web.tls.key-file=%s", files.key);
	s->daemon.prepare = log_session_keys;
	s->daemon.ca_file = files.certificate;
	assert_int_equal(poolscoped_start(&s->daemon, (const char *[]){cert, key, NULL}), 0);
	assert_int_equal(poolscoped_get(&s->daemon, "/metrics", NULL), 200);
	assert_int_equal(access("/tmp/poolscope-session-keys", F_OK), -1);
	poolscoped_stop(&s->daemon);
	unlink(files.certificate);
	unlink(files.key);
	rmdir(directory);
}

static void more_sockets_of_systemd_than_it_serves_are_refused(void **state)
{
	char command[512];
	char *err;

	(void)state;
	/* They need not be any to be counted. */
	snprintf(command, sizeof(command),
		 "exec 3</dev/null; for i in {4..11}; do eval \"exec $i<&3\"; done;"
		 " LISTEN_PID=$$ LISTEN_FDS=9 exec '%s' --web.systemd-socket",
		 poolscoped_path());
	assert_int_equal(process_run((const char *[]){"bash", "-c", command, NULL}, NULL, RUN_MS,
				     NULL, &err),
			 2);
	expect_text(err, "systemd handed over 9 sockets, and at most 8 can be served");
	free(err);
}

static void a_key_that_everybody_may_read_is_refused(void **state)
{
	char directory[] = "/tmp/poolscope-tls.XXXXXX", cert[128], key[128];
	const char *const argv[] = {poolscoped_path(), "--check", cert, key, NULL};
	struct certificate_files files = {};
	char *err;

	(void)state;
	assert_non_null(mkdtemp(directory));
	certificate_make_files(directory, &files);
	snprintf(cert, sizeof(cert), "--web.tls.cert-file=%s", files.certificate);
	snprintf(key, sizeof(key), "--web.tls.key-file=%s", files.key);
	assert_int_equal(process_run(argv, NULL, RUN_MS, NULL, NULL), 0);
	assert_int_equal(chmod(files.key, 0604), 0);
	assert_int_equal(process_run(argv, NULL, RUN_MS, NULL, &err), 2);
	expect_text(err, "holds a private key and is open to everybody: chmod o=");
	free(err);
	unlink(files.certificate);
	unlink(files.key);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(help_and_version_are_answers),
		scene_test(sigterm_and_sigint_end_it_cleanly),
		scene_test(check_reports_and_ends),
		scene_test(without_a_target_it_serves),
		scene_test(who_asks_for_openmetrics_gets_it),
		scene_test(the_path_of_the_metrics_can_be_moved),
		scene_test(each_listen_address_serves),
		scene_test(a_log_that_nobody_reads_does_not_stop_it),
		scene_test(without_standard_descriptors_it_serves),
		scene_test(session_keys_are_not_logged),
		scene_test(more_sockets_of_systemd_than_it_serves_are_refused),
		scene_test(a_key_that_everybody_may_read_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
