/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint: routes, formats, connections. Where it listens is in test_http_listen.c, who may come in and for how long in
 * test_http_limits.c, who may ask in test_http_table.c.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include "util.h"

/* ---- routes ---- */

static const struct {
	const char *target;
	int status;
	const char *type, *body; /* body NULL: not compared */
} routes[] = {
	{"/metrics", 200, CONTENT_TYPE, "5\r\nabcde\r\n0\r\n\r\n"},
	{"/metrics?", 200, CONTENT_TYPE, "5\r\nabcde\r\n0\r\n\r\n"},
	{"/metrics?a=/nope&b=%zz", 200, CONTENT_TYPE, "5\r\nabcde\r\n0\r\n\r\n"},
	{"/-/healthy", 200, "text/plain; charset=utf-8", "ok\n"},
	{"/-/healthy?x", 200, "text/plain; charset=utf-8", "ok\n"},
	{"/-/ready", 200, "text/plain; charset=utf-8", "ok\n"},
	{"/", 200, "text/html; charset=utf-8", NULL},
	{"/?/metrics", 200, "text/html; charset=utf-8", NULL},
	{"/nope", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/metrics/", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/metric", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/Metrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/%6detrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/metrics%3f", 404, "text/plain; charset=utf-8", "not found\n"},
	{"//metrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/x/../metrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/metrics#x", 404, "text/plain; charset=utf-8", "not found\n"},
	{"http://h/metrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"metrics", 404, "text/plain; charset=utf-8", "not found\n"},
	{"?", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/-/", 404, "text/plain; charset=utf-8", "not found\n"},
	{"/<script>", 404, "text/plain; charset=utf-8", "not found\n"},
};

static void each_route_answers_get(void **state)
{
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		struct client c = ask_for(h, "GET", routes[i].target);
		char type[128];

		snprintf(type, sizeof(type), "Content-Type: %s", routes[i].type);
		assert_int_equal(c.end, END_CLOSED);
		if (status_of(&c) != routes[i].status || !has_header(&c, type))
			fail_msg("%s: %s", routes[i].target, c.data);
		if (routes[i].body)
			assert_string_equal(raw_body(&c), routes[i].body);
		client_close(&c);
	}
	assert_int_equal(fake.opened, 3);
	assert_int_equal(fake.closed, 3);
	http_close(h);
}

/* The headers of an answer, but for Date and Transfer-Encoding (which a HEAD may leave out: RFC 9110, 9.3.2). */
static void headers_of(const struct client *c, char ret[1024])
{
	const char *at = c->data, *end = raw_body(c);
	size_t len = 0;

	assert_true(end - at < 1024);
	for (const char *next; at < end; at = next) {
		next = strstr(at, "\r\n") + 2;
		if (strncmp(at, "Date: ", 6) == 0 || strncmp(at, "Transfer-Encoding: ", 19) == 0)
			continue;
		memcpy(ret + len, at, (size_t)(next - at));
		len += (size_t)(next - at);
	}
	ret[len] = '\0';
}

static void head_has_the_headers_of_get_and_no_body(void **state)
{
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		char get_headers[1024], head_headers[1024];
		struct client get = ask_for(h, "GET", routes[i].target), head;
		int opened = fake.opened;

		head = ask_for(h, "HEAD", routes[i].target);
		headers_of(&get, get_headers);
		headers_of(&head, head_headers);
		assert_string_equal(head_headers, get_headers);
		assert_string_equal(raw_body(&head), "");
		assert_int_equal(head.end, END_CLOSED);
		assert_int_equal(fake.opened, opened);
		client_close(&get);
		client_close(&head);
	}
	assert_int_equal(fake.closed, fake.opened);
	http_close(h);
}

/* ---- formats and codings ---- */

static const struct {
	const char *headers;
	enum negotiate_format format;
	bool gzip;
} wishes[] = {
	{"", NEGOTIATE_TEXT, false},
	{"Accept: */*\r\n", NEGOTIATE_TEXT, false},
	{"Accept:\r\nAccept-Encoding:\r\n", NEGOTIATE_TEXT, false},
	{"Accept: application/json\r\n", NEGOTIATE_TEXT, false},
	{"accept: Application/OpenMetrics-Text; Version=1.0.0\r\n", NEGOTIATE_OPENMETRICS, false},
	{"Accept: text/plain;q=0.5\r\nX: y\r\nAccept: application/openmetrics-text;q=0.6\r\n",
	 NEGOTIATE_OPENMETRICS, false},
	{GZIP, NEGOTIATE_TEXT, true},
	{"accept-encoding: br\r\nAccept-encoding: GZIP;q=0.1\r\n", NEGOTIATE_TEXT, true},
	{"Accept-Encoding: gzip;q=0, *\r\n", NEGOTIATE_TEXT, false},
	{"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
	 "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n" GZIP,
	 NEGOTIATE_OPENMETRICS, true},
};

/* Unpacks what the client got behind the headers, chunks taken apart; the caller frees it. -1: it is not a complete gzip. */
static ssize_t unpack(const char *packed, size_t len, char **ret)
{
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)packed,
		      .avail_in = (uInt)len,
		      .avail_out = BIG_BYTES + 1};
	int result;

	*ret = malloc(BIG_BYTES + 1);
	assert_non_null(*ret);
	z.next_out = (unsigned char *)*ret;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	result = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return result == Z_STREAM_END && !z.avail_in ? (ssize_t)(BIG_BYTES + 1 - z.avail_out) : -1;
}

