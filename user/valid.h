/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a record can come from the kernel half.
 */
#ifndef VALID_H
#define VALID_H

#include <stdbool.h>

#include "poolscope/record.h"

bool valid_record(const struct ps_record *r);

#endif
