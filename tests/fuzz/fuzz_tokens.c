/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a token file: if it is taken, each of its lines that is neither blank nor a comment is accepted as a token, and
 * neither is one that lacks a byte or has one more, unless it stands there, too. If it is refused it leaves no token behind.
 */
#include <stdio.h>

#include "auth.h"
#include "fuzz.h"

static const char spare[] = "spare-token-that-stays", later[] = "a-short-one-here";

struct line {
	const char *at;
	size_t len;
};

static struct line line_at(const char *text, const char *end)
{
	struct line l = {text, 0};

	while (text + l.len < end && text[l.len] != '\n')
		l.len++;
	return l;
}

/* What of a line is a token: without CR; of length 0 if it has none. */
static struct line token_of(struct line l)
{
	size_t blanks = 0;

	if (l.len && l.at[l.len - 1] == '\r')
		l.len--;
	while (blanks < l.len && (l.at[blanks] == ' ' || l.at[blanks] == '\t'))
		blanks++;
	if (blanks == l.len || l.at[blanks] == '#')
		l.len = 0;
	return l;
}

static bool stands_there(const char *text, const char *end, const char *token, size_t len)
{
	for (struct line l; text < end; text += l.len + 1) {
		struct line t;

		l = line_at(text, end);
		t = token_of(l);
		if (t.len == len && memcmp(t.at, token, len) == 0)
			return true;
	}
	return len == sizeof(spare) - 1 && memcmp(spare, token, len) == 0;
}

static bool accepts(const struct auth *a, const char *token, size_t len)
{
	char header[8 + AUTH_TOKEN_MAX + 2];

	snprintf(header, sizeof(header), "Bearer %.*s", (int)len, token);
	return auth_accepts(a, header);
}

static void check_token(const struct auth *a, struct line t, const char *text, const char *end)
{
	char changed[AUTH_TOKEN_MAX + 1];

	check(t.len >= AUTH_TOKEN_MIN && t.len <= AUTH_TOKEN_MAX);
	check(accepts(a, t.at, t.len));
	check(accepts(a, t.at, t.len - 1) == stands_there(text, end, t.at, t.len - 1));
	memcpy(changed, t.at, t.len);
	changed[t.len] = 'x';
	check(accepts(a, changed, t.len + 1) == stands_there(text, end, changed, t.len + 1));
	changed[t.len / 2] ^= 1;
	check(accepts(a, changed, t.len) == stands_there(text, end, changed, t.len));
}

/* A header that bears it bears nothing else: a zero byte ends one, and blanks around a token are none of it. */
static bool is_plain(struct line t)
{
	const char last = t.at[t.len - 1];

	return !memchr(t.at, 0, t.len) && t.at[0] != ' ' && t.at[0] != '\t' && last != ' ' &&
	       last != '\t';
}

/* Each token of the text: all are taken, or none that is not the spare one. */
static void check_tokens(const struct auth *a, const char *text, const char *end, bool taken)
{
	const char *at = text;

	for (struct line l; at < end; at += l.len + 1) {
		struct line t;

		l = line_at(at, end);
		t = token_of(l);
		if (t.len && taken)
			check_token(a, t, text, end);
		else if (t.len && t.len <= AUTH_TOKEN_MAX && is_plain(t))
			check(accepts(a, t.at, t.len) == stands_there(end, end, t.at, t.len));
	}
	check(!accepts(a, "", 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct auth *a = NULL;
	char why[160] = "";
	int err;

	check(!auth_parse(&a, "spare", spare, sizeof(spare) - 1, why, sizeof(why)));
	err = auth_parse(&a, "file", text, size, why, sizeof(why));
	check(!err || strncmp(why, "file", 4) == 0);
	check(accepts(a, spare, sizeof(spare) - 1));
	check_tokens(a, text, text + size, !err);
	if (err) { /* its place is as good as new */
		check(!auth_parse(&a, "later", later, sizeof(later) - 1, why, sizeof(why)));
		check(accepts(a, later, sizeof(later) - 1));
	}
	auth_free(a);
	return 0;
}
