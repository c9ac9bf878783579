/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What an inventory costs: 100,000 records, passes that find nothing to tell, and passes that show everything. The kernel half is loaded
 * by this process, so its own kernel time is the measure.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "crowd.h"
#include "daemon.h"
#include "probes.h"
#include "scene.h"
#include "support.h"

#define CONNECTIONS 100000
#define PEERS 10
#define ROUNDS 9
#define RING_BYTES (4 << 20)

static const struct figure figures[] = {
	{.section = "Kernel",
	 .name = "inventory of 100,000 records, all shown",
	 .unit = "ms",
	 .bar = 100,
	 .how = "kernel time of the pass over the records that the timer makes every 30 s, each record sent as a message"},
	{.section = "Kernel",
	 .name = "inventory of 100,000 records, nothing to tell",
	 .unit = "ms",
	 .how = "kernel time of the pass that follows when the ring has refused something"},
};

static void count(void *arg, const void *data, size_t size)
{
	(void)data;
	(void)size;
	(*(uint64_t *)arg)++;
}

static uint64_t drain(struct probes *p)
{
	struct probes_ring ring;
	uint64_t messages = 0;

	probes_drain(p, count, &messages, &ring);
	return messages;
}

static double system_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_stime.tv_sec * 1e3 + (double)u.ru_stime.tv_usec / 1e3;
}

static double inventory(struct probes *p, uint32_t generation, uint64_t *ret_messages)
{
	double before = system_ms();
	uint64_t messages = 0;
	bool full;

	do {
		assert_int_equal(probes_inventory(p, generation, &full), 0);
		messages += drain(p);
	} while (full);
	*ret_messages = messages;
	return system_ms() - before;
}

static void measure(struct probes *p, struct figure f, bool all)
{
	struct values ms = {.count = 0};
	uint64_t messages = 0;

	for (uint32_t i = 0; i < ROUNDS; i++)
		values_add(&ms, inventory(p, all ? i + 1 : 0, &messages));
	assert_true(all ? messages >= CONNECTIONS : messages == 0);
	snprintf(f.note, sizeof(f.note), "%llu messages", (unsigned long long)messages);
	daemon_add(f, &ms);
}

static void load(struct probes **p)
{
	struct probes_config config = {.ring_bytes = RING_BYTES};
	struct support support;
	char why[256];

	support_probe(&support);
	config.optmem_max = support.optmem_max;
	config.since_7 = support.since_7;
	if (probes_open(p, &config, why, sizeof(why)))
		fail_msg("%s", why);
}

int inventory_measure(bool quick)
{
	struct ps_process process = {.owner = 1};
	struct crowd crowd;
	struct probes *p;

	if (quick) {
		daemon_skip(figures[0]);
		daemon_skip(figures[1]);
		return 0;
	}
	load(&p);
	crowd_start(&crowd, CROWD_HOLDERS_MAX, PEERS);
	for (int i = 0; i < crowd.holder_count; i++)
		assert_int_equal(probes_process_add(p, (uint32_t)crowd.holders[i].pid, &process),
				 0);
	for (int sockets = CONNECTIONS / 10; sockets <= CONNECTIONS; sockets += CONNECTIONS / 10) {
		crowd_grow(&crowd, sockets);
		drain(p);
	}
	measure(p, figures[1], false);
	measure(p, figures[0], true);
	crowd_end(&crowd);
	probes_close(p);
	return 0;
}
