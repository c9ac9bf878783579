/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rows of text in columns that are as wide as their widest cell. Pure but for the stream.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TABLE_CELL_MAX 256 /* bytes; more is cut */

struct table;

struct table_column {
	const char *title;
	bool right; /* numbers stand right */
};

/* `columns` end with a NULL title and outlive the table. NULL: no memory, as for all that follows. */
struct table *table_open(const struct table_column *columns);
void table_close(struct table *t); /* also NULL */

/* The next cell of the row under way; after the last column a new row begins. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, to be noticed. */
void table_notice(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A heading and the rows. Control characters are shown as '?'. False: something was lost for want of memory. */
bool table_print(const struct table *t, FILE *out, bool color);

#endif
