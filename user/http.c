/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint. libmicrohttpd (MHD) parses requests and frames answers; it never sees a listener: accept4() is ours, so the
 * bound on connections holds before MHD spends anything on one. MHD's epoll fd and the listeners sit in one epoll fd of ours.
 *
 * A request is classified once, from its raw target, into enum route, and from its headers into a format and a coding: nothing
 * a client sends is kept or echoed.
 *
 * What it refuses to know: what the metrics are, and why the program is or is not healthy.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "response.h"
#include "util.h"

/* Request line and headers must fit, and one chunk of an answer at a time. */
#define CONNECTION_MEMORY_BYTES (16 * 1024)
/* Above one minute, the usual scrape interval: a scraper finds its kept connection alive. */
#define IDLE_TIMEOUT_S 90
/* Per listener and turn: a flood of connections does not keep the loop from its other work. */
#define ACCEPTS_PER_RUN 64
#define LISTEN_BACKLOG 128
#define TEXT_PLAIN "text/plain; charset=utf-8"

enum route { ROUTE_OTHER, ROUTE_METRICS, ROUTE_HEALTHY, ROUTE_READY, ROUTE_INDEX };

/* A connection and the request that it carries now. */
struct client {
	bool used;
	enum route route;
	bool headers_seen;
};

struct http {
	struct http_config config;
	struct MHD_Daemon *mhd;
	int epoll_fd;
	int spare_fd; /* given up for a moment when no descriptor is left, see refuse_without_fd() */
	int listeners[HTTP_LISTENERS_MAX];
	size_t listener_count;
	char *index;
	size_t client_count;
	struct client clients[HTTP_CONNECTIONS_MAX];
	uint64_t refused;
};

/* ---- routes ---- */

static bool path_equals(const char *path, size_t len, const char *expected)
{
	return strlen(expected) == len && memcmp(path, expected, len) == 0;
}

static enum route classify(const struct http *h, const char *target)
{
	size_t len = strcspn(target, "?");

	if (path_equals(target, len, h->config.telemetry_path))
		return ROUTE_METRICS;
	if (path_equals(target, len, "/-/healthy"))
		return ROUTE_HEALTHY;
	if (path_equals(target, len, "/-/ready"))
		return ROUTE_READY;
	return path_equals(target, len, "/") ? ROUTE_INDEX : ROUTE_OTHER;
}

/* Takes the response; without one MHD closes the connection. */
static enum MHD_Result queue(struct MHD_Connection *connection, unsigned int status,
			     struct MHD_Response *r)
{
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	result = MHD_queue_response(connection, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
				   const char *text)
{
	return queue(connection, status, response_text(TEXT_PLAIN, text));
}

static enum MHD_Result answer_with_header(struct MHD_Connection *connection, unsigned int status,
					  const char *text, const char *name, const char *value)
{
	return queue(connection, status,
		     response_with(response_text(TEXT_PLAIN, text), name, value));
}

static enum MHD_Result see_wish(void *cls, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	struct negotiate *n = cls;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_ACCEPT) == 0)
		negotiate_accept(n, value);
	if (strcasecmp(name, MHD_HTTP_HEADER_ACCEPT_ENCODING) == 0)
		negotiate_encoding(n, value);
	return MHD_YES;
}

static enum MHD_Result answer_metrics(const struct http *h, struct MHD_Connection *connection,
				      bool head)
{
	struct response_body what = {.ops = h->config.metrics, .arg = h->config.arg, .head = head};
	struct negotiate n = {};
	struct MHD_Response *r;

	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_wish, &n);
	what.format = negotiate_format(&n);
	what.gzip = negotiate_gzip(&n);
	what.content_type = h->config.content_types[what.format];
	r = response_body(&what, connection);
	if (!r)
		return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				   "the metrics cannot be read\n");
	return queue(connection, MHD_HTTP_OK, r);
}

