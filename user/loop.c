/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One thread, one epoll. Sources are level-triggered and never removed, so an event cannot outlive its source. Callbacks run
 * to the end one after the other; each owes the others to be short. The loop refuses to know what an fd means, and owns only
 * the timerfds and the signalfd that it made itself.
 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util.h"

struct source {
	int fd;
	bool owned;
	void (*dispatch)(const struct source *s);
	loop_fn *fn;
	loop_signal_fn *signal_fn;
	void *arg;
};

struct loop {
	int epoll_fd;
	bool stopped;
	size_t source_count;
	struct source sources[LOOP_SOURCES_MAX];
	int (*timeout_ms)(void *arg);
	loop_fn *timeout_fn;
	void *timeout_arg;
};

int loop_open(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		int err = -errno;

		free(l);
		return err;
	}
	*ret = l;
	return 0;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->source_count; i++) {
		if (l->sources[i].owned)
			close(l->sources[i].fd);
	}
	close(l->epoll_fd);
	free(l);
}

static int add_source(struct loop *l, const struct source *s)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (l->source_count == LOOP_SOURCES_MAX)
		return -ENOSPC;
	event.data.ptr = &l->sources[l->source_count];
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) < 0)
		return -errno;
	l->sources[l->source_count++] = *s;
	return 0;
}

static void dispatch_plain(const struct source *s)
{
	s->fn(s->arg);
}

static void dispatch_tick(const struct source *s)
{
	uint64_t expired;

	/* However many ticks have passed, the read takes them all. */
	if (read(s->fd, &expired, sizeof(expired)) == sizeof(expired))
		s->fn(s->arg);
}

/* One signal per turn: the fd stays readable while there are more. */
static void dispatch_signal(const struct source *s)
{
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		s->signal_fn(s->arg, (int)info.ssi_signo);
}

int loop_add(struct loop *l, int fd, loop_fn *fn, void *arg)
{
	return add_source(
		l, &(struct source){.fd = fd, .dispatch = dispatch_plain, .fn = fn, .arg = arg});
}

int loop_every(struct loop *l, unsigned int period_ms, loop_fn *fn, void *arg)
{
	struct timespec period = {.tv_sec = period_ms / 1000,
				  .tv_nsec = (long)(period_ms % 1000) * 1000000};
	struct itimerspec timer = {.it_interval = period, .it_value = period};
	struct source s = {.owned = true, .dispatch = dispatch_tick, .fn = fn, .arg = arg};
	_cleanup_close_ int fd = -1;
	int err;

	if (period_ms == 0)
		return -EINVAL;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL) < 0)
		return -errno;
	s.fd = fd;
	err = add_source(l, &s);
	if (!err)
		fd = -1;
	return err;
}

int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg)
{
	struct source s = {.owned = true, .dispatch = dispatch_signal, .signal_fn = fn, .arg = arg};
	_cleanup_close_ int fd = -1;
	sigset_t set;
	int err;

	sigemptyset(&set);
	for (; *signals; signals++) {
		if (sigaddset(&set, *signals) < 0)
			return -errno;
	}
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	s.fd = fd;
	err = add_source(l, &s);
	if (err)
		return err;
	fd = -1;
	sigprocmask(SIG_BLOCK, &set, NULL);
	return 0;
}

void loop_timeout(struct loop *l, int (*timeout_ms)(void *arg), loop_fn *fn, void *arg)
{
	l->timeout_ms = timeout_ms;
	l->timeout_fn = fn;
	l->timeout_arg = arg;
}

int loop_run(struct loop *l)
{
	struct epoll_event events[LOOP_SOURCES_MAX];

	while (!l->stopped) {
		int timeout_ms = l->timeout_ms ? l->timeout_ms(l->timeout_arg) : -1;
		int n = epoll_wait(l->epoll_fd, events, LOOP_SOURCES_MAX, timeout_ms);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n && !l->stopped; i++) {
			const struct source *s = events[i].data.ptr;

			s->dispatch(s);
		}
		if (l->timeout_fn && (n == 0 || timeout_ms == 0) && !l->stopped)
			l->timeout_fn(l->timeout_arg);
	}
	l->stopped = false;
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}
