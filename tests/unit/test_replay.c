// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a recording comes to when it is replayed, and how a file that is none is refused: with the offset at which it is wrong. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "replay.h"
#include "tape.h"
#include "util.h"

#define WHY_BYTES 256

/* A recording in memory. */
struct file {
	char *data;
	size_t size;
};

static struct file frames_of(uint64_t connections, void (*write_more)(struct recording *r))
{
	struct recording_header header = tape_header();
	struct recording *r;
	struct file f = {};
	FILE *tmp = tmpfile();

	assert_non_null(tmp);
	assert_int_equal(recording_open_fd(&r, dup(fileno(tmp)), &header), 0);
	tape_write(r, connections);
	if (write_more)
		write_more(r);
	assert_int_equal(recording_close(r), 0);
	fseek(tmp, 0, SEEK_END);
	f.size = (size_t)ftell(tmp);
	f.data = malloc(f.size + 1);
	rewind(tmp);
	assert_int_equal(fread(f.data, 1, f.size, tmp), f.size);
	fclose(tmp);
	return f;
}

static struct file file_of(uint64_t connections)
{
	return frames_of(connections, NULL);
}

/* Replays these bytes; *ret_text (free it) is what was printed. */
static int replay(const char *data, size_t size, bool partial, struct replay_result *result,
		  char **ret_text, char why[WHY_BYTES])
{
	FILE *in = size ? fmemopen((void *)data, size, "r") : fopen("/dev/null", "re"), *out;
	struct replay *r = NULL;
	size_t len;
	int err;

	*ret_text = NULL;
	out = open_memstream(ret_text, &len);
	assert_true(in && out);
	err = replay_open(&r, in, partial, result, why, WHY_BYTES);
	if (!err)
		assert_int_equal(replay_print(r, out, EXPOSITION_TEXT), 0);
	replay_close(r);
	fclose(in);
	fclose(out);
	return err;
}

static double value(const char *text, const char *name, const char *filter)
{
	double v = -1;

	assert_int_not_equal(exposition_sum(text, name, filter, &v), 0);
	return v;
}

