// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * poolscope: arguments → request → answer → text. Decides how an answer is shown and is the one that says why the program ends.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* https://no-color.org: set and not empty */
static bool wants_color(void)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

/* The body as a table. */
static enum exit_code show(const struct arguments *a, const char *body)
{
	json_t *answer = json_loads(body, 0, NULL);
	bool good;

	if (a->watch_s && isatty(STDOUT_FILENO))
		fputs(CLEAR_SCREEN, stdout);
	good = answer && shows[a->command](answer, stdout, wants_color());
	json_decref(answer);
	if (good)
		return EXIT_OK;
	fputs("poolscope: the answer is no JSON, or there is no memory for it\n", stderr);
	return EXIT_RUNTIME;
}

static enum exit_code run_once(const struct arguments *a, const json_t *request)
{
	_cleanup_free_ char *body = NULL;
	char why[WHY_BYTES] = "";
	FILE *copy = a->format == FORMAT_TABLE ? NULL : stdout;
	enum exit_code code;

	if (a->command == COMMAND_REPLAY)
		code = playback(a, copy, &body, why, sizeof(why));
	else
		code = ask(a->socket, request, copy, &body, why, sizeof(why));
	if (code || (*why && a->command == COMMAND_REPLAY))
		fprintf(stderr, "poolscope: %s: %s\n", arguments_command_text(a->command), why);
	if (!code && body && shows[a->command])
		code = show(a, body);
	if ((fflush(stdout) || ferror(stdout)) && !code) {
		fprintf(stderr, "poolscope: cannot write: %s\n", strerror(errno));
		code = EXIT_RUNTIME;
	}
	return code;
}

/* Until it fails, or a signal ends it. */
static enum exit_code run(const struct arguments *a)
{
	const struct timespec period = {.tv_sec = a->watch_s};
	char why[WHY_BYTES];
	json_t *request;
	enum exit_code code = request_make(&request, a, why, sizeof(why));

	if (code)
		fprintf(stderr, "poolscope: %s: %s\n", arguments_command_text(a->command), why);
	if (code)
		return code;
	while (!(code = run_once(a, request)) && a->watch_s) {
		nanosleep(&period, NULL);
		if (a->format == FORMAT_TABLE && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
	if (!code && request_waits(request))
		fputs("poolscope: attach: there is no such cgroup yet; it is attached when it is made\n",
		      stderr);
	json_decref(request);
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
	return run(&arguments);
}
