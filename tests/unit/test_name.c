/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Names out of any bytes, and what is refused when people give one. */
#include "check.h"

#include <string.h>

#include "name.h"
#include "utf8.h"
#include "util.h"

#define FFFD "\xef\xbf\xbd"

static void assert_clean(const char *comm, const char *expected)
{
	char name[SERIES_NAME_MAX + 1];

	name_clean(comm, name);
	assert_string_equal(name, expected);
}

static void ordinary_names_stay(void **state)
{
	(void)state;
	assert_clean("nginx", "nginx");
	assert_clean("\"}\\ evil 1", "\"}\\ evil 1"); /* the label text escapes these */
	assert_clean("caf\xc3\xa9", "caf\xc3\xa9");
}

static void control_characters_and_bad_utf8_are_replaced(void **state)
{
	(void)state;
	assert_clean("a\nb", "a" FFFD "b");
	assert_clean("\x7f", FFFD);
	assert_clean("\xc2\x85\xc2\x9b\xc2\xa0",
		     FFFD FFFD "\xc2\xa0"); /* C1; but no-break space is none */
	assert_clean("x\xff\xfey", "x" FFFD FFFD "y");
	assert_clean("cut\xe2\x82", "cut" FFFD FFFD);
}

static void no_name_is_empty(void **state)
{
	(void)state;
	assert_clean("", "unnamed");
}

static void long_names_are_cut_at_a_character(void **state)
{
	char comm[128] = "a", name[SERIES_NAME_MAX + 1];

	(void)state;
	for (int i = 0; i < 40; i++)
		strcat(comm, "\xe2\x82\xac"); /* 3 bytes each: 20 fit into 62 */
	name_clean(comm, name);
	assert_int_equal(strlen(name), 61);
	name_clean(comm + 1, name);
	assert_int_equal(strlen(name), 63);
	memset(comm, '"', 40); /* each takes 2 in a label */
	comm[40] = '\0';
	name_clean(comm, name);
	assert_int_equal(strlen(name), 31);
	assert_null(name_fault(name));
}

static void utf8_follows_table_3_7(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"a", 1},
		{"\xc2\x80", 2},
		{"\xe0\xa0\x80", 3},
		{"\xed\x9f\xbf", 3},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xc0\x80", 0}, /* overlong */
		{"\xe0\x9f\xbf", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xed\xa0\x80", 0}, /* surrogate */
		{"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
		{"\x80", 0},
		{"\xe2\x82", 0}, /* ends early */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_char(cases[i].text), cases[i].len);
}

#define X21 "xxxxxxxxxxxxxxxxxxxxx"

static void names_given_are_refused_for_a_reason(void **state)
{
	static const struct {
		const char *text, *fault;
	} rows[] = {
		{"nginx", NULL},
		{"caf\xc3\xa9 \"}\\", NULL},
		{X21 X21 X21, NULL},
		{X21 X21 X21 "x",
		 "the name is longer than 63 bytes (quotes and backslashes count twice)"},
		{X21 X21 "xxxxxxxxxxxxxxxxxxxx\xc3\xa9",
		 "the name is longer than 63 bytes (quotes and backslashes count twice)"},
		{"", "the name is empty"},
		{"a\xff", "the name is not valid UTF-8"},
		{"a\xe2\x82", "the name is not valid UTF-8"},
		{"a\n", "the name has a control character"},
		{"a\xc2\x9b", "the name has a control character"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *fault = name_fault(rows[i].text);

		assert_int_equal(!fault, !rows[i].fault);
		if (fault)
			assert_string_equal(fault, rows[i].fault);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_names_stay),
		cmocka_unit_test(control_characters_and_bad_utf8_are_replaced),
		cmocka_unit_test(no_name_is_empty),
		cmocka_unit_test(long_names_are_cut_at_a_character),
		cmocka_unit_test(utf8_follows_table_3_7),
		cmocka_unit_test(names_given_are_refused_for_a_reason),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
