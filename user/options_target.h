/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flags that say what to attach to, as rows of the table of options.c call them.
 */
#ifndef OPTIONS_TARGET_H
#define OPTIONS_TARGET_H

#include "parser.h"

/*
 * Append what PID[=NAME] says, or the same of a selector, to a list of `*count`. NULL, or what is wrong with it. The list's name points into
 * value.
 */
const char *options_target_add_pid(struct option_target list[OPTIONS_TARGETS_MAX], size_t *count,
				   const char *value);
const char *options_target_add_selector(struct option_target list[OPTIONS_TARGETS_MAX],
					size_t *count, enum selector_kind kind, const char *value);

void options_target_pid(struct parser *p, const char *value);
void options_target_unit(struct parser *p, const char *value);
void options_target_cgroup(struct parser *p, const char *value);
void options_target_exe(struct parser *p, const char *value);
void options_target_comm(struct parser *p, const char *value);

#endif
