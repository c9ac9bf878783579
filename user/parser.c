/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The words of the command line: numbers, choices, and refusals that show foreign text without obeying it. Knows no flag.
 */
#include "parser.h"

#include <stdarg.h>
#include <string.h>

#include "name.h"
#include "utf8.h"
#include "util.h"

#define VALUE_SHOWN_MAX 80

/* Foreign text on a line of ours: what could break or restyle the line is shown as '?'. */
static void print_value(FILE *f, const char *value)
{
	size_t shown = 0;

	fputc('\'', f);
	while (*value && shown < VALUE_SHOWN_MAX) {
		size_t len = utf8_char(value);

		if (len && !utf8_is_control(value))
			fwrite(value, 1, len, f);
		else
			fputc('?', f);
		value += len ? len : 1;
		shown++;
	}
	fputs(*value ? "…'" : "'", f);
}

void parser_refuse(struct parser *p, const char *flag, const char *value, const char *fmt, ...)
{
	va_list args;

	fputs("poolscoped: ", p->err);
	if (flag)
		fprintf(p->err, "%s: ", flag);
	if (value) {
		print_value(p->err, value);
		fputs(": ", p->err);
	}
	va_start(args, fmt);
	vfprintf(p->err, fmt, args);
	va_end(args);
	fputs("\ntry 'poolscoped --help'\n", p->err);
	p->action = OPTIONS_EXIT_USAGE;
}

bool parser_number(const char **s, uint64_t max, uint64_t *ret)
{
	const char *c = *s;
	uint64_t n = 0;

	for (; *c >= '0' && *c <= '9'; c++) {
		n = n * 10 + (uint64_t)(*c - '0');
		if (n > max)
			return false;
	}
	if (c == *s)
		return false;
	*s = c;
	*ret = n;
	return true;
}

const char *parser_selector(const char *value, char ret_text[SELECTOR_TEXT_MAX + 1],
			    const char **ret_name)
{
	const char *equals = strrchr(value, '=');
	size_t len = equals ? (size_t)(equals - value) : strlen(value);

	if (len > SELECTOR_TEXT_MAX)
		return "longer than " STRINGIFY(SELECTOR_TEXT_MAX) " bytes";
	snprintf(ret_text, SELECTOR_TEXT_MAX + 1, "%.*s", (int)len, value);
	*ret_name = equals ? equals + 1 : NULL;
	return equals ? name_fault(equals + 1) : NULL;
}

int parser_choice(struct parser *p, const char *value)
{
	const char *word = p->option->arg;
	size_t len;

	for (int i = 0;; i++) {
		len = strcspn(word, "|");
		if (strlen(value) == len && strncmp(word, value, len) == 0)
			return i;
		if (!word[len])
			break;
		word += len + 1;
	}
	bad(p, value, "expected %s", p->option->arg);
	return -1;
}
