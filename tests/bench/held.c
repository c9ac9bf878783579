/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What 100,000 connections take that are held and tracked: memory of the kernel for each, memory of the daemon while it is scraped. They are
 * open before anybody looks, and are adopted and let go several times: the same sockets with and without their records.
 */
#include <stdio.h>

#include "control.h"
#include "crowd.h"
#include "daemon.h"
#include "fetch.h"
#include "meter.h"
#include "scene.h"

#define CONNECTIONS 100000
#define PEERS 500 /* of each holder, in each direction: 10,000 series in all */
#define ROUNDS 3
#define INVENTORIES_MS 7000 /* one every 2 s */
#define SETTLE_MS \
	1500 /* an inventory follows an attach, and memory is freed after a grace period */

static const struct figure socket_figure = {
	.section = "Kernel",
	.name = "memory per tracked socket",
	.unit = "B",
	.bar = 420,
	.goal = 340,
	.how = "objects in use of all kmalloc caches (/proc/slabinfo), slack of their slabs included: after an adoption of "
	       "100,000 connections less before it",
};

static const struct figure resident_figure = {
	.name = "resident memory during a scrape of 10,000 series",
	.unit = "MiB",
	.bar = 48,
	.goal = 32,
	.how = "peak of VmRSS (VmHWM after clear_refs) of poolscoped in a scrape, with 100,000 tracked connections; the larger of "
	       "plain and gzip",
};

static const struct figure inventory_figure = {
	.name = "idle connections: CPU of an inventory of 100,000",
	.unit = "ms",
	.how = "CPU of poolscoped, kernel and user, for one inventory (its timer makes one every 30 s); it is all "
	       "that idle connections cost",
};

static const struct figure idle_figure = {
	.name = "idle connections: resident memory with 100,000",
	.unit = "MiB",
	.how = "VmRSS of poolscoped with 100,000 tracked connections and 512 series, and inventories behind it",
};

static double peak_of_scrape(const struct poolscoped *d)
{
	double plain, gzip;

	meter_reset_peak(d->process.pid);
	fetch_metrics(d->port, false);
	plain = meter_memory_mib(d->process.pid, "VmHWM");
	meter_reset_peak(d->process.pid);
	fetch_metrics(d->port, true);
	gzip = meter_memory_mib(d->process.pid, "VmHWM");
	return plain > gzip ? plain : gzip;
}

static double inventories(const struct poolscoped *d)
{
	return poolscoped_sum(d, "poolscope_reconcile_total", "");
}

/* A daemon of the usual size that has nothing to do but its inventories. */
static void measure_idle(const struct crowd *crowd)
{
	struct figure f = inventory_figure;
	struct values ms = {.count = 0}, mib = {.count = 0};
	struct poolscoped d = {.port = 0};
	double cpu, before, count;
	char pid[32];

	snprintf(pid, sizeof(pid), "--pid=%d=crowd", crowd->root.pid);
	poolscoped_must_start(&d, (const char *[]){pid, "--reconcile-interval=2s", NULL});
	pause_ms(SETTLE_MS);
	before = inventories(&d);
	cpu = meter_cpu_ns(d.process.pid);
	pause_ms(INVENTORIES_MS);
	cpu = meter_cpu_ns(d.process.pid) - cpu;
	count = inventories(&d) - before;
	assert_true(count > 0);
	values_add(&ms, cpu / 1e6 / count);
	values_add(&mib, meter_memory_mib(d.process.pid, "VmRSS"));
	snprintf(f.note, sizeof(f.note), "mean of %.0f", count);
	daemon_add(f, &ms);
	daemon_add(idle_figure, &mib);
	poolscoped_stop(&d);
}

int held_measure(bool quick)
{
	struct figure kernel = socket_figure, resident = resident_figure;
	struct values bytes = {.count = 0}, mib = {.count = 0};
	struct control daemon;
	struct crowd crowd;

	if (quick) {
		daemon_skip(kernel);
		daemon_skip(resident);
		daemon_skip(inventory_figure);
		daemon_skip(idle_figure);
		return 0;
	}
	crowd_start(&crowd, CROWD_HOLDERS_MAX, PEERS);
	crowd_grow(&crowd, CONNECTIONS);
	control_start(&daemon, (const char *[]){NULL});
	for (int i = 0; i < ROUNDS; i++) {
		double before;

		pause_ms(SETTLE_MS);
		before = meter_kmalloc_bytes();
		control_attach(&daemon, crowd.root.pid);
		pause_ms(SETTLE_MS);
		if (before >= 0)
			values_add(&bytes, (meter_kmalloc_bytes() - before) / CONNECTIONS);
		snprintf(resident.note, sizeof(resident.note), "%.1f MiB before it",
			 meter_memory_mib(daemon.poolscoped.process.pid, "VmRSS"));
		values_add(&mib, peak_of_scrape(&daemon.poolscoped));
		control_detach(&daemon, crowd.root.pid);
	}
	control_stop(&daemon);
	if (!bytes.count)
		snprintf(kernel.note, sizeof(kernel.note), "/proc/slabinfo cannot be read");
	daemon_add(kernel, &bytes);
	daemon_add(resident, &mib);
	measure_idle(&crowd);
	crowd_end(&crowd);
	return bytes.count ? 0 : -1;
}