static enum MHD_Result answer_probe(const struct http *h, struct MHD_Connection *connection,
				    bool (*probe)(void *arg), const char *reason)
{
	if (!probe || probe(h->config.arg))
		return answer_text(connection, MHD_HTTP_OK, "ok\n");
	return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

static enum MHD_Result answer(const struct http *h, struct MHD_Connection *connection,
			      const char *method, enum route route)
{
	bool head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

	if (!head && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return answer_with_header(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
					  "only GET and HEAD\n", MHD_HTTP_HEADER_ALLOW,
					  "GET, HEAD");
	switch (route) {
	case ROUTE_HEALTHY:
		return answer_probe(h, connection, h->config.healthy, "not healthy\n");
	case ROUTE_READY:
		return answer_probe(h, connection, h->config.ready, "not ready\n");
	case ROUTE_METRICS:
		return answer_metrics(h, connection, head);
	case ROUTE_INDEX:
		return queue(connection, MHD_HTTP_OK,
			     response_text("text/html; charset=utf-8", h->index));
	case ROUTE_OTHER:
		break;
	}
	return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found\n");
}

/* ---- what MHD calls ---- */

struct framing {
	bool body; /* announced, whether it comes or not */
	unsigned int lengths;
};

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	struct framing *f = cls;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
		f->body = true;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		f->lengths++;
		if (!value || value[strspn(value, "0")])
			f->body = true;
	}
	return MHD_YES;
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The request line is read. The target is raw here and nowhere later; MHD has a path that passes NULL. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct client *c = client_of(connection);

	if (c) {
		c->route = target ? classify(cls, target) : ROUTE_OTHER;
		c->headers_seen = false;
	}
	return c;
}

/*
 * Called with the headers, and again when the request is complete. MHD closes the connection after an answer to the first
 * call, which is what a request with a body gets; any other is answered at the second, and kept alive.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct client *c = *context;
	struct framing framing = {};

	(void)url;
	(void)version;
	(void)upload;
	if (!c || *upload_size)
		return MHD_NO;
	if (c->headers_seen)
		return answer(cls, connection, method, c->route);
	c->headers_seen = true;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &framing);
	if (!framing.body && framing.lengths <= 1)
		return MHD_YES;
	return answer_with_header(connection, MHD_HTTP_BAD_REQUEST,
				  "a request body is not accepted\n", MHD_HTTP_HEADER_CONNECTION,
				  "close");
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *h = cls;
	struct client *c = *socket_context;

	(void)connection;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		c->used = false;
		h->client_count--;
		return;
	}
	/* One is free: accept_from() keeps the bound. */
	for (c = h->clients; c->used; c++)
		;
	*c = (struct client){.used = true};
	*socket_context = c;
	h->client_count++;
}

/* ---- connections ---- */

/* With no descriptor free, accept fails but the connection stays queued, and the listener readable: the loop would spin. */
static void refuse_without_fd(struct http *h, int listener)
{
	int fd;

	close(h->spare_fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		h->refused++;
	}
	h->spare_fd = fcntl(h->epoll_fd, F_DUPFD_CLOEXEC, 0);
}

