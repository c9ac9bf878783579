// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is written, when, and what a disk that is full, slow or forbidden does: it ends the recording. test_replay reads it again. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "address.h"
#include "recording.h"
#include "tape.h"
#include "util.h"

struct dir {
	char path[64], file[96];
	int descriptors;
};

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	*state = d;
	strcpy(d->path, "/tmp/test_recording.XXXXXX");
	if (!mkdtemp(d->path))
		return -1;
	snprintf(d->file, sizeof(d->file), "%s/file", d->path);
	d->descriptors = descriptors();
	return 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;

	assert_int_equal(descriptors(), d->descriptors);
	unlink(d->file);
	assert_int_equal(rmdir(d->path), 0); /* and nothing else was left */
	free(d);
	return 0;
}

static struct recording *open_in(const struct dir *d)
{
	struct recording_header header = tape_header();
	struct recording *r = NULL;

	assert_int_equal(recording_open(&r, d->file, &header), 0);
	return r;
}

static off_t size_of(const struct dir *d)
{
	struct stat st;

	assert_int_equal(stat(d->file, &st), 0);
	return st.st_size;
}

/* ---- the header ---- */

static void a_header_reads_as_it_was_written(void **state)
{
	struct recording_header h = tape_header(), read;
	char text[RECORDING_HEADER_MAX], why[160] = "";
	size_t len, offset;

	(void)state;
	h.begun_realtime_ns = 1795279533431816915;
	h.tracked_max = 12345;
	h.config.peers_max = 7;
	h.config.series_max = 9;
	h.config.ttl_ns = UINT64_MAX;
	assert_int_equal(address_prefix_parse("10.0.0.0/8", &h.config.aggregate[0]), 0);
	assert_int_equal(address_prefix_parse("2001:db8::/32", &h.config.aggregate[1]), 0);
	h.config.aggregate_count = 2;
	assert_int_equal(histogram_bounds_parse("1e-9,2.5e-05,1e6", &h.config.handshake, why,
						sizeof(why)),
			 0);
	len = recording_header_format(&h, text);
	assert_true(len > 0);
	assert_int_equal(recording_header_parse(text, len, &read, &offset, why, sizeof(why)), len);
	assert_int_equal(read.begun_realtime_ns, h.begun_realtime_ns);
	assert_int_equal(read.tracked_max, h.tracked_max);
	assert_string_equal(read.version, h.version);
	assert_string_equal(read.revision, h.revision);
	assert_string_equal(read.kernel, h.kernel);
	assert_memory_equal(&read.config, &h.config, sizeof(h.config));
}

/* As many and as long as options allow. */
static void the_longest_header_fits(void **state)
{
	struct recording_header h = tape_header(), read;
	char text[RECORDING_HEADER_MAX], bounds[HISTOGRAM_BOUNDS_MAX * 32] = "", why[160] = "";
	size_t len, offset;

	(void)state;
	for (int i = 0; i < HISTOGRAM_BOUNDS_MAX; i++)
		sprintf(bounds + strlen(bounds), "%s%d.12345678901234567", i ? "," : "",
			100000 + i);
	assert_int_equal(histogram_bounds_parse(bounds, &h.config.handshake, why, sizeof(why)), 0);
	h.config.lifetime = h.config.handshake;
	for (int i = 0; i < POOLS_AGGREGATES_MAX; i++) {
		sprintf(text, "2001:1db8:1111:2222:3333:4444:5555:%x/128", 0x1000 + i);
		assert_int_equal(address_prefix_parse(text, &h.config.aggregate[i]), 0);
	}
	h.config.aggregate_count = POOLS_AGGREGATES_MAX;
	memset(h.version, 'v', sizeof(h.version) - 1);
	memset(h.revision, 'r', sizeof(h.revision) - 1);
	memset(h.kernel, 'k', sizeof(h.kernel) - 1);
	len = recording_header_format(&h, text);
	assert_true(len > 2000 && len < RECORDING_HEADER_MAX);
	assert_int_equal(recording_header_parse(text, len, &read, &offset, why, sizeof(why)), len);
	assert_memory_equal(&read.config, &h.config, sizeof(h.config));
}

static void the_beginning_of_a_header_is_not_taken_for_a_wrong_one(void **state)
{
	struct recording_header h = tape_header(), read;
	char text[RECORDING_HEADER_MAX], why[160] = "";
	size_t len = recording_header_format(&h, text), offset;

	(void)state;
	for (size_t less = 1; less < len; less++)
		assert_int_equal(recording_header_parse(text, less, &read, &offset, why,
							sizeof(why)),
				 -ENODATA);
}

/* ---- frames ---- */

/* The next frame of the file: its kind is asserted, its payload handed back. */
static size_t next_frame(FILE *f, enum recording_kind kind, void *payload)
{
	struct recording_frame frame;

	assert_int_equal(fread(&frame, sizeof(frame), 1, f), 1);
	assert_int_equal(frame.kind, kind);
	assert_true(frame.size <= RECORDING_PAYLOAD_MAX);
	if (frame.size)
		assert_int_equal(fread(payload, frame.size, 1, f), 1);
	return frame.size;
}

