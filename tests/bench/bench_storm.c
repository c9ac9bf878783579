/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What poolscope costs the traced process: CPU of a loopback connect, accept, close storm with poolscope attached to both ends
 * against the same storm with nothing attached. Both ends are one process that never waits, so its user and system time is all the
 * work there is; rounds are shuffled, and nothing is measured twice in each (A/A) to show how much of a ratio is noise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "poolscoped.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define CONNECTIONS 20000
#define WARM_UP 2000
#define ROUNDS 15
#define SECONDS_MAX 100
#define BAR 1.20

enum condition { NOTHING, NOTHING_AGAIN, POOLSCOPE, CONDITIONS };

static const char *const names[] = {"nothing attached", "nothing, again", "poolscope"};

struct result {
	double ns[ROUNDS]; /* CPU per connection */
	int count;
};

static long step_cpu_us(const struct step *s)
{
	struct rusage u;

	(void)s;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

/*
 * A kernel with CONFIG_IRQ_TIME_ACCOUNTING (tests/bench/run looks) keeps softirq time, where half of loopback TCP runs, out of every
 * process' account: then it is taken from the whole machine's. 0 elsewhere.
 */
static long softirq_us(void)
{
	long user, nice, system, idle, iowait, irq = 0, softirq = 0;
	FILE *f = getenv("BENCH_IRQ_TIME") ? fopen("/proc/stat", "re") : NULL;

	if (!f)
		return 0;
	if (fscanf(f, "cpu %ld %ld %ld %ld %ld %ld %ld", &user, &nice, &system, &idle, &iowait,
		   &irq, &softirq) != 7)
		irq = softirq = 0;
	fclose(f);
	return (irq + softirq) * (1000000 / sysconf(_SC_CLK_TCK));
}

static long storm(struct actor *a, int listener, int port, const char *from, int count)
{
	return act(a, step_storm_alone, .fd = listener, .host = HOST, .port = port, .from = from,
		   .count = count);
}

/* ns of CPU per connection; a source address of its own, so that no port is still in TIME_WAIT. */
static double measure(enum condition condition, unsigned int number)
{
	struct poolscoped daemon = {.port = 0};
	struct actor a;
	char from[16], target[64];
	int listener, port;
	long before, used;

	actor_start(&a, 0);
	snprintf(target, sizeof(target), "--pid=%d=storm", a.pid);
	if (condition == POOLSCOPE &&
	    poolscoped_start(&daemon, (const char *[]){target, NULL}) != 0) {
		poolscoped_print_log(&daemon);
		exit(1);
	}
	traffic_address("127.0.1.1", number, from);
	port = scene_listen(&a, SCENE_BACKLOG, &listener);
	storm(&a, listener, port, from, WARM_UP);
	before = act(&a, step_cpu_us, .fd = 0) + softirq_us();
	storm(&a, listener, port, from, CONNECTIONS);
	used = act(&a, step_cpu_us, .fd = 0) + softirq_us() - before;
	actor_end(&a, 0);
	if (condition == POOLSCOPE)
		poolscoped_stop(&daemon);
	return (double)used * 1000 / CONNECTIONS;
}

static void shuffle(enum condition order[CONDITIONS])
{
	for (int i = CONDITIONS - 1; i > 0; i--) {
		int j = (int)(random() % (i + 1));
		enum condition c = order[i];

		order[i] = order[j];
		order[j] = c;
	}
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* q of 0.25, 0.5 or 0.75 of sorted numbers, linear between two. */
static double quantile(const struct result *r, double q)
{
	double at = q * (r->count - 1);
	int i = (int)at;

	return i + 1 < r->count ? r->ns[i] + (at - i) * (r->ns[i + 1] - r->ns[i]) : r->ns[i];
}

static void report(struct result results[CONDITIONS])
{
	for (int c = 0; c < CONDITIONS; c++) {
		struct result *r = &results[c];

		qsort(r->ns, (size_t)r->count, sizeof(r->ns[0]), by_size);
		printf("%-18s median %7.0f ns, quartiles %7.0f to %7.0f ns of CPU per connection\n",
		       names[c], quantile(r, 0.5), quantile(r, 0.25), quantile(r, 0.75));
	}
}

int main(void)
{
	enum condition order[CONDITIONS] = {NOTHING, NOTHING_AGAIN, POOLSCOPE};
	struct result results[CONDITIONS] = {{.count = 0}};
	double begin = now_seconds(), base, ratio;
	unsigned int number = 0;

	srandom((unsigned int)getpid());
	printf("storm: %d connections a round, both ends in the traced process, %d CPUs%s\n",
	       CONNECTIONS, get_nprocs(),
	       getenv("BENCH_IRQ_TIME") ? ", softirq time of the machine included" : "");
	for (int round = 0; round < ROUNDS && now_seconds() - begin < SECONDS_MAX; round++) {
		shuffle(order);
		for (int i = 0; i < CONDITIONS; i++) {
			struct result *r = &results[order[i]];

			r->ns[r->count++] = measure(order[i], number++);
		}
	}
	report(results);
	base = quantile(&results[NOTHING], 0.5);
	ratio = quantile(&results[POOLSCOPE], 0.5) / base;
	printf("A/A control: %.3f; %d rounds\n", quantile(&results[NOTHING_AGAIN], 0.5) / base,
	       results[NOTHING].count);
	printf("poolscope against nothing: %.3f, bar %.2f: %s\n", ratio, BAR,
	       ratio <= BAR ? "met" : "NOT MET");
	return ratio <= BAR ? 0 : 1;
}
