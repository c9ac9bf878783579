// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * support → daemon → loop → fewer privileges, as poolscoped starts, but without HTTP and control socket: who asks is in this process. Invariant:
 * nothing is pinned and no process is left, so what runs in the kernel ends with us, however that comes. Knows neither what the
 * numbers mean nor how they are shown.
 */
#include "alone.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "filter.h"
#include "log.h"
#include "loop.h"
#include "operate.h"
#include "privileges.h"
#include "support.h"
#include "util.h"
#include "version.h"

#define PIECE_BYTES 32768

struct alone {
	const struct arguments *arguments;
	struct options options;
	struct support support;
	struct daemon *daemon;
	struct loop *loop;
	uint64_t pause_ns, end_ns; /* when to return, and when it is over */
};

static void on_tick(void *arg)
{
	struct alone *al = arg;

	daemon_tick(al->daemon);
	if (util_now_ns() >= al->pause_ns)
		loop_stop(al->loop);
}

static void on_signal(void *arg, int signo)
{
	struct alone *al = arg;

	(void)signo;
	al->end_ns = util_now_ns();
	loop_stop(al->loop);
}

/* Those of poolscoped, but for what the command line of the client says. */
static void set_options(struct alone *al)
{
	const struct arguments *a = al->arguments;
	char *argv[] = {(char *)"poolscope", NULL};

	options_parse(1, argv, &al->options, version_text, stdout, stderr);
	al->options.follow = a->follow;
	al->options.target_count = a->target_count;
	memcpy(al->options.targets, a->targets, sizeof(a->targets));
}

static enum exit_code open_daemon(struct alone *al, char *why, size_t why_size)
{
	enum exit_code code = operate_resolve(&al->options, why, why_size);
	const struct feature *missing;

	if (code)
		return code;
	support_probe(&al->support);
	missing = support_missing(&al->support);
	if (!missing)
		return daemon_open(&al->daemon, &al->options, &al->support, why, why_size);
	snprintf(why, why_size, "%s: %s", missing->id, missing->detail);
	return missing->need == FEATURE_NEEDS_PRIVILEGE ? EXIT_PRIVILEGE : EXIT_KERNEL;
}

/* All its descriptors are made here: none can be once the filter is installed. */
static enum exit_code open_loop(struct alone *al, char *why, size_t why_size)
{
	static const int signals[] = {SIGINT, SIGTERM, 0};
	int err = loop_open(&al->loop);

	if (!err)
		err = loop_signals(al->loop, signals, on_signal, al);
	if (!err)
		err = loop_add(al->loop, daemon_fd(al->daemon), daemon_drain, al->daemon);
	if (!err)
		err = loop_every(al->loop, DAEMON_TICK_MS, on_tick, al);
	if (!err)
		return EXIT_OK;
	snprintf(why, why_size, "cannot make the event loop: %s", strerror(-err));
	return EXIT_RUNTIME;
}

static enum exit_code drop_privileges(char *why, size_t why_size)
{
	const struct privileges_config stay = {};
	struct privileges_left left;

	if (privileges_drop(&stay, &left, why, why_size))
		return EXIT_PRIVILEGE;
	return filter_install(why, why_size) ? EXIT_KERNEL : EXIT_OK;
}

enum exit_code alone_open(struct alone **ret, const struct arguments *a, char *why, size_t why_size)
{
	struct alone *al = calloc(1, sizeof(*al));
	enum exit_code code;

	if (!al) {
		snprintf(why, why_size, "out of memory");
		return EXIT_RUNTIME;
	}
	al->arguments = a;
	log_setup(LOG_WARN, LOG_LOGFMT);
	set_options(al);
	code = open_daemon(al, why, why_size);
	if (!code)
		code = open_loop(al, why, why_size);
	if (!code)
		code = drop_privileges(why, why_size);
	if (code) {
		alone_close(al);
		return code;
	}
	al->end_ns = util_now_ns() + a->for_s * NSEC_PER_SEC;
	*ret = al;
	return EXIT_OK;
}

void alone_close(struct alone *al)
{
	loop_close(al->loop);
	daemon_close(al->daemon);
	free(al);
}

enum exit_code alone_watch(struct alone *al, unsigned int period_s, bool *ret_over, char *why,
			   size_t why_size)
{
	int err;

	al->pause_ns = util_now_ns() + period_s * NSEC_PER_SEC;
	if (!period_s || al->pause_ns > al->end_ns)
		al->pause_ns = al->end_ns;
	err = loop_run(al->loop);
	if (err) {
		snprintf(why, why_size, "the event loop failed: %s", strerror(-err));
		return EXIT_RUNTIME;
	}
	*ret_over = util_now_ns() >= al->end_ns;
	if (*ret_over)
		daemon_settle(al->daemon);
	return EXIT_OK;
}

static int copy_body(struct alone *al, const struct body_ops *ops,
		     const struct body_request *request, FILE *out)
{
	char piece[PIECE_BYTES];
	void *body;
	ssize_t n;
	int err = ops->open(al->daemon, request, &body);

	if (err)
		return err;
	while ((n = ops->read(body, piece, sizeof(piece))) > 0)
		fwrite(piece, 1, (size_t)n, out);
	ops->close(body);
	return (int)n;
}

static int write_body(struct alone *al, FILE *out)
{
	char body_why[BODY_WHY_BYTES] = "";
	struct body_request request = {.query = "", .why = body_why};

	if (al->arguments->format == FORMAT_TABLE || al->arguments->format == FORMAT_JSON)
		return copy_body(al, &daemon_snapshot, &request, out);
	if (al->arguments->format == FORMAT_OPENMETRICS)
		request.format = NEGOTIATE_OPENMETRICS;
	return copy_body(al, &daemon_metrics, &request, out);
}

static int keep_body(struct alone *al, char **ret_body)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (!out)
		return -ENOMEM;
	err = write_body(al, out);
	if (fclose(out) && !err)
		err = -ENOMEM;
	if (err)
		free(text);
	else
		*ret_body = text;
	return err;
}

enum exit_code alone_show(struct alone *al, FILE *copy, char **ret_body, char *why, size_t why_size)
{
	int err = copy ? write_body(al, copy) : keep_body(al, ret_body);

	if (!err)
		return EXIT_OK;
	snprintf(why, why_size, "cannot make the snapshot: %s", strerror(-err));
	return EXIT_RUNTIME;
}
