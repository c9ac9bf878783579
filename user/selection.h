/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A selector as the kernel half has it.
 */
#ifndef SELECTION_H
#define SELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "probes.h"
#include "selector.h"
#include "series.h"

/* Whether both select the same processes. */
bool selection_equal(const struct selector *a, const struct selector *b);

/* A name for what it selects: a unit without its ".service", the last part of a path. */
void selection_name(const struct selector *s, char ret[SERIES_NAME_MAX + 1]);

/* Its rank's bit, for probes_select(). */
uint32_t selection_rank(const struct selector *s);

/* Puts it into the kernel's maps, where it stays until its owner is dropped. -E2BIG: no room there. */
int selection_add(const struct selector *s, struct probes *probes, uint32_t owner, bool follow);

#endif
