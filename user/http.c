/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint: its listeners, and what sessions and routes make of the connections that they bring. accept4() is here, so
 * the bound on connections holds before libmicrohttpd spends anything on one.
 *
 * What it refuses to know: what the metrics are, where tokens and certificates come from, and why the program is or is not
 * healthy.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "clients.h"
#include "routes.h"
#include "sessions.h"
#include "listen.h"
#include "tls.h"
#include "util.h"

/*
 * Per listener and turn: a flood of connections does not keep the loop from its other work, and a connection that came with its
 * request is not evicted by those behind it before it was read.
 */
#define ACCEPTS_PER_RUN (CLIENTS_MAX / 4)
#define LISTENERS_MAX (2 * HTTP_LISTENERS_MAX)
/* Without any descriptor left a connection can be neither taken nor refused: it is looked for again after this. */
#define DEAF_NS (100 * NSEC_PER_MSEC)

struct http {
	struct routes routes;
	struct sessions *sessions;
	struct auth *auth;
	int spare_fd; /* given up for a moment when no descriptor is left, see refuse_without_fd() */
	uint64_t deaf_until_ns; /* 0: it listens */
	bool tls;
	struct listen_socket listeners[LISTENERS_MAX];
	size_t listener_count;
};

/* ---- a turn ---- */

static void listen_to(struct http *h, bool on)
{
	for (size_t i = 0; i < h->listener_count; i++)
		sessions_hear(h->sessions, h->listeners[i].fd, on);
}

static void take_spare(struct http *h)
{
	if (h->spare_fd < 0)
		h->spare_fd = fcntl(sessions_fd(h->sessions), F_DUPFD_CLOEXEC, 0);
}

/*
 * With no descriptor free, accept fails but the connection stays queued, and the listener readable: the loop would spin. So one
 * is kept to refuse with; where that was lost as well, nobody is heard for a while.
 */
static void refuse_without_fd(struct http *h, int listener, uint64_t now_ns)
{
	int fd = -1;

	if (h->spare_fd >= 0) {
		close(h->spare_fd);
		h->spare_fd = -1;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	}
	if (fd >= 0) {
		close(fd);
		h->routes.counts.refused[REQUESTS_FULL]++;
	}
	take_spare(h);
	if (h->spare_fd < 0 && !h->deaf_until_ns) {
		h->deaf_until_ns = now_ns + DEAF_NS;
		listen_to(h, false);
	}
}

static void listen_again(struct http *h, uint64_t now_ns)
{
	if (!h->deaf_until_ns || now_ns < h->deaf_until_ns)
		return;
	h->deaf_until_ns = 0;
	take_spare(h);
	listen_to(h, true);
}

static void accept_from(struct http *h, const struct listen_socket *listener, uint64_t now_ns)
{
	for (int i = 0; i < ACCEPTS_PER_RUN; i++) {
		struct sockaddr_storage address = {};
		socklen_t len = sizeof(address);
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_without_fd(h, listener->fd, now_ns);
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
			return;
		if (fd >= 0)
			sessions_take(h->sessions, fd, &address, listener->family == AF_UNIX);
	}
}

void http_run_at(struct http *h, uint64_t now_ns)
{
	/* First what is open: it may make room for what is new. */
	sessions_run(h->sessions, now_ns);
	listen_again(h, now_ns);
	for (size_t i = 0; i < h->listener_count && !h->deaf_until_ns; i++)
		accept_from(h, &h->listeners[i], now_ns);
}

void http_run(struct http *h)
{
	http_run_at(h, util_now_ns());
}

int http_timeout_ms(const struct http *h)
{
	int ms = sessions_timeout_ms(h->sessions), deaf_ms = 0;
	uint64_t now_ns = util_now_ns();

	if (!h->deaf_until_ns)
		return ms;
	if (now_ns < h->deaf_until_ns)
		deaf_ms = (int)((h->deaf_until_ns - now_ns) / NSEC_PER_MSEC) + 1;
	return ms >= 0 && ms < deaf_ms ? ms : deaf_ms;
}

/* ---- what is asked of it ---- */

int http_fd(const struct http *h)
{
	return sessions_fd(h->sessions);
}

uint16_t http_port(const struct http *h, size_t i)
{
	return i < h->listener_count ? listen_port(&h->listeners[i]) : 0;
}

bool http_exposed(const struct http *h)
{
	for (size_t i = 0; i < h->listener_count; i++) {
		if (h->listeners[i].remote && !h->tls)
			return true;
	}
	return false;
}

