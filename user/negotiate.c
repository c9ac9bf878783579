/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads lists of ranges, `name;parameter=value;q=0.5, name …`, and keeps of each offer the wish of the most exact range. Both
 * headers have this shape; a coding is a range without a slash.
 *
 * Invariant: what cannot be understood has no effect, and the work is linear in a bounded length. It refuses to know what
 * the formats look like, and who asks.
 */
#include "negotiate.h"

#include <stddef.h>
#include <string.h>

#include "util.h"

#define QUALITY_ONE 1000

/* How exactly a range names an offer. */
enum rank { RANK_NONE, RANK_ANY, RANK_TYPE, RANK_NAME, RANK_VERSION };

static const struct offer {
	const char *type, *name;
	const char *versions[3]; /* that are answered with this format */
} offers[NEGOTIATE_FORMATS] = {
	/* Clients that ask for text 1.0.0 (Prometheus 3) read 0.0.4. */
	[NEGOTIATE_TEXT] = {"text/*", "text/plain", {"0.0.4", "1.0.0"}},
	[NEGOTIATE_OPENMETRICS] = {"application/*", "application/openmetrics-text", {"1.0.0"}},
};

/* In lower case. What does not fit is cut: it is longer than anything that is compared with. */
struct word {
	size_t len;
	char text[64];
};

struct range {
	struct word name, version;
	unsigned int quality;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Of a token (RFC 9110, 5.6.2), or the slash of a media range. */
static bool is_name(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~/", c));
}

static void word_add(struct word *w, char c)
{
	if (w->len + 1 < sizeof(w->text))
		w->text[w->len++] = lower(c);
	w->text[w->len] = '\0';
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

/* The readers return where they stopped; NULL: malformed. */
static const char *name_read(const char *p, struct word *ret)
{
	*ret = (struct word){};
	for (; is_name(*p); p++)
		word_add(ret, *p);
	return p;
}

static const char *value_read(const char *p, struct word *ret)
{
	if (*p != '"')
		return name_read(p, ret);
	*ret = (struct word){};
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (!*p)
			return NULL;
		word_add(ret, *p);
	}
	return p + 1;
}

/* "0", "1", with up to three decimals (RFC 9110, 12.4.2). */
static bool quality_read(const char *p, unsigned int *ret)
{
	unsigned int unit = QUALITY_ONE, v;

	if (*p != '0' && *p != '1')
		return false;
	v = (unsigned int)(*p++ - '0') * unit;
	if (*p == '.')
		p++;
	else if (*p)
		return false;
	for (; is_digit(*p) && unit > 1; p++) {
		unit /= 10;
		v += (unsigned int)(*p - '0') * unit;
	}
	if (*p || v > QUALITY_ONE)
		return false;
	*ret = v;
	return true;
}

/* `parameter=value`; other parameters (charset, escaping) make no difference. */
static const char *parameter_read(const char *p, struct range *ret)
{
	struct word name, value;

	p = name_read(p, &name);
	if (!name.len)
		return p; /* ";;" is allowed */
	if (*p != '=')
		return NULL;
	p = value_read(p + 1, &value);
	if (p && !strcmp(name.text, "version"))
		ret->version = value;
	if (p && !strcmp(name.text, "q") && !quality_read(value.text, &ret->quality))
		return NULL;
	return p;
}

static bool range_read(const char *p, struct range *ret)
{
	ret->quality = QUALITY_ONE;
	ret->version = (struct word){};
	p = skip_space(name_read(p, &ret->name));
	while (*p == ';') {
		p = parameter_read(skip_space(p + 1), ret);
		if (!p)
			return false;
		p = skip_space(p);
	}
	return ret->name.len && (!*p || *p == ',');
}

/* The comma that ends this element of the list, not one within quotes, or the end. */
static const char *element_end(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || *p != ','); p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (quoted && *p == '\\' && p[1])
			p++;
	}
	return p;
}

/* The next range that can be understood; false at the end. */
static bool range_next(const char **p, struct range *ret)
{
	while (**p) {
		const char *at = skip_space(*p), *end = element_end(at);

		*p = *end ? end + 1 : end;
		if (range_read(at, ret))
			return true;
	}
	return false;
}

static bool is_readable(const char *value)
{
	return value && strnlen(value, NEGOTIATE_VALUE_MAX + 1) <= NEGOTIATE_VALUE_MAX;
}

/* Of two that are equally exact the friendlier one counts. */
static void wish(struct negotiate_wish *w, enum rank rank, unsigned int quality)
{
	if (rank > w->rank || (rank == w->rank && rank && quality > w->quality))
		*w = (struct negotiate_wish){rank, quality};
}

static enum rank format_rank(const struct offer *offer, const struct range *r)
{
	if (!strcmp(r->name.text, "*/*"))
		return RANK_ANY;
	if (!strcmp(r->name.text, offer->type))
		return RANK_TYPE;
	if (strcmp(r->name.text, offer->name))
		return RANK_NONE;
	if (!r->version.len)
		return RANK_NAME;
	for (size_t i = 0; i < ARRAY_SIZE(offer->versions) && offer->versions[i]; i++) {
		if (!strcmp(r->version.text, offer->versions[i]))
			return RANK_VERSION;
	}
	return RANK_NONE;
}

void negotiate_accept(struct negotiate *n, const char *value)
{
	struct range r;

	if (!is_readable(value))
		return;
	while (range_next(&value, &r)) {
		for (int i = 0; i < NEGOTIATE_FORMATS; i++)
			wish(&n->formats[i], format_rank(&offers[i], &r), r.quality);
	}
}

void negotiate_encoding(struct negotiate *n, const char *value)
{
	struct range r;

	if (!is_readable(value))
		return;
	while (range_next(&value, &r)) {
		if (!strcmp(r.name.text, "*"))
			wish(&n->gzip, RANK_ANY, r.quality);
		else if (!strcmp(r.name.text, "gzip") || !strcmp(r.name.text, "x-gzip"))
			wish(&n->gzip, RANK_NAME, r.quality);
		else if (!strcmp(r.name.text, "identity"))
			wish(&n->identity, RANK_NAME, r.quality);
	}
}

enum negotiate_format negotiate_format(const struct negotiate *n)
{
	const struct negotiate_wish *text = &n->formats[NEGOTIATE_TEXT],
				    *openmetrics = &n->formats[NEGOTIATE_OPENMETRICS];

	if (openmetrics->quality > text->quality ||
	    (openmetrics->quality && openmetrics->quality == text->quality &&
	     openmetrics->rank >= RANK_NAME))
		return NEGOTIATE_OPENMETRICS;
	return NEGOTIATE_TEXT;
}

bool negotiate_gzip(const struct negotiate *n)
{
	return n->gzip.quality && n->gzip.quality >= n->identity.quality;
}
