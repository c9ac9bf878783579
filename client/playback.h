/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a recording of poolscoped comes to, in the formats in which a running one answers.
 */
#ifndef PLAYBACK_H
#define PLAYBACK_H

#include <stddef.h>
#include <stdio.h>

#include "arguments.h"
#include "options.h"

/*
 * Replays a->file and writes what a->format wants to `copy`, or, if that is NULL, the JSON of a snapshot to *ret_body, to be freed. Failures
 * are told in `why`, with the offset; after success *why is "" or says what is to be known of the numbers.
 */
enum exit_code playback(const struct arguments *a, FILE *copy, char **ret_body, char *why,
			size_t why_size);

#endif
