/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The command line of the client: commands, flags before and behind them, refusals word for word, --help. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "util.h"

#define HINT "\ntry 'poolscope --help'\n"

static char out_text[8192], err_text[1024];

static enum options_action parse(struct arguments *a, const char *const *args)
{
	FILE *out = fmemopen(out_text, sizeof(out_text), "w"),
	     *err = fmemopen(err_text, sizeof(err_text), "w");
	char *argv[16] = {(char *)"poolscope"};
	enum options_action action;
	int argc = 1;

	for (; *args; args++)
		argv[argc++] = (char *)(uintptr_t)*args;
	out_text[0] = err_text[0] = '\0';
	action = arguments_parse(argc, argv, a, "poolscope 1.2.3", out, err);
	fclose(out);
	fclose(err);
	return action;
}

static struct arguments accept_args(const char *const *args)
{
	struct arguments a;
	enum options_action action = parse(&a, args);

	assert_string_equal(err_text, "");
	assert_int_equal(action, OPTIONS_RUN);
	return a;
}

#define ACCEPT(...) accept_args((const char *const[]){__VA_ARGS__, NULL})

static void refuse_args(const char *message, const char *const *args)
{
	char expected[sizeof(err_text)];
	struct arguments a;

	assert_int_equal(parse(&a, args), OPTIONS_EXIT_USAGE);
	snprintf(expected, sizeof(expected), "poolscope: %s" HINT, message);
	assert_string_equal(err_text, expected);
	assert_string_equal(out_text, "");
}

#define REFUSE(message, ...) refuse_args(message, (const char *const[]){__VA_ARGS__, NULL})

static void commands_take_what_is_theirs(void **state)
{
	struct arguments a = ACCEPT("attach", "12");

	(void)state;
	assert_int_equal(a.command, COMMAND_ATTACH);
	assert_string_equal(a.socket, "/run/poolscope/control.sock");
	assert_int_equal(a.pid, 12);
	assert_null(a.name);
	assert_true(a.follow);
	a = ACCEPT("--socket", "/x", "attach", "4194304=a b", "--no-follow");
	assert_string_equal(a.socket, "/x");
	assert_int_equal(a.pid, 4194304);
	assert_string_equal(a.name, "a b");
	assert_false(a.follow);
	a = ACCEPT("detach", "12");
	assert_int_equal(a.command, COMMAND_DETACH);
	assert_int_equal(a.pid, 12);
	assert_null(a.name);
	a = ACCEPT("detach", "12a");
	assert_int_equal(a.pid, 0);
	assert_string_equal(a.name, "12a");
	assert_int_equal(ACCEPT("list").command, COMMAND_LIST);
	assert_int_equal(ACCEPT("check", "--format=json").format, FORMAT_JSON);
}

static void attach_takes_a_selector_in_the_place_of_a_process(void **state)
{
	struct arguments a = ACCEPT("attach", "--unit", "nginx");

	(void)state;
	assert_true(a.selects);
	assert_int_equal(a.selector.kind, SELECTOR_UNIT);
	assert_string_equal(a.selector.text, "nginx");
	assert_int_equal(a.pid, 0);
	assert_null(a.name);
	a = ACCEPT("--exe=/opt/a=b=x y", "attach", "--no-follow");
	assert_int_equal(a.selector.kind, SELECTOR_EXE);
	assert_string_equal(a.selector.text, "/opt/a=b");
	assert_string_equal(a.name, "x y");
	assert_false(a.follow);
	assert_int_equal(ACCEPT("attach", "--cgroup=/a").selector.kind, SELECTOR_CGROUP);
	assert_int_equal(ACCEPT("attach", "--comm=a").selector.kind, SELECTOR_COMM);
	assert_false(ACCEPT("attach", "1").selects);
	REFUSE("attach: expected either a process or a selector", "attach", "1", "--unit=a");
	REFUSE("--exe: expected one selector at a time", "attach", "--unit=a", "--exe=/b");
	REFUSE("--unit: given twice", "attach", "--unit=a", "--unit=b");
	REFUSE("--unit: the name is empty", "attach", "--unit=a=");
	REFUSE("--unit: not for detach", "detach", "a", "--unit=a");
}

