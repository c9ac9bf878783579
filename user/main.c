// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * options → support → http → daemon → loop → teardown. Decides nothing but the order and the exit code, and is the one that
 * says why the program ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "daemon.h"
#include "exposition.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "privileges.h"
#include "support.h"
#include "util.h"
#include "version.h"

#define WHY_BYTES 512

static void on_signal(void *arg, int signo)
{
	if (signo == SIGHUP) {
		log_info("nothing to reload");
		return;
	}
	log_info("ending on %s", strsignal(signo));
	loop_stop(arg);
}

static void on_http(void *arg)
{
	http_run(arg);
}

static int http_wait_ms(void *arg)
{
	return http_timeout_ms(arg);
}

static enum exit_code open_http(struct http **ret, const struct options *options, struct daemon *d)
{
	struct http_config config = {
		.listen_count = options->listen_count,
		.telemetry_path = options->telemetry_path,
		.content_types = {[NEGOTIATE_TEXT] = EXPOSITION_TEXT_TYPE,
				  [NEGOTIATE_OPENMETRICS] = EXPOSITION_OPENMETRICS_TYPE},
		.metrics = &daemon_metrics,
		.healthy = daemon_healthy,
		.allow_unauthenticated = options->allow_unauthenticated,
		.arg = d,
	};
	char why[WHY_BYTES];
	int err;

	for (size_t i = 0; i < options->listen_count; i++) {
		config.listen[i].address = options->listen[i].address;
		config.listen[i].len = options->listen[i].len;
		config.listen[i].text = options->listen[i].text;
	}
	err = http_open(ret, &config, why, sizeof(why));
	if (!err)
		return EXIT_OK;
	log_error("%s", why);
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ? EXIT_RUNTIME : EXIT_ADDRESS;
}

/* Turns until a signal ends it. */
static enum exit_code run(struct daemon *d, struct http *http)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	struct loop *loop;
	int err;

	err = loop_open(&loop);
	if (err) {
		log_error("cannot make the event loop: %s", strerror(-err));
		return EXIT_RUNTIME;
	}
	loop_timeout(loop, http_wait_ms, on_http, http);
	err = loop_signals(loop, signals, on_signal, loop);
	if (!err)
		err = loop_add(loop, daemon_fd(d), daemon_drain, d);
	if (!err)
		err = loop_add(loop, http_fd(http), on_http, http);
	if (!err)
		err = loop_every(loop, DAEMON_TICK_MS, daemon_tick, d);
	if (!err)
		err = loop_run(loop);
	if (err)
		log_error("the event loop failed: %s", strerror(-err));
	loop_close(loop);
	return err ? EXIT_RUNTIME : EXIT_OK;
}

static enum exit_code drop_privileges(void)
{
	const struct privileges_config config = {};
	struct privileges_left left;
	char why[WHY_BYTES];

	if (privileges_drop(&config, &left, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_PRIVILEGE;
	}
	if (!left.bounded)
		log_info(
			"no capability is left; the bounding set is as it was found (emptying it needs CAP_SETPCAP)");
	return EXIT_OK;
}

static enum exit_code serve(const struct options *options, struct daemon *d)
{
	enum exit_code code;
	struct http *http;

	code = open_http(&http, options, d);
	if (code)
		return code;
	code = drop_privileges();
	if (code) {
		http_close(http);
		return code;
	}
	for (size_t i = 0; i < options->listen_count; i++)
		log_info("serving %s on %s", options->telemetry_path, options->listen[i].text);
	if (!options->pid_count)
		log_warn("no target: nothing will be counted (--pid=PID)");
	code = run(d, http);
	http_close(http);
	return code;
}

/* --check: what was found, then what runs. */
static void report(const char *version, const struct support *support, const struct daemon *d)
{
	printf("%s\n", version);
	for (size_t i = 0; i < FEATURES; i++)
		printf("%-16s %-8s %s\n", support->of[i].id, support->of[i].present ? "yes" : "no",
		       support->of[i].detail);
	if (d)
		daemon_report(d, stdout);
}

int main(int argc, char **argv)
{
	const struct feature *missing;
	struct daemon *d = NULL;
	struct options options;
	struct support support;
	enum exit_code code;
	char why[WHY_BYTES], version[128];

	snprintf(version, sizeof(version), "poolscoped %s (revision %s)", version_text,
		 version_revision);
	switch (options_parse(argc, argv, &options, version, stdout, stderr)) {
	case OPTIONS_EXIT_OK:
		return EXIT_OK;
	case OPTIONS_EXIT_USAGE:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	log_setup(options.log_level, options.log_format);
	signal(SIGPIPE, SIG_IGN);
	support_probe(&support);
	missing = support_missing(&support);
	if (missing) {
		log_error("cannot start: %s: %s", missing->id, missing->detail);
		code = missing->need == FEATURE_NEEDS_PRIVILEGE ? EXIT_PRIVILEGE : EXIT_KERNEL;
	} else {
		code = daemon_open(&d, &options, &support, why, sizeof(why));
		if (code)
			log_error("cannot start: %s", why);
	}
	if (options.check)
		report(version, &support, d);
	else if (d)
		code = serve(&options, d);
	daemon_close(d);
	return code;
}
