/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the options and the machine together make of the optional programs.
 */
#ifndef CHOICE_H
#define CHOICE_H

#include "options.h"
#include "probes.h"
#include "support.h"

/* Writes into *config which accept program is to be loaded. EXIT_KERNEL, told in `why`: this machine has not what was asked for. */
enum exit_code choice_of_accept(const struct options *options, const struct support *support,
				struct probes_config *config, char *why, size_t why_size);

/* Accept programs are optional, unless the operator asked for one. EXIT_KERNEL, told in `why`: he did, and it was refused. */
enum exit_code choice_check_accept(const struct probes *probes, const struct options *options,
				   const struct support *support, char *why, size_t why_size);

#endif
