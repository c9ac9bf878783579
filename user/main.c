// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * options → support → daemon → http → fewer privileges → loop → teardown. Decides nothing but the order and the exit code, and is
 * the one that says why the program ends. Whatever a client could reach begins when the privileges are gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "daemon.h"
#include "exposition.h"
#include "filter.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "operate.h"
#include "options.h"
#include "privileges.h"
#include "support.h"
#include "util.h"
#include "version.h"
#include "web.h"

#define WHY_BYTES 512
/*
 * What is larger is given back as soon as it is freed. Left to itself malloc() learns from the first copy of the numbers that is freed (10 MB at
 * 10,000 series), and keeps up to twice as much in the heap.
 */
#define LARGE_BYTES (1024 * 1024)

struct program {
	const struct options *options;
	struct daemon *daemon;
	struct http *http;
	struct control *control; /* NULL: none */
	struct loop *loop;
	struct notify *notify;
	struct privileges_config privileges; /* to be left with */
};

/* ---- while it runs ---- */

static void reload(struct program *p)
{
	char why[WHY_BYTES];
	int err;

	notify_reloading(p->notify, util_now_ns());
	err = web_load(p->http, p->options, why, sizeof(why));
	daemon_set_reload(p->daemon, !err, util_realtime_ns());
	if (err)
		log_error("cannot reload, going on with what was read before: %s", why);
	else if (p->options->token_file_count && p->options->cert_file)
		log_info("reloaded tokens, certificate and key");
	else if (p->options->token_file_count || p->options->cert_file)
		log_info("reloaded %s", p->options->cert_file ? "certificate and key" : "tokens");
	else
		log_info("nothing to reload: neither tokens nor a certificate are in use");
	notify_ready(p->notify);
}

static void on_signal(void *arg, int signo)
{
	struct program *p = arg;

	if (signo == SIGHUP) {
		reload(p);
		return;
	}
	log_info("ending on %s", strsignal(signo));
	notify_stopping(p->notify);
	loop_stop(p->loop);
}

static void on_http(void *arg)
{
	http_run(arg);
}

static int http_wait_ms(void *arg)
{
	return http_timeout_ms(arg);
}

static void on_tick(void *arg)
{
	struct program *p = arg;

	daemon_tick(p->daemon);
	if (p->control)
		control_tick(p->control, util_now_ns());
	if (daemon_healthy(p->daemon))
		notify_watchdog(p->notify, util_now_ns());
}

/* ---- start ---- */

static enum exit_code open_http(struct program *p)
{
	const struct options *options = p->options;
	struct http_config config = {
		.telemetry_path = options->telemetry_path,
		.content_types = {[NEGOTIATE_TEXT] = EXPOSITION_TEXT_TYPE,
				  [NEGOTIATE_OPENMETRICS] = EXPOSITION_OPENMETRICS_TYPE},
		.metrics = &daemon_metrics,
		.connections = &daemon_connections,
		.metadata = &daemon_metadata,
		.healthy = daemon_healthy,
		.arg = p->daemon,
		.tls = options->cert_file != NULL,
		.authenticated = options->token_file_count > 0,
		.allow_unauthenticated = options->allow_unauthenticated,
	};
	char why[WHY_BYTES];
	int err;

	/* --check must not disturb the one that runs already */
	for (size_t i = 0; i < options->listen_count && !options->check; i++) {
		config.listen[i].address = options->listen[i].address;
		config.listen[i].len = options->listen[i].len;
		config.listen[i].text = options->listen[i].text;
		config.listen_count++;
	}
	if (options->systemd_socket && !options->check) {
		config.inherited_count = notify_listen_fds(config.inherited, HTTP_LISTENERS_MAX);
		if (!config.inherited_count) {
			log_error(
				"--web.systemd-socket: systemd handed over no socket (LISTEN_FDS): "
				"start it by a .socket unit");
			return EXIT_USAGE;
		}
		if (config.inherited_count > HTTP_LISTENERS_MAX) {
			log_error(
				"--web.systemd-socket: systemd handed over %zu sockets, and at most %d "
				"can be served",
				config.inherited_count, HTTP_LISTENERS_MAX);
			return EXIT_USAGE;
		}
	}
	err = http_open(&p->http, &config, why, sizeof(why));
	if (!err)
		return EXIT_OK;
	log_error("%s", why);
	if (err == -EPERM)
		return EXIT_USAGE;
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ? EXIT_RUNTIME : EXIT_ADDRESS;
}

