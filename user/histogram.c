/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bounds of buckets, from text to nanoseconds and back to `le` text, and the counting of samples. Invariant: bounds rise
 * strictly, in nanoseconds too, so that every sample has one bucket. A bound's text is made from the number that was
 * read, never copied from what the operator wrote: two spellings of one bound would be two series in Prometheus.
 */
#include "histogram.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define BOUND_MAX_SECONDS 1e9 /* 31 years; also keeps the nanoseconds far inside 64 bits */

/* The digits (no point) and the decimal exponent of the shortest decimal that reads back as v. */
static int8_t shortest_digits(double v, char ret_digits[18])
{
	char text[40];
	int precision;
	int8_t exponent;
	size_t n = 0;

	for (precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	exponent = (int8_t)atoi(strchr(text, 'e') + 1);
	for (const char *p = text; *p != 'e'; p++) {
		if (*p != '.')
			ret_digits[n++] = *p;
	}
	ret_digits[n] = '\0';
	return exponent;
}

/* Go's strconv 'g', shortest form: an exponent below 1e-4 and from 1e+06 on. Then `.0` if the text looks like an integer. */
static void le_format(double v, char *ret, size_t size)
{
	char digits[18];
	int exponent = shortest_digits(v, digits), n = (int)strlen(digits);

	if (exponent < -4 || exponent >= 6)
		snprintf(ret, size, "%c%s%se%+03d", digits[0], n > 1 ? "." : "", digits + 1,
			 exponent);
	else if (exponent < 0)
		snprintf(ret, size, "0.%.*s%s", -exponent - 1, "000", digits);
	else if (n <= exponent + 1)
		snprintf(ret, size, "%s%.*s.0", digits, exponent + 1 - n, "00000");
	else
		snprintf(ret, size, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
}

/* One bound; NULL, or what is wrong with it. */
static const char *bound_add(struct histogram_bounds *b, double v)
{
	uint64_t ns;

	if (isnan(v) || v <= 0)
		return "is not positive";
	if (isinf(v))
		return "is implied, leave it out";
	if (v > BOUND_MAX_SECONDS)
		return "is more than 1e9 seconds";
	ns = (uint64_t)llround(v * 1e9);
	if (!ns)
		return "is less than a nanosecond";
	if (b->count && ns <= b->upper_ns[b->count - 1])
		return "is not above the one before it";
	if (b->count == HISTOGRAM_BOUNDS_MAX)
		return "is one too many: at most 30 bounds";
	le_format(v, b->le[b->count], sizeof(b->le[0]));
	b->upper_ns[b->count++] = ns;
	return NULL;
}

int histogram_bounds_parse(const char *text, struct histogram_bounds *ret, char *why,
			   size_t why_size)
{
	struct histogram_bounds b = {};
	const char *p = text, *wrong;
	char *end;

	for (;; p = end + 1) {
		double v = strtod(p, &end);

		end += strspn(end, " ");
		if (end == p || (*end && *end != ','))
			wrong = "is not a number of seconds";
		else
			wrong = bound_add(&b, v);
		if (wrong) {
			snprintf(why, why_size, "bound \"%.*s\" %s",
				 (int)strnlen(p, strcspn(p, ",") < 32 ? strcspn(p, ",") : 32), p,
				 wrong);
			return -EINVAL;
		}
		if (!*end)
			break;
	}
	*ret = b;
	return 0;
}

void histogram_bounds_handshake(struct histogram_bounds *ret)
{
	histogram_bounds_parse(
		".0001,.00025,.0005,.001,.0025,.005,.01,.025,.05,.1,.25,.5,1,3,7,15,31", ret, NULL,
		0);
}

void histogram_bounds_lifetime(struct histogram_bounds *ret)
{
	histogram_bounds_parse(".01,.05,.1,.5,1,5,10,30,60,300,600,1800,3600,14400,86400", ret,
			       NULL, 0);
}

void histogram_add(struct histogram *h, const struct histogram_bounds *b, uint64_t sample_ns)
{
	uint32_t bucket = 0, count = b->count;

	while (count) { /* the first bound that is not below the sample */
		uint32_t half = count / 2;

		if (b->upper_ns[bucket + half] < sample_ns) {
			bucket += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	h->buckets[bucket]++;
	h->sum_ns += sample_ns;
}

uint64_t histogram_count(const struct histogram *h, const struct histogram_bounds *b)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i <= b->count; i++)
		count += h->buckets[i];
	return count;
}
