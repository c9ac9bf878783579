/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What this process itself uses: processor time, memory, descriptors.
 */
#ifndef USAGE_H
#define USAGE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t cpu_ns; /* user and system */
	uint64_t virtual_max_bytes; /* RLIMIT_AS; UINT64_MAX: none */
	uint64_t max_fds;
	bool has_memory, has_fds, has_start; /* else the next ones could not be read */
	uint64_t virtual_bytes, resident_bytes;
	uint64_t open_fds;
	uint64_t start_realtime_ns; /* since 1970 */
};

struct usage_files {
	int statm;
	DIR *fds;
	uint64_t start_realtime_ns; /* 0: unknown */
};

/*
 * Opens what is read later, as it cannot be opened once the user has changed or a filter stands. Holds up to two descriptors. What
 * cannot be opened is left out of what usage_read() gives.
 */
void usage_init(struct usage_files *files);
void usage_done(struct usage_files *files);

void usage_read(const struct usage_files *files, struct usage *ret);

#endif
