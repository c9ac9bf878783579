/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The answers of poolscoped as tables for people. Pure but for the stream.
 */
#ifndef SHOW_H
#define SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Each: the answer's JSON as a table. False: there was no memory. Members that are missing are shown as "-". */
typedef bool show_fn(const json_t *answer, FILE *out, bool color);

show_fn show_snapshot; /* of report.h */
show_fn show_list; /* of metadata.h */
show_fn show_check;
show_fn show_connections; /* of listing.h */

/* "350us", "1.25ms", "42.5s", "7.5m", "12h"; "-" for NaN. */
#define SHOW_SECONDS_MAX 16
void show_seconds(double seconds, char ret[SHOW_SECONDS_MAX]);

#endif
