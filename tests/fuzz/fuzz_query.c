/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as the query of /connections: what is read is within its bounds, and written out as a query again it reads the
 * same. What is refused is told in plain ASCII, and changes nothing.
 */
#include <stdio.h>

#include "fuzz.h"
#include "query.h"

static void check_error(const char *why, const struct query *q)
{
	static const char *const keys[] = {"query: ", "process: ", "peer: ", "limit: "};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !len; i++)
		len = strncmp(why, keys[i], strlen(keys[i])) == 0 ? strlen(keys[i]) : 0;
	check(len && why[len]);
	check(q->limit == 77);
	for (; *why; why++)
		check(*why >= ' ' && *why < 0x7f);
}

static void check_same(const struct query *a, const struct query *b)
{
	check(a->limit == b->limit && a->has_process == b->has_process);
	check(a->has_peer == b->has_peer && strcmp(a->process, b->process) == 0);
	check(!a->has_peer || memcmp(&a->peer, &b->peer, sizeof(a->peer)) == 0);
}

/* Every byte as %XX. */
static size_t encode(const char *from, char *ret)
{
	size_t n = 0;

	for (; *from; from++)
		n += (size_t)sprintf(ret + n, "%%%02x", (unsigned char)*from);
	return n;
}

static void check_again(const struct query *q)
{
	char text[1024], peer[ADDRESS_TEXT_MAX], why[160];
	struct query again;
	size_t n = (size_t)sprintf(text, "limit=%u", q->limit);

	if (q->has_process) {
		n += (size_t)sprintf(text + n, "&process=");
		n += encode(q->process, text + n);
	}
	if (q->has_peer) {
		address_prefix_format(&q->peer, peer);
		n += (size_t)sprintf(text + n, "&peer=");
		encode(peer, text + n);
	}
	check(!query_parse(text, &again, why, sizeof(why)));
	check_same(q, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), why[160] = "";
	struct query q = {.limit = 77};

	if (query_parse(text, &q, why, sizeof(why))) {
		check_error(why, &q);
	} else {
		check(q.limit >= 1 && q.limit <= QUERY_LIMIT_MAX);
		check(q.has_process == (q.process[0] != '\0') && fuzz_is_clean(q.process));
		check_again(&q);
	}
	free(text);
	return 0;
}
