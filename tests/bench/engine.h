/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the user half costs without a kernel, and what others need for a line of their exposition.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>

/* Adds its figures; about 60 s, quick: 6 s. -1: some could not be measured. Forks: best called before the process has grown. */
int engine_measure(bool quick);

#endif
