/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Answers as libmicrohttpd (MHD) wants them. Every opened body is closed exactly once, by MHD's release of its response,
 * and a body that did not reach its end takes its connection down with a RST: in HTTP/1.0 a FIN would make it look complete.
 *
 * What it refuses to know: routes, requests, what a body says.
 */
#include "response.h"

#include <errno.h>
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
	struct response_load *load;
	struct gzip *gzip; /* NULL: sent as it is */
	int fd; /* MHD's; open as long as MHD holds the response */
	bool exclusive;
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

static struct MHD_Response *make_text(const char *content_type, const char *text,
				      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r;

	r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, mode);
	return response_with(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
}

struct MHD_Response *response_text(const char *content_type, const char *text)
{
	return make_text(content_type, text, MHD_RESPMEM_PERSISTENT);
}

struct MHD_Response *response_copy(const char *content_type, const char *text)
{
	return make_text(content_type, text, MHD_RESPMEM_MUST_COPY);
}

void response_reset(int fd)
{
	const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
	const socklen_t family_only =
		sizeof(unspecified.sa_family); /* what user/filter.c lets pass */

	/* connect(AF_UNSPEC) resets an established TCP connection: tcp_disconnect(). */
	connect(fd, &unspecified, family_only);
}

static ssize_t read_body(void *cls, uint64_t pos, char *out, size_t max)
{
	struct body *b = cls;
	ssize_t n = b->gzip ? gzip_read(b->gzip, out, max) : b->ops->read(b->inner, out, max);

	(void)pos;
	b->load->reads++;
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
	b->load->bodies--;
	b->load->exclusive -= b->exclusive;
	free(b);
}

static void release_body(void *cls)
{
	struct body *b = cls;

	/*
	 * MHD releases the response before it shuts the socket down or ends its TLS, in 0.9.75 as in later versions, or the RST
	 * would follow a FIN.
	 */
	if (!b->ended)
		response_reset(b->fd);
	close_body(b);
}

static int open_body(const struct response_body *what, int fd, struct body **ret)
{
	struct body *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	err = what->ops->open(what->arg, &what->request, &b->inner);
	if (err) {
		free(b);
		return err;
	}
	b->ops = what->ops;
	b->load = what->load;
	b->fd = fd;
	b->exclusive = what->exclusive;
	b->load->bodies++;
	b->load->exclusive += b->exclusive;
	err = what->gzip ? gzip_open(&b->gzip, b->ops->read, b->inner) : 0;
	if (err) {
		close_body(b);
		return err;
	}
	*ret = b;
	return 0;
}

static int make_body(const struct response_body *what, struct MHD_Connection *connection,
		     struct MHD_Response **ret)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct body *b;
	int err;

	if (what->load->bodies >= RESPONSE_BODIES_MAX || (what->exclusive && what->load->exclusive))
		return -EBUSY;
	err = open_body(what, info->connect_fd, &b);
	if (err)
		return err;
	*ret = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BODY_BLOCK_BYTES, read_body, b,
						 release_body);
	if (!*ret)
		close_body(b);
	return 0;
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

int response_body(const struct response_body *what, struct MHD_Connection *connection,
		  struct MHD_Response **ret)
{
	struct MHD_Response *r = NULL;
	int err = 0;

	if (what->head)
		r = make_head();
	else
		err = make_body(what, connection, &r);
	if (err)
		return err;
	r = response_with(r, MHD_HTTP_HEADER_CONTENT_TYPE, what->content_type);
	if (what->vary)
		r = response_with(r, MHD_HTTP_HEADER_VARY, what->vary);
	if (what->gzip)
		r = response_with(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}
