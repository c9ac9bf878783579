/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint with bodies of letters, clients that know what they got, and turns that run both.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include "check.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "certificate.h"
#include "http.h"
#include "process.h"

#define DEADLINE_S 20
#define BIG_BYTES (5 * 1024 * 1024 + 7)
#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define GZIP "Accept-Encoding: gzip\r\n"
#define TAIL " HTTP/1.1\r\nHost: h\r\n\r\n"

/* The bodies that the server shows: `total` letters, one read of which may fail. */
struct fake {
	size_t total, produced, fail_at;
	bool fails;
	int open_error;
	const char *open_why; /* of -EINVAL */
	int opened, closed, reads;
	enum negotiate_format format; /* of the last one opened */
	char query[2048]; /* of the same */
	bool healthy, ready;
};
extern struct fake fake;

char letter(size_t i);

/* ---- server ---- */

struct http_config base_config(void);
void add_listener(struct http_config *config, const struct sockaddr_storage *address,
		  const char *text);
struct sockaddr_storage v4_address(uint32_t host, uint16_t port);
struct sockaddr_storage v6_address(const struct in6_addr *host, uint16_t port);
struct http *open_config(const struct http_config *config);
/* On a port of 127.0.0.1, with `fake` as new: 5 letters, healthy, ready. */
struct http *open_server(void);

struct http *open_tls_server(const struct certificate *certificate);

/* ---- client ---- */

enum client_end { END_OPEN, END_CLOSED, END_RESET };

struct client {
	int fd;
	enum client_end end;
	size_t len;
	char *data; /* what came, NUL-terminated */
	gnutls_session_t tls; /* NULL: plain */
	gnutls_certificate_credentials_t credentials;
};

bool client_try_connect(struct client *c, const struct sockaddr_storage *address);
struct client client_open(const struct http *h);
/* TLS for a connection that is open, the handshake of it (0 or what GnuTLS says), and all three. */
void client_begin_tls(struct client *c, const char *priorities);
int client_shake_hands(struct client *c, struct http *h);
struct client client_open_tls(struct http *h);
void client_send(const struct client *c, const char *text);
void client_forget(struct client *c);
void client_close(struct client *c);
void client_read(struct client *c);

/* One turn of the loop that the daemon has; without a client only of the server. */
void turn(struct http *h, struct client *c);

#define TURN_UNTIL(h, c, condition)                                         \
	do {                                                                \
		double turn_deadline = now_seconds() + DEADLINE_S;          \
		while (!(condition)) {                                      \
			if (now_seconds() > turn_deadline)                  \
				fail_msg("never happened: %s", #condition); \
			turn(h, c);                                         \
		}                                                           \
	} while (0)

/* ---- answers ---- */

int status_of(const struct client *c);
/* The body as it came, behind the headers; NULL as long as they are not complete. */
const char *raw_body(const struct client *c);
bool has_header(const struct client *c, const char *line);
/* Takes a chunked body apart in place; -1: it is not complete. */
ssize_t dechunk(struct client *c);
void check_letters(const char *body, size_t n);

/* A request that ends its connection, until the server has closed. */
struct client ask(struct http *h, const char *request);
struct client ask_over(struct http *h, bool tls, const char *request);
struct client ask_for(struct http *h, const char *method, const char *target);

#endif
