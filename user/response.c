/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Answers as libmicrohttpd (MHD) wants them. Every opened body is closed exactly once, by MHD's release of its response,
 * and a body that did not reach its end takes its connection down with a RST: in HTTP/1.0 a FIN would make it look complete.
 *
 * What it refuses to know: routes, requests, what a body says.
 */
#include "response.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gzip.h"

/* Without chunks (HTTP/1.0) MHD buffers this much of a body. */
#define BODY_BLOCK_BYTES (32 * 1024)

/* One body under way. */
struct body {
	const struct body_ops *ops;
	void *inner;
	struct gzip *gzip; /* NULL: sent as it is */
	int fd; /* MHD's; open as long as MHD holds the response */
	bool ended;
};

struct MHD_Response *response_with(struct MHD_Response *r, const char *name, const char *value)
{
	if (r && MHD_add_response_header(r, name, value) == MHD_NO) {
		MHD_destroy_response(r);
		return NULL;
	}
	return r;
}

struct MHD_Response *response_text(const char *content_type, const char *text)
{
	struct MHD_Response *r;

	r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
					    MHD_RESPMEM_PERSISTENT);
	return response_with(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
}

static ssize_t read_body(void *cls, uint64_t pos, char *out, size_t max)
{
	struct body *b = cls;
	ssize_t n = b->gzip ? gzip_read(b->gzip, out, max) : b->ops->read(b->inner, out, max);

	(void)pos;
	if (n == 0)
		b->ended = true;
	if (n <= 0)
		return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
			      : MHD_CONTENT_READER_END_WITH_ERROR;
	return n;
}

static void close_body(struct body *b)
{
	gzip_close(b->gzip);
	b->ops->close(b->inner);
	free(b);
}

static void release_body(void *cls)
{
	const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
	/* user/filter.c lets no longer address pass */
	const socklen_t len = sizeof(unspecified.sa_family);
	struct body *b = cls;

	/*
	 * connect(AF_UNSPEC) resets an established TCP connection (tcp_disconnect()). MHD releases the response before it
	 * shuts the socket down, in 0.9.75 as in later versions, or the RST would follow a FIN.
	 */
	if (!b->ended)
		connect(b->fd, &unspecified, len);
	close_body(b);
}

static struct body *open_body(const struct response_body *what, int fd)
{
	const struct body_request request = {.format = what->format, .query = ""};
	struct body *b = calloc(1, sizeof(*b));

	if (!b || what->ops->open(what->arg, &request, &b->inner)) {
		free(b);
		return NULL;
	}
	b->ops = what->ops;
	b->fd = fd;
	if (what->gzip && gzip_open(&b->gzip, b->ops->read, b->inner)) {
		close_body(b);
		return NULL;
	}
	return b;
}

static struct MHD_Response *make_body(const struct response_body *what,
				      struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct body *b = info ? open_body(what, info->connect_fd) : NULL;
	struct MHD_Response *r;

	if (!b)
		return NULL;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BODY_BLOCK_BYTES, read_body, b,
					      release_body);
	if (!r)
		close_body(b);
	return r;
}

static ssize_t read_nothing(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)cls;
	(void)pos;
	(void)out;
	(void)max;
	return MHD_CONTENT_READER_END_OF_STREAM;
}

/*
 * MHD before 0.9.77 ends a chunked answer with its last chunk even if the request was a HEAD, and the client would
 * take that for the next answer. So: not chunked, and closed after it. Delete the option with the last such MHD.
 */
static struct MHD_Response *make_head(void)
{
	struct MHD_Response *r;

	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL, NULL);
	if (r)
		MHD_set_response_options(r, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return r;
}

struct MHD_Response *response_body(const struct response_body *what,
				   struct MHD_Connection *connection)
{
	struct MHD_Response *r = what->head ? make_head() : make_body(what, connection);

	r = response_with(r, MHD_HTTP_HEADER_CONTENT_TYPE, what->content_type);
	r = response_with(r, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	if (what->gzip)
		r = response_with(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return r;
}
