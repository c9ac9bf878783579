/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A recording of ten million records, as of a day with 115 a second, written by one process and replayed by another through a pipe: how fast,
 * and in how much memory beyond that of a hundredth of the length. Nothing counts unless the numbers that it comes to are right.
 */
#include "replays.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "figures.h"
#include "replay.h"
#include "tape.h"
#include "util.h"

#define RECORDS 10000000
#define RECORDS_QUICK 1000000
#define RECORDS_SHORT 100000
#define GROWTH_MIB_MAX 1

struct outcome {
	uint64_t records, ns;
	double peak_mib; /* of resident memory */
};

static pid_t start_writer(uint64_t connections, int *ret_fd)
{
	struct recording_header header = tape_header();
	struct recording *r;
	int fds[2];
	pid_t child;

	if (pipe(fds))
		return -1;
	child = fork();
	if (child) {
		close(fds[1]);
		*ret_fd = fds[0];
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(fds[0]);
	if (recording_open_fd(&r, fds[1], &header))
		_exit(1);
	tape_write(r, connections);
	_exit(recording_close(r) ? 1 : 0);
}

static bool is_right(const char *text, uint64_t connections)
{
	double closed, events, active;

	exposition_sum(text, "poolscope_connections_closed_total", "reason=local", &closed);
	exposition_sum(text, "poolscope_events_total", "", &events);
	exposition_sum(text, "poolscope_connections_active", "", &active);
	return (uint64_t)closed == connections && (uint64_t)events == TAPE_RECORDS * connections &&
	       active == 0;
}

static bool replay(uint64_t connections, struct replay_result *result)
{
	char why[256], *text = NULL;
	struct replay *r;
	size_t len;
	FILE *in, *out = open_memstream(&text, &len);
	int fd, status;
	pid_t child = start_writer(connections, &fd);
	bool right;

	if (child < 0 || !out || !(in = fdopen(fd, "r")) ||
	    replay_open(&r, in, false, result, why, sizeof(why)) ||
	    replay_print(r, out, EXPOSITION_TEXT))
		return false;
	replay_close(r);
	fclose(in);
	fclose(out);
	right = waitpid(child, &status, 0) == child && status == 0 && is_right(text, connections);
	free(text);
	return right;
}

/* In a process of its own, for its peak of memory is asked for. */
static void replay_and_tell(uint64_t records, int to)
{
	struct outcome outcome = {};
	struct replay_result result;
	struct rusage usage;
	uint64_t start = util_now_ns();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!replay(records / TAPE_RECORDS, &result))
		_exit(1);
	getrusage(RUSAGE_SELF, &usage);
	outcome.ns = util_now_ns() - start;
	outcome.records = result.records;
	outcome.peak_mib = (double)usage.ru_maxrss / 1024;
	_exit(write(to, &outcome, sizeof(outcome)) != sizeof(outcome));
}

static bool run(uint64_t records, struct outcome *ret)
{
	int fds[2];
	pid_t child;
	bool told;

	if (pipe(fds))
		return false;
	fflush(NULL);
	child = fork();
	if (child == 0)
		replay_and_tell(records, fds[1]);
	close(fds[1]);
	told = child > 0 && read(fds[0], ret, sizeof(*ret)) == sizeof(*ret);
	close(fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return told;
}

static void add(struct figure *f, bool measured, double value)
{
	f->section = "Engine";
	f->count = measured;
	f->median = f->lower = f->upper = value;
	if (!measured)
		snprintf(f->note, sizeof(f->note), "the replay failed, or its numbers are wrong");
	figures_add(f);
}

int replays_measure(bool quick)
{
	struct figure rate = {
		.name = "replay of a recording",
		.unit = "M/s",
		.at_least = true,
		.how = "messages of a generated recording per second of time, read from a pipe while another "
		       "process writes them: ten million records (quick: one)",
	};
	struct figure growth = {
		.name = "replay: memory that grows with the length",
		.unit = "MiB",
		.bar = GROWTH_MIB_MAX,
		.how = "peak of resident memory of that replay less that of one of 100,000 records",
	};
	struct outcome first, whole;
	bool measured = run(RECORDS_SHORT, &first) && run(quick ? RECORDS_QUICK : RECORDS, &whole);

	add(&rate, measured, measured ? (double)whole.records / (double)whole.ns * 1e3 : 0);
	add(&growth, measured, measured ? whole.peak_mib - first.peak_mib : 0);
	return measured ? 0 : -1;
}
