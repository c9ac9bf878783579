/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the client sends for its arguments, and that the daemon's own parser takes it. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_request.h"
#include "request.h"
#include "started.h"

static char why[512];

/* As the daemon reads it; *ret_waits: see request_waits(). */
static struct control_request request_of(const struct arguments *a, bool *ret_waits)
{
	struct control_request r;
	json_t *request;
	char *text;

	if (request_make(&request, a, why, sizeof(why)))
		fail_msg("%s", why);
	*ret_waits = request_waits(request);
	text = json_dumps(request, JSON_COMPACT);
	if (control_request_parse(text, strlen(text), &r, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	free(text);
	json_decref(request);
	return r;
}

static void a_process_is_sent_with_its_start(void **state)
{
	const struct arguments a = {.command = COMMAND_ATTACH, .pid = getpid(), .name = "x"};
	bool waits;
	struct control_request r = request_of(&a, &waits);

	(void)state;
	assert_int_equal(r.command, CONTROL_ATTACH);
	assert_int_equal(r.pid, getpid());
	assert_int_equal(r.start_ticks, started_ticks(getpid()));
	assert_string_equal(r.name, "x");
	assert_false(r.follow);
	assert_false(r.selects);
	assert_false(waits);
}

static void one_that_does_not_exist_is_left_to_the_daemon(void **state)
{
	const struct arguments a = {.command = COMMAND_ATTACH, .pid = 4194304, .follow = true};
	bool waits;
	struct control_request r = request_of(&a, &waits);

	(void)state;
	assert_int_equal(r.pid, 4194304);
	assert_int_equal(r.start_ticks, 0);
	assert_true(r.follow);
}

static void a_program_is_sent_as_device_and_inode(void **state)
{
	const struct arguments a = {.command = COMMAND_ATTACH,
				    .selects = true,
				    .selector = {.kind = SELECTOR_EXE, .text = "/proc/self/exe"}};
	bool waits;
	struct control_request r = request_of(&a, &waits);
	struct stat st;

	(void)state;
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_true(r.selects);
	assert_int_equal(r.selector.kind, SELECTOR_EXE);
	assert_string_equal(r.selector.text, "/proc/self/exe");
	assert_int_equal(r.selector.inode, st.st_ino);
	assert_int_not_equal(r.selector.device, 0);
	assert_false(waits);
}

static void a_command_name_is_sent_as_it_is(void **state)
{
	const struct arguments a = {.command = COMMAND_ATTACH,
				    .selects = true,
				    .selector = {.kind = SELECTOR_COMM, .text = "a \"b\""},
				    .name = "web"};
	bool waits;
	struct control_request r = request_of(&a, &waits);

	(void)state;
	assert_int_equal(r.selector.kind, SELECTOR_COMM);
	assert_string_equal(r.selector.text, "a \"b\"");
	assert_string_equal(r.name, "web");
	assert_false(waits);
}

static void only_a_cgroup_that_is_not_there_is_waited_for(void **state)
{
	json_t *there = json_pack("{s:{s:i}}", "selector", "cgroup", 1),
	       *not_there = json_pack("{s:{s:i}}", "selector", "cgroup", 0);

	(void)state;
	assert_false(request_waits(there));
	assert_true(request_waits(not_there));
	json_decref(there);
	json_decref(not_there);
}

static void what_cannot_be_looked_up_is_told(void **state)
{
	struct arguments a = {.command = COMMAND_ATTACH,
			      .selects = true,
			      .selector = {.kind = SELECTOR_EXE, .text = "x"}};
	json_t *request;

	(void)state;
	assert_int_equal(request_make(&request, &a, why, sizeof(why)), EXIT_USAGE);
	assert_string_equal(why, "expected the absolute path of a program");
	strcpy(a.selector.text, "/proc/self/none");
	assert_int_equal(request_make(&request, &a, why, sizeof(why)), EXIT_TARGET);
	assert_non_null(strstr(why, "cannot open /proc/self/none as user "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_sent_with_its_start),
		cmocka_unit_test(one_that_does_not_exist_is_left_to_the_daemon),
		cmocka_unit_test(a_program_is_sent_as_device_and_inode),
		cmocka_unit_test(a_command_name_is_sent_as_it_is),
		cmocka_unit_test(only_a_cgroup_that_is_not_there_is_waited_for),
		cmocka_unit_test(what_cannot_be_looked_up_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
