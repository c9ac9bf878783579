/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether the check of a token tells by its time what a guess has right.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>

void token_measure(bool quick);

#endif