const struct requests *http_requests(const struct http *h)
{
	return &h->routes.counts;
}

void http_set_auth(struct http *h, struct auth *auth)
{
	auth_free(h->auth);
	h->auth = auth;
	h->routes.auth = auth;
}

int http_set_tls(struct http *h, const char *certificate, size_t certificate_len, const char *key,
		 size_t key_len, char *why, size_t why_size)
{
	struct tls *t;
	int err = tls_open(&t, certificate, certificate_len, key, key_len, why, why_size);

	if (err)
		return err;
	sessions_set_tls(h->sessions, t);
	return 0;
}

/* ---- start and end ---- */

/* -EPERM: it would answer everybody, other hosts too, and nobody said that it may. */
static int check_exposure(const struct http_config *config, bool remote, const char *text,
			  char *why, size_t why_size)
{
	if (!remote || config->authenticated || config->allow_unauthenticated)
		return 0;
	snprintf(
		why, why_size,
		"other hosts can reach %s, and everybody may ask there: give --web.auth.token-file=FILE, or --web.allow-unauthenticated",
		text);
	return -EPERM;
}

static int open_listener(struct http *h, const struct http_config *config, size_t i, char *why,
			 size_t why_size)
{
	const struct sockaddr_storage *address = &config->listen[i].address;
	const char *text = config->listen[i].text;
	int err = check_exposure(config, address_is_remote(address), text, why, why_size);

	if (err)
		return err;
	return listen_open(&h->listeners[i], address, config->listen[i].len, text, why, why_size);
}

static int inherit_listener(struct http *h, const struct http_config *config, size_t i, char *why,
			    size_t why_size)
{
	struct listen_socket *l = &h->listeners[config->listen_count + i];
	char text[64];
	int err;

	err = listen_adopt(l, l->fd, why, why_size);
	if (err)
		return err;
	snprintf(text, sizeof(text), "the socket handed over as descriptor %d", l->fd);
	return check_exposure(config, l->remote, text, why, why_size);
}

static int open_listeners(struct http *h, const struct http_config *config, char *why,
			  size_t why_size)
{
	int err = 0;

	for (size_t i = 0; !err && i < config->inherited_count; i++)
		err = inherit_listener(h, config, i, why, why_size);
	for (size_t i = 0; !err && i < config->listen_count; i++)
		err = open_listener(h, config, i, why, why_size);
	if (err)
		return err;
	for (size_t i = 0; !err && i < h->listener_count; i++)
		err = sessions_add_listener(h->sessions, h->listeners[i].fd);
	if (err)
		snprintf(why, why_size, "cannot watch a listener: %s", strerror(-err));
	return err;
}

static int open_parts(struct http *h, const struct http_config *config, char *why, size_t why_size)
{
	int err;

	h->routes.telemetry_path = config->telemetry_path;
	memcpy(h->routes.content_types, config->content_types, sizeof(h->routes.content_types));
	h->routes.metrics = config->metrics;
	h->routes.connections = config->connections;
	h->routes.metadata = config->metadata;
	h->routes.healthy = config->healthy;
	h->routes.ready = config->ready;
	h->routes.arg = config->arg;
	h->tls = config->tls;
	err = routes_init(&h->routes);
	if (!err)
		err = sessions_open(&h->sessions, &h->routes, h->tls);
	if (!err) {
		h->spare_fd = fcntl(sessions_fd(h->sessions), F_DUPFD_CLOEXEC, 0);
		err = h->spare_fd < 0 ? -errno : 0;
	}
	if (err) {
		snprintf(why, why_size, "cannot start the HTTP endpoint: %s", strerror(-err));
		return err;
	}
	return open_listeners(h, config, why, why_size);
}

int http_open(struct http **ret, const struct http_config *config, char *why, size_t why_size)
{
	struct http *h = calloc(1, sizeof(*h));
	int err;

	if (!h) {
		snprintf(why, why_size, "cannot start the HTTP endpoint: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	h->spare_fd = -1;
	h->listener_count = config->listen_count + config->inherited_count;
	for (size_t i = 0; i < h->listener_count; i++)
		h->listeners[i].fd =
			i < config->listen_count ? -1 : config->inherited[i - config->listen_count];
	err = open_parts(h, config, why, why_size);
	if (err) {
		http_close(h);
		return err;
	}
	*ret = h;
	return 0;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->listener_count; i++)
		listen_close(&h->listeners[i]);
	sessions_close(h->sessions);
	if (h->spare_fd >= 0)
		close(h->spare_fd);
	auth_free(h->auth);
	routes_done(&h->routes);
	free(h);
}
