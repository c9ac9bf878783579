/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the query of /connections asks for, and what is told of a wrong one. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "query.h"
#include "util.h"

#define X16 "xxxxxxxxxxxxxxxx"
#define X63 X16 X16 X16 "xxxxxxxxxxxxxxx"
#define BAD_PERCENT ": a '%' is not followed by two hexadecimal digits, or they are 00"
#define UNKNOWN "query: unknown parameter, expected process, peer or limit"
#define BAD_PEER "peer: expected a numeric address or a CIDR, with no bit set behind its prefix"
#define BAD_LIMIT "limit: expected a number from 1 to 10000"

static void right_ones_are_read(void **state)
{
	static const struct {
		const char *text, *process, *peer; /* NULL: not asked for */
		uint32_t limit;
	} rows[] = {
		{NULL, NULL, NULL, 1000},
		{"", NULL, NULL, 1000},
		{"&", NULL, NULL, 1000},
		{"process=nginx", "nginx", NULL, 1000},
		{"process=my+app%20%2B%3d%26", "my app +=&", NULL, 1000},
		{"process=caf%C3%a9", "caf\xc3\xa9", NULL, 1000},
		{"process=caf\xc3\xa9", "caf\xc3\xa9", NULL, 1000},
		{"process=a=b", "a=b", NULL, 1000},
		{"process=%70", "p", NULL, 1000},
		{"process=" X63, X63, NULL, 1000},
		{"%70rocess=x", "x", NULL, 1000},
		{"peer=10.0.0.1", NULL, "10.0.0.1/32", 1000},
		{"peer=10.0.0.0/8", NULL, "10.0.0.0/8", 1000},
		{"peer=10.0.0.0%2F8", NULL, "10.0.0.0/8", 1000},
		{"peer=0.0.0.0/0", NULL, "0.0.0.0/0", 1000},
		{"peer=::1", NULL, "::1/128", 1000},
		{"peer=2001%3ADB8%3a%3A%2f32", NULL, "2001:db8::/32", 1000},
		{"peer=::ffff:10.0.0.1", NULL, "10.0.0.1/32", 1000},
		{"limit=1", NULL, NULL, 1},
		{"limit=10000", NULL, NULL, 10000},
		{"limit=0010", NULL, NULL, 10},
		{"limit=7&process=db&peer=::/0", "db", "::/0", 7},
		{"&&process=db&&limit=7&", "db", NULL, 7},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char why[160] = "", peer[ADDRESS_TEXT_MAX];
		struct query q;

		memset(&q, 0xee, sizeof(q));
		assert_int_equal(query_parse(rows[i].text, &q, why, sizeof(why)), 0);
		assert_string_equal(why, "");
		assert_int_equal(q.limit, rows[i].limit);
		assert_int_equal(q.has_process, rows[i].process != NULL);
		assert_int_equal(q.has_peer, rows[i].peer != NULL);
		assert_string_equal(q.process, rows[i].process ? rows[i].process : "");
		if (!q.has_peer)
			continue;
		address_prefix_format(&q.peer, peer);
		assert_string_equal(peer, rows[i].peer);
	}
}

static void wrong_ones_are_refused_and_not_repeated(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"x", UNKNOWN},
		{"=", UNKNOWN},
		{"=process", UNKNOWN},
		{"secret=1", UNKNOWN},
		{"Process=a", UNKNOWN},
		{"process=a&pid=1", UNKNOWN},
		{"process=a;limit=1&Limit=1", UNKNOWN},
		{"process", "process: the value is empty"},
		{"process=", "process: the value is empty"},
		{"peer=", "peer: the value is empty"},
		{"limit=&process=a", "limit: the value is empty"},
		{"process=a&process=a", "process: given twice"},
		{"limit=1&peer=::1&limit=", "limit: given twice"},
		{"process=%", "process" BAD_PERCENT},
		{"process=%4", "process" BAD_PERCENT},
		{"process=%4&limit=1", "process" BAD_PERCENT},
		{"process=%4g", "process" BAD_PERCENT},
		{"process=%-1", "process" BAD_PERCENT},
		{"process=a%00b", "process" BAD_PERCENT},
		{"%=1", "query" BAD_PERCENT},
		{"%6=1", "query" BAD_PERCENT},
		{"process=" X63 "x",
		 "process: the name is longer than 63 bytes (quotes and backslashes count twice)"},
		{"process=" X63 X63 "xx", "process: a parameter is too long"},
		{X63 X63 "xx=1", "query: a parameter is too long"},
		{"process=a%ff", "process: the name is not valid UTF-8"},
		{"process=a%0Ab", "process: the name has a control character"},
		{"peer=localhost", BAD_PEER},
		{"peer=10.0.0", BAD_PEER},
		{"peer=10.0.0.1/8", BAD_PEER},
		{"peer=10.0.0.0/33", BAD_PEER},
		{"peer=10.0.0.0/", BAD_PEER},
		{"peer=/8", BAD_PEER},
		{"peer=%5B::1%5D", BAD_PEER},
		{"peer=fe80::1%25eth0", BAD_PEER},
		{"peer=10.0.0.1+", BAD_PEER},
		{"limit=0", BAD_LIMIT},
		{"limit=10001", BAD_LIMIT},
		{"limit=-1", BAD_LIMIT},
		{"limit=%2B1", BAD_LIMIT},
		{"limit=1e3", BAD_LIMIT},
		{"limit=4294967297", BAD_LIMIT},
		{"limit=99999999999999999999999", BAD_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct query q, untouched;
		char why[160] = "";

		memset(&q, 0xee, sizeof(q));
		untouched = q;
		assert_int_equal(query_parse(rows[i].text, &q, why, sizeof(why)), -EINVAL);
		assert_string_equal(why, rows[i].why);
		assert_memory_equal(&q, &untouched, sizeof(q));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones_are_read),
		cmocka_unit_test(wrong_ones_are_refused_and_not_repeated),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
