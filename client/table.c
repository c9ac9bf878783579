// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Owns copies of the cells, since widths are known only at the end. Invariant: a cell is valid UTF-8 without a control character, so that no
 * name of a process can restyle a terminal. Every character counts as one column.
 */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define BOLD "\033[1m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

struct cell {
	char *text;
	bool notice;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct cell *cells; /* row by row */
	size_t count, cap;
	bool failed;
};

struct table *table_open(const struct table_column *columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->columns = columns;
	while (columns[t->column_count].title && t->column_count < TABLE_COLUMNS_MAX)
		t->column_count++;
	return t;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

/* The bytes of a control character, or one that is no UTF-8, become one '?'. */
static void make_clean(char *text)
{
	char *to = text;

	while (*text) {
		size_t len = utf8_char(text);

		if (!len || utf8_is_control(text)) {
			*to++ = '?';
		} else {
			memmove(to, text, len);
			to += len;
		}
		text += len ? len : 1;
	}
	*to = '\0';
}

static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void add(struct table *t, bool notice, const char *fmt, va_list args)
{
	char text[TABLE_CELL_MAX];

	if (t->count == t->cap) {
		size_t cap = t->cap * 2 + TABLE_COLUMNS_MAX;
		struct cell *more = realloc(t->cells, cap * sizeof(*more));

		if (!more) {
			t->failed = true;
			return;
		}
		t->cells = more;
		t->cap = cap;
	}
	vsnprintf(text, sizeof(text), fmt, args);
	make_clean(text);
	t->cells[t->count] = (struct cell){.text = strdup(text), .notice = notice};
	if (t->cells[t->count].text)
		t->count++;
	else
		t->failed = true;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(t, false, fmt, args);
	va_end(args);
}

void table_notice(struct table *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(t, true, fmt, args);
	va_end(args);
}

static void measure(const struct table *t, size_t widths[TABLE_COLUMNS_MAX])
{
	for (size_t i = 0; i < t->column_count; i++)
		widths[i] = width_of(t->columns[i].title);
	for (size_t i = 0; i < t->count; i++) {
		size_t width = width_of(t->cells[i].text), column = i % t->column_count;

		if (width > widths[column])
			widths[column] = width;
	}
}

/* No blanks at the end of a line. */
static void print_cell(const struct table *t, size_t column, const char *text, const char *style,
		       const size_t *widths, FILE *out)
{
	size_t pad = widths[column] - width_of(text);
	bool last = column + 1 == t->column_count, right = t->columns[column].right;

	fprintf(out, "%*s%s%s%s%*s", right ? (int)pad : 0, "", style, text, *style ? PLAIN : "",
		right || last ? 0 : (int)pad, "");
	fputs(last ? "\n" : "  ", out);
}

bool table_print(const struct table *t, FILE *out, bool color)
{
	size_t widths[TABLE_COLUMNS_MAX];

	measure(t, widths);
	for (size_t i = 0; i < t->column_count; i++)
		print_cell(t, i, t->columns[i].title, color ? BOLD : "", widths, out);
	for (size_t i = 0; i < t->count; i++)
		print_cell(t, i % t->column_count, t->cells[i].text,
			   color && t->cells[i].notice ? YELLOW : "", widths, out);
	return !t->failed;
}
