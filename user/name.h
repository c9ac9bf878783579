/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Process names, as they stand in labels: 1 to SERIES_NAME_MAX bytes of valid UTF-8 without a control character.
 */
#ifndef NAME_H
#define NAME_H

#include "series.h"

/*
 * Makes a name of any bytes: what is not UTF-8 and control characters become U+FFFD, what is too long is cut at a character,
 * and of nothing it makes "unnamed". A name stays as it is.
 */
void name_clean(const char *comm, char ret[SERIES_NAME_MAX + 1]);

/* What keeps a text from being a name, for people to read; NULL: it is one. */
const char *name_fault(const char *text);

#endif
