/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The workloads, as steps of an actor, and the clock that they are measured with. Half of loopback TCP runs in softirqs:
 * a kernel without CONFIG_IRQ_TIME_ACCOUNTING counts them as the time of the process that they interrupt, which is the one that
 * made them. Knows nothing of who traces it.
 */
#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "meter.h"
#include "process.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define PAIRS 64
#define MESSAGE 64

/* Of the actor. */
static struct {
	int client[PAIRS], server[PAIRS];
	bool connected;
} kept;

static long keep_connect(const struct step *s)
{
	for (int i = 0; i < PAIRS; i++) {
		long client = step_connect(s);
		long server = client < 0 ? client : step_accept(s);

		if (server < 0)
			return server;
		kept.client[i] = (int)client;
		kept.server[i] = (int)server;
	}
	kept.connected = true;
	return 0;
}

static bool message_pass(int from, int to)
{
	char bytes[MESSAGE] = "";

	return send(from, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes) &&
	       recv(to, bytes, sizeof(bytes), MSG_WAITALL) == sizeof(bytes);
}

static long step_keep_alive(const struct step *s)
{
	long r = kept.connected ? 0 : keep_connect(s);

	for (int i = 0; r == 0 && i < s->count; i++) {
		int client = kept.client[i % PAIRS], server = kept.server[i % PAIRS];

		if (!message_pass(client, server) || !message_pass(server, client))
			r = -EIO;
	}
	return r;
}

static long step_getppid(const struct step *s)
{
	for (int i = 0; i < s->count; i++)
		syscall(SYS_getppid);
	return 0;
}

static step_fn *const steps[WORKLOADS] = {[STORM] = step_storm_alone,
					  [KEEP_ALIVE] = step_keep_alive,
					  [GETPPID] = step_getppid,
					  [BESIDE_10000] = step_storm_alone,
					  [BESIDE_100000] = step_storm_alone};

void workload_start(struct load *l, enum workload w, unsigned int number)
{
	*l = (struct load){.workload = w};
	actor_start(&l->actor, 0);
	traffic_address("127.0.1.1", number, l->from);
	l->port = scene_listen(&l->actor, SCENE_BACKLOG, &l->listener);
}

void workload_begin(struct load *l, int units)
{
	act_begin(&l->actor, steps[l->workload], .fd = l->listener, .host = HOST, .port = l->port,
		  .from = l->from, .count = units);
}

void workload_finish(struct load *l)
{
	long r = actor_finish(&l->actor);

	if (r < 0)
		fail_msg("a workload failed: %s", strerror((int)-r));
}

void workload_end(struct load *l)
{
	actor_end(&l->actor, SIGKILL);
}

bool workload_irq_time(void)
{
	static const char *const command[] = {
		"sh", "-c",
		"{ zcat /proc/config.gz || cat /boot/config-$(uname -r); } 2>/dev/null |"
		" grep -q '^CONFIG_IRQ_TIME_ACCOUNTING=y'",
		NULL};
	static int known = -1;

	if (known < 0)
		known = process_run(command, NULL, 5000, NULL, NULL) == 0;
	return known;
}

static uint64_t softirq_ns(void)
{
	unsigned long irq = 0, softirq = 0;
	FILE *f = fopen("/proc/stat", "re");

	assert_non_null(f);
	if (fscanf(f, "cpu %*u %*u %*u %*u %*u %lu %lu", &irq, &softirq) != 2)
		fail_msg("/proc/stat is not as expected");
	fclose(f);
	return (irq + softirq) * (1000000000UL / (unsigned long)sysconf(_SC_CLK_TCK));
}

uint64_t workload_cpu_ns(const struct load *l)
{
	return (uint64_t)meter_cpu_ns(l->actor.pid) + (workload_irq_time() ? softirq_ns() : 0);
}
