/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The growing buffer, and numbers as text. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "util.h"

static void assert_text(struct buf *b, const char *text)
{
	buf_add(b, "", 1);
	assert_false(buf_failed(b));
	assert_string_equal(b->data, text);
	buf_reset(b);
}

static void collects_what_is_added(void **state)
{
	struct buf b = {};

	(void)state;
	buf_add_str(&b, "a=");
	buf_add_u64(&b, 12);
	buf_add(&b, ",b", 2);
	buf_add_i64(&b, -3);
	buf_printf(&b, " %s/%d", "c", 4);
	buf_printf(&b, "%s", "");
	assert_text(&b, "a=12,b-3 c/4");
	buf_done(&b);
	assert_null(b.data);
}

static void writes_every_length_of_integer_like_printf(void **state)
{
	char want[32];
	struct buf b = {};
	uint64_t v = 1;

	(void)state;
	for (int digits = 0; digits <= 19; digits++, v *= 10) {
		for (int d = -1; d <= 1; d++) {
			snprintf(want, sizeof(want), "%" PRIu64, v + (uint64_t)d);
			buf_add_u64(&b, v + (uint64_t)d);
			assert_text(&b, want);
		}
	}
	buf_add_u64(&b, UINT64_MAX);
	assert_text(&b, "18446744073709551615");
	buf_add_i64(&b, INT64_MIN);
	assert_text(&b, "-9223372036854775808");
	buf_add_i64(&b, INT64_MAX);
	assert_text(&b, "9223372036854775807");
	buf_done(&b);
}

static void writes_seconds_exactly(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{0, "0"},
		{1, "0.000000001"},
		{10, "0.00000001"},
		{999999999, "0.999999999"},
		{1000000000, "1"},
		{1500000000, "1.5"},
		{86400000000000, "86400"},
		{86400000000001, "86400.000000001"},
		{100000000, "0.1"},
		{UINT64_MAX, "18446744073.709551615"},
	};
	struct buf b = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_add_seconds(&b, rows[i].ns);
		assert_text(&b, rows[i].text);
	}
	buf_done(&b);
}

static void room_stays_until_it_is_used(void **state)
{
	struct buf b = {};
	char *p = buf_room(&b, 3000);

	(void)state;
	assert_non_null(p);
	memset(p, 'x', 3000);
	assert_int_equal(b.len, 0);
	b.len += 3000;
	buf_add_str(&b, "yz");
	assert_int_equal(b.len, 3002);
	assert_memory_equal(b.data + 2999, "xyz", 3);
	buf_done(&b);
}

static void refuses_to_grow_beyond_its_bound_and_stays_failed(void **state)
{
	struct buf b = {};

	(void)state;
	buf_add_str(&b, "kept");
	assert_null(buf_room(&b, BUF_MAX_BYTES - 3));
	assert_true(buf_failed(&b));
	buf_add_str(&b, "ignored");
	buf_printf(&b, "ignored");
	assert_int_equal(b.len, 4);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_reset(&b);
	assert_false(buf_failed(&b));
	buf_add_str(&b, "again");
	assert_text(&b, "again");
	assert_non_null(buf_room(&b, BUF_MAX_BYTES));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collects_what_is_added),
		cmocka_unit_test(writes_every_length_of_integer_like_printf),
		cmocka_unit_test(writes_seconds_exactly),
		cmocka_unit_test(room_stays_until_it_is_used),
		cmocka_unit_test(refuses_to_grow_beyond_its_bound_and_stays_failed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
