/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The one epoll loop: file descriptors with a callback, a periodic tick, signals as an fd. Knows nothing of what it waits for.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>

#define LOOP_SOURCES_MAX 16 /* each fd, tick and signal set is one */

typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);

struct loop;

int loop_open(struct loop **ret);
/* Signals stay blocked: one that comes while the program ends must not kill it. */
void loop_close(struct loop *l);

/* Calls fn(arg) when fd is readable, or broken. The fd stays the caller's. -ENOSPC beyond LOOP_SOURCES_MAX. */
int loop_add(struct loop *l, int fd, loop_fn *fn, void *arg);
/* Calls fn(arg) every `period_ms`, not 0 (a timerfd of the loop; ticks that were missed are made up for by one). */
int loop_every(struct loop *l, unsigned int period_ms, loop_fn *fn, void *arg);
/* Blocks the signals for the process and calls fn(arg, signo) for each. 0-terminated list. */
int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg);
/*
 * timeout_ms(arg) is asked before each wait: the longest time to sleep in ms, -1 for no limit. fn(arg) is called after a
 * wait that ran out, and also after one that was not to sleep at all (0): other sources cannot starve it.
 */
void loop_timeout(struct loop *l, int (*timeout_ms)(void *arg), loop_fn *fn, void *arg);

/* Runs until loop_stop(), which may also come before it; 0 or -errno of epoll. */
int loop_run(struct loop *l);
/* From a callback: no other callback is called after it returns. */
void loop_stop(struct loop *l);

#endif
