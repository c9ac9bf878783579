/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One question to poolscoped over its control socket, and the answer.
 */
#ifndef ASK_H
#define ASK_H

#include <jansson.h>
#include <stdio.h>

#include "options.h"

/*
 * Sends the request and reads the whole answer. Its body is written to `copy` as it comes; if that is NULL, *ret_body has it with a
 * NUL, to be freed, or is NULL without one. A daemon that asks to try again is asked again for three seconds. Failures are told
 * in `why`, and what to do; part of a body may have been written then.
 */
enum exit_code ask(const char *socket_path, const json_t *request, FILE *copy, char **ret_body,
		   char *why, size_t why_size);

#endif
