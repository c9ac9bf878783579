/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The start of a process: within the moment of its fork, whatever it calls itself, and nothing of one that is gone. */
#include "check.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "started.h"
#include "util.h"

static void a_process_starts_when_it_is_forked(void **state)
{
	uint64_t before_ns = util_clock_ns(CLOCK_BOOTTIME), after_ns, ticks;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	after_ns = util_clock_ns(CLOCK_BOOTTIME);
	ticks = started_ticks(pid);
	assert_in_range(ticks, started_ticks_of(before_ns), started_ticks_of(after_ns));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(started_ticks(pid), 0);
}

static void its_name_may_be_anything(void **state)
{
	uint64_t ticks = started_ticks(getpid());

	(void)state;
	assert_int_equal(prctl(PR_SET_NAME, ") 1 2) 3 \n"), 0);
	assert_int_not_equal(ticks, 0);
	assert_int_equal(started_ticks(getpid()), ticks);
}

static void ticks_are_whole_and_rounded_down(void **state)
{
	uint64_t tick_ns = started_ns_of(1);

	(void)state;
	assert_int_equal(tick_ns, NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(started_ticks_of(tick_ns * 7), 7);
	assert_int_equal(started_ticks_of(tick_ns * 8 - 1), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_starts_when_it_is_forked),
		cmocka_unit_test(its_name_may_be_anything),
		cmocka_unit_test(ticks_are_whole_and_rounded_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