static struct client ask_wishing(struct http *h, const char *method, const char *headers)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "%s /metrics HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", method, headers);
	return ask(h, request);
}

static void the_metrics_come_as_the_client_wishes(void **state)
{
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		struct client get = ask_wishing(h, "GET", wishes[i].headers), head;
		char get_headers[1024], head_headers[1024];

		assert_int_equal(status_of(&get), 200);
		assert_int_equal(fake.format, wishes[i].format);
		assert_true(has_header(&get, wishes[i].format == NEGOTIATE_OPENMETRICS
						     ? "Content-Type: " OPENMETRICS_TYPE
						     : "Content-Type: " CONTENT_TYPE));
		assert_true(has_header(&get, "Vary: Accept, Accept-Encoding"));
		if (has_header(&get, "Content-Encoding: gzip") != wishes[i].gzip)
			fail_msg("row %zu: %s", i, get.data);
		if (wishes[i].gzip) {
			ssize_t n = dechunk(&get);
			char *text;

			assert_true(n > 0);
			assert_int_equal(unpack(raw_body(&get), (size_t)n, &text), 5);
			check_letters(text, 5);
			free(text);
		} else {
			assert_string_equal(raw_body(&get), "5\r\nabcde\r\n0\r\n\r\n");
			assert_null(strcasestr(get.data, "Content-Encoding"));
		}
		head = ask_wishing(h, "HEAD", wishes[i].headers);
		headers_of(&get, get_headers);
		headers_of(&head, head_headers);
		assert_string_equal(head_headers, get_headers);
		assert_string_equal(raw_body(&head), "");
		client_close(&get);
		client_close(&head);
	}
	assert_int_equal(fake.opened, ARRAY_SIZE(wishes));
	assert_int_equal(fake.closed, ARRAY_SIZE(wishes));
	http_close(h);
}

/* A list of connections comes in pieces as small as a newline: gzip would hold up the loop until they make a block. */
static void only_the_metrics_are_negotiated(void **state)
{
	static const struct {
		const char *target, *type, *body;
	} rows[] = {
		{"/-/ready", "Content-Type: text/plain; charset=utf-8", "ok\n"},
		{"/connections", "Content-Type: application/json", "5\r\nabcde\r\n0\r\n\r\n"},
		{"/metadata", "Content-Type: application/json", "5\r\nabcde\r\n0\r\n\r\n"},
	};
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char request[512];
		struct client c;

		snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: h\r\n" GZIP
			 "Accept: application/openmetrics-text\r\nConnection: close\r\n\r\n",
			 rows[i].target);
		c = ask(h, request);
		assert_string_equal(raw_body(&c), rows[i].body);
		assert_true(has_header(&c, rows[i].type));
		assert_null(strcasestr(c.data, "Vary"));
		assert_null(strcasestr(c.data, "Content-Encoding"));
		client_close(&c);
	}
	http_close(h);
}

