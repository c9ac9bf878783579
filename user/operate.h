/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The control socket as the options want it, with the daemon behind its commands.
 */
#ifndef OPERATE_H
#define OPERATE_H

#include "control.h"
#include "daemon.h"
#include "options.h"

/*
 * Looks up what the options want to be attached, while this is still allowed: selectors, and which process has a PID now. An exit code, told in
 * `why`; what is not there yet is logged.
 */
enum exit_code operate_resolve(struct options *options, char *why, size_t why_size);

/*
 * Makes the socket, before privileges are dropped; looks the groups up. *ret is NULL if the options want none, or if the default one
 * cannot be made: then `why` says why and the result is EXIT_OK. Else an exit code, told in `why`. Both arguments stay the caller's.
 */
enum exit_code operate_open(struct control **ret, const struct options *options, struct daemon *d,
			    char *why, size_t why_size);

#endif
