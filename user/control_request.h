/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a client of the control socket asks for: one JSON object on one line, docs/control.md. Pure.
 */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "selector.h"
#include "series.h"

#define CONTROL_QUERY_MAX 1024 /* bytes of a query for connections */

enum control_command {
	CONTROL_ATTACH,
	CONTROL_DETACH,
	CONTROL_LIST,
	CONTROL_CHECK,
	CONTROL_SNAPSHOT,
	CONTROL_CONNECTIONS,
	CONTROL_COMMANDS,
};

enum control_format { CONTROL_JSON, CONTROL_PROM, CONTROL_OPENMETRICS };

struct control_request {
	enum control_command command;
	pid_t pid; /* attach, detach; 0: not given */
	uint64_t start_ticks; /* attach: of that process; 0: whichever has the PID now */
	bool selects; /* attach: what the selector names, and pid is 0 */
	struct selector selector;
	char name[SERIES_NAME_MAX + 1]; /* attach, detach; "": not given */
	bool follow; /* attach */
	enum control_format format; /* snapshot */
	char query[CONTROL_QUERY_MAX + 1]; /* connections: as query.h reads it */
};

/*
 * `text` is the line, with or without its newline; it may hold any bytes. -EINVAL with what is wrong in `why`, as plain text; *ret
 * is untouched then. -ENOMEM.
 */
int control_request_parse(const char *text, size_t len, struct control_request *ret, char *why,
			  size_t why_size);

/* "attach" … */
const char *control_command_text(enum control_command command);

#endif