static FILE *open_behind_header(const struct dir *d)
{
	struct recording_header h = tape_header();
	char text[RECORDING_HEADER_MAX], found[RECORDING_HEADER_MAX];
	size_t len = recording_header_format(&h, text);
	FILE *f = fopen(d->file, "re");

	assert_non_null(f);
	assert_int_equal(fread(found, 1, len, f), len);
	assert_memory_equal(found, text, len);
	return f;
}

static void each_call_is_one_frame(void **state)
{
	const struct ps_record record = {.id = 77, .version = 3};
	const struct ps_listener_row row = {.cookie = 5, .local_port = 80};
	const struct recording_processes processes[] = {{0, 4}, {1, 5}};
	const struct gather_counters counters = {.reconciles = {1, 2, 3}};
	static union {
		uint64_t u64[RECORDING_PAYLOAD_MAX / 8];
		uint32_t u32[RECORDING_PAYLOAD_MAX / 4];
		char text[RECORDING_PAYLOAD_MAX];
		struct ps_record record;
		struct ps_listener_row row;
		struct gather_counters counters;
	} p;
	struct dir *d = *state;
	struct recording *r = open_in(d);
	FILE *f;

	recording_clock(r, 123);
	recording_message(r, "some bytes", 10);
	recording_drained(r, 8, 9);
	recording_parked(r, &record);
	recording_mark(r, RECORDING_INVENTORY_BEGIN);
	recording_orphans(r, 16);
	recording_expire(r, 256);
	recording_owner(r, 2, "a name");
	recording_owner_dropped(r, 3);
	recording_listener(r, &row);
	recording_processes(r, processes, 2);
	recording_counters(r, &counters);
	assert_int_equal(recording_close(r), 0);
	f = open_behind_header(d);
	assert_int_equal(next_frame(f, RECORDING_CLOCK, &p), 8);
	assert_int_equal(p.u64[0], 123);
	assert_int_equal(next_frame(f, RECORDING_MESSAGE, &p), 10);
	assert_memory_equal(p.text, "some bytes", 10);
	assert_int_equal(next_frame(f, RECORDING_DRAINED, &p), 16);
	assert_int_equal(p.u64[0], 8);
	assert_int_equal(p.u64[1], 9);
	assert_int_equal(next_frame(f, RECORDING_PARKED, &p), sizeof(record));
	assert_memory_equal(&p.record, &record, sizeof(record));
	assert_int_equal(next_frame(f, RECORDING_INVENTORY_BEGIN, &p), 0);
	assert_int_equal(next_frame(f, RECORDING_ORPHANS, &p), 4);
	assert_int_equal(p.u32[0], 16);
	assert_int_equal(next_frame(f, RECORDING_EXPIRE, &p), 4);
	assert_int_equal(p.u32[0], 256);
	assert_int_equal(next_frame(f, RECORDING_OWNER, &p), 10);
	assert_int_equal(p.u32[0], 2);
	assert_memory_equal(p.text + 4, "a name", 6);
	assert_int_equal(next_frame(f, RECORDING_OWNER_DROPPED, &p), 4);
	assert_int_equal(p.u32[0], 3);
	assert_int_equal(next_frame(f, RECORDING_LISTENER, &p), sizeof(row));
	assert_memory_equal(&p.row, &row, sizeof(row));
	assert_int_equal(next_frame(f, RECORDING_PROCESSES, &p), sizeof(processes));
	assert_memory_equal(&p, processes, sizeof(processes));
	assert_int_equal(next_frame(f, RECORDING_COUNTERS, &p), sizeof(counters));
	assert_memory_equal(&p.counters, &counters, sizeof(counters));
	assert_int_equal(next_frame(f, RECORDING_END, &p), 8);
	assert_int_equal(p.u64[0], 12);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
}

static void what_is_too_long_for_a_frame_is_cut_or_parted(void **state)
{
	enum { in_one = RECORDING_PAYLOAD_MAX / sizeof(uint64_t), count = 2 * in_one + 1 };
	static uint64_t cookies[count], found[in_one];
	static char message[RECORDING_MESSAGE_MAX + 1];
	struct dir *d = *state;
	struct recording *r = open_in(d);
	FILE *f;

	for (int i = 0; i < count; i++)
		cookies[i] = (uint64_t)i;
	recording_message(r, message, sizeof(message));
	recording_queued(r, cookies, count);
	recording_queued(r, cookies, 0);
	assert_int_equal(recording_close(r), 0);
	f = open_behind_header(d);
	assert_int_equal(next_frame(f, RECORDING_MESSAGE, found), RECORDING_MESSAGE_MAX);
	assert_int_equal(next_frame(f, RECORDING_QUEUED, found), RECORDING_PAYLOAD_MAX);
	assert_int_equal(found[1], 1);
	assert_int_equal(next_frame(f, RECORDING_QUEUED, found), RECORDING_PAYLOAD_MAX);
	assert_int_equal(found[1], in_one + 1);
	assert_int_equal(next_frame(f, RECORDING_QUEUED, found), sizeof(uint64_t));
	assert_int_equal(found[0], 2 * in_one);
	next_frame(f, RECORDING_END, found);
	fclose(f);
}

