/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A program that a test runs: its output is kept, its end is waited for with a deadline, and it dies with the test.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
	pid_t pid; /* 0: none */
	int pidfd;
	int out, err; /* memory files, -1: none */
};

struct process_how {
	void (*prepare)(void); /* runs in the child before exec; ends it with _exit() if it cannot */
	int in; /* its stdin; 0: /dev/null */
	bool stopped; /* stop before exec: process_continue() lets it go */
};

/* argv[0] is looked up in PATH. Fails the test if the process cannot be made. */
void process_start(struct process *p, const char *const argv[], const struct process_how *how);
void process_continue(const struct process *p);

/* Exit status, or 128 + signal; -ETIMEDOUT. */
int process_wait(struct process *p, int deadline_ms);

/* Kills it if it still runs, and frees everything. Takes one that was never started (all zero). */
void process_done(struct process *p);

/* What it wrote so far; free() it. */
char *process_stdout(const struct process *p);
char *process_stderr(const struct process *p);

/* Start, wait, and hand back both texts (free() them; either may be NULL). Fails the test at the deadline. */
int process_run(const char *const argv[], const struct process_how *how, int deadline_ms,
		char **ret_stdout, char **ret_stderr);

/* What it holds now. */
long process_rss_bytes(const struct process *p);
int process_descriptors(const struct process *p);
int process_own_descriptors(void);

/* A file below the extracted packages ($EXT, build/ext), or NULL if it is not there. */
const char *process_external(const char *path);

/* A TCP port of 127.0.0.1, below the ephemeral range, that nobody uses now. */
int process_free_port(void);

#endif
