/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Ways to keep a record of a connection, side by side.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>

/* Adds a figure for each way. 0, or -1 if the kernel refuses; then the figures say why. */
int storage_measure(bool quick);

#endif
