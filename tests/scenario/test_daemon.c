/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon as a program: what it answers, and how it ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
