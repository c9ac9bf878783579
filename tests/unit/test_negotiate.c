/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What clients really send, and what they might; each row is a request's headers and what it gets. */
#include "check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "negotiate.h"
#include "util.h"

#define OM "application/openmetrics-text"
#define PROMETHEUS_2                                                               \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;" \
	"version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
#define PROMETHEUS_3                                                                            \
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"                \
	"application/openmetrics-text;version=0.0.1;q=0.5,"                                     \
	"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/" \
	"*;q=0.2"
#define PROMETHEUS_3_TEXT                                                              \
	"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4" \
	";q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.2"
#define FIREFOX "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static const struct {
	const char *accept;
	enum negotiate_format format;
} formats[] = {
	{NULL, NEGOTIATE_TEXT},
	{"", NEGOTIATE_TEXT},
	{PROMETHEUS_2, NEGOTIATE_OPENMETRICS},
	{PROMETHEUS_3, NEGOTIATE_OPENMETRICS},
	{PROMETHEUS_3_TEXT, NEGOTIATE_TEXT},
	{FIREFOX, NEGOTIATE_TEXT},
	{"*/*", NEGOTIATE_TEXT},
	/* plain names */
	{OM, NEGOTIATE_OPENMETRICS},
	{"text/plain", NEGOTIATE_TEXT},
	{OM ", text/plain", NEGOTIATE_OPENMETRICS},
	{"text/plain, " OM, NEGOTIATE_OPENMETRICS},
	{"*/*, " OM, NEGOTIATE_OPENMETRICS},
	{"application/json", NEGOTIATE_TEXT},
	{OM "x, application/openmetrics", NEGOTIATE_TEXT},
	/* quality */
	{OM ";q=0.5, text/plain;q=0.6", NEGOTIATE_TEXT},
	{OM ";q=0.6, text/plain;q=0.5", NEGOTIATE_OPENMETRICS},
	{OM ";q=0.501, text/plain;q=0.5", NEGOTIATE_OPENMETRICS},
	{OM ";q=0.499, text/plain;q=0.5", NEGOTIATE_TEXT},
	{OM ";q=0.5, text/plain;q=0.500", NEGOTIATE_OPENMETRICS},
	{OM ";q=1.000, text/plain;q=1.", NEGOTIATE_OPENMETRICS},
	{OM ";q=0.001", NEGOTIATE_OPENMETRICS},
	{OM ";q=0", NEGOTIATE_TEXT},
	{OM ";q=0.000", NEGOTIATE_TEXT},
	{OM ";q=0, text/plain;q=0", NEGOTIATE_TEXT},
	{OM ";q=0, */*", NEGOTIATE_TEXT},
	{"*/*;q=0, " OM, NEGOTIATE_OPENMETRICS},
	{"text/plain;q=0, */*", NEGOTIATE_OPENMETRICS},
	{"text/plain;q=0, */*;q=0.1", NEGOTIATE_OPENMETRICS},
	/* wildcards: the more exact range decides, wherever it stands */
	{"text/*", NEGOTIATE_TEXT},
	{"application/*", NEGOTIATE_OPENMETRICS},
	{"application/*, text/*", NEGOTIATE_TEXT},
	{"application/*, text/*;q=0.9", NEGOTIATE_OPENMETRICS},
	{"application/*;q=0.9, " OM ";q=0.1, text/*;q=0.5", NEGOTIATE_TEXT},
	{"text/plain;q=0.1, text/*, */*, " OM ";q=0.2", NEGOTIATE_OPENMETRICS},
	{"*/*;q=0.9, " OM ";q=0.2", NEGOTIATE_TEXT},
	{"*/*;q=0.9, text/*;q=0.2", NEGOTIATE_OPENMETRICS},
	{OM ", " OM ";q=0, text/plain;q=0.9", NEGOTIATE_OPENMETRICS},
	{"*", NEGOTIATE_TEXT},
	{"*/plain", NEGOTIATE_TEXT},
	{"application/*/*", NEGOTIATE_TEXT},
	/* versions */
	{OM ";version=1.0.0", NEGOTIATE_OPENMETRICS},
	{OM ";version=0.0.1", NEGOTIATE_TEXT},
	{OM ";version=2.0.0", NEGOTIATE_TEXT},
	{OM ";version=1.0.0;q=0, " OM, NEGOTIATE_TEXT},
	{OM ";q=0.1, text/plain;version=0.0.4", NEGOTIATE_TEXT},
	{OM ";q=0.1, text/plain;version=1.0.0", NEGOTIATE_TEXT},
	{OM ";q=0.1, text/plain;version=0.0.3", NEGOTIATE_OPENMETRICS},
	{"text/plain;version=0.0.4;q=0, " OM ";version=0.0.1", NEGOTIATE_TEXT},
	/* parameters in any order, any case, with white space, quoted */
	{"text/plain;q=0.3;version=0.0.4," OM ";q=0.4;charset=utf-8;version=1.0.0",
	 NEGOTIATE_OPENMETRICS},
	{"text/plain;Q=0.5, Application/OpenMetrics-Text;VERSION=1.0.0;Q=0.6",
	 NEGOTIATE_OPENMETRICS},
	{" \ttext/plain ;\tq=0.5 ,  " OM " ; version=1.0.0 ; q=0.6\t", NEGOTIATE_OPENMETRICS},
	{OM ";version=\"1.0.0\"", NEGOTIATE_OPENMETRICS},
	{OM ";version=\"1\\.0.0\"", NEGOTIATE_OPENMETRICS},
	{OM ";version=\"0.0.1\"", NEGOTIATE_TEXT},
	{"a/b;c=\"," OM ",\"", NEGOTIATE_TEXT},
	{"a/b;c=\"\\\"," OM ",\"", NEGOTIATE_TEXT},
	{"a/b;c=\"d\"," OM, NEGOTIATE_OPENMETRICS},
	{OM ";", NEGOTIATE_OPENMETRICS},
	{OM ";; q=0.5", NEGOTIATE_OPENMETRICS},
	{",, ," OM ",,", NEGOTIATE_OPENMETRICS},
	{OM ";a=" X64 X64 ";version=1.0.0", NEGOTIATE_OPENMETRICS},
	{OM X64, NEGOTIATE_TEXT},
	{OM ";version=1.0.0" X64, NEGOTIATE_TEXT},
	/* malformed: this range alone is ignored */
	{OM ";q=2", NEGOTIATE_TEXT},
	{OM ";q=1.001", NEGOTIATE_TEXT},
	{OM ";q=-1", NEGOTIATE_TEXT},
	{OM ";q=.5", NEGOTIATE_TEXT},
	{OM ";q=0.1234", NEGOTIATE_TEXT},
	{OM ";q=05", NEGOTIATE_TEXT},
	{OM ";q=0x1", NEGOTIATE_TEXT},
	{OM ";q=", NEGOTIATE_TEXT},
	{OM ";q=nan", NEGOTIATE_TEXT},
	{OM ";q", NEGOTIATE_TEXT},
	{OM ";q =1", NEGOTIATE_TEXT},
	{OM ";=1", NEGOTIATE_TEXT},
	{OM ";version=\"1.0.0", NEGOTIATE_TEXT},
	{OM ";version=\"1.0.0\\", NEGOTIATE_TEXT},
	{OM ";version=\"1.0.0\"x", NEGOTIATE_TEXT},
	{OM " text/plain", NEGOTIATE_TEXT},
	{OM "\x01", NEGOTIATE_TEXT},
	{"\xff\xfe, " OM, NEGOTIATE_OPENMETRICS},
	{"text/plain;q=7, " OM ";q=0.1", NEGOTIATE_OPENMETRICS},
	{OM ";q=7, " OM ";q=0.1", NEGOTIATE_OPENMETRICS},
	{";q=1", NEGOTIATE_TEXT},
	{"\"", NEGOTIATE_TEXT},
};

