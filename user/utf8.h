/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One question about UTF-8, asked by all that show foreign bytes.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length of the valid UTF-8 character at s (1 … 4), 0 if there is none: overlong forms, surrogates and what lies above U+10FFFF
 * are invalid (Unicode 15, table 3-7). Reads no further than the first byte that is wrong, so a NUL ends it.
 */
static inline size_t utf8_char(const char *s)
{
	const unsigned char *b = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	len = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (b[0] == 0xe0)
		low = 0xa0;
	else if (b[0] == 0xed)
		high = 0x9f;
	else if (b[0] == 0xf0)
		low = 0x90;
	else if (b[0] == 0xf4)
		high = 0x8f;
	if (b[1] < low || b[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Whether the valid character at s is a control character: C0, DEL or C1. */
static inline bool utf8_is_control(const char *s)
{
	const unsigned char *b = (const unsigned char *)s;

	return b[0] < 0x20 || b[0] == 0x7f || (b[0] == 0xc2 && b[1] < 0xa0);
}

#endif
