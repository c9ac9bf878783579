/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the process uses, also when it may open nothing any more. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "usage.h"
#include "util.h"

#define NOBODY 65534

static void numbers_are_those_of_the_process(void **state)
{
	struct usage_files files;
	struct usage before, after;
	struct rlimit limit;
	int pair[2];

	(void)state;
	usage_init(&files);
	usage_read(&files, &before);
	assert_true(before.has_memory && before.has_fds && before.has_start);
	assert_true(before.resident_bytes > 0 && before.resident_bytes < before.virtual_bytes);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(before.max_fds, limit.rlim_cur);
	assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
	assert_int_equal(before.virtual_max_bytes, limit.rlim_cur);
	assert_int_equal(pipe(pair), 0);
	usage_read(&files, &after);
	assert_int_equal(after.open_fds, before.open_fds + 2);
	close(pair[0]);
	close(pair[1]);
	usage_read(&files, &after);
	assert_int_equal(after.open_fds, before.open_fds);
	usage_done(&files);
}

static void processor_time_goes_on(void **state)
{
	struct usage_files files;
	struct usage before, after;

	(void)state;
	usage_init(&files);
	usage_read(&files, &before);
	do
		usage_read(&files, &after);
	while (after.cpu_ns < before.cpu_ns + 20 * NSEC_PER_MSEC);
	assert_true(after.cpu_ns <= (uint64_t)clock() * 1000 + NSEC_PER_SEC);
	usage_done(&files);
}

/* The kernel counts in ticks of 10 ms. */
static void a_child_started_now(void **state)
{
	struct timespec now;
	int status;
	pid_t pid;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	pid = fork();
	if (!pid) {
		uint64_t now_ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
		struct usage_files files;

		usage_init(&files);
		_exit(files.start_realtime_ns + 50 * NSEC_PER_MSEC < now_ns ||
		      files.start_realtime_ns > now_ns + NSEC_PER_SEC);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Not dumpable and, if we may, another user: the files in /proc/self belong to root then. */
static void it_is_read_after_the_drop(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		struct usage_files files;
		struct usage usage;

		usage_init(&files);
		if (prctl(PR_SET_DUMPABLE, 0) || (!geteuid() && setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(2);
		usage_read(&files, &usage);
		_exit(!usage.has_memory || !usage.has_fds || !usage.has_start ||
		      usage.open_fds < 2 || !usage.resident_bytes);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_cannot_be_read_is_said(void **state)
{
	const struct usage_files files = {.statm = -1};
	struct usage usage;

	(void)state;
	usage_read(&files, &usage);
	assert_false(usage.has_memory || usage.has_fds || usage.has_start);
	assert_true(usage.max_fds > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_of_the_process),
		cmocka_unit_test(processor_time_goes_on),
		cmocka_unit_test(a_child_started_now),
		cmocka_unit_test(it_is_read_after_the_drop),
		cmocka_unit_test(what_cannot_be_read_is_said),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
