/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as an Authorization header: it is accepted if and only if a reader that was written differently finds one of the
 * tokens in it.
 */
#include <ctype.h>

#include "auth.h"
#include "fuzz.h"

static const char tokens[] = "0123456789abcdef\nBearer+Bearer-Bearer\n0123456789abcdefg\n";

/* The next token of the list, without its line end. */
static const char *next_token(const char *at, size_t *len)
{
	*len = strcspn(at, "\n");
	return *len ? at : NULL;
}

static bool expected(const char *header)
{
	size_t len;

	for (int i = 0; i < 6; i++) {
		if (tolower((unsigned char)*header++) != "bearer"[i])
			return false;
	}
	if (*header != ' ')
		return false;
	while (*header == ' ')
		header++;
	for (const char *t = next_token(tokens, &len); t; t = next_token(t + len + 1, &len)) {
		const char *rest = header + len;

		if (strncmp(header, t, len) != 0)
			continue;
		while (*rest == ' ' || *rest == '\t')
			rest++;
		if (!*rest)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct auth *auth;
	char *header, why[160];

	if (!auth)
		check(!auth_parse(&auth, "", tokens, sizeof(tokens) - 1, why, sizeof(why)));
	header = fuzz_text(data, size);
	check(auth_accepts(auth, header) == expected(header));
	free(header);
	return 0;
}
