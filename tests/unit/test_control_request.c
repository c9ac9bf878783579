/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Requests of the control socket: what each command takes, and the exact words for what it does not. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_request.h"
#include "util.h"

static int parse(const char *text, struct control_request *ret, char why[256])
{
	why[0] = '\0';
	return control_request_parse(text, strlen(text), ret, why, 256);
}

static struct control_request accept_line(const char *text)
{
	struct control_request r;
	char why[256];

	if (parse(text, &r, why))
		fail_msg("%s: %s", text, why);
	return r;
}

static void attach_takes_a_pid_and_has_defaults(void **state)
{
	struct control_request r = accept_line("{\"command\":\"attach\",\"pid\":123}");

	(void)state;
	assert_int_equal(r.command, CONTROL_ATTACH);
	assert_int_equal(r.pid, 123);
	assert_string_equal(r.name, "");
	assert_true(r.follow);
	r = accept_line(" {\"follow\":false, \"name\":\"h\\u00e9 \\\"x\\\"\", \"pid\":4194304, "
			"\"command\":\"attach\"} \r\n");
	assert_int_equal(r.pid, 4194304);
	assert_string_equal(r.name, "h\xc3\xa9 \"x\"");
	assert_false(r.follow);
}

static void attach_takes_a_selector(void **state)
{
	struct control_request r =
		accept_line("{\"command\":\"attach\",\"selector\":{\"kind\":\"exe\",\"text\":"
			    "\"/usr/bin/x\",\"device\":4294967295,\"inode\":-1}}");

	(void)state;
	assert_true(r.selects);
	assert_int_equal(r.pid, 0);
	assert_int_equal(r.selector.kind, SELECTOR_EXE);
	assert_string_equal(r.selector.text, "/usr/bin/x");
	assert_int_equal(r.selector.device, UINT32_MAX);
	/* JSON's integers are signed here */
	assert_int_equal(r.selector.inode, UINT64_MAX);
	assert_true(r.follow);
	r = accept_line("{\"command\":\"attach\",\"name\":\"web\",\"follow\":false,\"selector\":"
			"{\"cgroup\":7,\"text\":\"nginx.service\",\"kind\":\"unit\"}}");
	assert_int_equal(r.selector.kind, SELECTOR_UNIT);
	assert_string_equal(r.selector.text, "nginx.service");
	assert_int_equal(r.selector.cgroup, 7);
	assert_string_equal(r.name, "web");
	assert_false(r.follow);
	/* one that is not there yet */
	r = accept_line(
		"{\"command\":\"attach\",\"selector\":{\"text\":\"/a\",\"kind\":\"cgroup\"}}");
	assert_int_equal(r.selector.kind, SELECTOR_CGROUP);
	assert_int_equal(r.selector.cgroup, 0);
	r = accept_line(
		"{\"command\":\"attach\",\"selector\":{\"text\":\"a b\",\"kind\":\"comm\"}}");
	assert_int_equal(r.selector.kind, SELECTOR_COMM);
	assert_string_equal(r.selector.text, "a b");
}

static void attach_takes_the_start_of_the_process(void **state)
{
	struct control_request r =
		accept_line("{\"command\":\"attach\",\"pid\":1,\"start_ticks\":123456789012}");

	(void)state;
	assert_int_equal(r.start_ticks, 123456789012);
	assert_false(r.selects);
	assert_int_equal(accept_line("{\"command\":\"attach\",\"pid\":1}").start_ticks, 0);
}

static void detach_takes_a_pid_or_a_name(void **state)
{
	struct control_request r = accept_line("{\"command\":\"detach\",\"pid\":1}");

	(void)state;
	assert_int_equal(r.command, CONTROL_DETACH);
	assert_int_equal(r.pid, 1);
	assert_string_equal(r.name, "");
	r = accept_line("{\"command\":\"detach\",\"name\":\"web\"}");
	assert_int_equal(r.pid, 0);
	assert_string_equal(r.name, "web");
}

static void the_others_take_a_format_a_query_or_nothing(void **state)
{
	static const char *const formats[] = {"json", "prom", "openmetrics"};
	char line[96];

	(void)state;
	assert_int_equal(accept_line("{\"command\":\"list\"}").command, CONTROL_LIST);
	assert_int_equal(accept_line("{\"command\":\"check\"}").command, CONTROL_CHECK);
	assert_int_equal(accept_line("{\"command\":\"snapshot\"}").format, CONTROL_JSON);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct control_request r;

		snprintf(line, sizeof(line), "{\"command\":\"snapshot\",\"format\":\"%s\"}",
			 formats[i]);
		r = accept_line(line);
		assert_int_equal(r.command, CONTROL_SNAPSHOT);
		assert_int_equal(r.format, i);
	}
	assert_string_equal(accept_line("{\"command\":\"connections\"}").query, "");
	assert_string_equal(
		accept_line("{\"command\":\"connections\",\"query\":\"process=x&limit=5\"}").query,
		"process=x&limit=5");
}

