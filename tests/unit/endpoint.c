/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint and its clients for the unit tests: on real loopback sockets, server and clients in one process and thread. A turn
 * runs the server once and lets a client read what there is. SIGPIPE keeps its default action: a library that raises it
 * ends the tests.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

struct fake fake;

char letter(size_t i)
{
	return (char)('a' + i % 23);
}

/* One body under way. */
struct fake_body {
	size_t produced;
};

static int fake_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct fake_body *b;

	assert_ptr_equal(arg, &fake);
	assert_true(strlen(request->query) < sizeof(fake.query));
	strcpy(fake.query, request->query);
	fake.format = request->format;
	if (fake.open_error == -EINVAL)
		snprintf(request->why, BODY_WHY_BYTES, "%s", fake.open_why);
	if (fake.open_error)
		return fake.open_error;
	fake.opened++;
	fake.produced = 0;
	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	*ret_body = b;
	return 0;
}

static ssize_t fake_read(void *body, char *out, size_t max)
{
	struct fake_body *b = body;
	size_t n = fake.total - b->produced;

	assert_true(max > 0);
	fake.reads++;
	if (fake.fails && b->produced >= fake.fail_at)
		return -ENOMEM;
	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++)
		out[i] = letter(b->produced + i);
	b->produced += n;
	fake.produced = b->produced;
	return (ssize_t)n;
}

static void fake_close(void *body)
{
	free(body);
	fake.closed++;
}

static bool fake_healthy(void *arg)
{
	assert_ptr_equal(arg, &fake);
	return fake.healthy;
}

static bool fake_ready(void *arg)
{
	assert_ptr_equal(arg, &fake);
	return fake.ready;
}

static const struct body_ops fake_ops = {fake_open, fake_read, fake_close};

/* ---- server ---- */

struct http_config base_config(void)
{
	return (struct http_config){
		.telemetry_path = "/metrics",
		.content_types =
			{[NEGOTIATE_TEXT] = CONTENT_TYPE, [NEGOTIATE_OPENMETRICS] = OPENMETRICS_TYPE},
		.metrics = &fake_ops,
		.connections = &fake_ops,
		.metadata = &fake_ops,
		.healthy = fake_healthy,
		.ready = fake_ready,
		.arg = &fake,
	};
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_UNIX)
		return sizeof(struct sockaddr_un);
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}

void add_listener(struct http_config *config, const struct sockaddr_storage *address,
		  const char *text)
{
	config->listen[config->listen_count].address = *address;
	config->listen[config->listen_count].len = length_of(address);
	config->listen[config->listen_count].text = text;
	config->listen_count++;
}

struct sockaddr_storage v4_address(uint32_t host, uint16_t port)
{
	struct sockaddr_in v4 = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
	struct sockaddr_storage ret = {};

	memcpy(&ret, &v4, sizeof(v4));
	return ret;
}

struct sockaddr_storage v6_address(const struct in6_addr *host, uint16_t port)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = *host};
	struct sockaddr_storage ret = {};

	memcpy(&ret, &v6, sizeof(v6));
	return ret;
}

struct http *open_config(const struct http_config *config)
{
	char why[256] = "";
	struct http *h = NULL;

	if (http_open(&h, config, why, sizeof(why)))
		fail_msg("%s", why);
	return h;
}

static struct http *open_loopback(bool tls)
{
	struct sockaddr_storage any_port = v4_address(INADDR_LOOPBACK, 0);
	struct http_config config = base_config();

	memset(&fake, 0, sizeof(fake));
	fake.total = 5;
	fake.healthy = fake.ready = true;
	config.tls = tls;
	add_listener(&config, &any_port, "127.0.0.1:0");
	return open_config(&config);
}

struct http *open_server(void)
{
	return open_loopback(false);
}

struct http *open_tls_server(const struct certificate *certificate)
{
	struct http *h = open_loopback(true);
	char why[256] = "";

	if (http_set_tls(h, certificate->pem, strlen(certificate->pem), certificate->key,
			 strlen(certificate->key), why, sizeof(why)))
		fail_msg("%s", why);
	return h;
}

/* ---- client ---- */

bool client_try_connect(struct client *c, const struct sockaddr_storage *address)
{
	*c = (struct client){.fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)address, length_of(address)) < 0) {
		close(c->fd);
		return false;
	}
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	c->data = calloc(1, BIG_BYTES + 1024 * 1024);
	assert_non_null(c->data);
	return true;
}

struct client client_open(const struct http *h)
{
	struct sockaddr_storage address = v4_address(INADDR_LOOPBACK, http_port(h, 0));
	struct client c;

