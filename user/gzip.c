/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One deflate stream with gzip's frame (RFC 1952) around one body. Invariant: neither the body nor what it is compressed to is ever in memory
 * whole, and the trailer, which makes it complete, is written only when the body said that it ended. It refuses to know what
 * the body says and where the bytes go.
 */
#include "gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

/* The fastest one: an exposition repeats itself so much that the others gain little. */
#define LEVEL 1
#define WINDOW_BITS (15 + 16) /* the largest window; 16 asks for gzip's frame */
#define MEMORY_LEVEL 8 /* zlib's default */
/* Of the body, in one call: a text that shrinks a hundredfold must not hold up the loop until `max` bytes are full. */
#define TURN_BYTES (256 * 1024)
/* A body that gives less than this works on more, and wants the loop to turn meanwhile (body.h). */
#define SHORT_BYTES 16

struct gzip {
	z_stream z;
	gzip_read_fn *read;
	void *body;
	ssize_t error;
	bool body_ended, ended;
	bool body_works; /* its last read was a short one */
	unsigned char in[32 * 1024];
};

int gzip_open(struct gzip **ret, gzip_read_fn *read, void *body)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	if (deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK) {
		free(g);
		return -ENOMEM;
	}
	g->read = read;
	g->body = body;
	*ret = g;
	return 0;
}

void gzip_close(struct gzip *g)
{
	if (!g)
		return;
	deflateEnd(&g->z);
	free(g);
}

/* More of the body for deflate(). */
static void refill(struct gzip *g)
{
	ssize_t n = g->read(g->body, (char *)g->in, sizeof(g->in));

	if (n < 0) {
		g->error = n;
		return;
	}
	g->body_ended = n == 0;
	g->body_works = n > 0 && n < SHORT_BYTES;
	g->z.next_in = g->in;
	g->z.avail_in = (uInt)n;
}

static int flush_mode(const struct gzip *g)
{
	if (g->body_ended)
		return Z_FINISH;
	return g->body_works ? Z_SYNC_FLUSH : Z_NO_FLUSH;
}

ssize_t gzip_read(struct gzip *g, char *out, size_t max)
{
	uInt room = max < UINT_MAX ? (uInt)max : UINT_MAX;
	size_t taken = 0;
	int result;

	g->z.next_out = (unsigned char *)out;
	g->z.avail_out = room;
	/* deflate() keeps up to 16 Ki symbols to itself; but 0 bytes would mean the end, so then it goes on. */
	while (!g->ended && g->z.avail_out && (taken < TURN_BYTES || g->z.avail_out == room)) {
		if (!g->z.avail_in && !g->body_ended)
			refill(g);
		if (g->error)
			return g->error;
		taken += g->z.avail_in;
		result = deflate(&g->z, flush_mode(g));
		taken -= g->z.avail_in;
		if (result != Z_OK && result != Z_STREAM_END)
			g->error = -EIO;
		g->ended = result == Z_STREAM_END;
		if (g->body_works && !g->z.avail_in)
			break; /* the flush has given some bytes */
	}
	return g->error ? g->error : (ssize_t)(room - g->z.avail_out);
}
