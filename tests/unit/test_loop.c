/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The loop: what is called when, and that it owns no more than it made. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"
#include "process.h"

struct probe {
	struct loop *loop;
	int fd;
	int calls, stop_after;
	int signals[4];
	int timeout_ms, asked;
};

static void count(struct probe *p)
{
	if (++p->calls == p->stop_after)
		loop_stop(p->loop);
}

static void on_event(void *arg)
{
	struct probe *p = arg;
	uint64_t value;

	assert_int_equal(read(p->fd, &value, sizeof(value)), sizeof(value));
	count(p);
}

static void on_level(void *arg)
{
	count(arg);
}

static void on_signal(void *arg, int signo)
{
	struct probe *p = arg;

	p->signals[p->calls] = signo;
	count(p);
}

static int ask_timeout(void *arg)
{
	struct probe *p = arg;

	p->asked++;
	return p->timeout_ms;
}

static struct loop *make_loop(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_open(&l), 0);
	return l;
}

static void calls_back_for_a_readable_fd(void **state)
{
	struct probe first = {.loop = make_loop(), .fd = eventfd(1, EFD_NONBLOCK), .stop_after = 1};
	struct probe idle = {.loop = first.loop, .fd = eventfd(0, EFD_NONBLOCK), .stop_after = 1};

	(void)state;
	assert_int_equal(loop_add(first.loop, first.fd, on_event, &first), 0);
	assert_int_equal(loop_add(first.loop, idle.fd, on_event, &idle), 0);
	assert_int_equal(loop_run(first.loop), 0);
	assert_int_equal(first.calls, 1);
	assert_int_equal(idle.calls, 0);
	loop_close(first.loop);
	assert_int_equal(close(first.fd), 0);
	assert_int_equal(close(idle.fd), 0);
}

static void calls_back_as_long_as_the_fd_is_readable(void **state)
{
	struct probe p = {.loop = make_loop(), .fd = eventfd(1, EFD_NONBLOCK), .stop_after = 3};

	(void)state;
	assert_int_equal(loop_add(p.loop, p.fd, on_level, &p), 0);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.calls, 3);
	loop_close(p.loop);
	close(p.fd);
}

static void calls_nobody_after_stop(void **state)
{
	struct probe a = {.loop = make_loop(), .fd = eventfd(1, 0), .stop_after = 1};
	struct probe b = {.loop = a.loop, .fd = eventfd(1, 0), .stop_after = 1};

	(void)state;
	assert_int_equal(loop_add(a.loop, a.fd, on_level, &a), 0);
	assert_int_equal(loop_add(a.loop, b.fd, on_level, &b), 0);
	loop_timeout(a.loop, ask_timeout, on_level, &a);
	assert_int_equal(loop_run(a.loop), 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_stop(a.loop);
	assert_int_equal(loop_run(a.loop), 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_close(a.loop);
	close(a.fd);
	close(b.fd);
}

static void ticks_until_stopped(void **state)
{
	struct probe p = {.loop = make_loop(), .stop_after = 3};

	(void)state;
	assert_int_equal(loop_every(p.loop, 0, on_level, &p), -EINVAL);
	assert_int_equal(loop_every(p.loop, 1, on_level, &p), 0);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.calls, 3);
	loop_close(p.loop);
}

static void on_slow_event(void *arg)
{
	pause_ms(20); /* the loop's own clock is the kernel's */
	on_event(arg);
}

/* Two periods pass while a callback holds the loop; the tick is then called once, and again a period later. */
static void makes_up_for_missed_ticks_by_one(void **state)
{
	struct probe slow = {.loop = make_loop(), .fd = eventfd(1, EFD_NONBLOCK)};
	struct probe tick = {.loop = slow.loop, .stop_after = 2};
	double start = now_seconds();

	(void)state;
	assert_int_equal(loop_add(slow.loop, slow.fd, on_slow_event, &slow), 0);
	assert_int_equal(loop_every(slow.loop, 10, on_level, &tick), 0);
	assert_int_equal(loop_run(slow.loop), 0);
	assert_int_equal(slow.calls, 1);
	assert_true(now_seconds() - start >= 0.030);
	loop_close(slow.loop);
	close(slow.fd);
}

static void hears_the_signals_asked_for(void **state)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, 0};
	static const int none[] = {9999, 0};
	struct probe p = {.loop = make_loop(), .stop_after = 2};

	(void)state;
	assert_int_equal(loop_signals(p.loop, none, on_signal, &p), -EINVAL);
	assert_int_equal(loop_signals(p.loop, signals, on_signal, &p), 0);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.calls, 2);
	assert_int_equal(p.signals[0] + p.signals[1], SIGUSR1 + SIGUSR2);
	assert_int_not_equal(p.signals[0], p.signals[1]);
	loop_close(p.loop);
}

