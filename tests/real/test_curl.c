/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon as it is to be run, asked by curl: another user, the filter, tokens, TLS, a unix socket beside it, and new files on
 * SIGHUP.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "scene.h"

#define SOMEBODY 54321 /* a number that no user has */
#define TOKEN "first-token-of-the-test"
#define NEXT_TOKEN "second-token-of-the-test"
#define CURL_MS 20000
#define READY_SECONDS 30

struct curl_scene {
	struct scene scene; /* first: the helpers take it */
	char directory[64], token[96], cert[96], key[96], socket[96];
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chown(path, SOMEBODY, SOMEBODY), 0);
}

static void write_certificate(const struct curl_scene *c, const char *name)
{
	struct certificate certificate;

	certificate_make(name, &certificate);
	write_file(c->cert, certificate.pem);
	write_file(c->key, certificate.key);
}

static int curl_setup(void **state)
{
	struct curl_scene *c = calloc(1, sizeof(*c));

	if (!c)
		return -1;
	*state = c;
	snprintf(c->directory, sizeof(c->directory), "/tmp/poolscope-test-XXXXXX");
	if (!mkdtemp(c->directory) || chmod(c->directory, 0711))
		return -1;
	snprintf(c->token, sizeof(c->token), "%s/token", c->directory);
	snprintf(c->cert, sizeof(c->cert), "%s/cert.pem", c->directory);
	snprintf(c->key, sizeof(c->key), "%s/key.pem", c->directory);
	snprintf(c->socket, sizeof(c->socket), "%s/socket", c->directory);
	write_file(c->token, TOKEN "\n");
	write_certificate(c, "first.test");
	return 0;
}

static int curl_teardown(void **state)
{
	struct curl_scene *c = *state;

	unlink(c->token);
	unlink(c->cert);
	unlink(c->key);
	unlink(c->socket);
	rmdir(c->directory);
	return scene_teardown(state);
}
#define curl_test(name) cmocka_unit_test_setup_teardown(name, curl_setup, curl_teardown)

static void start(struct curl_scene *c)
{
	struct poolscoped *d = &c->scene.daemon;
	struct actor *target = scene_actor(&c->scene, "target");
	char address[64], local[128], token[128], cert[128], key[128], pid[64];

	d->port = process_free_port();
	snprintf(address, sizeof(address), "--web.listen-address=127.0.0.1:%d", d->port);
	snprintf(local, sizeof(local), "--web.listen-address=unix:%s", c->socket);
	snprintf(token, sizeof(token), "--web.auth.token-file=%s", c->token);
	snprintf(cert, sizeof(cert), "--web.tls.cert-file=%s", c->cert);
	snprintf(key, sizeof(key), "--web.tls.key-file=%s", c->key);
	snprintf(pid, sizeof(pid), "--pid=%d=target", target->pid);
	process_start(&d->process,
		      (const char *const[]){poolscoped_path(), address, local, token, cert, key,
					    pid, "--user=54321", "--reconcile-interval=1s",
					    "--control.socket=off", NULL},
		      &(struct process_how){});
}

/* What curl prints with these arguments for that path; free() it. */
static char *curl(const struct curl_scene *c, bool over_tls, const char *path,
		  const char *const more[])
{
	char url[128], *out;
	const char *argv[24] = {"curl", "-sk", "-m", "10", url};
	size_t count = 5;

	if (over_tls) {
		snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", c->scene.daemon.port, path);
	} else {
		snprintf(url, sizeof(url), "http://localhost%s", path);
		argv[count++] = "--unix-socket";
		argv[count++] = c->socket;
	}
	while (*more)
		argv[count++] = *more++;
	process_run(argv, &(struct process_how){}, CURL_MS, &out, NULL);
	return out;
}

static int status_with(const struct curl_scene *c, bool over_tls, const char *method,
		       const char *path, const char *token)
{
	char header[128];
	const char *const more[] = {"-o", "/dev/null", "-w", "%{http_code}", "-X", method,
				    "-H", header,      NULL};
	char *text;
	int status;

	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	text = curl(c, over_tls, path, more);
	status = atoi(text);
	free(text);
	return status;
}

static void wait_until_it_serves(const struct curl_scene *c)
{
	double deadline = now_seconds() + READY_SECONDS;

	while (status_with(c, true, "GET", "/-/ready", "") != 200) {
		if (now_seconds() > deadline) {
			poolscoped_print_log(&c->scene.daemon);
			fail_msg("not ready after %d s", READY_SECONDS);
		}
		pause_ms(50);
	}
}

