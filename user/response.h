/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The answers that libmicrohttpd sends: a text, or a body made while it is sent.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "body.h"

#define RESPONSE_BODIES_MAX 4

/* The bodies under way; starts as {}. */
struct response_load {
	unsigned int bodies;
	unsigned int exclusive; /* of them; at most one */
	uint64_t reads; /* of all bodies so far */
};

/* These return NULL if there is no memory; MHD closes a connection that gets no answer. */

/* The caller keeps `text` for as long as the endpoint lives. */
struct MHD_Response *response_text(const char *content_type, const char *text);
/* The same of a text that need not last. */
struct MHD_Response *response_copy(const char *content_type, const char *text);
/* Adds the header, or destroys the response (NULL stays NULL). */
struct MHD_Response *response_with(struct MHD_Response *r, const char *name, const char *value);

/* What a body's path answers to this client. */
struct response_body {
	const struct body_ops *ops;
	void *arg; /* of ops->open() */
	struct body_request request;
	struct response_load *load; /* outlives the answer */
	const char *content_type;
	const char *vary; /* the headers that it depends on; NULL: none */
	bool exclusive; /* not while another of this kind is under way */
	/* Not for a body whose pieces may be small and slow: gzip swallows them until it has something to give. */
	bool gzip;
	bool head;
};

/*
 * The body, of unknown size, with its headers; of a HEAD the headers alone, nothing is opened. -EBUSY: RESPONSE_BODIES_MAX
 * are under way, or an exclusive one; else what ops->open() said, or -ENOMEM.
 */
int response_body(const struct response_body *what, struct MHD_Connection *connection,
		  struct MHD_Response **ret);

/*
 * Resets a TCP connection: nothing that was sent on it can be taken for complete. MHD notices that at its next turn. A
 * unix socket knows no reset: this does nothing to it.
 */
void response_reset(int fd);

#endif
