/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * make bench: measures part by part and reports. What it starts dies with it (process.c, traffic.c), so a signal may simply
 * end it. Knows no figure.
 *
 *   bench [--quick] [--seed=N]
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "daemon.h"
#include "engine.h"
#include "figures.h"
#include "poolscoped.h"
#include "ratios.h"
#include "storage.h"

#define DIRECTORY "build/bench"
#define REPORT DIRECTORY "/report.md"

static const struct part {
	const char *name;
	int (*measure)(bool quick);
} parts[] = {
	{"traced program", ratios_measure},
	{"daemon", daemon_measure},
	{"engine", engine_measure},
	{"storage", storage_measure},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* The first line of `path` that begins so, from behind the colon; "unknown". */
static void line_of(const char *path, const char *beginning, char text[128])
{
	char line[512];
	FILE *f = fopen(path, "re");

	snprintf(text, 128, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, beginning, strlen(beginning)) != 0)
			continue;
		value = value ? value + 2 : line;
		snprintf(text, 128, "%.*s", (int)strcspn(value, "\n"), value);
		break;
	}
	if (f)
		fclose(f);
}

static const char *accept_probe(void)
{
	const char *probe = "none";
	char *text = NULL;

	process_run((const char *[]){poolscoped_path(), "--check", NULL}, NULL, 30000, &text, NULL);
	if (strstr(text, "\nfexit            yes"))
		probe = "fexit";
	else if (strstr(text, "\naccept_exit      runs"))
		probe = "fallback (sys_exit tracepoints): this kernel refuses fexit";
	free(text);
	return probe;
}

static void print_head(FILE *to, bool quick, unsigned int seed)
{
	char processor[128], commit[128], date[32];
	struct utsname machine;
	time_t now = time(NULL);
	struct tm utc;

	uname(&machine);
	line_of("/proc/cpuinfo", "model name", processor);
	line_of("build/revision", "", commit);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
	fprintf(to, "# What poolscope costs\n\n");
	fprintf(to, "- Kernel: %s %s, %s\n", machine.sysname, machine.release, machine.machine);
	fprintf(to, "- Processor: %s, %d CPUs\n", processor, get_nprocs());
	fprintf(to, "- Commit: %s\n", commit);
	fprintf(to, "- Date: %s, %s run, seed %u\n", date, quick ? "quick" : "full", seed);
	fprintf(to, "- Accept probe: %s\n", accept_probe());
}

static FILE *open_report(void)
{
	FILE *f = fopen(REPORT, "we");

	if (!f) {
		fprintf(stderr, "bench: %s cannot be written: %s\n", REPORT, strerror(errno));
		exit(1);
	}
	return f;
}

/* After each part: an interrupted run leaves what it has. */
static void report(bool quick, unsigned int seed, size_t parts_done)
{
	FILE *f = open_report();

	print_head(f, quick, seed);
	if (parts_done < PARTS)
		fprintf(f, "- **Not ended**: %zu of %zu parts\n", parts_done, PARTS);
	figures_print(f, true);
	fprintf(f,
		"\nThe same again: `sudo make %s`, or `sudo build/tests/bench/bench%s --seed=%u` in the order of this run.\n"
		"`%s` draws the storm.\n",
		quick ? "bench-quick" : "bench", quick ? " --quick" : "", seed,
		DIRECTORY "/chart.svg");
	assert_int_equal(fclose(f), 0);
}

/* Each descriptor of a connection counts, and a shell that runs us behind its back has SIGINT ignored, as the tools would then. */
static void prepare(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	mkdir("build", 0777);
	mkdir(DIRECTORY, 0777);
	fclose(open_report());
	if (geteuid() != 0) {
		fprintf(stderr, "bench: it attaches BPF programs, and so needs root\n");
		exit(1);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: bench [--quick] [--seed=N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'}, {"seed", required_argument, NULL, 's'}, {0}};
	unsigned int seed = (unsigned int)time(NULL) % 100000;
	bool quick = false, whole = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?' ||
		    (option == 's' && (!*optarg || optarg[strspn(optarg, "0123456789")])))
			return usage();
		quick = quick || option == 'q';
		if (option == 's')
			seed = (unsigned int)strtoul(optarg, NULL, 10);
	}
	if (optind < argc)
		return usage();
	prepare();
	srandom(seed);
	for (size_t i = 0; i < PARTS; i++) {
		fprintf(stderr, "== %s\n", parts[i].name);
		whole = parts[i].measure(quick) == 0 && whole;
		report(quick, seed, i + 1);
	}
	print_head(stdout, quick, seed);
	figures_print(stdout, false);
	printf("\n%u not met, %u not measured; %s\n", figures_not_met(), figures_not_measured(),
	       REPORT);
	return whole ? 0 : 1;
}
