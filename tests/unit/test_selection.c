// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a selector is called, and which two are one.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "selection.h"

static struct selector make(enum selector_kind kind, const char *text)
{
	struct selector s = {.kind = kind};

	snprintf(s.text, sizeof(s.text), "%s", text);
	return s;
}

static void expect_name(enum selector_kind kind, const char *text, const char *name)
{
	struct selector s = make(kind, text);
	char found[SERIES_NAME_MAX + 1];

	selection_name(&s, found);
	assert_string_equal(found, name);
}

static void it_is_called_what_it_selects(void **state)
{
	(void)state;
	expect_name(SELECTOR_UNIT, "nginx.service", "nginx");
	expect_name(SELECTOR_UNIT, "getty@tty1.service", "getty@tty1");
	expect_name(SELECTOR_UNIT, "user.slice", "user.slice");
	expect_name(SELECTOR_UNIT, ".service", ".service");
	expect_name(SELECTOR_CGROUP, "/system.slice/nginx.service", "nginx.service");
	expect_name(SELECTOR_CGROUP, "/", "/");
	expect_name(SELECTOR_EXE, "/usr/sbin/nginx", "nginx");
	expect_name(SELECTOR_COMM, "kworker/u8:1", "kworker/u8:1");
}

static void two_are_one_if_they_select_the_same(void **state)
{
	struct selector unit = make(SELECTOR_UNIT, "x"), comm = make(SELECTOR_COMM, "x"),
			file = make(SELECTOR_EXE, "/bin/x"), link = make(SELECTOR_EXE, "/sbin/x"),
			other = make(SELECTOR_EXE, "/bin/x");

	(void)state;
	file.inode = link.inode = 7;
	file.device = link.device = 8;
	other.inode = 7;
	other.device = 9;
	assert_true(selection_equal(&unit, &unit));
	assert_false(selection_equal(&unit, &comm));
	assert_true(selection_equal(&file, &link));
	assert_false(selection_equal(&file, &other));
	unit.cgroup = 5; /* it has been made since */
	assert_true(selection_equal(&unit, &(struct selector){.kind = SELECTOR_UNIT, .text = "x"}));
}

static void each_kind_has_a_rank_of_its_own(void **state)
{
	struct selector unit = make(SELECTOR_UNIT, "x"), cgroup = make(SELECTOR_CGROUP, "/x"),
			exe = make(SELECTOR_EXE, "/x"), comm = make(SELECTOR_COMM, "x");

	(void)state;
	assert_int_equal(selection_rank(&unit), 1 << PS_RANK_UNIT);
	assert_int_equal(selection_rank(&cgroup), 1 << PS_RANK_CGROUP);
	assert_int_equal(selection_rank(&exe), 1 << PS_RANK_EXE);
	assert_int_equal(selection_rank(&comm), 1 << PS_RANK_COMM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_called_what_it_selects),
		cmocka_unit_test(two_are_one_if_they_select_the_same),
		cmocka_unit_test(each_kind_has_a_rank_of_its_own),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("selection", tests, NULL, NULL);
}
