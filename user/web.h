/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The files behind the endpoint: tokens, certificate, key. Read at start and at each SIGHUP, by whoever the process is then.
 */
#ifndef WEB_H
#define WEB_H

#include <stddef.h>

#include "http.h"
#include "options.h"

/*
 * Reads all files of the options and gives them to the endpoint: all or none. A failure leaves what was there before and
 * says in `why` which file it was and what to do; -errno.
 */
int web_load(struct http *http, const struct options *options, char *why, size_t why_size);

#endif
