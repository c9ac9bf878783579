/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * struct arguments → the request of docs/control.md.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <jansson.h>

#include "arguments.h"

/*
 * Looks up what is to be attached: the daemon has given up what that takes. *ret is to be freed by json_decref(). A selector that names
 * nothing is told in `why`: EXIT_USAGE, EXIT_TARGET, EXIT_RUNTIME.
 */
enum exit_code request_make(json_t **ret, const struct arguments *a, char *why, size_t why_size);

/* Whether it attaches a unit or cgroup that is not there yet. */
bool request_waits(const json_t *request);

#endif
