/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a daemon costs that has nothing to do: its start, its memory, its ticks. One sleeping process is attached. The test library asks
 * for /-/ready every 20 ms, so that a start may look that much longer than it was.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon.h"
#include "meter.h"
#include "scene.h"

#define STARTS 12
#define STARTS_QUICK 2
#define IDLE_MS 1000
#define IDLE_SECONDS 5

static void start(struct poolscoped *d, const struct actor *target)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "--pid=%d=idle", target->pid);
	poolscoped_must_start(d, (const char *[]){pid, NULL});
}

static void add_memory(const struct poolscoped *d)
{
	struct figure f = {
		.name = "idle: resident memory",
		.unit = "MiB",
		.bar = 8,
		.how = "VmRSS of poolscoped after its first scrape, with one sleeping process attached",
	};
	struct values rss = {.count = 0};

	values_add(&rss, meter_memory_mib(d->process.pid, "VmRSS"));
	snprintf(f.note, sizeof(f.note), "RssAnon %.1f MiB, RssFile %.1f MiB, RssShmem %.1f MiB",
		 meter_memory_mib(d->process.pid, "RssAnon"),
		 meter_memory_mib(d->process.pid, "RssFile"),
		 meter_memory_mib(d->process.pid, "RssShmem"));
	daemon_add(f, &rss);
	daemon_add(
		(struct figure){
			.section = "Kernel",
			.name = "memory of maps and programs",
			.unit = "MiB",
			.how = "what the kernel accounts for the daemon's BPF objects (memlock of fdinfo), whatever is "
			       "attached; the ring is 4 MiB of it"},
		&(struct values){.at = {meter_bpf_mib(d->process.pid)}, .count = 1});
}

static void add_idle_cpu(const struct poolscoped *d, bool quick)
{
	struct values ms = {.count = 0};

	for (int i = 0; i < (quick ? 1 : IDLE_SECONDS); i++) {
		double before = meter_cpu_ns(d->process.pid);

		pause_ms(IDLE_MS);
		values_add(&ms, (meter_cpu_ns(d->process.pid) - before) / 1e6 * 1000 / IDLE_MS);
	}
	daemon_add(
		(struct figure){
			.name = "idle: CPU in one second",
			.unit = "ms",
			.how = "CPU of poolscoped with one sleeping process attached, nobody "
			       "scraping"},
		&ms);
}

int start_measure(bool quick)
{
	struct poolscoped d = {.port = 0};
	struct values seconds = {.count = 0};
	struct actor target;

	actor_start(&target, 0);
	for (int i = 0; i < (quick ? STARTS_QUICK : STARTS); i++) {
		double begin;

		if (i)
			poolscoped_stop(&d);
		begin = now_seconds();
		start(&d, &target);
		values_add(&seconds, now_seconds() - begin);
	}
	daemon_add(
		(struct figure){
			.name = "start to ready",
			.unit = "s",
			.bar = 0.5,
			.how = "fork and exec of poolscoped until /-/ready answers 200, asked every "
			       "20 ms; one process attached"},
		&seconds);
	free(poolscoped_scrape(&d));
	add_memory(&d);
	add_idle_cpu(&d, quick);
	poolscoped_stop(&d);
	actor_end(&target, SIGKILL);
	return 0;
}
