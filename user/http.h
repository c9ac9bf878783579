/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint. libmicrohttpd parses; the listeners, accept4() and the bound on connections are ours. It knows routes and
 * bodies, nothing of what is in them.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "body.h"

#define HTTP_LISTENERS_MAX 8
#define HTTP_CONNECTIONS_MAX 64

/* The texts stay the caller's and must outlive the endpoint. */
struct http_config {
	struct {
		struct sockaddr_storage address;
		socklen_t len;
		const char *text; /* as the operator wrote it, for messages */
	} listen[HTTP_LISTENERS_MAX];
	size_t listen_count;
	const char *telemetry_path;
	const char *content_types[NEGOTIATE_FORMATS]; /* of the metrics */
	const struct body_ops *metrics;
	bool (*healthy)(void *arg); /* NULL: always */
	bool (*ready)(void *arg);
	void *arg; /* for the calls above */
};

struct http;

/*
 * Binds and listens; a failure names the address in `why`: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES … (exit code 6).
 */
int http_open(struct http **ret, const struct http_config *config, char *why, size_t why_size);
void http_close(struct http *h);

/* One epoll fd that stands for all of it (listeners and connections), for the loop. */
int http_fd(const struct http *h);
/* Accepts, reads, answers, without blocking. Call when http_fd() is readable and when the time-out has passed. */
void http_run(struct http *h);
/* Milliseconds until http_run() must be called again at the latest; -1: no need. 0 while a body is being sent. */
int http_timeout_ms(const struct http *h);
/* Port actually bound by listener i (for ":0"-like tests and log lines). */
uint16_t http_port(const struct http *h, size_t i);
/* Connections closed at once because HTTP_CONNECTIONS_MAX were open, or no descriptor was free. */
uint64_t http_refused(const struct http *h);

#endif
