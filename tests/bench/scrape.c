/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a scrape costs the daemon, by the number of series. Scrapes lie further apart than the 50 ms for which one copy of the numbers serves
 * several. There is one connection to each series.
 */
#include <stdio.h>

#include "crowd.h"
#include "daemon.h"
#include "fetch.h"
#include "meter.h"
#include "scene.h"

#define SCRAPES 20
#define SCRAPES_QUICK 5
#define SCRAPES_LARGE 5 /* of 10,000 series */
#define APART_MS 60
#define SETTLE_MS 300 /* the ring is read */
#define SERIES_MAX 10000
#define HOLDERS 5 /* of SERIES_MAX */

static struct figure figure_of(const char *name)
{
	return (struct figure){
		.name = name,
		.unit = "ms",
		.how = "CPU of poolscoped for one scrape over HTTP on loopback, drain, copy, rendering, compression and sending included",
	};
}

static void measure(struct poolscoped *d, const char *name, int scrapes, bool gzip)
{
	struct figure f = figure_of(name);
	struct values ms = {.count = 0};
	struct fetched got = {.bytes = 0};

	for (int i = 0; i < scrapes; i++) {
		double before;

		pause_ms(APART_MS);
		before = meter_cpu_ns(d->process.pid);
		got = fetch_metrics(d->port, gzip);
		pause_ms(1); /* until it sleeps again */
		values_add(&ms, (meter_cpu_ns(d->process.pid) - before) / 1e6);
	}
	if (gzip)
		snprintf(f.note, sizeof(f.note), "%.1f KiB", (double)got.bytes / 1024);
	else
		snprintf(f.note, sizeof(f.note), "%.1f KiB, %ld lines", (double)got.bytes / 1024,
			 got.lines);
	daemon_add(f, &ms);
}

static void measure_both(int series, const char *plain, const char *gzip, int scrapes)
{
	int holders = series < SERIES_MAX ? 1 : HOLDERS;
	struct poolscoped d = {.port = 0};
	struct crowd crowd;
	char pid[32];

	crowd_start(&crowd, holders, series / 2 / holders);
	snprintf(pid, sizeof(pid), "--pid=%d=crowd", crowd.root.pid);
	poolscoped_must_start(&d, (const char *[]){pid, "--peers.max=10000", "--series.max=10000",
						   NULL});
	crowd_grow(&crowd, series);
	pause_ms(SETTLE_MS);
	measure(&d, plain, scrapes, false);
	measure(&d, gzip, scrapes, true);
	poolscoped_stop(&d);
	crowd_end(&crowd);
}

int scrape_measure(bool quick)
{
	int scrapes = quick ? SCRAPES_QUICK : SCRAPES;

	measure_both(10, "scrape, 10 series", "scrape, 10 series, gzip", scrapes);
	measure_both(1000, "scrape, 1,000 series", "scrape, 1,000 series, gzip", scrapes);
	if (!quick) {
		measure_both(SERIES_MAX, "scrape, 10,000 series", "scrape, 10,000 series, gzip",
			     SCRAPES_LARGE);
		return 0;
	}
	daemon_skip(figure_of("scrape, 10,000 series"));
	daemon_skip(figure_of("scrape, 10,000 series, gzip"));
	return 0;
}
