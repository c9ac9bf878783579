/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * argv → struct options, from one table that also makes --help. Pure: opens nothing, resolves nothing.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "address.h"
#include "histogram.h"
#include "log.h"
#include "pools.h"
#include "selector.h"

#define OPTIONS_TARGETS_MAX 256
#define OPTIONS_LISTEN_MAX 8
#define OPTIONS_TOKEN_FILES_MAX 8

/* The exit codes of docs/metrics.md. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1, /* failure while running */
	EXIT_USAGE = 2, /* usage or configuration */
	EXIT_KERNEL = 3, /* the kernel lacks something */
	EXIT_PRIVILEGE = 4, /* missing privilege */
	EXIT_TARGET = 5, /* a target cannot be attached */
	EXIT_ADDRESS = 6, /* address in use or not bindable */
};

enum accept_probe { ACCEPT_PROBE_AUTO, ACCEPT_PROBE_FEXIT, ACCEPT_PROBE_SYSCALL, ACCEPT_PROBE_OFF };

struct option_target {
	pid_t pid; /* 0: what the selector names */
	uint64_t start_ticks; /* of the process; 0 until it is looked up */
	struct selector selector; /* kind and text as they were given, until it is looked up */
	const char *name; /* points into argv; NULL: the process' comm, or what is selected */
};

struct options {
	struct option_target targets[OPTIONS_TARGETS_MAX];
	size_t target_count;
	bool follow;
	bool check;
	enum accept_probe accept_probe;
	struct {
		struct sockaddr_storage address;
		socklen_t len;
		const char *text;
	} listen[OPTIONS_LISTEN_MAX]; /* 127.0.0.1:10935 if none is given; also AF_UNIX */
	size_t listen_count; /* 0 with systemd_socket */
	bool systemd_socket;
	const char *telemetry_path;
	const char *token_files[OPTIONS_TOKEN_FILES_MAX];
	size_t token_file_count;
	const char *cert_file, *key_file; /* both or none */
	bool allow_unauthenticated;
	const char *control_socket; /* a path; NULL: none */
	bool control_socket_given; /* it is not the default */
	const char *control_group, *control_admin_group; /* name or number; NULL: nobody more */
	const char *user; /* name or number; NULL: stay who we are */
	bool probe_stats;
	const char *record; /* file; NULL: none */
	uint32_t peers_max, series_max;
	struct address_prefix aggregate[POOLS_AGGREGATES_MAX];
	uint32_t aggregate_count;
	uint32_t ring_bytes; /* a power of two, at least 64 KiB, at most 1 GiB */
	uint64_t reconcile_interval_ns;
	uint64_t peers_ttl_ns;
	struct histogram_bounds handshake, lifetime;
	enum log_level log_level;
	enum log_format log_format;
};

enum options_action { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_USAGE };

/*
 * --help and --version are written to `out` (OPTIONS_EXIT_OK), a usage error to `err`: one line that names the flag, the value
 * and what is accepted. `version` is the text of --version.
 */
enum options_action options_parse(int argc, char **argv, struct options *ret, const char *version,
				  FILE *out, FILE *err);

#endif
