/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a recording: it is replayed or refused, and a refusal says an offset within the file and prints nothing. What is left of a file that ends
 * early is replayed if it is asked for; what is wrong stays refused.
 */
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"
#include "replay.h"

#define WHY_BYTES 256

/* Returns what replay_open() does, having checked what is printed. */
static int run(const uint8_t *data, size_t size, bool partial)
{
	FILE *in = fmemopen((void *)(uintptr_t)data, size, "r"), *out;
	struct replay_result result;
	struct replay *r = NULL;
	char why[WHY_BYTES] = "", *text = NULL;
	unsigned long long offset;
	size_t len = 0;
	int err;

	out = open_memstream(&text, &len);
	check(in && out);
	err = replay_open(&r, in, partial, &result, why, sizeof(why));
	check(err || !replay_print(r, out, EXPOSITION_TEXT));
	replay_close(r);
	fclose(in);
	fclose(out);
	check(err == 0 || err == -EINVAL || err == -ENODATA);
	check(strlen(why) < sizeof(why) - 1);
	if (err) {
		check(len == 0);
		check(sscanf(why, "offset %llu: ", &offset) == 1 && offset <= size);
	} else {
		check(len > 0 && text[len - 1] == '\n' && result.bytes <= size);
		check(partial || result.bytes == size);
	}
	free(text);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int err, left;

	if (!size)
		return 0;
	err = run(data, size, false);
	left = run(data, size, true);
	check(left == err || (err == -ENODATA && !left));
	return 0;
}