static void check_tape(const char *text, uint64_t n, uint64_t readings)
{
	char why[WHY_BYTES] = "";

	if (exposition_check(text, why, sizeof(why)) ||
	    exposition_check_invariants(text, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(value(text, "poolscope_connection_attempts_total", "process=" TAPE_NAME),
			 n);
	assert_int_equal(value(text, "poolscope_connections_opened_total", ""), n);
	assert_int_equal(value(text, "poolscope_connections_closed_total", "reason=local"), n);
	assert_int_equal(value(text, "poolscope_connections_closed_total", ""), n);
	assert_int_equal(value(text, "poolscope_connections_active", ""), 0);
	assert_int_equal(value(text, "poolscope_connection_handshake_duration_seconds_bucket",
			       "le=0.001"),
			 n);
	assert_int_equal(value(text, "poolscope_connection_handshake_duration_seconds_bucket",
			       "le=0.0005"),
			 0);
	assert_int_equal(value(text, "poolscope_connection_lifetime_seconds_bucket", "le=1.0"), n);
	assert_int_equal(value(text, "poolscope_connection_lifetime_seconds_bucket", "le=0.5"), 0);
	assert_int_equal(value(text, "poolscope_events_total", ""), TAPE_RECORDS * n);
	assert_int_equal(value(text, "poolscope_connections_tracked", ""), 0);
	assert_int_equal(value(text, "poolscope_peers", "direction=outbound"), n < 128 ? n : 128);
	assert_int_equal(value(text, "poolscope_reconcile_corrections_total", ""), 0);
	if (!readings)
		return;
	assert_int_equal(value(text, "poolscope_target_processes", "process=" TAPE_NAME), 1);
	assert_int_equal(value(text, "poolscope_listeners", "server_port=80"), 1);
	assert_int_equal(value(text, "poolscope_listener_dropped_total", "server_port=80"),
			 readings);
	assert_int_equal(value(text, "poolscope_reconcile_total", "cause=attach"), readings);
}

static void a_recording_comes_to_what_was_recorded(void **state)
{
	struct file f = file_of(20000);
	struct replay_result result;
	char why[WHY_BYTES], *text;

	(void)state;
	assert_int_equal(replay(f.data, f.size, false, &result, &text, why), 0);
	check_tape(text, 20000, 2);
	assert_int_equal(result.wrongs, 0);
	assert_int_equal(result.bytes, f.size);
	assert_false(result.cut);
	assert_int_equal(result.records, TAPE_RECORDS * 20000 + 2 * TAPE_LIVE);
	assert_int_equal(result.begin_ns, 1000 * NSEC_PER_SEC);
	assert_int_equal(result.end_ns, 1000 * NSEC_PER_SEC + 20500 * 2 * NSEC_PER_MSEC);
	assert_string_equal(result.header.revision, "tape");
	free(text);
	free(f.data);
}

/* The keys of the tables are new each time. */
static void the_same_file_gives_the_same_bytes(void **state)
{
	struct file f = file_of(3000);
	struct replay_result result;
	char why[WHY_BYTES], *first, *again;

	(void)state;
	assert_int_equal(replay(f.data, f.size, false, &result, &first, why), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(replay(f.data, f.size, false, &result, &again, why), 0);
		assert_string_equal(first, again);
		free(again);
	}
	free(first);
	free(f.data);
}

static void nothing_of_a_running_daemon_is_shown(void **state)
{
	static const char *const absent[] = {"poolscope_build_info", "poolscope_scrape_duration",
					     "poolscope_config_",    "poolscope_http_",
					     "poolscope_probe_",     "process_"};
	struct file f = file_of(100);
	struct replay_result result;
	char why[WHY_BYTES], *text;

	(void)state;
	assert_int_equal(replay(f.data, f.size, false, &result, &text, why), 0);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		for (const char *at = text; (at = strstr(at, absent[i])); at++)
			assert_true(at > text && at[-1] != '\n'); /* in a help text at most */
	free(text);
	free(f.data);
}

/* Where frames begin, the end of the file among them. */
static size_t frame_end(const struct file *f, size_t at)
{
	struct recording_frame frame;

	memcpy(&frame, f->data + at, sizeof(frame));
	return at + sizeof(frame) + frame.size;
}

static size_t header_end(const struct file *f)
{
	const char *end = memmem(f->data, f->size, "\n\n", 2);

	assert_non_null(end);
	return (size_t)(end - f->data) + 2;
}

/* The only target goes, and the next one takes the place of its name, which the last reading still had. */
static void write_detach(struct recording *r)
{
	recording_owner(r, 2, "other");
	recording_owner_dropped(r, 1);
	recording_mark(r, RECORDING_FORGET);
}

static void a_detached_target_leaves_nothing(void **state)
{
	struct file f = frames_of(10000, write_detach);
	struct replay_result result;
	char why[WHY_BYTES], *text;

	(void)state;
	assert_int_equal(replay(f.data, f.size, false, &result, &text, why), 0);
	assert_int_equal(result.wrongs, 0);
	assert_null(strstr(text, TAPE_NAME));
	assert_non_null(strstr(text, "process=\"other\""));
	assert_int_equal(value(text, "poolscope_events_total", ""), TAPE_RECORDS * 10000);
	free(text);
	free(f.data);
}

static void a_file_cut_anywhere_is_refused_at_the_frame_that_is_cut(void **state)
{
	struct file f = file_of(3);
	size_t begin = header_end(&f), end = frame_end(&f, begin);
	struct replay_result result;
	char why[WHY_BYTES], expected[WHY_BYTES], *text;

	(void)state;
	for (size_t size = 1; size < f.size; size++) {
		if (size >= end) {
			begin = end;
			end = frame_end(&f, begin);
		}
		assert_int_equal(replay(f.data, size, false, &result, &text, why), -ENODATA);
		snprintf(expected, sizeof(expected),
			 "offset %zu: the file ends before the recording does",
			 size < header_end(&f) ? size : begin);
		assert_string_equal(why, expected);
		assert_string_equal(text, "");
		free(text);
	}
	free(f.data);
}

static void what_is_left_of_a_cut_file_can_be_had(void **state)
{
	struct file f = file_of(1000);
	struct replay_result result;
	char why[WHY_BYTES], *text;
	size_t at = header_end(&f), records = 0;
	uint32_t kind;

	(void)state;
	while (records < 700) { /* before any connection ends: pending and established in turn */
		memcpy(&kind, f.data + at, sizeof(kind));
		records += kind == RECORDING_MESSAGE;
		at = frame_end(&f, at);
	}
	assert_int_equal(replay(f.data, at + 5, true, &result, &text, why), 0);
	assert_int_equal(result.bytes, at);
	assert_true(result.cut);
	assert_int_equal(value(text, "poolscope_connections_active", ""), 350);
	assert_int_equal(value(text, "poolscope_connection_attempts_total", ""), 350);
	free(text);
	free(f.data);
}

static void expect_refusal(const char *data, size_t size, const char *expected)
{
	struct replay_result result;
	char why[WHY_BYTES], *text;

	assert_int_equal(replay(data, size, true, &result, &text, why), -EINVAL);
	assert_string_equal(why, expected);
	assert_string_equal(text, "");
	free(text);
}

static void a_foreign_file_is_refused(void **state)
{
	char zeros[RECORDING_HEADER_MAX + 1] = "";

	(void)state;
	expect_refusal("", 0, "offset 0: the file is empty");
	expect_refusal("\x7f"
		       "ELF",
		       4, "offset 0: this is no recording (no \"poolscope-recording\")");
	expect_refusal(zeros, sizeof(zeros),
		       "offset 0: this is no recording (no \"poolscope-recording\")");
	expect_refusal("hello\n", 6, "offset 0: this is no recording (no \"poolscope-recording\")");
}

/* Replaces text in the header by other text. */
static struct file changed(const struct file *f, const char *from, const char *to)
{
	const char *at = memmem(f->data, f->size, from, strlen(from));
	struct file copy = {.size = f->size - strlen(from) + strlen(to)};
	size_t before;

	assert_non_null(at);
	before = (size_t)(at - f->data);
	copy.data = malloc(copy.size);
	assert_non_null(copy.data);
	memcpy(copy.data, f->data, before);
	memcpy(copy.data + before, to, strlen(to));
	memcpy(copy.data + before + strlen(to), at + strlen(from), f->size - before - strlen(from));
	return copy;
}

static void a_header_that_is_not_ours_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *line, *from, *to, *why;
	} cases[] = {
		{"poolscope-recording", "recording 1\n", "recording 2\n",
		 "poolscope-recording is \"2\", and this program reads \"1\""},
		{"byte-order", "byte-order ", "byte-order x",
		 "byte-order is \"xlittle\", and this program reads \"little\""},
		{"byte-order", "byte-order little", "byte-order \x1b[1m\xff",
		 "byte-order is \"?[1m?\", and this program reads \"little\""},
		{"sizes", "sizes ", "bytes ", "the header lacks its line \"sizes\""},
		{"version", "version 0.0.0", "version \x1b[1m",
		 "the header's line \"version\" is wrong"},
		{"revision", "revision tape", "revision ",
		 "the header's line \"revision\" is wrong"},
		{"begun-ns", "begun-ns 0", "begun-ns 18446744073709551616",
		 "the header's line \"begun-ns\" is wrong"},
		{"tracked-max", "tracked-max 262144", "tracked-max -1",
		 "the header's line \"tracked-max\" is wrong"},
		{"tracked-max", "tracked-max 262144", "tracked-max 4294967296",
		 "the header's line \"tracked-max\" is wrong"},
		{"peers-aggregate", "peers-aggregate ", "peers-aggregate 10.0.0.1/8",
		 "the header's line \"peers-aggregate\" is wrong"},
		{"buckets-handshake", ",0.00025,", ",0.00005,",
		 "the header's line \"buckets-handshake\" is wrong"},
		{"buckets-lifetime", "86400.0\n\n", "86400.0\nmore\n\n",
		 "the header has a line too many"},
	};
	struct file f = file_of(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *line = memmem(f.data, f.size, cases[i].line, strlen(cases[i].line));
		struct file c = changed(&f, cases[i].from, cases[i].to);
		size_t offset = (size_t)(line - f.data);
		char why[WHY_BYTES];

		if (strstr(cases[i].why, "too many"))
			offset = header_end(&f) - 1;
		snprintf(why, sizeof(why), "offset %zu: %s", offset, cases[i].why);
		expect_refusal(c.data, c.size, why);
		free(c.data);
	}
	free(f.data);
}