static const struct {
	const char *line, *why;
} refusals[] = {
	{"", "expected one JSON object on a line"},
	{"x", "expected one JSON object on a line"},
	{"[]", "expected one JSON object on a line"},
	{"{\"command\":\"list\"} {}", "expected one JSON object on a line"},
	{"{\"command\":\"list\",\"command\":\"list\"}", "expected one JSON object on a line"},
	{"{\"command\":\"list\\ud800\"}", "expected one JSON object on a line"},
	{"{}", "command: expected attach, detach, list, check, snapshot or connections"},
	{"{\"command\":1}",
	 "command: expected attach, detach, list, check, snapshot or connections"},
	{"{\"command\":\"List\"}",
	 "command: expected attach, detach, list, check, snapshot or connections"},
	{"{\"command\":\"list\\u0000\"}",
	 "command: expected attach, detach, list, check, snapshot or connections"},
	{"{\"command\":\"list\",\"pid\":1}", "list: unknown member"},
	{"{\"command\":\"attach\",\"pid\":1,\"x\":1}", "attach: unknown member"},
	{"{\"command\":\"attach\"}", "attach: expected either pid or selector"},
	{"{\"command\":\"attach\",\"pid\":1,\"selector\":{\"kind\":\"comm\",\"text\":\"a\"}}",
	 "attach: expected either pid or selector"},
	{"{\"command\":\"attach\",\"start_ticks\":1,\"selector\":{\"kind\":\"comm\",\"text\":\"a\"}}",
	 "attach: start_ticks: only with pid"},
	{"{\"command\":\"attach\",\"pid\":1,\"start_ticks\":0}",
	 "attach: start_ticks: expected a number above 0"},
	{"{\"command\":\"attach\",\"pid\":1,\"start_ticks\":\"1\"}",
	 "attach: start_ticks: expected a number above 0"},
	{"{\"command\":\"detach\",\"pid\":1,\"start_ticks\":1}", "detach: unknown member"},
	{"{\"command\":\"detach\",\"selector\":{\"kind\":\"comm\",\"text\":\"a\"}}",
	 "detach: unknown member"},
	{"{\"command\":\"attach\",\"pid\":0}", "attach: pid: expected a number from 1 to 4194304"},
	{"{\"command\":\"attach\",\"pid\":4194305}",
	 "attach: pid: expected a number from 1 to 4194304"},
	{"{\"command\":\"attach\",\"pid\":\"1\"}",
	 "attach: pid: expected a number from 1 to 4194304"},
	{"{\"command\":\"attach\",\"pid\":1.5}",
	 "attach: pid: expected a number from 1 to 4194304"},
	{"{\"command\":\"attach\",\"pid\":1,\"follow\":1}",
	 "attach: follow: expected true or false"},
	{"{\"command\":\"attach\",\"pid\":1,\"name\":1}", "attach: name: expected a text"},
	{"{\"command\":\"attach\",\"pid\":1,\"name\":\"a\\u0000b\"}",
	 "attach: name: expected a text"},
	{"{\"command\":\"attach\",\"pid\":1,\"name\":\"\"}", "attach: name: the name is empty"},
	{"{\"command\":\"detach\"}", "detach: expected either pid or name"},
	{"{\"command\":\"detach\",\"pid\":1,\"name\":\"a\"}",
	 "detach: expected either pid or name"},
	{"{\"command\":\"detach\",\"pid\":1,\"follow\":true}", "detach: unknown member"},
	{"{\"command\":\"snapshot\",\"format\":\"table\"}",
	 "snapshot: format: expected json, prom or openmetrics"},
	{"{\"command\":\"connections\",\"query\":\"limit=0\"}",
	 "connections: query: limit: expected a number from 1 to 10000"},
	{"{\"command\":\"connections\",\"query\":null}",
	 "connections: query: expected a text of at most 1024 bytes"},
};

#define OBJECT "expected an object of kind, text and cgroup, device, inode"
#define TEXTS "expected texts of at most 255 bytes"
#define EXE "expected device and inode of an exe"