static void accept_chooses_the_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct negotiate n = {};

		negotiate_accept(&n, formats[i].accept);
		if (negotiate_format(&n) != formats[i].format)
			fail_msg("row %zu: %s", i, formats[i].accept);
		assert_false(negotiate_gzip(&n));
	}
}

static const struct {
	const char *accept_encoding;
	bool gzip;
} encodings[] = {
	{NULL, false},
	{"", false},
	{"gzip", true},
	{"x-gzip", true},
	{"GZip", true},
	{"gzip, deflate, br, zstd", true},
	{"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
	{"gzip;q=0.001", true},
	{"gzip;q=0", false},
	{"gzip;q=0.000", false},
	{"gzip;q=0, *", false},
	{"*, gzip;q=0", false},
	{"*", true},
	{"*;q=0", false},
	{"*;q=0, gzip", true},
	{"identity", false},
	{"identity, gzip", true},
	{"identity;q=0.5, gzip;q=1.0", true},
	{"identity, gzip;q=0.5", false},
	{"gzip;q=0.5, identity;q=0.6", false},
	{"identity;q=0.5, *;q=0", false},
	{"identity;q=0", false},
	{"identity;q=0, *;q=0.1", true},
	{"identity;q=0, gzip;q=0", false},
	{"deflate", false},
	{"gzipped, agzip, gzi", false},
	{"gzip;q=2", false},
	{"gzip;q=0.5x", false},
	{"gzip deflate", false},
	{" deflate ,\tgzip ; Q=0.5 ", true},
};

static void accept_encoding_chooses_gzip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		struct negotiate n = {};

		negotiate_encoding(&n, encodings[i].accept_encoding);
		if (negotiate_gzip(&n) != encodings[i].gzip)
			fail_msg("row %zu: %s", i, encodings[i].accept_encoding);
		assert_int_equal(negotiate_format(&n), NEGOTIATE_TEXT);
	}
}

