// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * proc(5): field 22 of /proc/PID/stat. The kernel divides its nanoseconds by the length of a tick, so equal ticks mean: the same process, or one
 * that was started with the same PID in the same tick, for which all other PIDs would have to be used up in 10 ms.
 */
#include "started.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static uint64_t tick_ns(void)
{
	return NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t started_ticks(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[32], text[1024];
	const char *p;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the command name before it may contain anything */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

uint64_t started_ticks_of(uint64_t ns)
{
	return ns / tick_ns();
}

uint64_t started_ns_of(uint64_t ticks)
{
	return ticks * tick_ns();
}
