/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What it takes to adopt the connections that a process holds when it is attached: two walks over its descriptor table with a grace
 * period between. The daemon runs already and is asked by the client, as an operator would.
 */
#include <signal.h>
#include <stdio.h>

#include "control.h"
#include "crowd.h"
#include "daemon.h"
#include "meter.h"
#include "scene.h"

#define CONNECTIONS 10000
#define PEERS 5
#define ROUNDS 7
#define ROUNDS_QUICK 1
#define SETTLE_MS 1300 /* an inventory follows within a second */

static void add(struct values *cpu_ms, struct values *wall_ms)
{
	struct figure cpu = {
		.name = "adoption of 10,000 connections, CPU",
		.unit = "ms",
		.bar = 50,
		.how = "CPU of poolscoped, kernel and user, from the request of poolscope attach to its answer: all are counted then",
	};
	struct figure wall = {
		.name = "adoption of 10,000 connections, wall",
		.bar = 50,
		.unit = "ms",
		.how = "from the start of the program poolscope attach to its end; grace periods of the kernel are waited for",
	};

	daemon_add(cpu, cpu_ms);
	daemon_add(wall, wall_ms);
}

int adoption_measure(bool quick)
{
	struct values cpu_ms = {.count = 0}, wall_ms = {.count = 0};
	struct control daemon;
	struct crowd crowd;

	crowd_start(&crowd, 1, PEERS);
	crowd_grow(&crowd, CONNECTIONS);
	control_start(&daemon, (const char *[]){NULL});
	for (int i = 0; i < (quick ? ROUNDS_QUICK : ROUNDS); i++) {
		pid_t pid = daemon.poolscoped.process.pid;
		double cpu, wall;

		pause_ms(SETTLE_MS);
		cpu = meter_cpu_ns(pid);
		wall = now_seconds();
		control_attach(&daemon, crowd.root.pid);
		values_add(&wall_ms, (now_seconds() - wall) * 1e3);
		values_add(&cpu_ms, (meter_cpu_ns(pid) - cpu) / 1e6);
		assert_int_equal(poolscoped_value(&daemon.poolscoped,
						  "poolscope_connections_tracked", ""),
				 CONNECTIONS);
		control_detach(&daemon, crowd.root.pid);
	}
	control_stop(&daemon);
	crowd_end(&crowd);
	add(&cpu_ms, &wall_ms);
	return 0;
}
