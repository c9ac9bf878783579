/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A request is classified once, from its raw target, into an endpoint, and from its headers into a format and a coding. The
 * order of the checks is the contract: framing, method, health, token, path. So whoever has no token learns which methods
 * there are and whether the daemon is well, and nothing else.
 *
 * Invariant: nothing that a client sends is echoed, and of what it sends only the query is kept, as long as its request.
 * What it refuses to know: sockets, deadlines, what a body says, why the program is or is not healthy.
 */
#include "routes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "negotiate.h"
#include "util.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define JSON_TYPE "application/json"
#define ANSWER_SECONDS 30.0
#define ANSWER_SECONDS_MIN 0.1
#define ANSWER_SECONDS_MAX 60.0

/* ---- what is asked ---- */

static bool path_equals(const char *path, size_t len, const char *expected)
{
	return strlen(expected) == len && memcmp(path, expected, len) == 0;
}

static enum requests_endpoint classify(const struct routes *r, const char *path, size_t len)
{
	static const struct {
		const char *path;
		enum requests_endpoint endpoint;
	} fixed[] = {
		{"/connections", REQUESTS_CONNECTIONS},
		{"/metadata", REQUESTS_METADATA},
		{"/-/healthy", REQUESTS_HEALTH},
		{"/-/ready", REQUESTS_READY},
		{"/", REQUESTS_INDEX},
	};

	if (path_equals(path, len, r->telemetry_path))
		return REQUESTS_METRICS;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (path_equals(path, len, fixed[i].path))
			return fixed[i].endpoint;
	}
	return REQUESTS_OTHER;
}

void routes_target(const struct routes *r, struct routes_request *q, const char *target)
{
	size_t path_len = target ? strcspn(target, "?") : 0, query_len;
	const char *query = target && target[path_len] ? target + path_len + 1 : "";

	query_len = strlen(query);
	*q = (struct routes_request){.endpoint = REQUESTS_OTHER, .local = q->local};
	if (target)
		q->endpoint = classify(r, target, path_len);
	q->query_too_long = query_len >= sizeof(q->query);
	if (!q->query_too_long)
		memcpy(q->query, query, query_len);
}

uint64_t routes_answer_ns(const char *value)
{
	double seconds = ANSWER_SECONDS;
	char *end;

	if (value && *value) {
		seconds = strtod(value, &end);
		if (*end || isnan(seconds))
			seconds = ANSWER_SECONDS;
	}
	seconds = fmin(fmax(seconds, ANSWER_SECONDS_MIN), ANSWER_SECONDS_MAX);
	return (uint64_t)(seconds * (double)NSEC_PER_SEC);
}

/* ---- what is said ---- */

/* Takes the response; without one MHD closes the connection. */
static enum MHD_Result queue(struct routes_request *q, struct MHD_Connection *connection,
			     unsigned int status, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	if (result == MHD_YES)
		q->status = status;
	return result;
}

static enum MHD_Result answer_text(struct routes_request *q, struct MHD_Connection *connection,
				   unsigned int status, const char *text)
{
	return queue(q, connection, status, response_text(TEXT_PLAIN, text));
}

