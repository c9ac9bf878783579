/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The answers that libmicrohttpd sends: a text, or a body made while it is sent.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "body.h"

/* All return NULL if there is no memory; MHD closes a connection that gets no answer. */

/* The caller keeps `text` for as long as the endpoint lives. */
struct MHD_Response *response_text(const char *content_type, const char *text);

/* What the telemetry path answers to this client. */
struct response_body {
	const struct body_ops *ops;
	void *arg; /* of ops->open() */
	const char *content_type;
	enum negotiate_format format;
	bool gzip, head;
};

/* The body, of unknown size, with its headers; of a HEAD the headers alone. NULL also if it cannot be opened. */
struct MHD_Response *response_body(const struct response_body *what,
				   struct MHD_Connection *connection);

/* Adds the header, or destroys the response (NULL stays NULL). */
struct MHD_Response *response_with(struct MHD_Response *r, const char *name, const char *value);

#endif