static void snapshots_have_a_format_and_a_period(void **state)
{
	struct arguments a = ACCEPT("snapshot");

	(void)state;
	assert_int_equal(a.format, FORMAT_TABLE);
	assert_int_equal(a.watch_s, 0);
	assert_int_equal(ACCEPT("snapshot", "--watch").watch_s, 2);
	assert_int_equal(ACCEPT("--watch", "snapshot").watch_s, 2);
	a = ACCEPT("snapshot", "--watch=3600", "--format", "json");
	assert_int_equal(a.watch_s, 3600);
	assert_int_equal(a.format, FORMAT_JSON);
	assert_int_equal(ACCEPT("snapshot", "--format=prom").format, FORMAT_PROM);
	assert_int_equal(ACCEPT("snapshot", "--format=openmetrics").format, FORMAT_OPENMETRICS);
}

static void a_replay_has_a_file_and_a_format(void **state)
{
	struct arguments a = ACCEPT("replay", "12");

	(void)state;
	assert_int_equal(a.command, COMMAND_REPLAY);
	assert_string_equal(a.file, "12");
	assert_int_equal(a.format, FORMAT_TABLE);
	assert_false(a.partial);
	a = ACCEPT("--partial", "replay", "a=b", "--format=openmetrics");
	assert_string_equal(a.file, "a=b");
	assert_int_equal(a.format, FORMAT_OPENMETRICS);
	assert_true(a.partial);
	REFUSE("replay: expected FILE", "replay");
	REFUSE("replay: expected a file", "replay", "");
	REFUSE("--watch: not for replay", "replay", "a", "--watch");
	REFUSE("--partial: not for snapshot", "snapshot", "--partial");
}

static void what_chooses_connections_becomes_a_query(void **state)
{
	(void)state;
	assert_string_equal(ACCEPT("connections").query, "");
	assert_string_equal(ACCEPT("connections", "--limit=7").query, "limit=%37");
	assert_string_equal(ACCEPT("connections", "--process", "a&b", "--peer=10.0.0.0/8").query,
			    "process=%61%26%62&peer=%31%30%2e%30%2e%30%2e%30%2f%38");
}

static void what_is_wrong_is_refused(void **state)
{
	const char *const nothing[] = {NULL};

	(void)state;
	refuse_args("a command is missing", nothing);
	REFUSE("unknown command, expected attach, detach, list, check, snapshot, connections or replay",
	       "status");
	REFUSE("unknown flag --pid=1", "--pid=1");
	REFUSE("attach: expected PID[=NAME]", "attach");
	REFUSE("attach: expected PID or PID=NAME, the PID from 1 to 4194304", "attach", "0");
	REFUSE("attach: expected PID or PID=NAME, the PID from 1 to 4194304", "attach", "web");
	REFUSE("attach: expected PID or PID=NAME, the PID from 1 to 4194304", "attach", "4194305");
	REFUSE("attach: the name: the name is empty", "attach", "1=");
	REFUSE("attach: unexpected argument", "attach", "1", "2");
	REFUSE("list: unexpected argument", "list", "1");
	REFUSE("detach: expected PID|NAME", "detach");
	REFUSE("detach: expected a PID or the name of attached processes: the name is empty",
	       "detach", "");
	REFUSE("--no-follow: not for detach", "detach", "1", "--no-follow");
	REFUSE("--no-follow: this flag takes no value", "--no-follow=1", "attach", "1");
	REFUSE("--format: not for attach", "--format=json", "attach", "1");
	REFUSE("--format: expected table, json, prom or openmetrics", "snapshot", "--format=xml");
	REFUSE("--format: list is shown as table or json", "list", "--format=prom");
	REFUSE("--watch: expected seconds from 1 to 3600", "snapshot", "--watch=0");
	REFUSE("--watch: expected seconds from 1 to 3600", "snapshot", "--watch=3601");
	REFUSE("--watch: expected seconds from 1 to 3600", "snapshot", "--watch=1s");
	REFUSE("--watch: let Prometheus scrape instead; expected --format=table or json",
	       "snapshot", "--watch", "--format=prom");
	REFUSE("--watch: not for list", "list", "--watch");
	REFUSE("--socket: a value is missing: --socket=PATH", "list", "--socket");
	REFUSE("--socket: a value is missing: --socket=PATH", "--socket", "--help");
	REFUSE("--socket: given twice", "--socket=/a", "--socket=/b", "list");
	REFUSE("--limit: limit: expected a number from 1 to 10000", "connections", "--limit=0");
	REFUSE("--process: process: the name has a control character", "connections",
	       "--process=a\nb");
	REFUSE("--peer: peer: the value is empty", "connections", "--peer=");
}

