/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Bounds as text and numbers, and which bucket a sample falls into. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "histogram.h"
#include "util.h"

static void default_bounds_are_those_of_the_contract(void **state)
{
	static const char *const handshake[] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025",
						"0.005",  "0.01",    "0.025",  "0.05",	"0.1",
						"0.25",	  "0.5",     "1.0",    "3.0",	"7.0",
						"15.0",	  "31.0"};
	static const char *const lifetime[] = {"0.01",	"0.05",	  "0.1",    "0.5",     "1.0",
					       "5.0",	"10.0",	  "30.0",   "60.0",    "300.0",
					       "600.0", "1800.0", "3600.0", "14400.0", "86400.0"};
	struct histogram_bounds b;

	(void)state;
	histogram_bounds_handshake(&b);
	assert_int_equal(b.count, ARRAY_SIZE(handshake));
	for (size_t i = 0; i < b.count; i++)
		assert_string_equal(b.le[i], handshake[i]);
	assert_int_equal(b.upper_ns[0], 100000);
	assert_int_equal(b.upper_ns[16], 31000000000);
	histogram_bounds_lifetime(&b);
	assert_int_equal(b.count, ARRAY_SIZE(lifetime));
	for (size_t i = 0; i < b.count; i++)
		assert_string_equal(b.le[i], lifetime[i]);
	assert_int_equal(b.upper_ns[14], 86400000000000);
}

static void le_is_the_shortest_decimal_as_go_prints_it(void **state)
{
	static const struct {
		const char *text, *le;
		uint64_t ns;
	} rows[] = {
		{"1", "1.0", 1000000000},
		{"1e1", "10.0", 10000000000},
		{".0001", "0.0001", 100000},
		{"0.00001", "1e-05", 10000},
		{"0.0000123", "1.23e-05", 12300},
		{"1e-9", "1e-09", 1},
		{"100000", "100000.0", 100000000000000},
		{"999999.5", "999999.5", 999999500000000},
		{"1000000", "1e+06", 1000000000000000},
		{"1234567", "1.234567e+06", 1234567000000000},
		{"0x1p-1", "0.5", 500000000},
		{"+2.50", "2.5", 2500000000},
		{"0.30000000000000004", "0.30000000000000004", 300000000},
		{"0.1", "0.1", 100000000},
		{"123.456", "123.456", 123456000000},
		{"1e9", "1e+09", 1000000000000000000},
	};
	struct histogram_bounds b;
	char why[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(histogram_bounds_parse(rows[i].text, &b, why, sizeof(why)), 0);
		assert_int_equal(b.count, 1);
		assert_string_equal(b.le[0], rows[i].le);
		assert_int_equal(b.upper_ns[0], rows[i].ns);
	}
}

static void reads_a_list(void **state)
{
	struct histogram_bounds b;
	char why[128];

	(void)state;
	assert_int_equal(histogram_bounds_parse("0.001,0.5, 1e1 ,20", &b, why, sizeof(why)), 0);
	assert_int_equal(b.count, 4);
	assert_int_equal(b.upper_ns[0], 1000000);
	assert_int_equal(b.upper_ns[1], 500000000);
	assert_int_equal(b.upper_ns[2], 10000000000);
	assert_int_equal(b.upper_ns[3], 20000000000);
}

static void refuses_bad_bounds_and_says_which(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "bound \"\" is not a number of seconds"},
		{"1,", "bound \"\" is not a number of seconds"},
		{",1", "bound \"\" is not a number of seconds"},
		{"1,,2", "bound \"\" is not a number of seconds"},
		{"1s", "bound \"1s\" is not a number of seconds"},
		{"1 2", "bound \"1 2\" is not a number of seconds"},
		{"1;2", "bound \"1;2\" is not a number of seconds"},
		{"abc,1", "bound \"abc\" is not a number of seconds"},
		{"0", "bound \"0\" is not positive"},
		{"-0", "bound \"-0\" is not positive"},
		{"1,-2", "bound \"-2\" is not positive"},
		{"nan", "bound \"nan\" is not positive"},
		{"1,+Inf", "bound \"+Inf\" is implied, leave it out"},
		{"1e10", "bound \"1e10\" is more than 1e9 seconds"},
		{"1e400", "bound \"1e400\" is implied, leave it out"},
		{"1e-10", "bound \"1e-10\" is less than a nanosecond"},
		{"1,1", "bound \"1\" is not above the one before it"},
		{"2,1", "bound \"1\" is not above the one before it"},
		{"1,1.0000000001", "bound \"1.0000000001\" is not above the one before it"},
		{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
		 "bound \"31\" is one too many: at most 30 bounds"},
	};
	struct histogram_bounds b, untouched;
	char why[128];

	(void)state;
	memset(&b, 0x5a, sizeof(b));
	untouched = b;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(histogram_bounds_parse(rows[i].text, &b, why, sizeof(why)),
				 -EINVAL);
		assert_string_equal(why, rows[i].why);
		assert_memory_equal(&b, &untouched, sizeof(b));
	}
	assert_int_equal(histogram_bounds_parse("none of this fits", &b, why, 8), -EINVAL);
	assert_string_equal(why, "bound \"");
}

static void thirty_bounds_fit(void **state)
{
	struct histogram_bounds b;
	struct histogram h = {};
	char why[128];

	(void)state;
	assert_int_equal(
		histogram_bounds_parse(
			"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
			&b, why, sizeof(why)),
		0);
	assert_int_equal(b.count, HISTOGRAM_BOUNDS_MAX);
	histogram_add(&h, &b, 31 * NSEC_PER_SEC);
	assert_int_equal(h.buckets[HISTOGRAM_BOUNDS_MAX], 1);
}

static void a_sample_on_a_bound_belongs_to_it(void **state)
{
	struct histogram_bounds b;

	(void)state;
	histogram_bounds_handshake(&b);
	for (uint32_t i = 0; i < b.count; i++) {
		struct histogram h = {};

		histogram_add(&h, &b, b.upper_ns[i] - 1);
		histogram_add(&h, &b, b.upper_ns[i]);
		histogram_add(&h, &b, b.upper_ns[i] + 1);
		assert_int_equal(h.buckets[i], 2);
		assert_int_equal(h.buckets[i + 1], 1);
		assert_int_equal(h.sum_ns, 3 * b.upper_ns[i]);
		assert_int_equal(histogram_count(&h, &b), 3);
	}
}

static void extremes_have_a_bucket(void **state)
{
	struct histogram_bounds b;
	struct histogram h = {};

	(void)state;
	histogram_bounds_lifetime(&b);
	histogram_add(&h, &b, 0);
	histogram_add(&h, &b, UINT64_MAX / 2);
	assert_int_equal(h.buckets[0], 1);
	assert_int_equal(h.buckets[b.count], 1);
	assert_int_equal(histogram_count(&h, &b), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_bounds_are_those_of_the_contract),
		cmocka_unit_test(le_is_the_shortest_decimal_as_go_prints_it),
		cmocka_unit_test(reads_a_list),
		cmocka_unit_test(refuses_bad_bounds_and_says_which),
		cmocka_unit_test(thirty_bounds_fit),
		cmocka_unit_test(a_sample_on_a_bound_belongs_to_it),
		cmocka_unit_test(extremes_have_a_bucket),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