static void a_large_gzip_comes_whole(void **state)
{
	struct http *h = open_server();
	struct client c;
	char *text;
	ssize_t n;

	(void)state;
	fake.total = BIG_BYTES;
	c = ask_wishing(h, "GET", GZIP);
	n = dechunk(&c);
	assert_in_range(n, 1000, BIG_BYTES / 50);
	assert_int_equal(unpack(raw_body(&c), (size_t)n, &text), BIG_BYTES);
	check_letters(text, BIG_BYTES);
	assert_int_equal(c.end, END_CLOSED);
	free(text);
	client_close(&c);

	c = ask(h, "GET /metrics HTTP/1.0\r\n" GZIP "\r\n");
	assert_int_equal(c.data + c.len - raw_body(&c), n);
	assert_int_equal(unpack(raw_body(&c), (size_t)n, &text), BIG_BYTES);
	check_letters(text, BIG_BYTES);
	assert_int_equal(c.end, END_CLOSED);
	free(text);
	client_close(&c);
	assert_int_equal(fake.closed, 2);
	http_close(h);
}

static void other_methods_are_told_what_is_allowed(void **state)
{
	static const char *const methods[] = {"POST",  "PUT", "DELETE", "OPTIONS", "PATCH",
					      "TRACE", "get", "GETS",	"X"};
	static const char *const targets[] = {"/metrics", "/-/healthy", "/", "/nope", "*"};
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods) * ARRAY_SIZE(targets); i++) {
		struct client c = ask_for(h, methods[i % ARRAY_SIZE(methods)],
					  targets[i / ARRAY_SIZE(methods)]);

		assert_int_equal(status_of(&c), 405);
		assert_true(has_header(&c, "Allow: GET, HEAD"));
		assert_true(has_header(&c, "Content-Type: text/plain; charset=utf-8"));
		assert_string_equal(raw_body(&c), "only GET and HEAD\n");
		client_close(&c);
	}
	assert_int_equal(fake.opened, 0);
	http_close(h);
}

static void a_request_with_a_body_is_refused_and_the_connection_closed(void **state)
{
	static const char *const requests[] = {
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\ncontent-length: 5\r\nExpect: 100-continue\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\ntransfer-encoding: identity\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
		"HEAD /-/healthy HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
		"POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na=b",
		"POST /nope HTTP/1.0\r\nContent-Length: 3\r\n\r\na=b",
		"GET /nope HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n",
	};
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct client c = ask(h, requests[i]);
		bool head = strncmp(requests[i], "HEAD", 4) == 0;

		if (status_of(&c) != 400)
			fail_msg("%s: %s", requests[i], c.data);
		assert_true(has_header(&c, "Connection: close"));
		assert_true(has_header(&c, "Content-Type: text/plain; charset=utf-8"));
		assert_string_equal(raw_body(&c), head ? "" : "a request body is not accepted\n");
		client_close(&c);
	}
	assert_int_equal(fake.opened, 0);
	http_close(h);
}