static void long_values_are_refused(void **state)
{
	char flag[1200];

	(void)state;
	snprintf(flag, sizeof(flag), "--process=%01000d", 0);
	REFUSE("--process: the value is too long", "connections", flag);
}

static void help_knows_each_command_and_flag(void **state)
{
	static const char *const parts[] = {
		"usage: poolscope [flags] COMMAND [ARGUMENT]\n",
		"\n  attach PID[=NAME]\n        ",
		"\n  detach PID|NAME\n        ",
		"\n  list\n        ",
		"\n  check\n        ",
		"\n  snapshot\n        ",
		"\n  connections\n        ",
		"\n  replay FILE\n        ",
		"\n  --socket=PATH\n        ",
		" (default /run/poolscope/control.sock)\n",
		"\n  --unit=UNIT[=NAME]\n        ",
		"\n  --cgroup=CGROUP[=NAME]\n        ",
		"\n  --exe=FILE[=NAME]\n        ",
		"\n  --comm=COMM[=NAME]\n        ",
		"\n  --no-follow\n        ",
		"\n  --format=table|json|prom|openmetrics\n        ",
		" (default table)\n",
		"\n  --watch[=SECONDS]\n        ",
		"\n  --process=NAME\n        ",
		"\n  --peer=ADDRESS|CIDR\n        ",
		"\n  --limit=N\n        ",
		"\n  --partial\n        ",
		"\n  --version\n        ",
		"\n  --help\n        ",
		"\nexit codes:\n"
		"  0  done\n"
		"  1  failure while asking or answering\n"
		"  2  usage\n"
		"  3  the kernel lacks something\n"
		"  4  not allowed\n"
		"  5  there is no such process, or it cannot be attached\n"
		"  6  poolscoped is not reachable\n",
	};
	struct arguments a;
	const char *at = out_text;

	(void)state;
	assert_int_equal(parse(&a, (const char *const[]){"--help", NULL}), OPTIONS_EXIT_OK);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *found = strstr(at, parts[i]);

		if (found)
			at = found;
		else
			fail_msg("missing, or out of order: %s", parts[i]);
	}
	assert_string_equal(at, parts[ARRAY_SIZE(parts) - 1]);
	assert_int_equal(parse(&a, (const char *const[]){"--version", NULL}), OPTIONS_EXIT_OK);
	assert_string_equal(out_text, "poolscope 1.2.3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_take_what_is_theirs),
		cmocka_unit_test(attach_takes_a_selector_in_the_place_of_a_process),
		cmocka_unit_test(snapshots_have_a_format_and_a_period),
		cmocka_unit_test(a_replay_has_a_file_and_a_format),
		cmocka_unit_test(what_chooses_connections_becomes_a_query),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(long_values_are_refused),
		cmocka_unit_test(help_knows_each_command_and_flag),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
