/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The conditions. Each is up before the clock runs and down after it: what a start costs is no cost of a connection. Of one that
 * traces it is known what it saw, since one that has lost half of it is cheap. Knows nothing of clocks or ratios.
 */
#include "condition.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exposition_check.h"
#include "meter.h"
#include "scene.h"

#define RECORD "build/bench/record"
#define ARGUMENTS_MAX 8
#define SETTLE_MS 120 /* the daemon reads every 100 ms */
#define ADOPT_MS 1300 /* the inventory that follows an attach is over */
#define START_SECONDS 15
#define STOP_MS 5000

static const struct known {
	const char *name;
	bool polls;
	bool is_daemon, elsewhere;
	const char *arguments[ARGUMENTS_MAX]; /* of the daemon, besides --pid */
} known[CONDITIONS] = {
	[NOTHING] = {.name = "nothing"},
	[NOTHING_AGAIN] = {.name = "nothing, again"},
	[EMPTY] = {.name = "an empty program"},
	[ELSEWHERE] = {.name = "attached elsewhere", .is_daemon = true, .elsewhere = true},
	[ELSEWHERE_OFF] = {.name = "elsewhere, no accept probe",
			   .is_daemon = true,
			   .elsewhere = true,
			   .arguments = {"--accept-probe=off"}},
	[BOTH] = {.name = "both ends attached", .is_daemon = true},
	[BOTH_SYSCALL] = {.name = "both ends, accept fallback",
			  .is_daemon = true,
			  .arguments = {"--accept-probe=syscall"}},
	[BOTH_OFF] = {.name = "both ends, no accept probe",
		      .is_daemon = true,
		      .arguments = {"--accept-probe=off"}},
	[EVERYTHING] = {.name = "both ends, all features",
			.polls = true,
			.is_daemon = true,
			.arguments = {"--probe-stats", "--record=" RECORD, "--comm=bench-nobody"}},
	[TCPLIFE] = {.name = "tcplife (libbpf-tools)"},
	[BPFTRACE] = {.name = "tcplife.bt (bpftrace)"},
	[SS] = {.name = "ss, polled", .polls = true},
};

const char *condition_name(enum condition c)
{
	return known[c].name;
}

bool condition_polls(enum condition c)
{
	return known[c].polls;
}

/* The last line of what a program said before it gave up. */
static void why_of(struct setting *s, const char *program, const struct process *p)
{
	char *text = process_stderr(p);
	size_t len = strlen(text);
	char *last;

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	last = strrchr(text, '\n');
	snprintf(s->why, sizeof(s->why), "%s: %.120s", program, last ? last + 1 : text);
	free(text);
}

static int start_empty(struct setting *s)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	int id = libbpf_find_vmlinux_btf_id("inet_sock_set_state", BPF_TRACE_RAW_TP);

	if (id > 0) {
		opts.attach_btf_id = (__u32)id;
		s->program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "bench_nothing", "Dual BSD/GPL",
					   nothing, sizeof(nothing) / sizeof(nothing[0]), &opts);
	}
	s->link = s->program > 0 ? bpf_raw_tracepoint_open(NULL, s->program) : -1;
	if (s->link >= 0)
		return 0;
	snprintf(s->why, sizeof(s->why), "the empty program: %s", strerror(errno));
	return -1;
}

static int start_daemon(struct setting *s, const struct load *l)
{
	const struct known *k = &known[s->condition];
	const char *argv[ARGUMENTS_MAX + 3];
	char target[32], beside[32];
	int count = 0;

	if (k->elsewhere)
		actor_start(&s->elsewhere, 0);
	snprintf(target, sizeof(target), "--pid=%d=bench",
		 k->elsewhere ? s->elsewhere.pid : l->actor.pid);
	argv[count++] = target;
	snprintf(beside, sizeof(beside), "--pid=%d=beside", l->beside);
	if (l->beside)
		argv[count++] = beside;
	for (int i = 0; k->arguments[i]; i++)
		argv[count++] = k->arguments[i];
	argv[count] = NULL;
	unlink(RECORD);
	if (poolscoped_start(&s->daemon, argv) == 0) {
		pause_ms(l->beside ? ADOPT_MS : 0);
		return 0;
	}
	why_of(s, "poolscoped", &s->daemon.process);
	poolscoped_done(&s->daemon);
	return -1;
}

