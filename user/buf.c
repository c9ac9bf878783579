/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the memory of a byte buffer and the way numbers become digits. Invariant: len <= cap <= BUF_MAX_BYTES,
 * and a failed buffer never grows again until it is reset. Knows nothing of what the bytes mean.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

void buf_done(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed)
		return NULL;
	if (b->cap - b->len >= n)
		return b->data + b->len;
	if (n > BUF_MAX_BYTES - b->len) {
		b->failed = true;
		return NULL;
	}
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	char *p = n ? buf_room(b, n) : NULL;

	if (!p)
		return;
	memcpy(p, data, n);
	b->len += n;
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static void buf_add_number(struct buf *b, const char *digits, const char *end)
{
	buf_add(b, digits, (size_t)(end - digits));
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[BUF_NUMBER_MAX];

	buf_add_number(b, digits, buf_put_u64(digits, v));
}

void buf_add_i64(struct buf *b, int64_t v)
{
	char digits[BUF_NUMBER_MAX];

	buf_add_number(b, digits, buf_put_i64(digits, v));
}

void buf_add_seconds(struct buf *b, uint64_t ns)
{
	char digits[BUF_NUMBER_MAX];

	buf_add_number(b, digits, buf_put_seconds(digits, ns));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n > 0 ? buf_room(b, (size_t)n + 1) : NULL;
	if (!p)
		return;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

static const char two_digits[] = "00010203040506070809"
				 "10111213141516171819"
				 "20212223242526272829"
				 "30313233343536373839"
				 "40414243444546474849"
				 "50515253545556575859"
				 "60616263646566676869"
				 "70717273747576777879"
				 "80818283848586878889"
				 "90919293949596979899";

char *buf_put_u64(char *p, uint64_t v)
{
	char digits[BUF_NUMBER_MAX], *d = digits + sizeof(digits);
	size_t len;

	if (v < 10) { /* most samples */
		*p = (char)('0' + v);
		return p + 1;
	}
	while (v >= 100) {
		d -= 2;
		memcpy(d, two_digits + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		d -= 2;
		memcpy(d, two_digits + v * 2, 2);
	} else {
		*--d = (char)('0' + v);
	}
	len = (size_t)(digits + sizeof(digits) - d);
	memcpy(p, d, len);
	return p + len;
}

char *buf_put_i64(char *p, int64_t v)
{
	if (v >= 0)
		return buf_put_u64(p, (uint64_t)v);
	*p = '-';
	return buf_put_u64(p + 1, 0 - (uint64_t)v);
}

char *buf_put_seconds(char *p, uint64_t ns)
{
	uint32_t fraction = (uint32_t)(ns % NSEC_PER_SEC);
	int i;

	p = buf_put_u64(p, ns / NSEC_PER_SEC);
	if (!fraction)
		return p;
	*p = '.';
	for (i = 9; i > 0; i--, fraction /= 10)
		p[i] = (char)('0' + fraction % 10);
	for (p += 9; *p == '0'; p--)
		;
	return p + 1;
}
