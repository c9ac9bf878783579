// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What of support is pure; the rest is shown by the kernel and scenario tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"

static void releases_compare_as_numbers(void **state)
{
	(void)state;
	assert_true(support_release_at_least("6.1.0-18-amd64", 5, 11));
	assert_true(support_release_at_least("5.11.0", 5, 11));
	assert_false(support_release_at_least("5.9.16", 5, 11));
	assert_false(support_release_at_least("4.19.0-21", 5, 11));
	assert_true(support_release_at_least("10.0", 6, 1));
	assert_false(support_release_at_least("unknown", 5, 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_compare_as_numbers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