static void expect_answers(const struct curl_scene *c, bool over_tls)
{
	static const struct {
		const char *method, *path, *token;
		int status;
	} table[] = {
		{"GET", "/-/healthy", "", 200},
		{"GET", "/-/ready", "", 200},
		{"GET", "/", TOKEN, 200},
		{"GET", "/metrics", TOKEN, 200},
		{"GET", "/connections", TOKEN, 200},
		{"GET", "/metadata", TOKEN, 200},
		{"GET", "/nothing", TOKEN, 404},
		{"DELETE", "/metrics", TOKEN, 405},
		{"GET", "/metrics", "some-other-token-here", 401},
		{"GET", "/connections", "", 401},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int status;

		if (strcmp(table[i].path, "/connections") == 0)
			pause_ms(1100); /* more than one a second is refused */
		status = status_with(c, over_tls, table[i].method, table[i].path, table[i].token);
		if (status != table[i].status)
			fail_msg("%s %s, token '%s': %d, expected %d", table[i].method,
				 table[i].path, table[i].token, status, table[i].status);
	}
}

static void expect_process(const struct curl_scene *c)
{
	static const char *const lines[] = {"Uid:\t54321\t54321\t54321\t54321\n",
					    "Gid:\t54321\t54321\t54321\t54321\n",
					    "CapEff:\t0000000000000000\n", "Seccomp:\t2\n"};
	char path[64], text[8192];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", c->scene.daemon.process.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no %s in %s", lines[i], text);
}

/* The name in the certificate that the daemon shows. */
static bool shows(const struct curl_scene *c, const char *name)
{
	const char *const more[] = {"-o", "/dev/null", "-w", "%{certs}", NULL};
	char *text = curl(c, true, "/-/healthy", more), expected[64];
	bool found;

	snprintf(expected, sizeof(expected), "Subject:CN = %s\n", name);
	found = strstr(text, expected) != NULL;
	if (!found)
		print_message("# certificate: %.200s\n", text);
	free(text);
	return found;
}

/* SIGHUP, and until the log has the line. */
static void reload(const struct curl_scene *c, const char *line)
{
	double deadline = now_seconds() + 5;
	bool said = false;

	assert_int_equal(kill(c->scene.daemon.process.pid, SIGHUP), 0);
	while (!said && now_seconds() < deadline) {
		char *log = process_stderr(&c->scene.daemon.process);

		said = strstr(log, line) != NULL;
		free(log);
		pause_ms(20);
	}
	if (!said) {
		poolscoped_print_log(&c->scene.daemon);
		fail_msg("not logged: %s", line);
	}
}

static void all_is_answered_by_another_user_under_the_filter(void **state)
{
	struct curl_scene *c = *state;

	start(c);
	wait_until_it_serves(c);
	expect_process(c);
	expect_answers(c, true);
	expect_answers(c, false);
	poolscoped_stop(&c->scene.daemon);
	/* removing it would take a right that is gone: the next start does it */
	assert_int_equal(access(c->socket, F_OK), 0);
	start(c);
	wait_until_it_serves(c);
	assert_int_equal(status_with(c, false, "GET", "/metrics", TOKEN), 200);
	poolscoped_stop(&c->scene.daemon);
}

static void files_are_read_again_on_sighup(void **state)
{
	struct curl_scene *c = *state;

	start(c);
	wait_until_it_serves(c);
	assert_true(shows(c, "first.test"));
	write_file(c->token, NEXT_TOKEN "\n");
	write_certificate(c, "second.test");
	assert_int_equal(status_with(c, true, "GET", "/metrics", TOKEN), 200);
	reload(c, "reloaded tokens, certificate and key");
	assert_true(shows(c, "second.test"));
	assert_int_equal(status_with(c, true, "GET", "/metrics", TOKEN), 401);
	assert_int_equal(status_with(c, true, "GET", "/metrics", NEXT_TOKEN), 200);
	/* what cannot be used changes nothing */
	write_file(c->token, "short\n");
	reload(c, "cannot reload, going on with what was read before");
	assert_int_equal(status_with(c, true, "GET", "/metrics", NEXT_TOKEN), 200);
	assert_int_equal(unlink(c->key), 0);
	write_file(c->token, TOKEN "\n");
	reload(c, "key.pem as user 54321: No such file or directory");
	assert_true(shows(c, "second.test"));
	assert_int_equal(status_with(c, true, "GET", "/metrics", TOKEN), 401);
	assert_int_equal(status_with(c, true, "GET", "/metrics", NEXT_TOKEN), 200);
	poolscoped_stop(&c->scene.daemon);
}

/* Found at the start, and not when SIGHUP reads it. */
static void a_file_that_the_user_cannot_read_ends_the_start(void **state)
{
	struct curl_scene *c = *state;
	char *log;

	assert_int_equal(chown(c->key, 0, 0), 0);
	start(c);
	assert_int_equal(process_wait(&c->scene.daemon.process, READY_SECONDS * 1000), 2);
	log = process_stderr(&c->scene.daemon.process);
	if (!strstr(log, "key.pem as user 54321: Permission denied"))
		fail_msg("%s", log);
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		curl_test(all_is_answered_by_another_user_under_the_filter),
		curl_test(files_are_read_again_on_sighup),
		curl_test(a_file_that_the_user_cannot_read_ends_the_start),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("curl", tests, NULL, NULL);
}
