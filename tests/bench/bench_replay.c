// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A recording of ten million records, as of a day with 115 a second, written by one process and replayed by another through a pipe: how fast,
 * and in how much memory. Fails if a number is wrong, or if it takes more memory than a recording of a hundredth of the length by
 * more than a MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exposition_check.h"
#include "replay.h"
#include "tape.h"
#include "util.h"

#define RECORDS 10000000
#define GROWTH_KIB_MAX 1024

static void fail(const char *what)
{
	printf("FAIL: %s\n", what);
	exit(1);
}

static pid_t start_writer(uint64_t connections, int *ret_fd)
{
	struct recording_header header = tape_header();
	struct recording *r;
	int fds[2];
	pid_t child;

	if (pipe(fds))
		fail("no pipe");
	fflush(stdout);
	child = fork();
	if (child < 0)
		fail("no child");
	if (child) {
		close(fds[1]);
		*ret_fd = fds[0];
		return child;
	}
	close(fds[0]);
	if (recording_open_fd(&r, fds[1], &header))
		_exit(1);
	tape_write(r, connections);
	_exit(recording_close(r) ? 1 : 0);
}

static void check(const char *text, uint64_t connections)
{
	double closed, events, active;

	exposition_sum(text, "poolscope_connections_closed_total", "reason=local", &closed);
	exposition_sum(text, "poolscope_events_total", "", &events);
	exposition_sum(text, "poolscope_connections_active", "", &active);
	if ((uint64_t)closed != connections || (uint64_t)events != TAPE_RECORDS * connections ||
	    active != 0)
		fail("the numbers are wrong");
}

/* Returns the peak of resident memory so far. */
static long replay(uint64_t connections, struct replay_result *result)
{
	char why[256], *text = NULL;
	struct rusage usage;
	struct replay *r;
	size_t len;
	FILE *in, *out = open_memstream(&text, &len);
	int fd, status;
	pid_t child = start_writer(connections, &fd);

	in = fdopen(fd, "r");
	if (!in || !out)
		fail("no memory");
	if (replay_open(&r, in, false, result, why, sizeof(why)))
		fail(why);
	if (replay_print(r, out, EXPOSITION_TEXT))
		fail("cannot print");
	replay_close(r);
	fclose(in);
	fclose(out);
	if (waitpid(child, &status, 0) != child || status)
		fail("the writer failed");
	check(text, connections);
	free(text);
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

int main(void)
{
	struct replay_result result;
	uint64_t start;
	long before = 0, peak;
	double s;

	for (int i = 0; i < 2; i++) /* the second in what the first has left of the heap */
		before = replay(RECORDS / TAPE_RECORDS / 100, &result);
	start = util_now_ns();
	peak = replay(RECORDS / TAPE_RECORDS, &result);
	s = (double)(util_now_ns() - start) / 1e9;
	printf("replay: %.1f s for %llu messages (%.0f MB), %.1f M/s, writing included\n", s,
	       (unsigned long long)result.records, (double)result.bytes / 1e6,
	       (double)result.records / s / 1e6);
	printf("memory: %ld KiB at most, %ld KiB more than for a hundredth of it\n", peak,
	       peak - before);
	if (peak - before > GROWTH_KIB_MAX)
		fail("memory grows with the length");
	return 0;
}
