/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * When a process was started, as /proc tells it: a PID and this name a process, where the PID alone may be another's by now.
 */
#ifndef STARTED_H
#define STARTED_H

#include <stdint.h>
#include <sys/types.h>

/* Clock ticks (usually of 10 ms) between boot and its start; 0: there is no such process, or it cannot be asked. */
uint64_t started_ticks(pid_t pid);

/* The same of nanoseconds since boot, as the kernel keeps them, and back. */
uint64_t started_ticks_of(uint64_t ns);
uint64_t started_ns_of(uint64_t ticks);

#endif
