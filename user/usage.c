/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns open files of /proc/self. They are opened once, while this is still allowed, and read again and again: reading them needs no
 * privilege, also of a process that is not dumpable and has changed its user. Invariant: no path is looked up after
 * usage_init().
 */
#include "usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "started.h"
#include "util.h"

/* Boot is CLOCK_BOOTTIME ago: the time of day of now, less what has passed since. */
static uint64_t start_realtime_ns(void)
{
	uint64_t start_ns = started_ns_of(started_ticks(getpid()));

	return start_ns ? util_realtime_ns() - util_clock_ns(CLOCK_BOOTTIME) + start_ns : 0;
}

void usage_init(struct usage_files *files)
{
	files->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	files->fds = opendir("/proc/self/fd");
	files->start_realtime_ns = start_realtime_ns();
}

void usage_done(struct usage_files *files)
{
	cleanup_close(&files->statm);
	if (files->fds)
		closedir(files->fds);
}

static uint64_t timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * NSEC_PER_SEC + (uint64_t)tv->tv_usec * 1000;
}

/* Its own descriptor is among them, as it is open all the time. */
static bool count_fds(DIR *fds, uint64_t *ret)
{
	const struct dirent *entry;
	uint64_t count = 0;

	if (!fds)
		return false;
	rewinddir(fds);
	while ((entry = readdir(fds)))
		count += entry->d_name[0] != '.';
	*ret = count;
	return count > 0;
}

static bool read_memory(int statm, struct usage *ret)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), size, resident;
	char text[128];
	ssize_t n = statm < 0 ? -1 : pread(statm, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		return false;
	ret->virtual_bytes = size * page_bytes;
	ret->resident_bytes = resident * page_bytes;
	return true;
}

void usage_read(const struct usage_files *files, struct usage *ret)
{
	struct rusage rusage;
	struct rlimit limit;

	memset(ret, 0, sizeof(*ret));
	getrusage(RUSAGE_SELF, &rusage);
	ret->cpu_ns = timeval_ns(&rusage.ru_utime) + timeval_ns(&rusage.ru_stime);
	getrlimit(RLIMIT_AS, &limit);
	ret->virtual_max_bytes = limit.rlim_cur;
	getrlimit(RLIMIT_NOFILE, &limit);
	ret->max_fds = limit.rlim_cur;
	ret->has_memory = read_memory(files->statm, ret);
	ret->has_fds = count_fds(files->fds, &ret->open_fds);
	ret->start_realtime_ns = files->start_realtime_ns;
	ret->has_start = ret->start_realtime_ns != 0;
}
