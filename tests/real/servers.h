/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * nginx and redis-server from unpacked packages, as targets, and the numbers that they keep of themselves.
 */
#ifndef SERVERS_H
#define SERVERS_H

#include "process.h"
#include "scene.h"

/* What the server says of itself. The connection that it was asked over is among them, always the same one. */
struct server_numbers {
	long accepted; /* since it started */
	long active;
};

struct server {
	struct process process;
	int port;
	int asking; /* connection that the numbers come over */
	void (*read)(const struct server *server, struct server_numbers *ret);
	char directory[64];
};

/* For whoever starts another server: a port and a directory that nobody owns, and how to run as nobody. */
void server_prepare(struct server *server);
extern const struct process_how server_unprivileged;
/* Connects `asking`, as soon as somebody listens. */
void server_connect(struct server *server);

/* Unprivileged, on a free loopback port, files in a directory of its own. Skips the test if it is not unpacked. */
void server_start_nginx(struct server *server);
void server_start_redis(struct server *server);
void server_stop(struct server *server);

/* Waits until the server itself says `active`: it needs a moment to see that a connection has ended. */
struct server_numbers server_settled(const struct server *server, long active);

/* A client step: one GET over fd, the whole answer read. flags: STEP_RESET asks the server to close, and waits for it. */
step_fn step_get;
/* A client step: `count` requests to host and port, each over a connection of its own that the server closes. */
step_fn step_get_once;
/* A client step: connects `count` times, asks once over each, and holds them (step_release). */
step_fn step_get_hold;

/* Adds --pid for a process that is no actor. text[96] */
const char *server_target(const struct process *p, const char *name, char text[96]);

#endif
