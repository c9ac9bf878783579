/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flags that say what to attach to, as rows of the table of options.c call them.
 */
#ifndef OPTIONS_TARGET_H
#define OPTIONS_TARGET_H

#include "parser.h"

void options_target_pid(struct parser *p, const char *value);
void options_target_unit(struct parser *p, const char *value);
void options_target_cgroup(struct parser *p, const char *value);
void options_target_exe(struct parser *p, const char *value);
void options_target_comm(struct parser *p, const char *value);

#endif
