/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The engine behind the endpoint: kernel half, mirror, pools, listeners and targets, wired together.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "body.h"
#include "options.h"
#include "requests.h"
#include "support.h"
#include "targets.h"

struct daemon;

/*
 * Loads and attaches the kernel half and attaches the targets of the options. On failure *why says what was tried and
 * what to do, and the result is an exit code of options.h; 0 is success. `options` and `support` stay the caller's and must
 * outlive the daemon.
 */
enum exit_code daemon_open(struct daemon **ret, const struct options *options,
			   const struct support *support, char *why, size_t why_size);
void daemon_close(struct daemon *d);

/*
 * Attaches one process to the running daemon; it takes no capability, and is allowed by the filter. On failure *why says why, and nothing
 * of it stays. Blocks for some grace periods (tens of milliseconds) and a reading of the process' descriptors.
 */
enum exit_code daemon_attach(struct daemon *d, const struct target_spec *spec, bool follow,
			     char *why, size_t why_size);
/*
 * Detaches the target with this PID or, with a name and pid 0, all of the name: with it go its series, if no other target has the
 * name, and all that the kernel half holds of it. What another target holds as well stays, under that one. -ESRCH, told
 * in `why`: there is none. Blocks as attaching does.
 */
int daemon_detach(struct daemon *d, pid_t pid, const char *name, char *why, size_t why_size);

/* Ready to read when the ring is a quarter full. */
int daemon_fd(const struct daemon *d);
/* Takes what the ring holds. Call at least every DAEMON_TICK_MS. */
void daemon_drain(void *daemon);
/* The drain of the timer; also sees to accepts that named an unknown socket. */
void daemon_tick(void *daemon);
/*
 * Takes an inventory at once, instead of when it is due: what was refused or skipped in the last second is in the next snapshot. For who looks once
 * more and leaves.
 */
void daemon_settle(struct daemon *d);
/* Whether the last drain is younger than 5 s. */
bool daemon_healthy(void *daemon);

/* The bodies of /metrics, /connections and /metadata, for struct http_config; `arg` is the daemon. */
extern const struct body_ops daemon_metrics, daemon_connections, daemon_metadata;

/* Those that only the control socket hands out: the snapshot of report.h, and what this machine can do. */
extern const struct body_ops daemon_snapshot, daemon_checks;

/* See scrape_set_requests(), scrape_set_reload(). */
void daemon_set_requests(struct daemon *d, const struct requests *requests);
void daemon_set_reload(struct daemon *d, bool ok, uint64_t realtime_ns);

/* Which programs run, one a line, for --check. */
void daemon_report(const struct daemon *d, FILE *out);

#define DAEMON_TICK_MS 100

#endif
