/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What zlib's own inflate() makes of it: the same body, and never a complete one of a body that failed. */
#include "check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "gzip.h"
#include "util.h"

#define ROOM (6 * 1024 * 1024)

struct fake {
	size_t total, given, fail_at;
	size_t each; /* at most so many in one read; 0: as many as fit */
	size_t reads;
	bool random;
	uint64_t seed;
};

/* What stands at this place of the body: noise, or lines that repeat themselves. */
static char byte_at(struct fake *f, size_t i)
{
	static const char line[] = "poolscope_connections_active{process=\"web\"} 12\n";

	f->seed = f->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return f->random ? (char)(f->seed >> 56) : line[i % (sizeof(line) - 1)];
}

static ssize_t fake_read(void *body, char *out, size_t max)
{
	struct fake *f = body;
	size_t n = f->total - f->given < max ? f->total - f->given : max;

	if (f->given >= f->fail_at)
		return -ENOMEM;
	if (f->each && n > f->each)
		n = f->each;
	f->reads++;
	for (size_t i = 0; i < n; i++)
		out[i] = byte_at(f, f->given + i);
	f->given += n;
	return (ssize_t)n;
}

/* Reads to the end in pieces and returns how long it is; the caller frees *ret. -errno: the body's error. */
static ssize_t compress_body(struct fake *f, size_t piece, unsigned char **ret)
{
	unsigned char *out = malloc(ROOM);
	size_t len = 0;
	struct gzip *g;
	ssize_t n;

	assert_non_null(out);
	assert_int_equal(gzip_open(&g, fake_read, f), 0);
	do {
		assert_true(len + piece <= ROOM);
		n = gzip_read(g, (char *)out + len, piece);
		assert_true(n <= (ssize_t)piece);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	assert_int_equal(gzip_read(g, (char *)out, piece), n); /* end and error stay */
	gzip_close(g);
	*ret = out;
	return n < 0 ? n : (ssize_t)len;
}

/* The result of inflate() when the input is used up. */
static int inflate_all(const unsigned char *in, size_t len, unsigned char *out, size_t *ret_len)
{
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)in,
		      .avail_in = (uInt)len,
		      .next_out = out,
		      .avail_out = ROOM};
	int result;

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	result = inflate(&z, Z_NO_FLUSH);
	assert_int_equal(z.avail_in, 0);
	*ret_len = ROOM - z.avail_out;
	inflateEnd(&z);
	return result;
}

static void comes_back_as_it_was(void **state)
{
	static const size_t totals[] = {0, 1, 32 * 1024, 256 * 1024, 3 * 1024 * 1024 + 7},
			    pieces[] = {65536, 4096, 61};
	unsigned char *text = malloc(ROOM), *packed;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(totals) * ARRAY_SIZE(pieces) * 2; i++) {
		struct fake f = {.total = totals[i / 2 % ARRAY_SIZE(totals)],
				 .fail_at = SIZE_MAX,
				 .random = i % 2},
			    again = {.random = f.random};
		ssize_t n = compress_body(&f, pieces[i / 2 / ARRAY_SIZE(totals)], &packed);
		size_t len;

		assert_true(n > 0);
		assert_int_equal(inflate_all(packed, (size_t)n, text, &len), Z_STREAM_END);
		assert_int_equal(len, f.total);
		for (size_t j = 0; j < len; j++) {
			if ((char)text[j] != byte_at(&again, j))
				fail_msg("row %zu: byte %zu is wrong", i, j);
		}
		assert_true(f.random || f.total < 1000 || (size_t)n < f.total / 50);
		free(packed);
	}
	free(text);
}

/* RFC 1952: magic, deflate, no flags, no time; extra flags 4: "compressor used fastest algorithm". */
static void the_header_says_gzip_at_the_fastest_level(void **state)
{
	static const unsigned char header[9] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4};
	struct fake f = {.total = 100, .fail_at = SIZE_MAX};
	unsigned char *packed;

	(void)state;
	assert_true(compress_body(&f, 4096, &packed) > 18);
	assert_memory_equal(packed, header, sizeof(header));
	free(packed);
}

