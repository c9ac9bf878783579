/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A snapshot as one JSON object on one line, described by docs/snapshot.schema.json. For programs and for `poolscope snapshot`.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "snapshot.h"

#define REPORT_SCHEMA 1 /* one more whenever a reader of the old one could be misled */

struct report;

/* Holds the snapshot until it is closed. realtime_ns: since 1970, shown as its time. -ENOMEM is the only error. */
int report_open(struct report **ret, struct snapshot *snapshot, uint64_t realtime_ns);
/* As read() and close() of struct body_ops; a call renders at most 32 series (a millisecond). */
ssize_t report_read(void *report, char *out, size_t max);
void report_close(void *report);

#endif
