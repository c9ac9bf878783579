// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * In a guest whose kernel is too old, and nowhere else: the daemon says what it needs and ends at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "poolscoped.h"
#include "support.h"

#define RUN_MS 10000
#define EXIT_CODE_KERNEL 3 /* docs/metrics.md */

static void expect_refusal(const char *arg)
{
	const char *argv[] = {poolscoped_path(), arg, NULL};
	double begin = now_seconds();
	char *err;

	assert_int_equal(process_run(argv, NULL, RUN_MS, NULL, &err), EXIT_CODE_KERNEL);
	assert_true(now_seconds() - begin < 1);
	assert_non_null(strstr(err, "too old"));
	assert_non_null(strstr(err, "5.11"));
	assert_null(strchr(strchr(err, '\n') + 1, '\n')); /* one line */
	free(err);
}

static void a_kernel_that_is_too_old_is_refused_within_a_second(void **state)
{
	char arg[32];

	(void)state;
	snprintf(arg, sizeof(arg), "--pid=%d", getpid());
	expect_refusal(arg);
	expect_refusal("--check");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_that_is_too_old_is_refused_within_a_second),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("too_old", tests, NULL, NULL);
}