static enum exit_code open_control(struct program *p)
{
	enum exit_code code;
	char why[WHY_BYTES];

	if (p->options->check)
		return EXIT_OK; /* as above */
	code = operate_open(&p->control, p->options, p->daemon, why, sizeof(why));
	if (code)
		log_error("%s", why);
	else if (p->control)
		log_info("control socket: %s", p->options->control_socket);
	else if (p->options->control_socket)
		log_warn("going on without a control socket: %s (--control.socket=PATH)", why);
	return code;
}

/* Before anybody can connect: the lookup may take its time, or fail. */
static enum exit_code find_user(struct program *p)
{
	struct privileges_config *config = &p->privileges;
	char why[WHY_BYTES];

	config->change_user = p->options->user != NULL;
	if (!config->change_user ||
	    !privileges_find_user(p->options->user, &config->uid, &config->gid, why, sizeof(why)))
		return EXIT_OK;
	log_error("--user: %s", why);
	return EXIT_USAGE;
}

/* Whoever serves on it may also reach it. */
static void give_sockets(const struct program *p)
{
	const struct options *options = p->options;

	for (size_t i = 0; i < options->listen_count; i++) {
		const struct sockaddr_un *un = (const void *)&options->listen[i].address;

		if (un->sun_family == AF_UNIX && p->privileges.change_user && !options->check &&
		    lchown(un->sun_path, p->privileges.uid, p->privileges.gid))
			log_warn("cannot give %s to user %u: %s", un->sun_path,
				 (unsigned int)p->privileges.uid, strerror(errno));
	}
}

static enum exit_code drop_privileges(const struct program *p)
{
	struct privileges_left left;
	char why[WHY_BYTES];

	give_sockets(p);
	if (privileges_drop(&p->privileges, &left, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_PRIVILEGE;
	}
	if (!left.bounded)
		log_info("no capability is left; the bounding set is as it was found (emptying it "
			 "needs CAP_SETPCAP)");
	return EXIT_OK;
}

/* As who it will be: a file that only root can read is found now and not at the first SIGHUP. */
static enum exit_code load_files(struct program *p)
{
	char why[WHY_BYTES];

