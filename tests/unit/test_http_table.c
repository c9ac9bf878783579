/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The truth table: each method with each route and each thing that can stand for a token, with and without authentication,
 * plain and over TLS. Of every cell the status, all headers but Date, the body and what becomes of the connection are
 * compared with what the contract says (docs/metrics.md, "Routes"), whose order of checks is written down once more in expect().
 */
#include "endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

#define RIGHT "Right-Token.of~the+first/file=="
#define OTHER "0123456789abcdef"
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define X512 X128 X128 X128 X128

enum kind { METRICS, JSON, INDEX, HEALTH, UNKNOWN };

static const struct {
	const char *target;
	enum kind kind;
} routes[] = {
	{"/metrics", METRICS},
	{"/metrics?a=b", METRICS},
	{"/connections?limit=1", JSON},
	{"/metadata", JSON},
	{"/", INDEX},
	{"/-/healthy", HEALTH},
	{"/-/ready?x", HEALTH},
	{"/nope", UNKNOWN},
	{"/metrics/", UNKNOWN},
	{"//metrics", UNKNOWN},
	{"/%6detrics", UNKNOWN},
	{"/-/healthy/", UNKNOWN},
	{"/-/Ready", UNKNOWN},
	{"/metrics;a", UNKNOWN},
};

static const struct {
	const char *name;
	bool served, head;
} methods[] = {
	{"GET", true, false},	 {"HEAD", true, true},	   {"POST", false, false},
	{"PUT", false, false},	 {"DELETE", false, false}, {"OPTIONS", false, false},
	{"TRACE", false, false}, {"get", false, false},	   {"HEADS", false, false},
};

static const struct {
	const char *what, *headers;
	bool right, twice;
} tokens[] = {
	{"none", "", false, false},
	{"wrong", "Authorization: Bearer wrong-wrong-wrong-wrong\r\n", false, false},
	{"right", "Authorization: Bearer " RIGHT "\r\n", true, false},
	{"right, the second of the file", "Authorization: Bearer " OTHER "\r\n", true, false},
	{"right, name in other case", "aUTHORIZATION: Bearer " RIGHT "\r\n", true, false},
	{"scheme in lower case", "Authorization: bearer " RIGHT "\r\n", true, false},
	{"scheme in upper case", "Authorization: BEARER " RIGHT "\r\n", true, false},
	{"token in other case", "Authorization: Bearer right-Token.of~the+first/file==\r\n", false,
	 false},
	{"the right one twice",
	 "Authorization: Bearer " RIGHT "\r\nAuthorization: Bearer " RIGHT "\r\n", true, true},
	{"two headers, the first right",
	 "Authorization: Bearer " RIGHT "\r\nauthorization: Bearer x\r\n", true, true},
	{"two headers, one of them empty", "Authorization:\r\nAuthorization: Bearer " RIGHT "\r\n",
	 false, true},
	{"two tokens", "Authorization: Bearer " RIGHT " " OTHER "\r\n", false, false},
	{"two tokens with a comma", "Authorization: Bearer " RIGHT "," OTHER "\r\n", false, false},
	{"empty", "Authorization:\r\n", false, false},
	{"the scheme alone", "Authorization: Bearer\r\n", false, false},
	{"another scheme", "Authorization: Basic " RIGHT "\r\n", false, false},
	{"no scheme", "Authorization: " RIGHT "\r\n", false, false},
	{"a part", "Authorization: Bearer Right-Token.of~the+first/file=\r\n", false, false},
	{"one byte more", "Authorization: Bearer " RIGHT "=\r\n", false, false},
	{"over-long", "Authorization: Bearer " X512 "x\r\n", false, false},
	{"right and then over-long", "Authorization: Bearer " RIGHT X512 X512 "\r\n", false, false},
	{"in the query only", "X-Token: " RIGHT "\r\n", false, false},
};

/* What a cell must answer. */
struct expected {
	int status;
	const char *type, *extra; /* the header that goes with the status; NULL: none */
	const char *vary;
	const char *body; /* of a text; NULL: five letters in chunks */
	bool closes;
};

#define TEXT "text/plain; charset=utf-8"

