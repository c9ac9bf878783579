/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as Accept and Accept-Encoding, one header a line: no crash, no read beyond the value, qualities and ranks within
 * their bounds, nothing chosen that was refused.
 */
#include "fuzz.h"
#include "negotiate.h"

static void check_wish(const struct negotiate_wish *w)
{
	check(w->quality <= 1000 && w->rank <= 4 && (w->rank || !w->quality));
}

static void tell(struct negotiate *n, const uint8_t *line, size_t len)
{
	char *value = fuzz_text(line, len);

	negotiate_accept(n, value);
	negotiate_encoding(n, value);
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct negotiate_wish before;
	struct negotiate n = {};

	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;

		tell(&n, data, len);
		len += end ? 1 : 0;
		data += len;
		size -= len;
	}
	for (int i = 0; i < NEGOTIATE_FORMATS; i++)
		check_wish(&n.formats[i]);
	check_wish(&n.gzip);
	check_wish(&n.identity);
	check(negotiate_format(&n) == NEGOTIATE_TEXT || n.formats[NEGOTIATE_OPENMETRICS].quality);
	check(!negotiate_gzip(&n) || n.gzip.quality);

	/* A refusal by name beats wishes by wildcard, and never one by name. */
	before = n.gzip;
	negotiate_encoding(&n, "gzip;q=0");
	check(n.gzip.rank == 3 &&
	      (before.rank < 3 ? !n.gzip.quality : n.gzip.quality == before.quality));
	return 0;
}
