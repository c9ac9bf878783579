/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint. libmicrohttpd parses and speaks TLS; the listeners, accept4(), the bound on connections and their deadlines
 * are ours. It knows routes and bodies, nothing of what is in them.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "auth.h"
#include "body.h"
#include "requests.h"

#define HTTP_LISTENERS_MAX 8 /* configured, and as many inherited */

/* The texts stay the caller's and must outlive the endpoint. */
struct http_config {
	struct {
		struct sockaddr_storage address; /* AF_INET, AF_INET6, AF_UNIX */
		socklen_t len;
		const char *text; /* as the operator wrote it, for messages */
	} listen[HTTP_LISTENERS_MAX];
	size_t listen_count;
	int inherited[HTTP_LISTENERS_MAX]; /* listen already; the endpoint's if it opens, closed if not */
	size_t inherited_count;
	const char *telemetry_path;
	const char *content_types[NEGOTIATE_FORMATS]; /* of the metrics */
	const struct body_ops *metrics, *connections, *metadata; /* NULL: 404 */
	bool (*healthy)(void *arg); /* NULL: always */
	bool (*ready)(void *arg);
	void *arg; /* for the calls above */
	bool tls; /* on TCP; unix sockets stay plain */
	bool authenticated; /* http_set_auth() follows before the first http_run() */
	bool allow_unauthenticated;
};

struct http;

/*
 * Binds and listens; a failure names the address in `why`: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES … (exit code 6). -EPERM: other
 * hosts could reach a listener and everybody may ask, which allow_unauthenticated does not say. -EINVAL: an inherited
 * descriptor is no socket that listens.
 */
int http_open(struct http **ret, const struct http_config *config, char *why, size_t why_size);
void http_close(struct http *h);

/* Takes `auth` and frees the one before; NULL: everybody may ask. Holds for requests whose header is complete from now on. */
void http_set_auth(struct http *h, struct auth *auth);
/*
 * The certificate and the key, PEM, of TLS connections that come from now on; those that run keep theirs. -EINVAL, -ENOMEM: as
 * `why` says, and the one before stays. Without any, no TLS handshake succeeds.
 */
int http_set_tls(struct http *h, const char *certificate, size_t certificate_len, const char *key,
		 size_t key_len, char *why, size_t why_size);

/* One epoll fd that stands for all of it (listeners and connections), for the loop. */
int http_fd(const struct http *h);
/* Accepts, reads, answers, ends what is overdue, without blocking. When http_fd() is readable and when the time-out has passed. */
void http_run(struct http *h);
/* The same, with deadlines judged as of `now_ns`: for tests that do not wait. */
void http_run_at(struct http *h, uint64_t now_ns);
/* Milliseconds until http_run() must be called again at the latest; -1: no need. 0 while a body is being sent. */
int http_timeout_ms(const struct http *h);

/* Port actually bound by listener i, inherited ones last; 0: a unix socket, or there is none. */
uint16_t http_port(const struct http *h, size_t i);
/* Other hosts can reach a listener that does not speak TLS: what they send, tokens too, can be read on the way. */
bool http_exposed(const struct http *h);
/* What was asked and refused so far. */
const struct requests *http_requests(const struct http *h);

#endif
