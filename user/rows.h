/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The rows of one answer to /connections: the mirror selects them, the kernel's records and the descriptor tables add what they
 * know, and each becomes one JSON object. Bounded by the query's limit. Pure.
 */
#ifndef ROWS_H
#define ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connections.h"
#include "poolscope/listing.h"
#include "query.h"
#include "series.h"

#define ROWS_TEXT_MAX 1024 /* bytes of one object */

struct rows;

/* `names` stays the caller's and must outlive the rows; the query is copied. now_ns: what ages are counted to. */
int rows_open(struct rows **ret, const struct query *query, const struct series_table *names,
	      uint64_t now_ns);
void rows_close(struct rows *r);

/* A connections_live_fn: counts one that the query asks for, and keeps it unless the limit is reached. */
void rows_select(void *rows, const struct connections_live *live);
/* After the last of them. -ENOMEM: some could not be kept. */
int rows_selected(struct rows *r);

/* Of those that were kept; rising. */
uint64_t rows_id(const struct rows *r, size_t i);

/* What the kernel says of a connection, and that a process holds it; one that was not selected is ignored. */
void rows_join(struct rows *r, const struct ps_connection_row *row);
void rows_hold(struct rows *r, uint64_t id, uint32_t tgid);

uint64_t rows_total(const struct rows *r); /* that the query asks for */
size_t rows_count(const struct rows *r); /* that were kept */
size_t rows_unjoined(const struct rows *r); /* ... and still lack rows_join() */
size_t rows_unheld(const struct rows *r); /* ... rows_hold() */
/* Row i as a JSON object; no NUL. The length, or -ENOMEM. */
int rows_render(const struct rows *r, size_t i, char ret[ROWS_TEXT_MAX]);

#endif