static void an_empty_body_is_none(void **state)
{
	struct http *h = open_server();
	struct client c = ask(
		h,
		"GET /-/ready HTTP/1.1\r\nHost: h\r\nContent-Length: 00\r\nConnection: close\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(&c), 200);
	assert_string_equal(raw_body(&c), "ok\n");
	client_close(&c);
	http_close(h);
}

static void health_says_what_the_caller_says(void **state)
{
	struct http_config config = base_config();
	struct sockaddr_storage any_port = v4_address(INADDR_LOOPBACK, 0);
	struct http *h = open_server();
	struct client c;

	(void)state;
	fake.healthy = false;
	c = ask_for(h, "GET", "/-/healthy");
	assert_int_equal(status_of(&c), 503);
	assert_string_equal(raw_body(&c), "not healthy\n");
	client_close(&c);
	c = ask_for(h, "GET", "/-/ready");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	fake.healthy = true;
	fake.ready = false;
	c = ask_for(h, "GET", "/-/ready");
	assert_int_equal(status_of(&c), 503);
	assert_string_equal(raw_body(&c), "not ready\n");
	client_close(&c);
	http_close(h);

	config.healthy = config.ready = NULL;
	add_listener(&config, &any_port, "127.0.0.1:0");
	h = open_config(&config);
	c = ask_for(h, "GET", "/-/ready");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

static void the_index_links_and_escapes(void **state)
{
	struct http_config config = base_config();
	struct sockaddr_storage any_port = v4_address(INADDR_LOOPBACK, 0);
	struct http *h;
	struct client c;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	config.telemetry_path = "/m\"&'<b>";
	add_listener(&config, &any_port, "127.0.0.1:0");
	h = open_config(&config);
	c = ask_for(h, "GET", "/");
	assert_int_equal(status_of(&c), 200);
	assert_non_null(strstr(raw_body(&c), "<a href=\"/m&#34;&#38;&#39;&#60;b&#62;\">"));
	assert_non_null(strstr(raw_body(&c), "<a href=\"/connections\">"));
	assert_non_null(strstr(raw_body(&c), "<a href=\"/metadata\">"));
	assert_non_null(strstr(raw_body(&c), "<a href=\"/-/healthy\">"));
	assert_non_null(strstr(raw_body(&c), "<a href=\"/-/ready\">"));
	client_close(&c);
	c = ask_for(h, "GET", "/m\"&'<b>");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

/* ---- connections ---- */

static void a_connection_carries_request_after_request(void **state)
{
	static const struct {
		const char *request, *end;
		int status;
	} turns[] = {
		{"GET /metrics" TAIL, "5\r\nabcde\r\n0\r\n\r\n", 200},
		{"GET /nope" TAIL, "not found\n", 404},
		{"PUT /" TAIL, "only GET and HEAD\n", 405},
		{"HEAD /-/ready" TAIL, "\r\n\r\n", 200},
		{"GET /metrics" TAIL, "5\r\nabcde\r\n0\r\n\r\n", 200},
		{"GET /-/ready" TAIL, "ok\n", 200},
	};
	struct http *h = open_server();
	struct client c = client_open(h);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		client_forget(&c);
		client_send(&c, turns[i].request);
		TURN_UNTIL(h, &c, c.len && raw_body(&c) && strstr(c.data, turns[i].end));
		assert_int_equal(status_of(&c), turns[i].status);
		assert_string_equal(c.data + c.len - strlen(turns[i].end), turns[i].end);
		assert_int_equal(c.end, END_OPEN);
	}
	assert_int_equal(fake.opened, 2);
	assert_int_equal(fake.closed, 2);
	client_close(&c);
	http_close(h);
}

/* libmicrohttpd 0.9.75 would send the last chunk of a body that a HEAD does not have, as if the next answer began so. */
static void head_of_the_metrics_sends_headers_and_closes(void **state)
{
	struct http *h = open_server();
	struct client c = ask(h, "HEAD /metrics" TAIL);

	(void)state;
	assert_int_equal(status_of(&c), 200);
	assert_true(has_header(&c, "Connection: close"));
	assert_true(has_header(&c, "Content-Type: " CONTENT_TYPE));
	assert_null(strcasestr(c.data, "Content-Length"));
	assert_string_equal(raw_body(&c), "");
	assert_int_equal(c.end, END_CLOSED);
	assert_int_equal(fake.opened, 0);
	client_close(&c);
	http_close(h);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);
	const char *second;

	(void)state;
	client_send(&c, "GET /nope" TAIL
			"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(status_of(&c), 404);
	second = strstr(c.data, "not found\nHTTP/1.1 200 ");
	assert_non_null(second);
	assert_non_null(strstr(second, "\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"));
	client_close(&c);
	http_close(h);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	const char *request = "GET /-/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	struct http *h = open_server();
	struct client c = client_open(h);

	(void)state;
	for (; *request; request++) {
		assert_int_equal(send(c.fd, request, 1, 0), 1);
		turn(h, NULL);
	}
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_string_equal(raw_body(&c), "ok\n");
	client_close(&c);
	http_close(h);
}

static void an_idle_connection_does_not_keep_the_loop_awake(void **state)
{
	struct http *h = open_server();
	struct pollfd events = {http_fd(h), POLLIN, 0};
	struct client c;

	(void)state;
	assert_int_equal(http_timeout_ms(h), -1);
	assert_int_equal(poll(&events, 1, 0), 0);
	c = client_open(h);
	client_send(&c, "GET /metrics" TAIL);
	TURN_UNTIL(h, &c, strstr(c.data, "0\r\n\r\n"));
	turn(h, NULL);
	assert_in_range(http_timeout_ms(h), 60001, 90000);
	assert_int_equal(poll(&events, 1, 0), 0);
	client_close(&c);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	http_close(h);
}

static void http_1_0_gets_the_bare_body_and_a_close(void **state)
{
	struct http *h = open_server();
	struct client c = ask(h, "GET /metrics HTTP/1.0\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(&c), 200);
	assert_null(strcasestr(c.data, "Transfer-Encoding"));
	assert_string_equal(raw_body(&c), "abcde");
	assert_int_equal(c.end, END_CLOSED);
	client_close(&c);
	c = ask(h, "GET /-/healthy HTTP/1.0\r\n\r\n");
	assert_string_equal(raw_body(&c), "ok\n");
	assert_int_equal(c.end, END_CLOSED);
	client_close(&c);
	assert_int_equal(fake.closed, 1);
	http_close(h);
}

static void a_large_body_comes_whole_in_slices(void **state)
{
	struct http *h = open_server();
	struct client c;

	(void)state;
	fake.total = BIG_BYTES;
	c = ask_for(h, "GET", "/metrics");
	assert_int_equal(dechunk(&c), BIG_BYTES);
	check_letters(raw_body(&c), BIG_BYTES);
	assert_int_equal(c.end, END_CLOSED);
	assert_in_range(fake.reads, BIG_BYTES / (64 * 1024), BIG_BYTES / 1024);
	client_close(&c);

	c = ask(h, "GET /metrics HTTP/1.0\r\n\r\n");
	assert_int_equal(c.data + c.len - raw_body(&c), BIG_BYTES);
	check_letters(raw_body(&c), BIG_BYTES);
	assert_int_equal(c.end, END_CLOSED);
	client_close(&c);
	assert_int_equal(fake.opened, 2);
	assert_int_equal(fake.closed, 2);
	http_close(h);
}

static void a_reader_that_stalls_holds_up_nobody(void **state)
{
	struct http *h = open_server();
	struct client slow = client_open(h), c;
	int reads;

	(void)state;
	fake.total = BIG_BYTES;
	client_send(&slow, "GET /metrics" TAIL);
	TURN_UNTIL(h, NULL, fake.reads > 0 && http_timeout_ms(h) != 0);
	reads = fake.reads;
	assert_true(fake.produced < BIG_BYTES);
	c = ask_for(h, "GET", "/-/healthy");
	assert_string_equal(raw_body(&c), "ok\n");
	assert_int_equal(fake.reads, reads);
	client_close(&c);

	TURN_UNTIL(h, &slow, slow.len > 5 && strcmp(slow.data + slow.len - 5, "0\r\n\r\n") == 0);
	assert_int_equal(dechunk(&slow), BIG_BYTES);
	assert_int_equal(fake.closed, 1);
	client_close(&slow);
	http_close(h);
}

static void a_body_that_fails_is_never_closed_as_complete(void **state)
{
	static const char *const requests[] = {"GET /metrics" TAIL, "GET /metrics HTTP/1.0\r\n\r\n",
					       "GET /metrics HTTP/1.1\r\nHost: h\r\n" GZIP "\r\n",
					       "GET /metrics HTTP/1.0\r\n" GZIP "\r\n"};
	static const size_t fail_at[] = {0, 1, 100000, BIG_BYTES};
	struct http *h = open_server();

	(void)state;
	fake.total = BIG_BYTES;
	fake.fails = true;
	for (size_t i = 0; i < ARRAY_SIZE(requests) * ARRAY_SIZE(fail_at); i++) {
		struct client c;

		fake.fail_at = fail_at[i / ARRAY_SIZE(requests)];
		c = ask(h, requests[i % ARRAY_SIZE(requests)]);
		assert_int_equal(c.end, END_RESET);
		assert_null(memmem(c.data, c.len, "\r\n0\r\n\r\n", 7));
		client_close(&c);
		assert_int_equal(fake.closed, i + 1);
		assert_int_equal(fake.opened, i + 1);
	}
	http_close(h);
}

static void a_body_that_cannot_be_opened_is_a_500(void **state)
{
	struct http *h = open_server();
	struct client c;

	(void)state;
	fake.open_error = -ENOMEM;
	c = ask_for(h, "GET", "/metrics");
	assert_int_equal(status_of(&c), 500);
	assert_true(has_header(&c, "Content-Type: text/plain; charset=utf-8"));
	assert_string_equal(raw_body(&c), "the data cannot be read\n");
	assert_int_equal(fake.closed, 0);
	client_close(&c);
	http_close(h);
}

static void a_client_that_leaves_in_the_middle_costs_nothing(void **state)
{
	struct http *h = open_server();
	int before = process_own_descriptors();

	(void)state;
	fake.total = BIG_BYTES;
	for (int i = 0; i < 20; i++) {
		struct client c = client_open(h);

		client_send(&c, i % 2 ? "GET /metrics" TAIL : "GET /metrics HTTP/1.0\r\n\r\n");
		TURN_UNTIL(h, &c, c.len > 1000);
		client_close(&c);
		TURN_UNTIL(h, NULL, fake.closed == i + 1);
		assert_int_equal(fake.opened, i + 1);
		assert_true(fake.produced < BIG_BYTES);
	}
	TURN_UNTIL(h, NULL, process_own_descriptors() == before);
	http_close(h);
	assert_int_equal(fake.closed, 20);
}

static void closing_the_endpoint_ends_what_is_open(void **state)
{
	int before = process_own_descriptors();
	struct http *h = open_server();
	struct client idle = client_open(h), sending = client_open(h);
	double deadline = now_seconds() + DEADLINE_S;

	(void)state;
	fake.total = BIG_BYTES;
	client_send(&sending, "GET /metrics HTTP/1.0\r\n\r\n");
	TURN_UNTIL(h, NULL, fake.reads > 0 && http_timeout_ms(h) != 0);
	http_close(h);
	assert_int_equal(fake.closed, 1);
	while ((idle.end == END_OPEN || sending.end == END_OPEN) && now_seconds() < deadline) {
		client_read(&idle);
		client_read(&sending);
	}
	assert_int_equal(idle.end, END_CLOSED);
	assert_int_equal(sending.end, END_RESET);
	client_close(&idle);
	client_close(&sending);
	http_close(NULL);
	assert_int_equal(process_own_descriptors(), before);
}

static void a_lack_of_descriptors_does_not_make_it_spin(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);
	struct pollfd listener = {http_fd(h), POLLIN, 0};
	struct rlimit limit, low;
	int last = dup(c.fd), filled = 0, fillers[256], readable, still_readable;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)last + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (filled < 256 && (fillers[filled] = dup(c.fd)) >= 0)
		filled++;
	readable = poll(&listener, 1, DEADLINE_S * 1000);
	http_run(h);
	still_readable = poll(&listener, 1, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (filled > 0)
		close(fillers[--filled]);
	close(last);
	assert_int_equal(readable, 1);
	assert_int_equal(still_readable, 0);
	assert_int_equal(http_requests(h)->refused[REQUESTS_FULL], 1);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	client_close(&c);

	c = ask_for(h, "GET", "/-/ready");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

/* The limit was lowered below what is open: not even a refusal is possible. */
static void without_any_descriptor_it_listens_again_later(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);
	struct pollfd listener = {http_fd(h), POLLIN, 0};
	struct rlimit limit, low;
	int still_readable, timeout_ms;
	uint64_t begun_ns;

	(void)state;
	assert_int_equal(poll(&listener, 1, DEADLINE_S * 1000), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 3; /* nothing is opened meanwhile, here neither */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	begun_ns = util_now_ns();
	http_run_at(h, begun_ns);
	timeout_ms = http_timeout_ms(h);
	http_run_at(h, begun_ns + 99 * NSEC_PER_MSEC);
	/* poll() itself takes no more descriptors than the limit */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	still_readable = poll(&listener, 1, 0);
	assert_in_range(timeout_ms, 1, 101);
	assert_int_equal(still_readable, 0);
	http_run_at(h, begun_ns + 100 * NSEC_PER_MSEC);
	client_send(&c, "GET /-/ready" TAIL);
	TURN_UNTIL(h, &c, raw_body(&c) && strstr(raw_body(&c), "ok\n"));
	client_close(&c);
	http_close(h);
}

/* What the library refuses is a 4xx or 505 of its making, or a close. Nothing of it reaches stderr. */
static void garbage_is_refused_in_silence(void **state)
{
	static const char *const requests[] = {
		"\r\n\r\n\r\n\r\nX\r\n\r\n",
		"GET\r\n\r\n",
		"GET \r\n\r\n",
		"GET  \r\n\r\n",
		"GET /metrics\r\n\r\n",
		"GET /metrics HTTP/9.9\r\nHost: h\r\n\r\n",
		"GET /metrics HTTP/1.1\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5x\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
	};
	static char huge[100 * 1024];
	int saved = dup(STDERR_FILENO), fds[2];
	struct http *h = open_server();
	char printed[16];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	for (size_t i = 0; i <= ARRAY_SIZE(requests); i++) {
		struct client c = client_open(h);

		if (i < ARRAY_SIZE(requests)) {
			client_send(&c, requests[i]);
		} else {
			memset(huge, 'x', sizeof(huge));
			memcpy(huge, "GET /", 5);
			assert_int_equal(send(c.fd, huge, sizeof(huge), 0), sizeof(huge));
		}
		TURN_UNTIL(h, &c, c.end != END_OPEN);
		if (c.len && (status_of(&c) < 400 || status_of(&c) > 505))
			fail_msg("request %zu: %s", i, c.data);
		assert_int_equal(http_requests(h)->refused[REQUESTS_PROTOCOL], i + 1);
		client_close(&c);
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	assert_int_equal(read(fds[0], printed, sizeof(printed)), 0);
	close(fds[0]);
	assert_int_equal(fake.opened, 0);
	http_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_route_answers_get),
		cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
		cmocka_unit_test(the_metrics_come_as_the_client_wishes),
		cmocka_unit_test(only_the_metrics_are_negotiated),
		cmocka_unit_test(a_large_gzip_comes_whole),
		cmocka_unit_test(other_methods_are_told_what_is_allowed),
		cmocka_unit_test(a_request_with_a_body_is_refused_and_the_connection_closed),
		cmocka_unit_test(an_empty_body_is_none),
		cmocka_unit_test(health_says_what_the_caller_says),
		cmocka_unit_test(the_index_links_and_escapes),
		cmocka_unit_test(a_connection_carries_request_after_request),
		cmocka_unit_test(head_of_the_metrics_sends_headers_and_closes),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_request_may_come_byte_by_byte),
		cmocka_unit_test(an_idle_connection_does_not_keep_the_loop_awake),
		cmocka_unit_test(http_1_0_gets_the_bare_body_and_a_close),
		cmocka_unit_test(a_large_body_comes_whole_in_slices),
		cmocka_unit_test(a_reader_that_stalls_holds_up_nobody),
		cmocka_unit_test(a_body_that_fails_is_never_closed_as_complete),
		cmocka_unit_test(a_body_that_cannot_be_opened_is_a_500),
		cmocka_unit_test(a_client_that_leaves_in_the_middle_costs_nothing),
		cmocka_unit_test(closing_the_endpoint_ends_what_is_open),
		cmocka_unit_test(a_lack_of_descriptors_does_not_make_it_spin),
		cmocka_unit_test(without_any_descriptor_it_listens_again_later),
		cmocka_unit_test(garbage_is_refused_in_silence),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
