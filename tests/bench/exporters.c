/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Runs the peers of the exposition. Python measures itself and is asked through its standard input, which is a socket; of node_exporter
 * the CPU clock of its process is read around a scrape by curl, so what it collects afterwards is not charged to it. Knows nothing of
 * ours.
 */
#include "exporters.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "util.h"

#define DEADLINE_MS 20000

static long count_lines(const char *text)
{
	long lines = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		lines++;
	}
	return lines;
}

static int scrape_node(const struct exporters *e, enum exporters_peer peer,
		       struct exporters_scrape *ret)
{
	_cleanup_free_ char *body = NULL;
	char url[64];
	const char *const argv[] = {"curl", "-sf", "--max-time", "10", url, NULL};
	clockid_t clock;
	uint64_t start;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/metrics", e->ports[peer]);
	if (clock_getcpuclockid(e->processes[peer].pid, &clock))
		return -1;
	start = util_clock_ns(clock);
	if (process_run(argv, NULL, DEADLINE_MS, &body, NULL) != 0)
		return -1;
	ret->lines = count_lines(body);
	ret->ns_per_line = (double)(util_clock_ns(clock) - start) / (double)ret->lines;
	return 0;
}

/* A line from Python within the deadline; "" if none comes. */
static void read_answer(const struct exporters *e, char *answer, size_t size)
{
	struct pollfd readable = {.fd = e->python, .events = POLLIN};
	ssize_t n = 0;

	if (poll(&readable, 1, DEADLINE_MS) == 1)
		n = read(e->python, answer, size - 1);
	answer[n > 0 ? n : 0] = '\0';
}

static int scrape_python(const struct exporters *e, struct exporters_scrape *ret)
{
	char answer[64];
	double ns;

	if (send(e->python, "", 1, MSG_NOSIGNAL) != 1)
		return -1;
	read_answer(e, answer, sizeof(answer));
	if (sscanf(answer, "%lf %ld", &ns, &ret->lines) != 2)
		return -1;
	ret->ns_per_line = ns / (double)ret->lines;
	return 0;
}

int exporters_scrape(struct exporters *e, enum exporters_peer peer, struct exporters_scrape *ret)
{
	return peer == EXPORTERS_PYTHON ? scrape_python(e, ret) : scrape_node(e, peer, ret);
}

static void start_python(struct exporters *e, const char *directory)
{
	const char *library = process_external("usr/lib/python3/dist-packages");
	char path[4200], text[256], answer[64];
	const char *const argv[] = {"env", path, "/usr/bin/python3", "tests/bench/client.py",
				    text,  NULL};
	int ends[2];

	if (!library) {
		e->missing[EXPORTERS_PYTHON] =
			"python3-prometheus-client is not unpacked (make ext)";
		return;
	}
	snprintf(path, sizeof(path), "PYTHONPATH=%s", library);
	snprintf(text, sizeof(text), "%s/text.prom", directory);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	e->python = ends[0];
	process_start(&e->processes[EXPORTERS_PYTHON], argv, &(struct process_how){.in = ends[1]});
	close(ends[1]);
	read_answer(e, answer, sizeof(answer));
	if (strcmp(answer, "ready\n") != 0)
		e->missing[EXPORTERS_PYTHON] = "Python's client library does not start";
}

/* `textfile`: its directory, the only thing that is collected then; NULL: what it collects by default. */
static void start_node(struct exporters *e, enum exporters_peer peer, const char *textfile)
{
	const char *program = process_external("usr/bin/prometheus-node-exporter");
	struct exporters_scrape first;
	char listen[64], directory[256];
	const char *const argv[] = {program,
				    listen,
				    textfile ? "--collector.disable-defaults" : NULL,
				    "--collector.textfile",
				    directory,
				    NULL};

	if (!program) {
		e->missing[peer] = "prometheus-node-exporter is not unpacked (make ext)";
		return;
	}
	e->ports[peer] = process_free_port();
	snprintf(directory, sizeof(directory), "--collector.textfile.directory=%s",
		 textfile ? textfile : "");
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", e->ports[peer]);
	process_start(&e->processes[peer], argv, NULL);
	for (int i = 0; i < 100; i++) {
		if (scrape_node(e, peer, &first) == 0)
			return;
		pause_ms(50);
	}
	e->missing[peer] = "node_exporter does not start";
}

void exporters_open(struct exporters *e, const char *directory)
{
	*e = (struct exporters){.python = -1};
	start_python(e, directory);
	start_node(e, EXPORTERS_NODE, NULL);
	start_node(e, EXPORTERS_NODE_TEXT, directory);
}

void exporters_close(struct exporters *e)
{
	if (e->python >= 0)
		close(e->python);
	for (int i = 0; i < EXPORTERS_PEERS; i++)
		process_done(&e->processes[i]);
}
