/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The system calls that are left once the daemon serves.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stddef.h>

/*
 * For the rest of the process' life: whoever makes any other system call is killed (SIGSYS), with the whole process. Nothing can be
 * opened but files for reading, no socket be made or connected, no program run, no BPF program loaded. So: all descriptors, timers and signal
 * sets first, and privileges_drop() before, since it makes calls that are refused here. 0, or -errno with what was tried in `why`: -EINVAL from a kernel without seccomp filters.
 */
int filter_install(char *why, size_t why_size);

#endif
