/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What an inventory costs: 100,000 records held by several processes (each may have 20,000 descriptors at most), silent passes
 * that find nothing to tell, and passes that show everything. Kernel time, as the process is charged for it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes.h"
#include "support.h"
#include "util.h"

#define HOLDERS 6
#define PAIRS 8400 /* connections of each, both ends: 16,800 descriptors */
#define ROUNDS 9
#define BAR_MS 100.0

/* Connects to itself, tells when done, and holds until it is killed. */
static void hold(int said)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 128) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		_exit(1);
	for (int i = 0; i < PAIRS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
		    accept(listener, NULL, NULL) < 0)
			_exit(1);
	}
	if (write(said, "", 1) == 1)
		pause();
	_exit(1);
}

static pid_t start_holder(struct probes *p)
{
	struct ps_process process = {.owner = 1};
	int go[2], said[2];
	char byte;
	pid_t pid;

	if (pipe(go) || pipe(said))
		exit(1);
	pid = fork();
	if (!pid) {
		close(said[0]);
		if (read(go[0], &byte, 1) == 1)
			hold(said[1]);
		_exit(1);
	}
	close(said[1]);
	if (pid < 0 || probes_process_add(p, (uint32_t)pid, &process) || write(go[1], "", 1) != 1 ||
	    read(said[0], &byte, 1) != 1) {
		fprintf(stderr, "a holder failed: %s\n", strerror(errno));
		exit(1);
	}
	close(go[0]);
	close(go[1]);
	close(said[0]);
	return pid;
}

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

/* One whole inventory; how many messages it sent. */
static double inventory(struct probes *p, uint32_t generation, uint64_t *ret_messages)
{
	double before = system_ms();
	uint64_t messages = 0;
	bool full;

	do {
		if (probes_inventory(p, generation, &full))
			exit(1);
		messages += drain(p);
	} while (full);
	*ret_messages = messages;
	return system_ms() - before;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Median of ROUNDS inventories; `all` gives each a generation of its own. */
static double measure(struct probes *p, bool all)
{
	double ms[ROUNDS];
	uint64_t messages = 0;

	for (uint32_t i = 0; i < ROUNDS; i++)
		ms[i] = inventory(p, all ? i + 1 : 0, &messages);
	qsort(ms, ROUNDS, sizeof(ms[0]), by_size);
	printf("%-26s median %6.1f ms of kernel time, least %6.1f; %llu messages\n",
	       all ? "all records shown:" : "nothing to tell (silent):", ms[ROUNDS / 2], ms[0],
	       (unsigned long long)messages);
	return ms[ROUNDS / 2];
}

int main(void)
{
	struct probes_config config = {.ring_bytes = 4 * 1024 * 1024};
	struct support support;
	pid_t holders[HOLDERS];
	struct probes *p;
	double all;
	char why[256];

	support_probe(&support);
	config.optmem_max = support.optmem_max;
	config.since_7 = support.since_7;
	if (probes_open(&p, &config, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	for (int i = 0; i < HOLDERS; i++) {
		holders[i] = start_holder(p);
		drain(p);
	}
	printf("%d records in %d processes\n", 2 * PAIRS * HOLDERS, HOLDERS);
	measure(p, false);
	all = measure(p, true);
	printf("one inventory of 100,000 records: bar %.0f ms: %s\n", BAR_MS,
	       all <= BAR_MS ? "met" : "NOT MET");
	for (int i = 0; i < HOLDERS; i++) {
		kill(holders[i], SIGKILL);
		waitpid(holders[i], NULL, 0);
	}
	probes_close(p);
	return all <= BAR_MS ? 0 : 1;
}
