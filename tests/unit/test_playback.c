// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* poolscope replay: each format of a recording, and what is said of a file that is none, or ends early. */
#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exposition_check.h"
#include "playback.h"
#include "tape.h"

#define CONNECTIONS 2000
#define BEGUN_NS 1795279533000000000ULL

static char path[64];

static int setup(void **state)
{
	struct recording_header header = tape_header();
	struct recording *r;
	int fd;

	(void)state;
	strcpy(path, "/tmp/test_playback.XXXXXX");
	fd = mkstemp(path);
	header.begun_realtime_ns = BEGUN_NS;
	if (fd < 0 || recording_open_fd(&r, fd, &header))
		return -1;
	tape_write(r, CONNECTIONS);
	return recording_close(r);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* Returns what is written, to be freed. */
static char *play(const struct arguments *a, enum exit_code expected, char why[512])
{
	char *copied = NULL, *body = NULL;
	size_t len;
	FILE *copy = open_memstream(&copied, &len);

	assert_non_null(copy);
	assert_int_equal(playback(a, a->format == FORMAT_TABLE ? NULL : copy, &body, why, 512),
			 expected);
	fclose(copy);
	if (!body)
		return copied;
	assert_string_equal(copied, "");
	free(copied);
	return body;
}

static void texts_are_those_of_the_daemon(void **state)
{
	struct arguments a = {.command = COMMAND_REPLAY, .file = path, .format = FORMAT_PROM};
	char why[512], *text = play(&a, EXIT_OK, why);
	double opened;

	(void)state;
	assert_string_equal(why, "");
	if (exposition_check(text, why, sizeof(why)))
		fail_msg("%s", why);
	exposition_sum(text, "poolscope_connections_opened_total", "", &opened);
	assert_true(opened == CONNECTIONS);
	free(text);
	a.format = FORMAT_OPENMETRICS;
	text = play(&a, EXIT_OK, why);
	if (exposition_check_openmetrics(text, why, sizeof(why)))
		fail_msg("%s", why);
	free(text);
}

/* A table is made of the same JSON. Its time is that of the recording's end: 2 ms for each connection, and one more second. */
static void json_is_that_of_a_snapshot(void **state)
{
	static const enum format formats[] = {FORMAT_JSON, FORMAT_TABLE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct arguments a = {
			.command = COMMAND_REPLAY, .file = path, .format = formats[i]};
		char why[512], *text = play(&a, EXIT_OK, why);
		json_t *json = json_loads(text, 0, NULL);

		assert_non_null(json);
		assert_true(json_number_value(json_object_get(json, "time_seconds")) ==
			    (double)(BEGUN_NS / 1000000000) + 2 * CONNECTIONS / 1000.0 + 1);
		json_decref(json);
		free(text);
	}
}

static void what_ends_early_is_taken_on_demand_and_said_so(void **state)
{
	struct arguments a = {.command = COMMAND_REPLAY, .file = path, .format = FORMAT_PROM};
	char why[512], expected[512], *text;

	(void)state;
	assert_int_equal(truncate(path, 5000), 0);
	text = play(&a, EXIT_USAGE, why);
	assert_string_equal(text, "");
	free(text);
	assert_non_null(strstr(why, "the file ends before the recording does"));
	assert_non_null(strstr(why, "--partial"));
	a.partial = true;
	text = play(&a, EXIT_OK, why);
	assert_non_null(strstr(text, "poolscope_connections_active{"));
	free(text);
	snprintf(expected, sizeof(expected), "%s ends early: shown is what there is up to offset ",
		 path);
	assert_memory_equal(why, expected, strlen(expected));
}

static void what_is_no_recording_is_refused(void **state)
{
	struct arguments a = {.command = COMMAND_REPLAY, .file = path, .format = FORMAT_PROM};
	char why[512], expected[512];

	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	free(play(&a, EXIT_USAGE, why));
	snprintf(expected, sizeof(expected), "%s: offset 0: the file is empty", path);
	assert_string_equal(why, expected);
	a.file = "/nonexistent";
	free(play(&a, EXIT_USAGE, why));
	assert_string_equal(why, "cannot open /nonexistent: No such file or directory");
	a.file = "/";
	free(play(&a, EXIT_RUNTIME, why));
	assert_non_null(strstr(why, "offset 0: Input/output error"));
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(texts_are_those_of_the_daemon),
		file_test(json_is_that_of_a_snapshot),
		file_test(what_ends_early_is_taken_on_demand_and_said_so),
		file_test(what_is_no_recording_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("playback", tests, NULL, NULL);
}
