/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The real daemon ($POOLSCOPED, build/poolscoped) under test: start, scrape, stop. Every exposition that passes through here
 * has passed the strict checker.
 */
#ifndef POOLSCOPED_H
#define POOLSCOPED_H

#include "process.h"

struct poolscoped {
	struct process process;
	int port;
	void (*prepare)(void); /* as of struct process_how, or NULL */
	const char *ca_file; /* it speaks TLS with a certificate that this trusts; NULL: plain */
	const char *token; /* what every request bears; NULL: nothing */
};

const char *poolscoped_path(void);

/*
 * Starts it with --web.listen-address=127.0.0.1:PORT and these arguments (NULL-terminated). 0 once /-/ready is 200; if it ends
 * first, its exit status (128 + signal), with the process' texts still there to be read. Fails the test after 10 s.
 * $ACCEPT_PROBE: --accept-probe, unless the arguments name another. It has no control socket, unless they name one.
 */
int poolscoped_start(struct poolscoped *d, const char *const argv[]);

/* The same, and fails the test with the daemon's log unless it starts. */
void poolscoped_must_start(struct poolscoped *d, const char *const argv[]);

/* SIGTERM; fails the test unless it ends with status 0 within 5 s. */
void poolscoped_stop(struct poolscoped *d);

/* Kills it if need be and frees everything. */
void poolscoped_done(struct poolscoped *d);

/* One GET. Returns the status; *ret_body is to be freed (NULL: not wanted). Fails the test on a torn answer. */
int poolscoped_get(const struct poolscoped *d, const char *path, char **ret_body);
/* `headers`: whole lines, "Accept: x/y\r\n" */
int poolscoped_get_with(const struct poolscoped *d, const char *path, const char *headers,
			char **ret_body);

/* Checked text of /metrics; free() it. $EXACT: there may be no correction without a loss. */
char *poolscoped_scrape(const struct poolscoped *d);

/* The only sample that matches (exposition_check.h), or its sum over all that match. Fails the test if there is none. */
double poolscoped_value(const struct poolscoped *d, const char *name, const char *filter);
double poolscoped_sum(const struct poolscoped *d, const char *name, const char *filter);

/* Polls until the one sample, or the sum, has this value, at most 15 s; then asserts that it has. */
void poolscoped_wait_value(const struct poolscoped *d, const char *name, const char *filter,
			   double expected);
void poolscoped_wait_sum(const struct poolscoped *d, const char *name, const char *filter,
			 double expected);

/* Prints what the daemon logged, as TAP comments. */
void poolscoped_print_log(const struct poolscoped *d);

#endif