static void a_body_that_fails_is_never_complete(void **state)
{
	static const size_t fail_at[] = {0, 1, 100000, 1024 * 1024};
	unsigned char *text = malloc(ROOM), packed[4096];

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(fail_at) * 2; i++) {
		struct fake f = {.total = 1024 * 1024, .fail_at = fail_at[i / 2], .random = i % 2};
		z_stream z = {.next_out = text, .avail_out = ROOM};
		struct gzip *g;
		ssize_t n;

		assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
		assert_int_equal(gzip_open(&g, fake_read, &f), 0);
		while ((n = gzip_read(g, (char *)packed, sizeof(packed))) > 0) {
			z.next_in = packed;
			z.avail_in = (uInt)n;
			assert_int_equal(inflate(&z, Z_NO_FLUSH), Z_OK);
		}
		assert_int_equal(n, -ENOMEM);
		assert_int_equal(gzip_read(g, (char *)packed, sizeof(packed)), -ENOMEM);
		gzip_close(g);
		inflateEnd(&z);
	}
	free(text);
}

/* However much a body shrinks, one call takes little of it, and what it gives is not the end. */
static void one_call_takes_a_bounded_part_of_the_body(void **state)
{
	struct fake f = {.total = 64 * 1024 * 1024, .fail_at = SIZE_MAX};
	size_t before = 0, most = 0, calls = 0;
	static char out[1024 * 1024];
	struct gzip *g;

	(void)state;
	assert_int_equal(gzip_open(&g, fake_read, &f), 0);
	for (; gzip_read(g, out, sizeof(out)) > 0; before = f.given, calls++)
		most = f.given - before > most ? f.given - before : most;
	gzip_close(g);
	assert_int_equal(f.given, f.total);
	assert_in_range(most, 256 * 1024, 5 * 1024 * 1024);
	assert_true(calls > 10);
}

/* Its few bytes tell the client nothing, but each call must be one slice of its work, and 0 would be the end. */
static void a_body_that_works_on_more_is_asked_once_in_a_call(void **state)
{
	struct fake f = {.total = 1000, .fail_at = SIZE_MAX, .each = 1};
	unsigned char *text = malloc(ROOM), packed[65536];
	size_t at = 0, len;
	struct gzip *g;
	ssize_t n;

	(void)state;
	assert_non_null(text);
	assert_int_equal(gzip_open(&g, fake_read, &f), 0);
	for (size_t i = 1; i <= f.total; i++) {
		n = gzip_read(g, (char *)packed + at, sizeof(packed) - at);
		assert_true(n > 0);
		assert_int_equal(f.reads, i);
		at += (size_t)n;
	}
	n = gzip_read(g, (char *)packed + at, sizeof(packed) - at);
	assert_true(n > 0);
	at += (size_t)n;
	assert_int_equal(gzip_read(g, (char *)packed + at, sizeof(packed) - at), 0);
	gzip_close(g);
	assert_int_equal(inflate_all(packed, at, text, &len), Z_STREAM_END);
	assert_int_equal(len, f.total);
	free(text);
}

static void closing_early_leaks_nothing(void **state)
{
	struct fake f = {.total = 1024 * 1024, .fail_at = SIZE_MAX};
	struct gzip *g;
	char byte;

	(void)state;
	assert_int_equal(gzip_open(&g, fake_read, &f), 0);
	assert_int_equal(gzip_read(g, &byte, 1), 1);
	assert_int_equal((unsigned char)byte, 0x1f);
	gzip_close(g);
	gzip_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(the_header_says_gzip_at_the_fastest_level),
		cmocka_unit_test(a_body_that_fails_is_never_complete),
		cmocka_unit_test(one_call_takes_a_bounded_part_of_the_body),
		cmocka_unit_test(a_body_that_works_on_more_is_asked_once_in_a_call),
		cmocka_unit_test(closing_early_leaks_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
