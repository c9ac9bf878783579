/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a traced program does while its CPU is measured. All of a workload happens in one process that never waits, so that its
 * user and system time is all the work there is.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdint.h>

#include "traffic.h"

enum workload {
	STORM, /* connect, accept, close; a unit is a connection */
	KEEP_ALIVE, /* 64 bytes there and back, over 64 connections in turn; a unit is such an exchange */
	GETPPID, /* a unit is a getppid() */
	BESIDE_10000, /* a storm while others hold connections */
	BESIDE_100000,
	WORKLOADS,
};

struct load {
	enum workload workload;
	struct actor actor; /* who is traced */
	pid_t beside; /* who is traced as well, with its children; 0: nobody */
	int listener, port;
	char from[16];
};

/* The process and its listener, at rest. `number` is another one each time: no source port of a storm is still in TIME_WAIT. */
void workload_start(struct load *l, enum workload w, unsigned int number);
/* So many units; the halves are for what happens meanwhile. */
void workload_begin(struct load *l, int units);
void workload_finish(struct load *l);
void workload_end(struct load *l);

/*
 * CPU of its process so far, ns. Where the kernel keeps softirq time out of it (workload_irq_time()), that of the whole machine is
 * added, 10 ms exact.
 */
uint64_t workload_cpu_ns(const struct load *l);
bool workload_irq_time(void);

#endif
