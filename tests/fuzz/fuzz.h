/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What every target shares. A target is built twice: with libFuzzer, and with replay.c, which feeds it the corpus only.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(bool good)
{
	if (!good)
		abort();
}

/* A text of exactly these bytes and a NUL on the heap, so that a read beyond it is seen. The caller frees it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	check(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* Valid UTF-8 without a control character. */
static inline bool fuzz_is_clean(const char *text)
{
	size_t len;

	for (; *text; text += len) {
		len = utf8_char(text);
		if (!len || utf8_is_control(text))
			return false;
	}
	return true;
}

#endif