static void accept_from(struct http *h, int listener)
{
	for (int i = 0; i < ACCEPTS_PER_RUN; i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		int fd = accept4(listener, (struct sockaddr *)&address, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_without_fd(h, listener);
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
			return;
		if (fd < 0)
			continue;
		if (h->client_count >= HTTP_CONNECTIONS_MAX) {
			close(fd);
			h->refused++;
			continue;
		}
		/* Owns fd from here on, also when it fails. */
		if (MHD_add_connection(h->mhd, fd, (struct sockaddr *)&address, len) == MHD_NO)
			h->refused++;
	}
}

void http_run(struct http *h)
{
	/* First what is open: it may make room for what is new. */
	MHD_run(h->mhd);
	for (size_t i = 0; i < h->listener_count; i++)
		accept_from(h, h->listeners[i]);
}

int http_timeout_ms(const struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(h->mhd, &ms) == MHD_NO)
		return -1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int http_fd(const struct http *h)
{
	return h->epoll_fd;
}

uint16_t http_port(const struct http *h, size_t i)
{
	struct sockaddr_storage address = {};
	socklen_t len = sizeof(address);

	if (i >= h->listener_count ||
	    getsockname(h->listeners[i], (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

uint64_t http_refused(const struct http *h)
{
	return h->refused;
}

/* ---- start and end ---- */

/* The descriptor, or -errno. */
static int listen_on(const struct sockaddr_storage *address, socklen_t len)
{
	_cleanup_close_ int fd = -1;
	int on = 1, off = 0, ret;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* So that ":PORT" is every address of both families, whatever net.ipv6.bindv6only says. */
	if (address->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	ret = fd;
	fd = -1;
	return ret;
}

static int epoll_add(const struct http *h, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_listeners(struct http *h, char *why, size_t why_size)
{
	for (size_t i = 0; i < h->config.listen_count; i++) {
		int fd = listen_on(&h->config.listen[i].address, h->config.listen[i].len);
		int err = fd < 0 ? fd : 0;

		if (!err) {
			h->listeners[h->listener_count++] = fd;
			err = epoll_add(h, fd);
		}
		if (err) {
			snprintf(why, why_size, "cannot listen on %s: %s", h->config.listen[i].text,
				 strerror(-err));
			return err;
		}
	}
	return 0;
}

/*
 * No MHD_USE_ERROR_LOG: MHD would print what clients do wrong to stderr. No MHD_OPTION_CONNECTION_LIMIT: the bound is
 * accept_from()'s, and below MHD's own default.
 */
static int open_mhd(struct http *h)
{
	const union MHD_DaemonInfo *info;

	h->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				  on_request, h, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				  (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
				  (unsigned int)IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				  MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (!h->mhd)
		return errno ? -errno : -ENOMEM;
	info = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? epoll_add(h, info->epoll_fd) : -EINVAL;
}

static void escape_html(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (strchr("&<>\"'", *text))
			fprintf(f, "&#%d;", *text);
		else
			fputc(*text, f);
	}
}

static int make_index(struct http *h)
{
	size_t size;
	FILE *f = open_memstream(&h->index, &size);

	if (!f)
		return -ENOMEM;
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>poolscope</title></head>\n"
	      "<body><h1>poolscope</h1>\n<ul>\n<li><a href=\"",
	      f);
	escape_html(f, h->config.telemetry_path);
	fputs("\">metrics</a></li>\n"
	      "<li><a href=\"/-/healthy\">healthy</a></li>\n"
	      "<li><a href=\"/-/ready\">ready</a></li>\n"
	      "</ul></body></html>\n",
	      f);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int open_parts(struct http *h, char *why, size_t why_size)
{
	int err = 0;

	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd >= 0)
		h->spare_fd = fcntl(h->epoll_fd, F_DUPFD_CLOEXEC, 0);
	if (h->spare_fd < 0)
		err = -errno;
	if (!err)
		err = make_index(h);
	if (!err)
		err = open_mhd(h);
	if (err) {
		snprintf(why, why_size, "cannot start the HTTP endpoint: %s", strerror(-err));
		return err;
	}
	return open_listeners(h, why, why_size);
}

int http_open(struct http **ret, const struct http_config *config, char *why, size_t why_size)
{
	struct http *h = calloc(1, sizeof(*h));
	int err;

	if (!h) {
		snprintf(why, why_size, "cannot start the HTTP endpoint: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	h->config = *config;
	h->epoll_fd = -1;
	h->spare_fd = -1;
	err = open_parts(h, why, why_size);
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
		close(h->listeners[i]);
	if (h->mhd)
		MHD_stop_daemon(h->mhd);
	if (h->spare_fd >= 0)
		close(h->spare_fd);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	free(h->index);
	free(h);
}
