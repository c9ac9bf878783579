/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What poolscope and its peers cost the traced program.
 */
#ifndef RATIOS_H
#define RATIOS_H

#include <stdbool.h>

/* Adds the figures of "Traced program" and draws build/bench/chart.svg. 0; -1: something could not be measured. */
int ratios_measure(bool quick);

#endif