static void bounds_that_cannot_be_are_refused(void **state)
{
	static const char *const cases[][2] = {{"series-max 512", "series-max 10001"},
					       {"series-max 512", "series-max 0"},
					       {"peers-max 128", "peers-max 0"},
					       {"tracked-max 262144", "tracked-max 0"},
					       {"tracked-max 262144", "tracked-max 99999999"}};
	struct file f = file_of(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct file c = changed(&f, cases[i][0], cases[i][1]);
		char why[WHY_BYTES];

		snprintf(why, sizeof(why), "offset %zu: the header's bounds cannot be",
			 header_end(&c));
		expect_refusal(c.data, c.size, why);
		free(c.data);
	}
	free(f.data);
}

static size_t frame_add(struct file *f, size_t at, uint32_t kind, const void *payload,
			uint32_t size)
{
	struct recording_frame frame = {kind, size};

	f->data = realloc(f->data, at + sizeof(frame) + size + 1);
	assert_non_null(f->data);
	memcpy(f->data + at, &frame, sizeof(frame));
	if (size)
		memcpy(f->data + at + sizeof(frame), payload, size);
	return at + sizeof(frame) + size;
}

static void a_frame_that_cannot_be_is_refused_where_it_begins(void **state)
{
	static const uint64_t back[] = {1}, far_end[] = {77};
	static const uint32_t orphans[] = {65}, bad_name[] = {2, 0x41074141},
			      same_owner[] = {1, 0x41}, no_name[] = {2}, stranger[] = {9, 1};
	static const struct ps_listener_row row = {.owner = 9};
	static const struct {
		uint32_t kind;
		const void *payload;
		uint32_t size;
		const char *why;
	} cases[] = {
		{0, NULL, 0, "no kind of frame"},
		{RECORDING_KINDS, NULL, 0, "no kind of frame"},
		{UINT32_MAX, NULL, 0, "no kind of frame"},
		{RECORDING_CLOCK, NULL, UINT32_MAX - 7, "a frame of the wrong size"},
		{RECORDING_CLOCK, back, 7, "a frame of the wrong size"},
		{RECORDING_CLOCK, back, 8, "the clock goes back"},
		{RECORDING_QUEUED, back, 7, "a frame of the wrong size"},
		{RECORDING_INVENTORY_END, back, 1, "a frame of the wrong size"},
		{RECORDING_ORPHANS, orphans, 4, "too many orphans at once"},
		{RECORDING_OWNER, bad_name, 8, "not a process name"},
		{RECORDING_OWNER, no_name, 4, "not a process name"},
		{RECORDING_OWNER, same_owner, 5, "a target that cannot be"},
		{RECORDING_OWNER_DROPPED, no_name, 4, "the end of no target"},
		{RECORDING_PROCESSES, stranger, 8, "processes of no target"},
		{RECORDING_LISTENER, &row, sizeof(row), "a listener of no target"},
		{RECORDING_END, far_end, 8, "frames are missing before the end"},
	};
	struct file f = file_of(3);
	size_t at = f.size - sizeof(struct recording_frame) - sizeof(uint64_t);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool short_one = cases[i].size > RECORDING_PAYLOAD_MAX;
		char why[WHY_BYTES];
		size_t end = frame_add(&f, at, cases[i].kind, cases[i].payload,
				       short_one ? 0 : cases[i].size);

		if (short_one)
			memcpy(f.data + at + sizeof(uint32_t), &cases[i].size, sizeof(uint32_t));
		snprintf(why, sizeof(why), "offset %zu: %s", at, cases[i].why);
		expect_refusal(f.data, end, why);
	}
	free(f.data);
}