static const struct {
	const char *selector, *why;
} bad_selectors[] = {
	{"1", OBJECT},
	{"{}", OBJECT},
	{"{\"kind\":\"comm\"}", OBJECT},
	{"{\"text\":\"a\"}", OBJECT},
	{"{\"kind\":\"comm\",\"text\":\"a\",\"x\":1}", OBJECT},
	{"{\"kind\":\"unit\",\"text\":\"a\",\"cgroup\":\"1\"}", OBJECT},
	{"{\"kind\":\"unit\",\"text\":\"a\",\"cgroup\":1.0}", OBJECT},
	{"{\"kind\":1,\"text\":\"a\"}", TEXTS},
	{"{\"kind\":\"comm\\u0000\",\"text\":\"a\"}", TEXTS},
	{"{\"kind\":\"comm\",\"text\":null}", TEXTS},
	{"{\"kind\":\"comm\",\"text\":\"a\\u0000\"}", TEXTS},
	{"{\"kind\":\"pid\",\"text\":\"a\"}", "expected the kind unit, cgroup, exe or comm"},
	{"{\"kind\":\"comm\",\"text\":\"\"}", "expected a command name of 1 to 15 bytes"},
	{"{\"kind\":\"comm\",\"text\":\"a\\n\"}", "not valid UTF-8, or with a control character"},
	{"{\"kind\":\"comm\",\"text\":\"a\",\"cgroup\":1}", "only a unit or cgroup has a cgroup"},
	{"{\"kind\":\"unit\",\"text\":\"a\",\"device\":1}", "only an exe has device and inode"},
	{"{\"kind\":\"cgroup\",\"text\":\"a\"}",
	 "expected the path of a cgroup below the root of the tree, such as "
	 "/system.slice/nginx.service"},
	{"{\"kind\":\"exe\",\"text\":\"/a\"}", EXE},
	{"{\"kind\":\"exe\",\"text\":\"/a\",\"device\":1}", EXE},
	{"{\"kind\":\"exe\",\"text\":\"/a\",\"inode\":1}", EXE},
	{"{\"kind\":\"exe\",\"text\":\"/a\",\"inode\":1,\"device\":4294967296}",
	 "expected a device of 32 bits"},
	{"{\"kind\":\"exe\",\"text\":\"/a\",\"inode\":1,\"device\":-1}",
	 "expected a device of 32 bits"},
	{"{\"kind\":\"exe\",\"text\":\"a\",\"inode\":1,\"device\":1}",
	 "expected the absolute path of a program"},
};

static void selectors_that_are_none_are_refused_and_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_selectors); i++) {
		char line[256], expected[256], why[256];
		struct control_request r;

		snprintf(line, sizeof(line), "{\"command\":\"attach\",\"selector\":%s}",
			 bad_selectors[i].selector);
		snprintf(expected, sizeof(expected), "attach: selector: %s", bad_selectors[i].why);
		assert_int_equal(parse(line, &r, why), -EINVAL);
		assert_string_equal(why, expected);
	}
}

static void what_is_wrong_is_refused_and_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct control_request r, untouched;
		char why[256];

		memset(&r, 0x5a, sizeof(r));
		untouched = r;
		assert_int_equal(parse(refusals[i].line, &r, why), -EINVAL);
		assert_string_equal(why, refusals[i].why);
		assert_memory_equal(&r, &untouched, sizeof(r));
	}
}

static void long_queries_and_deep_objects_are_refused(void **state)
{
	char line[8192], why[256];
	struct control_request r;

	(void)state;
	snprintf(line, sizeof(line), "{\"command\":\"connections\",\"query\":\"%01025d\"}", 0);
	assert_int_equal(parse(line, &r, why), -EINVAL);
	assert_string_equal(why, "connections: query: expected a text of at most 1024 bytes");
	memset(line, '[', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(parse(line, &r, why), -EINVAL);
	assert_string_equal(why, "expected one JSON object on a line");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_takes_a_pid_and_has_defaults),
		cmocka_unit_test(attach_takes_a_selector),
		cmocka_unit_test(attach_takes_the_start_of_the_process),
		cmocka_unit_test(selectors_that_are_none_are_refused_and_said),
		cmocka_unit_test(detach_takes_a_pid_or_a_name),
		cmocka_unit_test(the_others_take_a_format_a_query_or_nothing),
		cmocka_unit_test(what_is_wrong_is_refused_and_said),
		cmocka_unit_test(long_queries_and_deep_objects_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