static const char index_page[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>poolscope</title></head>\n"
	"<body><h1>poolscope</h1>\n<ul>\n<li><a href=\"/metrics\">metrics</a></li>\n"
	"<li><a href=\"/connections\">connections</a></li>\n<li><a href=\"/metadata\">metadata</a></li>\n"
	"<li><a href=\"/-/healthy\">healthy</a></li>\n<li><a href=\"/-/ready\">ready</a></li>\n"
	"</ul></body></html>\n";

static struct expected expect(size_t method, size_t route, size_t token, bool authenticated)
{
	if (tokens[token].twice)
		return (struct expected){400,
					 TEXT,
					 "Connection: close",
					 NULL,
					 "more than one Authorization header\n",
					 true};
	if (!methods[method].served)
		return (struct expected){
			405, TEXT, "Allow: GET, HEAD", NULL, "only GET and HEAD\n", false};
	if (routes[route].kind == HEALTH)
		return (struct expected){200, TEXT, NULL, NULL, "ok\n", false};
	if (authenticated && !tokens[token].right)
		return (struct expected){401,
					 TEXT,
					 "WWW-Authenticate: Bearer realm=\"poolscope\"",
					 NULL,
					 "a token is needed\n",
					 false};
	if (routes[route].kind == UNKNOWN)
		return (struct expected){404, TEXT, NULL, NULL, "not found\n", false};
	if (routes[route].kind == INDEX)
		return (struct expected){200,  "text/html; charset=utf-8", NULL, NULL, index_page,
					 false};
	/* libmicrohttpd 0.9.75 cannot keep a connection after a HEAD of a body of unknown length. */
	return (struct expected){200,
				 routes[route].kind == METRICS ? CONTENT_TYPE : "application/json",
				 methods[method].head ? "Connection: close" : NULL,
				 routes[route].kind == METRICS ? "Accept, Accept-Encoding" : NULL,
				 NULL,
				 methods[method].head};
}

/* The headers that a cell must have, sorted, without Date. */
static void format_headers(const struct expected *e, bool head, char ret[1024])
{
	static const char *const order[] = {"Allow", "Connection", "WWW-Authenticate"};
	char length[64] = "", transfer[64] = "", vary[64] = "", extra[128] = "";
	size_t at = 0;

	while (e->extra && strncmp(e->extra, order[at], strlen(order[at])) != 0)
		at++;
	if (e->extra)
		snprintf(extra, sizeof(extra), "%s\n", e->extra);
	if (e->vary)
		snprintf(vary, sizeof(vary), "Vary: %s\n", e->vary);
	if (e->body)
		snprintf(length, sizeof(length), "Content-Length: %zu\n", strlen(e->body));
	else if (!head)
		strcpy(transfer, "Transfer-Encoding: chunked\n");
	snprintf(ret, 1024, "%s%sContent-Type: %s\n%s%s%s", at < 2 ? extra : "", length, e->type,
		 transfer, vary, at == 2 ? extra : "");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sorted_headers(const struct client *c, char ret[1024])
{
	char copy[2048], *lines[32] = {}, *save = NULL;
	size_t count = 0, len = 0;

	assert_true((size_t)(raw_body(c) - c->data) < sizeof(copy));
	snprintf(copy, (size_t)(raw_body(c) - c->data) - 1, "%s", c->data);
	strtok_r(copy, "\r\n", &save); /* the status line */
	for (char *line; (line = strtok_r(NULL, "\r\n", &save));) {
		if (strncmp(line, "Date: ", 6) != 0)
			lines[count++] = line;
	}
	qsort(lines, count, sizeof(lines[0]), compare_lines);
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(ret + len, 1024 - len, "%s\n", lines[i]);
}

static bool is_complete(const struct client *c, const struct expected *e, bool head)
{
	const char *body = raw_body(c);

	if (!body || (e->closes && c->end == END_OPEN))
		return false;
	if (head)
		return true;
	return e->body ? strlen(body) >= strlen(e->body) : strstr(body, "0\r\n\r\n") != NULL;
}

static void check_cell(const struct client *c, const struct expected *e, bool head,
		       const char *request)
{
	const char *body = e->body ? e->body : "5\r\nabcde\r\n0\r\n\r\n";
	char expected[1024], headers[1024];

	format_headers(e, head, expected);
	sorted_headers(c, headers);
	if (status_of(c) != e->status || strcmp(headers, expected) != 0 ||
	    strcmp(raw_body(c), head ? "" : body) != 0 || (c->end == END_OPEN) == e->closes)
		fail_msg("%s%s\nexpected %d\n%s", request, c->data, e->status, expected);
}

static struct http *open_endpoint(bool tls, bool authenticated)
{
	static const char file[] = "# two\n" RIGHT "\n" OTHER "\n";
	struct certificate certificate;
	struct auth *auth = NULL;
	struct http *h;
	char why[256];

	if (tls)
		certificate_make("table", &certificate);
	h = tls ? open_tls_server(&certificate) : open_server();
	if (authenticated) {
		assert_int_equal(auth_parse(&auth, "FILE", file, strlen(file), why, sizeof(why)),
				 0);
		http_set_auth(h, auth);
	}
	return h;
}

/* On one connection, as long as it is kept. */
static void check_table(bool tls, bool authenticated)
{
	struct http *h = open_endpoint(tls, authenticated);
	struct client c = tls ? client_open_tls(h) : client_open(h);
	uint64_t cells = 0;

	for (size_t i = 0; i < ARRAY_SIZE(methods) * ARRAY_SIZE(routes) * ARRAY_SIZE(tokens); i++) {
		size_t method = i % ARRAY_SIZE(methods),
		       route = i / ARRAY_SIZE(methods) % ARRAY_SIZE(routes),
		       token = i / ARRAY_SIZE(methods) / ARRAY_SIZE(routes);
		struct expected e = expect(method, route, token, authenticated);
		bool head = methods[method].head;
		char request[2048];

		snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n",
			 methods[method].name, routes[route].target, tokens[token].headers);
		client_forget(&c);
		client_send(&c, request);
		TURN_UNTIL(h, &c, is_complete(&c, &e, head));
		check_cell(&c, &e, head, request);
		cells++;
		if (!e.closes)
			continue;
		client_close(&c);
		c = tls ? client_open_tls(h) : client_open(h);
	}
	assert_int_equal(cells, 9 * 14 * 22);
	assert_int_equal(http_requests(h)->refused[REQUESTS_PROTOCOL], 0);
	assert_int_equal(fake.opened, fake.closed);
	client_close(&c);
	http_close(h);
}

static void plain_with_tokens(void **state)
{
	(void)state;
	check_table(false, true);
}

static void plain_without_tokens(void **state)
{
	(void)state;
	check_table(false, false);
}

static void tls_with_tokens(void **state)
{
	(void)state;
	check_table(true, true);
}

static void tls_without_tokens(void **state)
{
	(void)state;
	check_table(true, false);
}

/* A reload: what was right is not any more, from the next request on, also on a connection that is kept. */
static void new_tokens_hold_for_the_next_request(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " RIGHT
				      "\r\n\r\n";
	struct http *h = open_endpoint(false, true);
	struct client c = client_open(h);
	struct auth *auth = NULL;
	char why[256];

	(void)state;
	client_send(&c, request);
	TURN_UNTIL(h, &c, raw_body(&c) && strstr(c.data, "</html>\n"));
	assert_int_equal(auth_parse(&auth, "FILE", OTHER, strlen(OTHER), why, sizeof(why)), 0);
	http_set_auth(h, auth);
	client_forget(&c);
	client_send(&c, request);
	TURN_UNTIL(h, &c, raw_body(&c) && strstr(c.data, "needed\n"));
	assert_int_equal(status_of(&c), 401);
	http_set_auth(h, NULL);
	client_forget(&c);
	client_send(&c, request);
	TURN_UNTIL(h, &c, raw_body(&c) && strstr(c.data, "</html>\n"));
	client_close(&c);
	http_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_with_tokens),
		cmocka_unit_test(plain_without_tokens),
		cmocka_unit_test(tls_with_tokens),
		cmocka_unit_test(tls_without_tokens),
		cmocka_unit_test(new_tokens_hold_for_the_next_request),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
