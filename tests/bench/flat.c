/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a connection costs the same beside 1,000 tracked ones and beside 100,000. All of them are open all the time, and only how many are
 * tracked changes: what a connection costs the kernel itself depends on how many there are. The storm resets its connections, since TIME_WAIT
 * would fill the kernel's tables as well.
 */
#include <stdio.h>

#include "crowd.h"
#include "daemon.h"
#include "meter.h"
#include "scene.h"

#define CONNECTIONS 15000
#define WARM_UP 2000
#define PEERS 10
#define ROUNDS 4
#define SETTLE_MS 1300 /* the inventory that follows an attach is over */
#define READ_MS 300 /* the ring is read */
#define LEVELS 3

/* Connections are held by crowds; those of the first crowds are tracked: 1,000, 10,000, 100,000. */
static const struct {
	int holders, connections;
} sizes[LEVELS] = {{1, 1000}, {1, 9000}, {9, 90000}};

/* ns per connection of the storm */
struct round {
	double alone, traced[LEVELS], daemon[LEVELS];
};

static double storm(struct churn *churn)
{
	double before;

	churn_run(churn, WARM_UP, STEP_RESET);
	pause_ms(READ_MS);
	before = meter_cpu_ns(churn->actor.pid);
	churn_run(churn, CONNECTIONS, STEP_RESET);
	return (meter_cpu_ns(churn->actor.pid) - before) / CONNECTIONS;
}

/* The storm's CPU beside `tracked` crowds and one more; *ret_daemon: poolscope's. */
static double watched_storm(struct churn *churn, const struct crowd crowds[LEVELS], int tracked,
			    double *ret_daemon)
{
	const char *argv[LEVELS + 3] = {"--reconcile-interval=1h"};
	struct poolscoped d = {.port = 0};
	char churned[32], held[LEVELS][32];
	double before, ns;

	snprintf(churned, sizeof(churned), "--pid=%d=churn", churn->actor.pid);
	argv[1] = churned;
	for (int i = 0; i <= tracked; i++) {
		snprintf(held[i], sizeof(held[i]), "--pid=%d=crowd", crowds[i].root.pid);
		argv[2 + i] = held[i];
	}
	poolscoped_must_start(&d, argv);
	pause_ms(SETTLE_MS);
	before = meter_cpu_ns(d.process.pid);
	ns = storm(churn);
	pause_ms(READ_MS);
	*ret_daemon = (meter_cpu_ns(d.process.pid) - before) / (CONNECTIONS + WARM_UP);
	poolscoped_stop(&d);
	return ns;
}

enum { TRACED, ADDED, DAEMON, FIGURES };

static const struct figure figures[FIGURES] = {
	[TRACED] =
		{.name = "flat: traced program, 100,000 tracked to 1,000",
		 .unit = "x",
		 .bar = 1.1,
		 .how = "CPU of a storm, both ends attached, while 100,000 other connections are tracked and open, over the same while 1,000 of "
			"these are tracked"},
	[ADDED] = {.section = "Kernel",
		   .name = "added to a connection, both ends tracked",
		   .unit = "ns",
		   .how = "CPU of that storm for each connection with 1,000 others tracked, less the same with nothing attached, round by round: "
			  "programs, and what the kernel does for their memory"},
	[DAEMON] =
		{.name = "flat: daemon, 100,000 tracked to 1,000",
		 .unit = "x",
		 .bar = 1.1,
		 .how = "CPU of poolscoped per connection of those storms, without the inventories of its timer"},
};

static void add(const struct round rounds[ROUNDS])
{
	const struct round *last = &rounds[ROUNDS - 1];
	struct values traced = {.count = 0}, added = {.count = 0}, daemon = {.count = 0};
	struct figure t = figures[TRACED], d = figures[DAEMON];

	for (int i = 0; i < ROUNDS; i++) {
		values_add(&traced, rounds[i].traced[2] / rounds[i].traced[0]);
		values_add(&added, rounds[i].traced[0] - rounds[i].alone);
		values_add(&daemon, rounds[i].daemon[2] / rounds[i].daemon[0]);
	}
	snprintf(
		t.note, sizeof(t.note),
		"last round: %.0f ns at 1,000, %.0f at 10,000, %.0f at 100,000, nothing attached %.0f",
		last->traced[0], last->traced[1], last->traced[2], last->alone);
	snprintf(d.note, sizeof(d.note),
		 "last round: %.0f ns at 1,000, %.0f at 10,000, %.0f at 100,000", last->daemon[0],
		 last->daemon[1], last->daemon[2]);
	daemon_add(t, &traced);
	daemon_add(figures[ADDED], &added);
	daemon_add(d, &daemon);
}

int flat_measure(bool quick)
{
	struct crowd crowds[LEVELS];
	struct round rounds[ROUNDS];
	struct churn churn;

	if (quick) {
		for (int i = 0; i < FIGURES; i++)
			daemon_skip(figures[i]);
		return 0;
	}
	for (int i = 0; i < LEVELS; i++) {
		crowd_start(&crowds[i], sizes[i].holders, PEERS);
		crowd_grow(&crowds[i], sizes[i].connections);
	}
	churn_start(&churn);
	for (int r = 0; r < ROUNDS; r++) {
		rounds[r].alone = storm(&churn);
		for (int i = 0; i < LEVELS; i++)
			rounds[r].traced[i] =
				watched_storm(&churn, crowds, i, &rounds[r].daemon[i]);
	}
	churn_end(&churn);
	for (int i = 0; i < LEVELS; i++)
		crowd_end(&crowds[i]);
	add(rounds);
	return 0;
}