/* Neither tool says when it traces, but then it waits for events (ep_poll() before Linux 6.15). */
static bool waits_for_events(pid_t pid)
{
	char path[64], where[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(where, sizeof(where), f))
		where[0] = '\0';
	fclose(f);
	return strstr(where, "ep_poll") || strstr(where, "epoll_wait");
}

static int start_tool(struct setting *s, const char *const argv[])
{
	double deadline = now_seconds() + START_SECONDS;
	int code = -ETIMEDOUT;

	process_start(&s->tool, argv, NULL);
	while (code == -ETIMEDOUT && now_seconds() < deadline) {
		if (waits_for_events(s->tool.pid))
			return 0;
		code = process_wait(&s->tool, 5);
	}
	if (code == -ETIMEDOUT)
		snprintf(s->why, sizeof(s->why), "%s is not ready after %d s", argv[0],
			 START_SECONDS);
	else
		why_of(s, argv[0], &s->tool);
	process_done(&s->tool);
	return -1;
}

static int start_external(struct setting *s, const char *path, const char *script)
{
	const char *program = process_external(path);

	if (program)
		return start_tool(s, (const char *[]){program, script, NULL});
	snprintf(s->why, sizeof(s->why), "%s is not unpacked (make ext)", path);
	return -1;
}

static int start(struct setting *s, const struct load *l)
{
	if (known[s->condition].is_daemon)
		return start_daemon(s, l);
	if (s->condition == EMPTY)
		return start_empty(s);
	if (s->condition == TCPLIFE)
		return start_external(s, "usr/sbin/tcplife", NULL);
	if (s->condition == BPFTRACE)
		return start_external(s, "usr/bin/bpftrace", "tests/bench/tcplife.bt");
	return 0;
}

int condition_start(struct setting *s, enum condition c, const struct load *l)
{
	*s = (struct setting){.condition = c, .program = -1, .link = -1};
	if (start(s, l) == 0)
		return 0;
	condition_stop(s, l);
	return -1;
}

void condition_poll(struct setting *s)
{
	char *text = NULL;

	if (s->condition == SS)
		process_run((const char *[]){"ss", "-tan", NULL}, NULL, STOP_MS, &text, NULL);
	else if (s->condition == EVERYTHING)
		text = poolscoped_scrape(&s->daemon);
	free(text);
}

uint64_t condition_cpu_ns(const struct setting *s)
{
	struct rusage u;

	if (s->condition == SS) {
		getrusage(RUSAGE_CHILDREN, &u);
		return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
		       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
	}
	if (s->daemon.process.pid || s->tool.pid)
		pause_ms(SETTLE_MS);
	if (s->daemon.process.pid)
		return (uint64_t)meter_cpu_ns(s->daemon.process.pid);
	return s->tool.pid ? (uint64_t)meter_cpu_ns(s->tool.pid) : 0;
}

static long stop_daemon(struct setting *s)
{
	char *text = poolscoped_scrape(&s->daemon);
	double opened;

	exposition_sum(text, "poolscope_connections_opened_total", "process=bench", &opened);
	free(text);
	poolscoped_stop(&s->daemon);
	return (long)opened;
}

/* Their lines come when they end: they buffer what is no terminal. */
static long stop_tool(struct setting *s, const struct load *l)
{
	char *text, port[16];
	long lines = 0;

	kill(s->tool.pid, SIGINT);
	process_wait(&s->tool, STOP_MS);
	text = process_stdout(&s->tool);
	process_done(&s->tool);
	snprintf(port, sizeof(port), " %d ", l->port);
	for (const char *at = text; (at = strstr(at, port)); lines++)
		at++;
	free(text);
	return lines;
}

long condition_stop(struct setting *s, const struct load *l)
{
	long seen = -1;

	if (s->daemon.process.pid)
		seen = stop_daemon(s);
	if (s->tool.pid)
		seen = stop_tool(s, l);
	if (s->elsewhere.pid) {
		actor_end(&s->elsewhere, SIGKILL);
		seen = -1;
	}
	if (s->link >= 0)
		close(s->link);
	if (s->program >= 0)
		close(s->program);
	unlink(RECORD);
	return seen;
}
