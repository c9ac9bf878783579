/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A growing byte buffer for rendering, and numbers as digits. Appending never fails visibly: after -ENOMEM, or beyond
 * BUF_MAX_BYTES, the buffer is marked failed and ignores what follows, and the one who takes the bytes asks buf_failed().
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUF_MAX_BYTES (64UL * 1024 * 1024) /* nothing we render whole comes near */

struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};

void buf_done(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory */
/* Makes room for n more bytes and returns where they go, NULL after a failure; then add what was written to b->len. */
char *buf_room(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_i64(struct buf *b, int64_t v);
/* Nanoseconds as decimal seconds, exact, no trailing zeros: 1500000000 is "1.5", 0 is "0". */
void buf_add_seconds(struct buf *b, uint64_t ns);
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); /* headers only, never per sample */

static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}

/* The same numbers into memory that has room for BUF_NUMBER_MAX bytes; no NUL; return the end. */
#define BUF_NUMBER_MAX 24
char *buf_put_u64(char *p, uint64_t v);
char *buf_put_i64(char *p, int64_t v);
char *buf_put_seconds(char *p, uint64_t ns);

#endif
