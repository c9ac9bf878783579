/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flags --control.*, as rows of the table of options.c call them.
 */
#ifndef OPTIONS_CONTROL_H
#define OPTIONS_CONTROL_H

#include "parser.h"

#define OPTIONS_CONTROL_DEFAULT "/run/poolscope/control.sock"

void options_control_socket(struct parser *p, const char *value);
void options_control_group(struct parser *p, const char *value);
void options_control_admin_group(struct parser *p, const char *value);

/* After the last flag: what does not go together. */
void options_control_end(struct parser *p);

#endif
