/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the parsers of single flags share: the row of a flag, the state of the parsing, and the words of a refusal.
 */
#ifndef PARSER_H
#define PARSER_H

#include "options.h"

struct parser;

struct option {
	const char *name;
	const char *arg; /* NULL: takes no value */
	const char *initial; /* the default, in the words of the command line */
	const char *help; /* NULL: not shown, since it is only refused */
	void (*parse)(struct parser *p, const char *value);
};

struct parser {
	struct options o;
	enum options_action action; /* other than OPTIONS_RUN ends the parsing */
	const struct option *option;
	const char *version;
	FILE *out, *err;
};

/* Ends the parsing with one line: the flag, the value (each left out if NULL), the message, a hint. */
void parser_refuse(struct parser *p, const char *flag, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for the flag that is being parsed. */
#define bad(p, value, ...) parser_refuse(p, (p)->option->name, value, __VA_ARGS__)

/* Decimal digits from *s on, moved past; false if there is none or the number is above max. */
bool parser_number(const char **s, uint64_t max, uint64_t *ret);

/*
 * What a selector is given as, TEXT or TEXT=NAME: what follows the last '=' is the name, so a text that holds one is given with a name.
 * *ret_name points into value or is NULL. Returns what is wrong with the lengths or with the name, NULL: nothing.
 */
const char *parser_selector(const char *value, char ret_text[SELECTOR_TEXT_MAX + 1],
			    const char **ret_name);

/* Index of value among the words of the row's arg, "a|b|c"; -1 after refusing it. */
int parser_choice(struct parser *p, const char *value);

#endif
