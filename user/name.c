/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A process chooses its comm, so any 15 bytes may come; what people give as a name is refused rather than changed. Pure;
 * escaping is left to those who print a name.
 */
#include "name.h"

#include <string.h>

#include "utf8.h"
#include "util.h"

void name_clean(const char *comm, char ret[SERIES_NAME_MAX + 1])
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	size_t out = 0, label_bytes = 0; /* see series_name_bytes() */

	while (*comm) {
		size_t len = utf8_char(comm);
		bool good = len && !utf8_is_control(comm);
		const char *from = good ? comm : replacement;
		size_t n = good ? len : sizeof(replacement) - 1;

		label_bytes += n + (*from == '"' || *from == '\\');
		if (label_bytes > SERIES_NAME_MAX)
			break;
		memcpy(ret + out, from, n);
		out += n;
		comm += len ? len : 1;
	}
	if (!out) {
		memcpy(ret, "unnamed", sizeof("unnamed"));
		return;
	}
	ret[out] = '\0';
}

const char *name_fault(const char *text)
{
	if (!*text)
		return "the name is empty";
	if (series_name_bytes(text) > SERIES_NAME_MAX)
		return "the name is longer than " STRINGIFY(
			SERIES_NAME_MAX) " bytes (quotes and backslashes count twice)";
	while (*text) {
		size_t len = utf8_char(text);

		if (!len)
			return "the name is not valid UTF-8";
		if (utf8_is_control(text))
			return "the name has a control character";
		text += len;
	}
	return NULL;
}
