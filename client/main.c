// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * poolscope: arguments → request → answer → text. Decides how an answer is shown and is the one that says why the program ends. The
 * answer is the daemon's, that of a recording, or that of the engine in this process.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alone.h"
#include "arguments.h"
#include "ask.h"
#include "playback.h"
#include "request.h"
#include "show.h"
#include "util.h"
#include "version.h"

#define WHY_BYTES 512
#define CLEAR_SCREEN "\033[H\033[2J"

static show_fn *const shows[COMMANDS] = {
	[COMMAND_LIST] = show_list,	    [COMMAND_CHECK] = show_check,
	[COMMAND_SNAPSHOT] = show_snapshot, [COMMAND_CONNECTIONS] = show_connections,
	[COMMAND_REPLAY] = show_snapshot,
};

/* Asked before anything else: who works alone may not, by then. */
static struct {
	bool is_terminal;
	bool color;
} screen;

/* A buffer of our own also since the library would ask whether it is a terminal before it makes one. */
static void open_screen(void)
{
	static char buffer[BUFSIZ];
	const char *no_color = getenv("NO_COLOR");

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	screen.is_terminal = isatty(STDOUT_FILENO);
	/* https://no-color.org: set and not empty */
	screen.color = screen.is_terminal && !(no_color && *no_color);
}

static void tell(const struct arguments *a, const char *why)
{
	fprintf(stderr, "poolscope: %s: %s\n", arguments_command_text(a->command), why);
}

/* The body as a table. */
static enum exit_code show(const struct arguments *a, const char *body)
{
	json_t *answer = json_loads(body, 0, NULL);
	bool good;

	if (a->watch_s && screen.is_terminal)
		fputs(CLEAR_SCREEN, stdout);
	good = answer && shows[a->command](answer, stdout, screen.color);
	json_decref(answer);
	if (good)
		return EXIT_OK;
	fputs("poolscope: the answer is no JSON, or there is no memory for it\n", stderr);
	return EXIT_RUNTIME;
}

/* From whoever knows; *why may also have something to say after success. */
static enum exit_code fetch(const struct arguments *a, struct alone *alone, FILE *copy,
			    char **ret_body, char *why, size_t why_size)
{
	static const char waits[] = "there is no such cgroup yet; it is attached when it is made";
	enum exit_code code;
	json_t *request;

	if (alone)
		return alone_show(alone, copy, ret_body, why, why_size);
	if (a->command == COMMAND_REPLAY)
		return playback(a, copy, ret_body, why, why_size);
	code = request_make(&request, a, why, why_size);
	if (code)
		return code;
	code = ask(a->socket, request, copy, ret_body, why, why_size);
	if (!code)
		snprintf(why, why_size, "%s", request_waits(request) ? waits : "");
	json_decref(request);
	return code;
}

static enum exit_code run_once(const struct arguments *a, struct alone *alone)
{
	_cleanup_free_ char *body = NULL;
	char why[WHY_BYTES] = "";
	FILE *copy = a->format == FORMAT_TABLE ? NULL : stdout;
	enum exit_code code = fetch(a, alone, copy, &body, why, sizeof(why));

	if (*why)
		tell(a, why);
	if (!code && body && shows[a->command])
		code = show(a, body);
	if ((fflush(stdout) || ferror(stdout)) && !code) {
		fprintf(stderr, "poolscope: cannot write: %s\n", strerror(errno));
		code = EXIT_RUNTIME;
	}
	return code;
}

/* Between two tables. */
static void part(const struct arguments *a)
{
	if (a->format == FORMAT_TABLE && !screen.is_terminal)
		putchar('\n');
}

/* Until it fails, or a signal ends it. */
static enum exit_code run(const struct arguments *a)
{
	const struct timespec period = {.tv_sec = a->watch_s};
	enum exit_code code;

	while (!(code = run_once(a, NULL)) && a->watch_s) {
		nanosleep(&period, NULL);
		part(a);
	}
	return code;
}

/* When it is over; with --watch also at once and each period. */
static enum exit_code run_alone(const struct arguments *a)
{
	struct alone *alone;
	char why[WHY_BYTES];
	enum exit_code code = alone_open(&alone, a, why, sizeof(why));
	bool over = false;

	if (code) {
		tell(a, why);
		return code;
	}
	if (a->watch_s)
		code = run_once(a, alone);
	while (!code && !over) {
		code = alone_watch(alone, a->watch_s, &over, why, sizeof(why));
		if (code)
			tell(a, why);
		else if (a->watch_s)
			part(a);
		if (!code && (over || a->watch_s))
			code = run_once(a, alone);
	}
	alone_close(alone);
	return code;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	char version[128];

	snprintf(version, sizeof(version), "poolscope %s (revision %s)", version_text,
		 version_revision);
	switch (arguments_parse(argc, argv, &arguments, version, stdout, stderr)) {
	case OPTIONS_EXIT_OK:
		return fflush(stdout) ? EXIT_RUNTIME : EXIT_OK;
	case OPTIONS_EXIT_USAGE:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	open_screen();
	return arguments.alone ? run_alone(&arguments) : run(&arguments);
}
