/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The engine of poolscoped inside of the client: attached for a while, and gone.
 */
#ifndef ALONE_H
#define ALONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "arguments.h"
#include "options.h"

struct alone;

/*
 * Loads, attaches to a->targets and then gives up what privileges this process has, for good: afterwards nothing can be executed, written but to
 * what is open, or asked of a terminal. SIGINT and SIGTERM are blocked from here on. `a` stays the caller's. Failures are told in `why`.
 */
enum exit_code alone_open(struct alone **ret, const struct arguments *a, char *why,
			  size_t why_size);
void alone_close(struct alone *al); /* the kernel holds nothing of ours afterwards */

/*
 * Watches for `period_s` seconds (0: no limit), but not longer than a->for_s after alone_open(), or than to a signal: then *ret_over is true, and
 * the numbers are complete.
 */
enum exit_code alone_watch(struct alone *al, unsigned int period_s, bool *ret_over, char *why,
			   size_t why_size);

/* Writes what a->format wants to `copy`, or, if that is NULL, the JSON of a snapshot to *ret_body, to be freed. */
enum exit_code alone_show(struct alone *al, FILE *copy, char **ret_body, char *why,
			  size_t why_size);

#endif