static enum MHD_Result answer_with_header(struct routes_request *q,
					  struct MHD_Connection *connection, unsigned int status,
					  const char *text, const char *name, const char *value)
{
	return queue(q, connection, status,
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

static enum MHD_Result answer_body_error(struct routes_request *q,
					 struct MHD_Connection *connection, int err,
					 const char *why)
{
	char text[BODY_WHY_BYTES + 64];

	if (err == -EINVAL) {
		snprintf(text, sizeof(text), "the query is not understood%s%s\n", *why ? ": " : "",
			 why);
		return queue(q, connection, MHD_HTTP_BAD_REQUEST, response_copy(TEXT_PLAIN, text));
	}
	if (err == -EBUSY)
		return answer_with_header(q, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
					  "busy: ask again in a second\n",
					  MHD_HTTP_HEADER_RETRY_AFTER, "1");
	return answer_text(q, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			   "the data cannot be read\n");
}

static enum MHD_Result answer_body(struct routes *r, struct routes_request *q,
				   struct MHD_Connection *connection, struct response_body *what)
{
	char why[BODY_WHY_BYTES] = "";
	struct MHD_Response *response;
	struct negotiate n = {};
	int err;

	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_wish, &n);
	what->arg = r->arg;
	what->load = &r->load;
	what->head = q->method == REQUESTS_HEAD;
	what->request.format = negotiate_format(&n);
	what->request.query = q->query;
	what->request.why = why;
	what->content_type = JSON_TYPE;
	if (q->endpoint == REQUESTS_METRICS) {
		what->content_type = r->content_types[what->request.format];
		what->vary = "Accept, Accept-Encoding";
		what->gzip = negotiate_gzip(&n);
	}
	err = q->query_too_long && q->endpoint == REQUESTS_CONNECTIONS
		      ? -EINVAL
		      : response_body(what, connection, &response);
	if (err)
		return answer_body_error(q, connection, err, why);
	q->body = !what->head;
	return queue(q, connection, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_probe(const struct routes *r, struct routes_request *q,
				    struct MHD_Connection *connection, bool (*probe)(void *arg),
				    const char *reason)
{
	if (!probe || probe(r->arg))
		return answer_text(q, connection, MHD_HTTP_OK, "ok\n");
	return answer_text(q, connection, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

/* The paths behind the token. */
static enum MHD_Result answer_path(struct routes *r, struct routes_request *q,
				   struct MHD_Connection *connection, const char *version)
{
	struct response_body what = {};

	if (q->endpoint == REQUESTS_INDEX)
		return queue(q, connection, MHD_HTTP_OK,
			     response_text("text/html; charset=utf-8", r->index));
	if (q->endpoint == REQUESTS_METRICS)
		what.ops = r->metrics;
	if (q->endpoint == REQUESTS_CONNECTIONS)
		what.ops = r->connections;
	if (q->endpoint == REQUESTS_METADATA)
		what.ops = r->metadata;
	what.exclusive = q->endpoint == REQUESTS_CONNECTIONS;
	if (!what.ops)
		return answer_text(q, connection, MHD_HTTP_NOT_FOUND, "not found\n");
	/* Without chunks only a reset tells a body that was cut off, and a unix socket has none. */
	if (q->local && strcmp(version, MHD_HTTP_VERSION_1_1) != 0)
		return answer_text(q, connection, MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED,
				   "only HTTP/1.1 on this socket\n");
	return answer_body(r, q, connection, &what);
}

static bool may_ask(const struct routes *r, struct MHD_Connection *connection)
{
	return !r->auth ||
	       auth_accepts(r->auth, MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
								 MHD_HTTP_HEADER_AUTHORIZATION));
}

enum MHD_Result routes_answer(struct routes *r, struct routes_request *q,
			      struct MHD_Connection *connection, const char *version)
{
	if (q->method == REQUESTS_METHOD_OTHER)
		return answer_with_header(q, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
					  "only GET and HEAD\n", MHD_HTTP_HEADER_ALLOW,
					  "GET, HEAD");
	if (q->endpoint == REQUESTS_HEALTH)
		return answer_probe(r, q, connection, r->healthy, "not healthy\n");
	if (q->endpoint == REQUESTS_READY)
		return answer_probe(r, q, connection, r->ready, "not ready\n");
	if (!may_ask(r, connection))
		return answer_with_header(q, connection, MHD_HTTP_UNAUTHORIZED,
					  "a token is needed\n", MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					  "Bearer realm=\"poolscope\"");
	return answer_path(r, q, connection, version);
}

/* ---- the header ---- */

struct framing {
	bool body; /* announced, whether it comes or not */
	unsigned int lengths, authorizations;
};

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	struct framing *f = cls;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
		f->body = true;
	if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0)
		f->authorizations++;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		f->lengths++;
		if (!value || value[strspn(value, "0")])
			f->body = true;
	}
	return MHD_YES;
}

enum MHD_Result routes_header(struct routes *r, struct routes_request *q,
			      struct MHD_Connection *connection, const char *method,
			      uint64_t now_ns)
{
	struct framing framing = {};
	const char *reason = NULL;

	q->method = requests_method_of(method);
	q->asked_ns = now_ns;
	r->counts.in_flight++;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &framing);
	if (framing.authorizations > 1)
		reason = "more than one Authorization header\n";
	if (framing.body || framing.lengths > 1)
		reason = "a request body is not accepted\n";
	if (!reason)
		return MHD_YES;
	return answer_with_header(q, connection, MHD_HTTP_BAD_REQUEST, reason,
				  MHD_HTTP_HEADER_CONNECTION, "close");
}

void routes_end(struct routes *r, struct routes_request *q, uint64_t now_ns)
{
	if (!q->asked_ns)
		return;
	r->counts.in_flight--;
	requests_done(&r->counts, q->endpoint, q->method, q->status, now_ns - q->asked_ns);
	q->asked_ns = 0;
}

/* ---- the page behind "/" ---- */

static void escape_html(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (strchr("&<>\"'", *text))
			fprintf(f, "&#%d;", *text);
		else
			fputc(*text, f);
	}
}

int routes_init(struct routes *r)
{
	size_t size;
	FILE *f = open_memstream(&r->index, &size);

	if (!f)
		return -ENOMEM;
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>poolscope</title></head>\n"
	      "<body><h1>poolscope</h1>\n<ul>\n<li><a href=\"",
	      f);
	escape_html(f, r->telemetry_path);
	fputs("\">metrics</a></li>\n", f);
	if (r->connections)
		fputs("<li><a href=\"/connections\">connections</a></li>\n", f);
	if (r->metadata)
		fputs("<li><a href=\"/metadata\">metadata</a></li>\n", f);
	fputs("<li><a href=\"/-/healthy\">healthy</a></li>\n"
	      "<li><a href=\"/-/ready\">ready</a></li>\n"
	      "</ul></body></html>\n",
	      f);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

void routes_done(struct routes *r)
{
	free(r->index);
	r->index = NULL;
}
