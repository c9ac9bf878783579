/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Meters: the CPU clock of a process, and what /proc tells. Refuses to know whose process it is.
 */
#include "meter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "util.h"

#define DESCRIPTORS_MAX 256

static FILE *open_of(pid_t pid, const char *file, const char *mode)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, mode);
	assert_non_null(f);
	return f;
}

double meter_cpu_ns(pid_t pid)
{
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	return (double)util_clock_ns(clock);
}

double meter_memory_mib(pid_t pid, const char *line)
{
	FILE *f = open_of(pid, "status", "re");
	size_t length = strlen(line);
	char text[256];
	long kib = -1;

	while (kib < 0 && fgets(text, sizeof(text), f))
		if (strncmp(text, line, length) == 0 && text[length] == ':')
			assert_int_equal(sscanf(text + length + 1, "%ld", &kib), 1);
	fclose(f);
	assert_true(kib >= 0);
	return (double)kib / 1024;
}

void meter_reset_peak(pid_t pid)
{
	FILE *f = open_of(pid, "clear_refs", "we");

	assert_int_equal(fputs("5", f) < 0 || fclose(f), 0);
}

double meter_bpf_mib(pid_t pid)
{
	double sum = 0, bytes;
	char path[64], line[256];

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "memlock: %lf", &bytes) == 1)
				sum += bytes;
		if (f)
			fclose(f);
	}
	return sum / (1 << 20);
}

double meter_kmalloc_bytes(void)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	double objects, each, pages, sum = -1;
	char line[512];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "kmalloc-", 8) != 0 ||
		    sscanf(line, "%*s %lf %*f %*f %lf %lf", &objects, &each, &pages) != 3)
			continue;
		sum = (sum < 0 ? 0 : sum) + objects * pages * (double)sysconf(_SC_PAGESIZE) / each;
	}
	fclose(f);
	return sum;
}
