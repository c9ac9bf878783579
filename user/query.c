/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads the query of /connections. Strict, since a filter that is misread shows the wrong connections: a parameter that is
 * unknown, repeated, empty or badly encoded is an error. Invariant: every error text is a constant, so that nothing of a
 * request comes back in an answer. Refuses to know whether such a process or peer exists.
 */
#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "name.h"
#include "util.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define WORD_SIZE 128 /* a decoded key or value, its NUL included; all that are right are shorter */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL, or what is wrong. Reads up to two bytes past the end only if those before are digits, so never past the NUL. */
static const char *word_decode(const char *from, size_t len, char ret[WORD_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = from[i] == '+' ? ' ' : from[i];

		if (c == '%') {
			int high = hex_digit(from[i + 1]);
			int low = high < 0 ? -1 : hex_digit(from[i + 2]);

			if (low < 0 || high + low == 0)
				return "a '%' is not followed by two hexadecimal digits, or they are 00";
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n == WORD_SIZE - 1)
			return "a parameter is too long";
		ret[n++] = c;
	}
	ret[n] = '\0';
	return NULL;
}

static const char *read_process(struct query *q, const char *value)
{
	const char *fault = name_fault(value);

	if (fault)
		return fault;
	memcpy(q->process, value, strlen(value) + 1);
	q->has_process = true;
	return NULL;
}

static const char *read_peer(struct query *q, const char *value)
{
	q->peer.len = 128;
	if (strchr(value, '/') ? address_prefix_parse(value, &q->peer)
			       : address_parse(value, q->peer.address))
		return "expected a numeric address or a CIDR, with no bit set behind its prefix";
	q->has_peer = true;
	return NULL;
}

static const char *read_limit(struct query *q, const char *value)
{
	uint32_t n = 0;

	for (; *value >= '0' && *value <= '9' && n <= QUERY_LIMIT_MAX; value++)
		n = n * 10 + (uint32_t)(*value - '0');
	if (*value || n < 1 || n > QUERY_LIMIT_MAX)
		return "expected a number from 1 to " STRINGIFY(QUERY_LIMIT_MAX);
	q->limit = n;
	return NULL;
}

static const struct parameter {
	const char *key;
	const char *(*read)(struct query *q, const char *value); /* NULL, or what is wrong */
} parameters[] = {
	{"process", read_process},
	{"peer", read_peer},
	{"limit", read_limit},
};

static const struct parameter *parameter_find(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		if (strcmp(parameters[i].key, key) == 0)
			return &parameters[i];
	}
	return NULL;
}

/* "key=value" of `len` bytes; *seen has a bit for each parameter. *ret_key tells whose fault it is, if it is known. */
static const char *pair_read(struct query *q, const char *pair, size_t len, unsigned int *seen,
			     const char **ret_key)
{
	char key[WORD_SIZE], value[WORD_SIZE] = "";
	const char *equals = memchr(pair, '=', len);
	size_t key_len = equals ? (size_t)(equals - pair) : len;
	const struct parameter *p;
	const char *wrong;

	wrong = word_decode(pair, key_len, key);
	if (wrong)
		return wrong;
	p = parameter_find(key);
	if (!p)
		return "unknown parameter, expected process, peer or limit";
	*ret_key = p->key;
	if (*seen & 1U << (p - parameters))
		return "given twice";
	*seen |= 1U << (p - parameters);
	if (equals)
		wrong = word_decode(equals + 1, len - key_len - 1, value);
	if (wrong)
		return wrong;
	return *value ? p->read(q, value) : "the value is empty";
}

int query_parse(const char *text, struct query *ret, char *why, size_t why_size)
{
	struct query q = {.limit = QUERY_LIMIT_DEFAULT};
	unsigned int seen = 0;

	while (text && *text) {
		const char *key = NULL, *wrong = NULL;
		size_t len = strcspn(text, "&");

		if (len) /* "a=1&&b=2" and a '&' at the end are common and harmless */
			wrong = pair_read(&q, text, len, &seen, &key);
		if (wrong) {
			snprintf(why, why_size, "%s: %s", key ? key : "query", wrong);
			return -EINVAL;
		}
		text += len + (text[len] ? 1 : 0);
	}
	*ret = q;
	return 0;
}