static void several_headers_are_one_list(void **state)
{
	struct negotiate n = {};

	(void)state;
	negotiate_accept(&n, "text/plain;q=0.5");
	assert_int_equal(negotiate_format(&n), NEGOTIATE_TEXT);
	negotiate_accept(&n, NULL);
	negotiate_accept(&n, OM ";q=0.6");
	assert_int_equal(negotiate_format(&n), NEGOTIATE_OPENMETRICS);
	negotiate_accept(&n, "text/plain;q=0.7");
	assert_int_equal(negotiate_format(&n), NEGOTIATE_TEXT);
	negotiate_encoding(&n, "deflate");
	negotiate_encoding(&n, "gzip");
	assert_true(negotiate_gzip(&n));
	negotiate_encoding(&n, "identity");
	assert_true(negotiate_gzip(&n));
}

static void a_header_that_is_too_long_is_ignored(void **state)
{
	char *value = malloc(NEGOTIATE_VALUE_MAX + 2);
	struct negotiate n = {};

	(void)state;
	assert_non_null(value);
	memset(value, ',', NEGOTIATE_VALUE_MAX + 1);
	value[NEGOTIATE_VALUE_MAX + 1] = '\0';
	memcpy(value, OM, strlen(OM));
	negotiate_accept(&n, value);
	assert_int_equal(negotiate_format(&n), NEGOTIATE_TEXT);
	value[NEGOTIATE_VALUE_MAX] = '\0';
	negotiate_accept(&n, value);
	assert_int_equal(negotiate_format(&n), NEGOTIATE_OPENMETRICS);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_chooses_the_format),
		cmocka_unit_test(accept_encoding_chooses_gzip),
		cmocka_unit_test(several_headers_are_one_list),
		cmocka_unit_test(a_header_that_is_too_long_is_ignored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
