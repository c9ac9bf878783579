/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Replaying a long recording: how fast, and in how much memory.
 */
#ifndef REPLAYS_H
#define REPLAYS_H

#include <stdbool.h>

/* -1: could not be measured. Forks: before the caller has grown. */
int replays_measure(bool quick);

#endif
