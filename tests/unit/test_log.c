/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Log lines: exact text for a given time, whatever the bytes; and what arrives on stderr. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define LOGFMT_HEAD "ts=2026-11-21T09:00:00.000Z level=info msg=\""
#define JSON_HEAD "{\"ts\":\"2026-11-21T09:00:00.000Z\",\"level\":\"info\",\"msg\":\""

static const struct timespec nine = {.tv_sec = 1795251600};

static void check_line(enum log_format format, enum log_level level, const struct timespec *now,
		       const char *msg, const char *expected)
{
	char line[LOG_LINE_MAX + 1];
	size_t len = log_line(format, level, now, msg, line);

	line[len] = '\0';
	assert_string_equal(line, expected);
}

static void writes_both_formats_in_utc(void **state)
{
	const struct timespec late = {.tv_sec = 951782399, .tv_nsec = 999999999};

	(void)state;
	check_line(LOG_LOGFMT, LOG_INFO, &nine, "serving /metrics",
		   LOGFMT_HEAD "serving /metrics\"\n");
	check_line(LOG_JSON, LOG_INFO, &nine, "serving /metrics",
		   JSON_HEAD "serving /metrics\"}\n");
	check_line(LOG_LOGFMT, LOG_ERROR, &late, "",
		   "ts=2000-02-28T23:59:59.999Z level=error msg=\"\"\n");
	check_line(LOG_JSON, LOG_WARN, &late, "",
		   "{\"ts\":\"2000-02-28T23:59:59.999Z\",\"level\":\"warn\",\"msg\":\"\"}\n");
	check_line(LOG_LOGFMT, LOG_DEBUG, &late, "",
		   "ts=2000-02-28T23:59:59.999Z level=debug msg=\"\"\n");
}

static void keeps_hostile_text_on_one_line(void **state)
{
	static const struct {
		const char *msg, *escaped;
	} rows[] = {
		{"a\nlevel=error msg=\"forged\"", "a\\nlevel=error msg=\\\"forged\\\""},
		{"back\\slash\ttab", "back\\\\slash\\ttab"},
		{"\r\x01\x1b[31m\x7f", "\\u000d\\u0001\\u001b[31m\\u007f"},
		{"c1 \xc2\x9b"
		 "2J",
		 "c1 \\u009b2J"},
		{"nbsp \xc2\xa0", "nbsp \xc2\xa0"},
		{"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f",
		 "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f"},
		{"\xff", "\xef\xbf\xbd"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
		{"cut \xc3\"", "cut \xef\xbf\xbd\\\""},
	};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(expected, sizeof(expected), LOGFMT_HEAD "%s\"\n", rows[i].escaped);
		check_line(LOG_LOGFMT, LOG_INFO, &nine, rows[i].msg, expected);
		snprintf(expected, sizeof(expected), JSON_HEAD "%s\"}\n", rows[i].escaped);
		check_line(LOG_JSON, LOG_INFO, &nine, rows[i].msg, expected);
	}
}

/* A message of n characters, each `unit`, must come out as `shown` of them. */
static void check_cut(const char *unit, const char *escaped, size_t n, size_t shown)
{
	size_t unit_len = strlen(unit), escaped_len = strlen(escaped), len;
	char line[LOG_LINE_MAX], *msg = calloc(n, unit_len + 1);
	const char *at = line + strlen(LOGFMT_HEAD);

	for (size_t i = 0; i < n; i++)
		memcpy(msg + i * unit_len, unit, unit_len);
	len = log_line(LOG_LOGFMT, LOG_INFO, &nine, msg, line);
	free(msg);
	assert_int_equal(len, strlen(LOGFMT_HEAD) + shown * escaped_len + (shown < n ? 3 : 0) + 2);
	assert_true(len <= LOG_LINE_MAX);
	for (size_t i = 0; i < shown; i++, at += escaped_len)
		assert_memory_equal(at, escaped, escaped_len);
	if (shown < n)
		assert_memory_equal(at, "\xe2\x80\xa6\"\n", 5);
	else
		assert_memory_equal(at, "\"\n", 2);
}

static void cuts_a_long_line_where_one_can_see_it(void **state)
{
	const size_t room = LOG_LINE_MAX - strlen(LOGFMT_HEAD) - strlen("\xe2\x80\xa6\"\n");

	(void)state;
	check_cut("x", "x", room, room);
	check_cut("x", "x", room + 1, room);
	check_cut("x", "x", 100000, room);
	check_cut("\x01", "\\u0001", 100000, room / 6);
	check_cut("\xe2\x82\xac", "\xe2\x82\xac", 100000, room / 3);
}

/* What the calls of `write_lines` put on stderr; the pipe is in packet mode, so each read returns one write. */
static ssize_t captured[8];
static char captured_text[8][LOG_LINE_MAX];

static size_t capture(void (*write_lines)(void))
{
	int saved = dup(STDERR_FILENO), fds[2];
	size_t n = 0;

	assert_int_equal(pipe2(fds, O_DIRECT | O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	write_lines();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	while (n < ARRAY_SIZE(captured) &&
	       (captured[n] = read(fds[0], captured_text[n], LOG_LINE_MAX)) > 0)
		n++;
	close(fds[0]);
	return n;
}

static void write_all_levels(void)
{
	log_error("error %d", 1);
	log_warn("warn %d", 2);
	log_info("info %d", 3);
	log_debug("debug %d", 4);
}

static void writes_levels_up_to_the_one_set(void **state)
{
	static const char *const ends[] = {"level=error msg=\"error 1\"\n",
					   "level=warn msg=\"warn 2\"\n",
					   "level=info msg=\"info 3\"\n",
					   "level=debug msg=\"debug 4\"\n"};

	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		log_setup((enum log_level)level, LOG_LOGFMT);
		assert_int_equal(capture(write_all_levels), level + 1);
		for (int i = 0; i <= level; i++) {
			size_t len = strlen(ends[i]);

			assert_int_equal(captured[i], strlen("ts=2026-11-21T09:00:00.000Z ") + len);
			assert_memory_equal(captured_text[i] + captured[i] - len, ends[i], len);
		}
		assert_int_equal(log_enabled(LOG_DEBUG), level == LOG_DEBUG);
	}
}

static void write_long_line(void)
{
	char text[2 * LOG_LINE_MAX];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
}

static void writes_a_long_line_at_once(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_JSON);
	assert_int_equal(capture(write_long_line), 1);
	assert_int_equal(captured[0], LOG_LINE_MAX);
	assert_memory_equal(captured_text[0] + LOG_LINE_MAX - 6, "\xe2\x80\xa6\"}\n", 6);
}

static void write_with_errno(void)
{
	errno = ENOTTY;
	log_error("nothing");
	assert_int_equal(errno, ENOTTY);
	close(STDERR_FILENO);
	log_error("to nobody");
	assert_int_equal(errno, ENOTTY);
}

static void keeps_errno(void **state)
{
	(void)state;
	log_setup(LOG_INFO, LOG_LOGFMT);
	assert_int_equal(capture(write_with_errno), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_both_formats_in_utc),
		cmocka_unit_test(keeps_hostile_text_on_one_line),
		cmocka_unit_test(cuts_a_long_line_where_one_can_see_it),
		cmocka_unit_test(writes_levels_up_to_the_one_set),
		cmocka_unit_test(writes_a_long_line_at_once),
		cmocka_unit_test(keeps_errno),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
