/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a service manager is told, and what it hands over: the protocols of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stddef.h>
#include <stdint.h>

/* Without a manager all that is said goes nowhere, which is no error. */
struct notify;

/*
 * Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID and removes them from the environment. Makes a socket: before
 * filter_install(), and before the user changes. 0, or -errno with the variable and its value in `why`.
 */
int notify_open(struct notify **ret, char *why, size_t why_size);
void notify_close(struct notify *n);

/* Each 0 or -errno: the manager is gone, or has no room. */
int notify_ready(struct notify *n); /* serves; also the end of a reload */
int notify_reloading(struct notify *n, uint64_t now_ns); /* CLOCK_MONOTONIC, also below */
int notify_stopping(struct notify *n);
/* A sign of life twice in each period. Call often, and only while the program does its work. */
int notify_watchdog(struct notify *n, uint64_t now_ns);

/*
 * The descriptors that the manager hands to this process, in its order, with FD_CLOEXEC set; they are the caller's. Returns
 * how many there are: of more than max, the first max are in ret. $LISTEN_* are removed: a second call returns 0.
 */
size_t notify_listen_fds(int ret[], size_t max);

#endif