static void what_follows_the_end_is_refused(void **state)
{
	struct file f = file_of(3);
	char why[WHY_BYTES];
	size_t end = frame_add(&f, f.size, RECORDING_INVENTORY_BEGIN, NULL, 0);

	(void)state;
	snprintf(why, sizeof(why), "offset %zu: something follows the end", f.size);
	expect_refusal(f.data, end, why);
	free(f.data);
}

static void an_output_that_is_full_is_told(void **state)
{
	struct file f = file_of(3);
	FILE *in = fmemopen(f.data, f.size, "r"), *full = fopen("/dev/full", "we");
	struct replay_result result;
	struct replay *r = NULL;
	char why[WHY_BYTES];

	(void)state;
	assert_true(in && full);
	assert_int_equal(replay_open(&r, in, false, &result, why, sizeof(why)), 0);
	assert_int_equal(replay_print(r, full, EXPOSITION_TEXT), -ENOSPC);
	replay_close(r);
	fclose(in);
	fclose(full);
	free(f.data);
}

/* ---- length ---- */

/* Written by a child into a pipe while it is replayed here. */
static void replay_long(uint64_t connections)
{
	struct recording_header header = tape_header();
	struct replay_result result;
	char why[WHY_BYTES] = "", *text = NULL;
	struct replay *r;
	int fds[2], status;
	size_t len;
	FILE *in, *out;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (!child) {
		struct recording *to;

		close(fds[0]);
		if (recording_open_fd(&to, fds[1], &header))
			_exit(1);
		tape_write(to, connections);
		_exit(recording_close(to) ? 2 : 0);
	}
	assert_true(child > 0);
	close(fds[1]);
	in = fdopen(fds[0], "re");
	out = open_memstream(&text, &len);
	if (replay_open(&r, in, false, &result, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(replay_print(r, out, EXPOSITION_TEXT), 0);
	replay_close(r);
	fclose(in);
	fclose(out);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	check_tape(text, connections, connections / 10000);
	free(text);
}

static long peak_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* By how much the peak rises; the sanitizer keeps what one replay freed from the next. */
static long replay_growth(uint64_t connections)
{
	long before = peak_kib();

	replay_long(connections);
	return peak_kib() - before;
}

static void memory_does_not_grow_with_the_length(void **state)
{
	long shorter, longer;

	(void)state;
	replay_long(20000);
	shorter = replay_growth(20000);
	longer = replay_growth(200000);
	print_message("# %ld KiB more, %ld for ten times as many records\n", shorter, longer);
	assert_true(longer < shorter + 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_comes_to_what_was_recorded),
		cmocka_unit_test(the_same_file_gives_the_same_bytes),
		cmocka_unit_test(nothing_of_a_running_daemon_is_shown),
		cmocka_unit_test(a_detached_target_leaves_nothing),
		cmocka_unit_test(a_file_cut_anywhere_is_refused_at_the_frame_that_is_cut),
		cmocka_unit_test(what_is_left_of_a_cut_file_can_be_had),
		cmocka_unit_test(a_foreign_file_is_refused),
		cmocka_unit_test(a_header_that_is_not_ours_is_refused_with_its_line),
		cmocka_unit_test(bounds_that_cannot_be_are_refused),
		cmocka_unit_test(a_frame_that_cannot_be_is_refused_where_it_begins),
		cmocka_unit_test(what_follows_the_end_is_refused),
		cmocka_unit_test(an_output_that_is_full_is_told),
		cmocka_unit_test(memory_does_not_grow_with_the_length),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
