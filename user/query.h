/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a request for /connections asks: "process=NAME&peer=ADDRESS-OR-CIDR&limit=N". Pure.
 */
#ifndef QUERY_H
#define QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "series.h"

#define QUERY_LIMIT_DEFAULT 1000
#define QUERY_LIMIT_MAX 10000

struct query {
	char process[SERIES_NAME_MAX + 1]; /* a name as name.h has it, if has_process */
	bool has_process;
	bool has_peer;
	struct address_prefix peer; /* of one address: all 128 bits */
	uint32_t limit; /* 1 … QUERY_LIMIT_MAX connections */
};

/*
 * Reads what stands behind the '?' of a request target, as sent: percent-encoded, '+' for a blank. NULL and "" ask for all.
 * -EINVAL: told in `why`, which holds nothing of the text; *ret is untouched. The work is linear in its length.
 */
int query_parse(const char *text, struct query *ret, char *why, size_t why_size);

#endif