/* ---- the file ---- */

static void the_file_is_new_and_for_its_owner_only(void **state)
{
	struct recording_header header = tape_header();
	struct dir *d = *state;
	struct recording *r;
	struct stat st;
	char link[128];

	umask(0);
	r = open_in(d);
	assert_int_equal(stat(d->file, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(recording_close(r), 0);
	assert_int_equal(recording_open(&r, d->file, &header), -EEXIST);
	snprintf(link, sizeof(link), "%s/link", d->path);
	assert_int_equal(symlink("not-there", link), 0);
	assert_int_equal(recording_open(&r, link, &header), -EEXIST);
	unlink(link);
	snprintf(link, sizeof(link), "%s/no/such", d->path);
	assert_int_equal(recording_open(&r, link, &header), -ENOENT);
}

static void a_discarded_one_leaves_no_file(void **state)
{
	struct dir *d = *state;

	recording_discard(open_in(d));
	assert_int_equal(access(d->file, F_OK), -1);
}

static void what_was_written_is_in_the_file_a_second_later(void **state)
{
	struct dir *d = *state;
	struct recording *r = open_in(d);
	uint64_t now_ns = util_now_ns();
	off_t before = size_of(d);

	recording_clock(r, 1);
	assert_int_equal(recording_flush(r, now_ns), 0);
	assert_int_equal(size_of(d), before);
	assert_int_equal(recording_flush(r, now_ns + 2 * NSEC_PER_SEC), 0);
	assert_int_equal(size_of(d), before + (off_t)sizeof(struct recording_frame) + 8);
	assert_int_equal(recording_close(r), 0);
}

/* The process may write no more than so many bytes to a file: as a full disk, but without one. */
static void limit_file_size(rlim_t bytes, struct rlimit *ret_before)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_before), 0);
	limit = *ret_before;
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_ends_the_recording_and_is_told_once(void **state)
{
	struct dir *d = *state;
	struct recording *r = open_in(d);
	struct rlimit before;
	off_t size;

	limit_file_size(RECORDING_BUFFER_BYTES + 5000, &before);
	tape_write(r, 10000);
	assert_int_equal(recording_flush(r, 0), -EFBIG);
	size = size_of(d);
	tape_write(r, 10000);
	assert_int_equal(recording_flush(r, UINT64_MAX), 0);
	assert_int_equal(recording_close(r), 0);
	assert_int_equal(size_of(d), size);
	assert_int_equal(size, RECORDING_BUFFER_BYTES + 5000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void a_failure_at_the_end_is_told_by_the_end(void **state)
{
	struct dir *d = *state;
	struct recording *r = open_in(d);
	struct rlimit before;

	limit_file_size((rlim_t)size_of(d), &before);
	assert_int_equal(recording_close(r), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void a_disk_that_cannot_be_written_is_told_at_once(void **state)
{
	struct recording_header header = tape_header();
	struct dir *d = *state;
	struct recording *r;
	struct rlimit before;

	limit_file_size(0, &before);
	assert_int_equal(recording_open(&r, d->file, &header), -EFBIG);
	assert_int_equal(access(d->file, F_OK), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

/* The other end of a pipe takes nothing for a while. */
static void a_disk_that_lets_the_loop_wait_is_given_up(void **state)
{
	struct recording_header header = tape_header();
	struct recording *r;
	int fds[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (!child) {
		char nothing[4096];

		close(fds[1]);
		pause_ms((long)(RECORDING_PATIENCE_NS / NSEC_PER_MSEC) + 200);
		while (read(fds[0], nothing, sizeof(nothing)) > 0)
			;
		_exit(0);
	}
	assert_true(child > 0);
	close(fds[0]);
	assert_int_equal(recording_open_fd(&r, fds[1], &header), 0);
	tape_write(r, 10000);
	assert_int_equal(recording_flush(r, UINT64_MAX), -ETIME);
	assert_int_equal(recording_close(r), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void no_recording_takes_everything(void **state)
{
	(void)state;
	tape_write(NULL, 1000);
	assert_int_equal(recording_flush(NULL, UINT64_MAX), 0);
	assert_int_equal(recording_close(NULL), 0);
	recording_discard(NULL);
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_reads_as_it_was_written),
		cmocka_unit_test(the_longest_header_fits),
		cmocka_unit_test(the_beginning_of_a_header_is_not_taken_for_a_wrong_one),
		file_test(each_call_is_one_frame),
		file_test(what_is_too_long_for_a_frame_is_cut_or_parted),
		file_test(the_file_is_new_and_for_its_owner_only),
		file_test(a_discarded_one_leaves_no_file),
		file_test(what_was_written_is_in_the_file_a_second_later),
		file_test(a_full_disk_ends_the_recording_and_is_told_once),
		file_test(a_failure_at_the_end_is_told_by_the_end),
		file_test(a_disk_that_cannot_be_written_is_told_at_once),
		cmocka_unit_test(a_disk_that_lets_the_loop_wait_is_given_up),
		cmocka_unit_test(no_recording_takes_everything),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
