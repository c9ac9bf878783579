/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Requests and their answers: which path is what, who may ask for it, in which order that is checked, and what is said.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth.h"
#include "body.h"
#include "requests.h"
#include "response.h"

#define ROUTES_TIMEOUT_HEADER "X-Prometheus-Scrape-Timeout-Seconds"
#define ROUTES_QUERY_MAX 1024 /* bytes with the NUL; a longer one is not understood */

/* What there is to answer with. The texts stay the caller's. */
struct routes {
	const char *telemetry_path;
	const char *content_types[NEGOTIATE_FORMATS]; /* of the metrics */
	const struct body_ops *metrics, *connections, *metadata; /* NULL: 404 */
	bool (*healthy)(void *arg); /* NULL: always */
	bool (*ready)(void *arg);
	void *arg; /* for the calls above */
	const struct auth *auth; /* NULL: everybody may ask */
	char *index;
	struct response_load load;
	struct requests counts;
};

/* The request that a connection carries now. */
struct routes_request {
	enum requests_endpoint endpoint;
	enum requests_method method;
	unsigned int status; /* of the answer; 0: none yet */
	uint64_t asked_ns; /* since when its header is complete; 0: it is not */
	bool local; /* over a unix socket */
	bool query_too_long;
	bool body; /* the answer is one, to somebody who may have it */
	char query[ROUTES_QUERY_MAX];
};

/* Writes the page behind "/"; the rest of *r is set. -ENOMEM. */
int routes_init(struct routes *r);
void routes_done(struct routes *r);

/* The request line is read: keeps what `target` says. NULL, as MHD may have it, is no path of ours. */
void routes_target(const struct routes *r, struct routes_request *q, const char *target);

/*
 * The header is complete: answers a request whose framing or Authorization is not plain, after which the connection must
 * close; any other waits for routes_answer(). Both return what MHD's handler is to return.
 */
enum MHD_Result routes_header(struct routes *r, struct routes_request *q,
			      struct MHD_Connection *connection, const char *method,
			      uint64_t now_ns);
enum MHD_Result routes_answer(struct routes *r, struct routes_request *q,
			      struct MHD_Connection *connection, const char *version);

/* The answer is gone, or the connection is: counts the request. Without a complete header it was none. */
void routes_end(struct routes *r, struct routes_request *q, uint64_t now_ns);

/*
 * How long an answer may take: the value of ROUTES_TIMEOUT_HEADER, at least 0.1 s, at most 60 s; 30 s if it is
 * NULL or no number.
 */
uint64_t routes_answer_ns(const char *value);

#endif