	assert_true(client_try_connect(&c, &address));
	return c;
}

void client_begin_tls(struct client *c, const char *priorities)
{
	int on = 1;

	assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
	assert_int_equal(gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL),
			 0);
	assert_int_equal(gnutls_priority_set_direct(c->tls, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
	/* else its request waits for an ACK of its handshake */
	assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	gnutls_transport_set_int(c->tls, c->fd);
}

int client_shake_hands(struct client *c, struct http *h)
{
	double deadline = now_seconds() + DEADLINE_S;
	int ret;

	while ((ret = gnutls_handshake(c->tls)) < 0 && !gnutls_error_is_fatal(ret)) {
		if (now_seconds() > deadline)
			fail_msg("the TLS handshake does not end");
		turn(h, NULL);
	}
	return ret;
}

struct client client_open_tls(struct http *h)
{
	struct client c = client_open(h);

	client_begin_tls(&c, "NORMAL");
	assert_int_equal(client_shake_hands(&c, h), GNUTLS_E_SUCCESS);
	return c;
}

void client_send(const struct client *c, const char *text)
{
	ssize_t sent = c->tls ? gnutls_record_send(c->tls, text, strlen(text))
			      : send(c->fd, text, strlen(text), MSG_NOSIGNAL);

	assert_int_equal(sent, strlen(text));
}

void client_forget(struct client *c)
{
	c->len = 0;
	c->data[0] = '\0';
}

void client_close(struct client *c)
{
	if (c->tls) {
		gnutls_deinit(c->tls);
		gnutls_certificate_free_credentials(c->credentials);
	}
	close(c->fd);
	free(c->data);
}

/* As recv() has it. Only close_notify is an end of TLS. */
static ssize_t read_some(struct client *c, char *out, size_t max)
{
	ssize_t n;

	if (!c->tls)
		return recv(c->fd, out, max, 0);
	n = gnutls_record_recv(c->tls, out, max);
	if (n < 0)
		errno = gnutls_error_is_fatal((int)n) ? ECONNRESET : EAGAIN;
	return n;
}

void client_read(struct client *c)
{
	ssize_t n;

	while (c->end == END_OPEN) {
		n = read_some(c, c->data + c->len, 65536);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			c->end = n == 0 ? END_CLOSED : END_RESET;
		else
			c->len += (size_t)n;
		c->data[c->len] = '\0';
	}
}

void turn(struct http *h, struct client *c)
{
	struct pollfd fds[2] = {{http_fd(h), POLLIN, 0},
				{c && c->end == END_OPEN ? c->fd : -1, POLLIN, 0}};
	int ms = http_timeout_ms(h);

	poll(fds, 2, ms < 0 || ms > 100 ? 100 : ms);
	http_run(h);
	if (c)
		client_read(c);
}

/* ---- answers ---- */

int status_of(const struct client *c)
{
	int status = 0;

	return sscanf(c->data, "HTTP/1.1 %d ", &status) == 1 ? status : -1;
}

const char *raw_body(const struct client *c)
{
	const char *end = strstr(c->data, "\r\n\r\n");

	return end ? end + 4 : NULL;
}

bool has_header(const struct client *c, const char *line)
{
	char wanted[256];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\r\n%s\r\n", line);
	at = strcasestr(c->data, wanted);
	return at && at < raw_body(c);
}

ssize_t dechunk(struct client *c)
{
	char *in = (char *)(uintptr_t)raw_body(c), *out = in, *start = in;

	while (in) {
		char *digits_end;
		size_t n = strtoul(in, &digits_end, 16);

		if (digits_end == in || strncmp(digits_end, "\r\n", 2) != 0)
			return -1;
		in = digits_end + 2;
		if (in + n + 2 > c->data + c->len || strncmp(in + n, "\r\n", 2) != 0)
			return -1;
		memmove(out, in, n);
		out += n;
		in += n + 2;
		if (n == 0)
			return out - start;
	}
	return -1;
}

void check_letters(const char *body, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (body[i] != letter(i))
			fail_msg("letter %zu is wrong", i);
	}
}

struct client ask_over(struct http *h, bool tls, const char *request)
{
	struct client c = tls ? client_open_tls(h) : client_open(h);

	client_send(&c, request);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	return c;
}

struct client ask(struct http *h, const char *request)
{
	return ask_over(h, false, request);
}

struct client ask_for(struct http *h, const char *method, const char *target)
{
	char request[4096];

	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		 method, target);
	return ask(h, request);
}
