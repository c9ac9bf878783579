/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The numbers as Prometheus text 0.0.4 or OpenMetrics 1.0.0. A snapshot is rendered slice by slice, so that a large body never
 * stands in memory whole and never stops the loop. Pure.
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "connections.h"
#include "pools.h"
#include "requests.h"
#include "usage.h"

#define EXPOSITION_SLICE_BYTES (256 * 1024)
#define EXPOSITION_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum exposition_format {
	EXPOSITION_TEXT, /* 0.0.4 */
	EXPOSITION_OPENMETRICS, /* 1.0.0 */
	EXPOSITION_FORMATS,
};

/* One row per (process name, server port), summed by the caller. */
struct exposition_listener {
	uint16_t name; /* index of the series table */
	uint16_t server_port; /* 0: "other" */
	uint64_t listeners, half_open, queue_limit, dropped;
};

struct exposition_process {
	uint16_t name;
	uint64_t processes;
};

struct exposition_program {
	const char *program; /* static text */
	const char *attach; /* "tp_btf", "fexit", "tracepoint", "iter" */
	uint64_t missed;
	uint64_t runs, run_ns; /* shown with probe_stats only */
};

struct exposition_cause {
	const char *cause; /* static text */
	uint64_t count;
};

/*
 * Everything that does not hang on a series, for snapshot_take(); the arrays stay the caller's and are copied. Label values that
 * come from here (programs, causes, versions) need no escaping; a version text beyond 64 bytes is cut.
 */
struct exposition_self {
	const struct exposition_listener *listeners;
	size_t listener_count;
	const struct exposition_process *processes; /* one per process name */
	size_t process_count;
	const struct exposition_program *programs;
	size_t program_count;
	const struct exposition_cause *records_refused;
	size_t records_refused_count;
	const struct exposition_cause *reconciles; /* inventories taken */
	size_t reconcile_count;
	struct connections_stats connections;
	uint64_t events_refused[PS_EVENTS], events_lost[PS_EVENTS];
	uint64_t last_scrape_ns; /* how long the previous exposition took to build */
	const struct requests *requests; /* NULL: not counted */
	const struct usage *usage; /* NULL: not known */
	bool replayed; /* from a recording: there is no daemon to say anything of */
	bool probe_stats; /* the kernel counts runs of programs and their time */
	bool reload_ok; /* the last load of the configuration */
	uint64_t reload_realtime_ns; /* since 1970, of the last one that succeeded */
	const char *version, *revision, *libbpf;
};

struct exposition;
struct snapshot;

/* Holds the snapshot until it is closed. -ENOMEM is the only error. */
int exposition_open(struct exposition **ret, enum exposition_format format,
		    struct snapshot *snapshot);
void exposition_close(struct exposition *x);

/* Up to `max` further bytes of the body; 0 at its end; never fails once open. Renders at most EXPOSITION_SLICE_BYTES ahead. */
ssize_t exposition_read(struct exposition *x, char *out, size_t max);

#endif
