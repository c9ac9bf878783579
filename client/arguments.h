/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The command line of the client: argv → struct arguments, from two tables that also make --help. Pure.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "options.h"

#define ARGUMENTS_QUERY_MAX 1024

enum command {
	COMMAND_ATTACH,
	COMMAND_DETACH,
	COMMAND_LIST,
	COMMAND_CHECK,
	COMMAND_SNAPSHOT,
	COMMAND_CONNECTIONS,
	COMMAND_REPLAY,
	COMMANDS,
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_PROM, FORMAT_OPENMETRICS };

struct arguments {
	enum command command;
	const char *socket;
	pid_t pid; /* 0: none */
	const char *name; /* points into argv; NULL: none */
	bool selects; /* attach: what the selector names, and pid is 0 */
	struct selector selector; /* kind and text as they were given; not looked up yet */
	bool follow;
	const char *file; /* of replay */
	bool partial;
	enum format format;
	unsigned int watch_s; /* 0: once */
	char query[ARGUMENTS_QUERY_MAX]; /* of connections, as the daemon reads it */
};

/* As the daemon and --help call it. */
const char *arguments_command_text(enum command command);

/*
 * --help and --version are written to `out` (OPTIONS_EXIT_OK), a usage error to `err`: one line that names what is wrong and what is
 * accepted. `version` is the text of --version.
 */
enum options_action arguments_parse(int argc, char **argv, struct arguments *ret,
				    const char *version, FILE *out, FILE *err);

#endif
