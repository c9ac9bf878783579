/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Readings of a process and of the kernel's memory.
 */
#ifndef METER_H
#define METER_H

#include <sys/types.h>

/* CPU time of a process, all its threads, user and system, in ns. It must be there. */
double meter_cpu_ns(pid_t pid);

/* A line of /proc/PID/status that is in kB ("VmRSS"), in MiB. */
double meter_memory_mib(pid_t pid, const char *line);
/* From here on "VmHWM" is the peak since now. */
void meter_reset_peak(pid_t pid);

/* What the BPF maps and programs take that this process holds (memlock of /proc/PID/fdinfo), in MiB. */
double meter_bpf_mib(pid_t pid);

/* Bytes that the objects in use of the kernel's general slab caches (kmalloc-*) take, each with its share of its slab; -1: not readable. */
double meter_kmalloc_bytes(void);

#endif