	if (web_load(p->http, p->options, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static enum exit_code install_filter(void)
{
	char why[WHY_BYTES];

	if (!filter_install(why, sizeof(why)))
		return EXIT_OK;
	log_error("%s", why);
	return EXIT_KERNEL;
}

static void announce(const struct program *p)
{
	const struct options *options = p->options;

	for (size_t i = 0; i < options->listen_count; i++) {
		const char *text = options->listen[i].text, *colon = strrchr(text, ':');

		if (strcmp(colon, ":0") == 0) /* any free one */
			log_info("serving %s on %s, port %u", options->telemetry_path, text,
				 http_port(p->http, i));
		else
			log_info("serving %s on %s", options->telemetry_path, text);
	}
	if (options->systemd_socket)
		log_info("serving %s on the sockets of systemd", options->telemetry_path);
	if (options->token_file_count && http_exposed(p->http))
		log_warn("tokens can be read on the way: other hosts reach an address without TLS "
			 "(--web.tls.cert-file, --web.tls.key-file)");
	if (!options->target_count)
		log_warn("no target: nothing will be counted (--pid=PID, --unit=UNIT)");
	notify_ready(p->notify);
}

/* All descriptors of the loop are made here: none can be once the filter is installed. */
static enum exit_code prepare_loop(struct program *p)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int err;

	loop_timeout(p->loop, http_wait_ms, on_http, p->http);
	err = loop_signals(p->loop, signals, on_signal, p);
	if (!err)
		err = loop_add(p->loop, daemon_fd(p->daemon), daemon_drain, p->daemon);
	if (!err)
		err = loop_add(p->loop, http_fd(p->http), on_http, p->http);
	if (!err && p->control)
		err = loop_add(p->loop, control_fd(p->control), control_run, p->control);
	if (!err)
		err = loop_every(p->loop, DAEMON_TICK_MS, on_tick, p);
	if (!err)
		return EXIT_OK;
	log_error("cannot prepare the event loop: %s", strerror(-err));
	return EXIT_RUNTIME;
}

static enum exit_code run(struct program *p)
{
	int err;

	daemon_set_requests(p->daemon, http_requests(p->http));
	malloc_trim(0); /* loading has read the kernel's BTF several times: 5 MiB */
	announce(p);
	err = loop_run(p->loop);
	if (!err)
		return EXIT_OK;
	log_error("the event loop failed: %s", strerror(-err));
	return EXIT_RUNTIME;
}

static enum exit_code open_parts(struct program *p)
{
	enum exit_code code;
	char why[WHY_BYTES];
	int err;

	err = loop_open(&p->loop);
	if (err)
		snprintf(why, sizeof(why), "cannot make the event loop: %s", strerror(-err));
	else
		err = notify_open(&p->notify, why, sizeof(why));
	if (err) {
		log_error("%s", why);
		return EXIT_RUNTIME;
	}
	code = find_user(p);
	if (!code)
		code = open_http(p);
	return code ? code : open_control(p);
}

/* With --check as far as it goes without being in the way of a daemon that runs. */
static enum exit_code serve(struct program *p)
{
	enum exit_code code;

	code = open_parts(p);
	if (!code)
		code = prepare_loop(p);
	if (!code)
		code = drop_privileges(p);
	if (!code)
		code = load_files(p);
	if (!code)
		code = install_filter();
	if (!code && !p->options->check)
		code = run(p);
	return code;
}

static void teardown(struct program *p)
{
	control_close(p->control);
	http_close(p->http);
	loop_close(p->loop);
	notify_close(p->notify);
	daemon_close(p->daemon);
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

static enum exit_code start(struct program *p, struct options *options,
			    const struct support *support)
{
	const struct feature *missing = support_missing(support);
	enum exit_code code;
	char why[WHY_BYTES];

	code = operate_resolve(options, why, sizeof(why));
	if (code) {
		log_error("cannot start: %s", why);
		return code;
	}
	if (missing) {
		log_error("cannot start: %s: %s", missing->id, missing->detail);
		return missing->need == FEATURE_NEEDS_PRIVILEGE ? EXIT_PRIVILEGE : EXIT_KERNEL;
	}
	code = daemon_open(&p->daemon, p->options, support, why, sizeof(why));
	if (code)
		log_error("cannot start: %s", why);
	return code;
}

/* What was closed or is dangerous in what we were started with. */
static void clean_start(void)
{
	int fd;

	/* else a descriptor of ours would be standard error */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a recording at its limit of bytes is a full disk */
	/* GnuTLS would write session keys there */
	unsetenv("SSLKEYLOGFILE");
}

int main(int argc, char **argv)
{
	struct program p = {};
	struct options options;
	struct support support;
	enum exit_code code;
	char version[128];

	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	clean_start();
	snprintf(version, sizeof(version), "poolscoped %s (revision %s)", version_text,
		 version_revision);
	switch (options_parse(argc, argv, &options, version, stdout, stderr)) {
	case OPTIONS_EXIT_OK:
		return fflush(stdout) ? EXIT_RUNTIME : EXIT_OK;
	case OPTIONS_EXIT_USAGE:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	log_setup(options.log_level, options.log_format);
	p.options = &options;
	support_probe(&support);
	code = start(&p, &options, &support);
	if (options.check)
		report(version, &support, p.daemon);
	if (!code)
		code = serve(&p);
	if (fflush(stdout) && !code) {
		log_error("cannot write the report: %s", strerror(errno));
		code = EXIT_RUNTIME;
	}
	teardown(&p);
	return code;
}