static void calls_back_when_a_wait_ran_out(void **state)
{
	struct probe p = {.loop = make_loop(), .stop_after = 3, .timeout_ms = 1};

	(void)state;
	loop_timeout(p.loop, ask_timeout, on_level, &p);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.calls, 3);
	assert_int_equal(p.asked, 3);
	loop_close(p.loop);
}

static void a_due_timeout_is_not_starved_by_a_busy_fd(void **state)
{
	struct probe busy = {.loop = make_loop(), .fd = eventfd(1, 0), .stop_after = 1000};
	struct probe due = {.loop = busy.loop, .stop_after = 5, .timeout_ms = 0};

	(void)state;
	assert_int_equal(loop_add(busy.loop, busy.fd, on_level, &busy), 0);
	loop_timeout(busy.loop, ask_timeout, on_level, &due);
	assert_int_equal(loop_run(busy.loop), 0);
	assert_int_equal(due.calls, 5);
	assert_int_equal(busy.calls, 5);
	loop_close(busy.loop);
	close(busy.fd);
}

static void a_busy_fd_does_not_bring_a_later_timeout_forward(void **state)
{
	struct probe busy = {.loop = make_loop(), .fd = eventfd(1, 0), .stop_after = 5};
	struct probe later = {.loop = busy.loop, .timeout_ms = 60000};

	(void)state;
	assert_int_equal(loop_add(busy.loop, busy.fd, on_level, &busy), 0);
	loop_timeout(busy.loop, ask_timeout, on_level, &later);
	assert_int_equal(loop_run(busy.loop), 0);
	assert_int_equal(later.calls, 0);
	assert_int_equal(later.asked, 5);
	loop_close(busy.loop);
	close(busy.fd);
}

static void bounds_its_sources_and_leaks_no_fd(void **state)
{
	static const int signals[] = {SIGUSR1, 0};
	int before = process_own_descriptors(), fd = eventfd(0, 0), others[LOOP_SOURCES_MAX];
	struct probe p = {.loop = make_loop()};

	(void)state;
	assert_int_equal(loop_every(p.loop, 1000, on_level, &p), 0);
	assert_int_equal(loop_signals(p.loop, signals, on_signal, &p), 0);
	assert_int_equal(loop_add(p.loop, -1, on_level, &p), -EBADF);
	for (int i = 0; i < LOOP_SOURCES_MAX - 2; i++) {
		others[i] = dup(fd);
		assert_int_equal(loop_add(p.loop, others[i], on_level, &p), 0);
	}
	assert_int_equal(loop_add(p.loop, fd, on_level, &p), -ENOSPC);
	assert_int_equal(loop_every(p.loop, 1000, on_level, &p), -ENOSPC);
	assert_int_equal(loop_signals(p.loop, signals, on_signal, &p), -ENOSPC);
	loop_close(p.loop);
	for (int i = 0; i < LOOP_SOURCES_MAX - 2; i++)
		assert_int_equal(close(others[i]), 0);
	assert_int_equal(close(fd), 0);
	loop_close(NULL);
	assert_int_equal(process_own_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_back_for_a_readable_fd),
		cmocka_unit_test(calls_back_as_long_as_the_fd_is_readable),
		cmocka_unit_test(calls_nobody_after_stop),
		cmocka_unit_test(ticks_until_stopped),
		cmocka_unit_test(makes_up_for_missed_ticks_by_one),
		cmocka_unit_test(hears_the_signals_asked_for),
		cmocka_unit_test(calls_back_when_a_wait_ran_out),
		cmocka_unit_test(a_due_timeout_is_not_starved_by_a_busy_fd),
		cmocka_unit_test(a_busy_fd_does_not_bring_a_later_timeout_forward),
		cmocka_unit_test(bounds_its_sources_and_leaks_no_fd),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
