/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Compresses a body while it is read. About 300 KiB of memory each, whatever the body's length.
 */
#ifndef GZIP_H
#define GZIP_H

#include <stddef.h>
#include <sys/types.h>

/* As the read of struct body_ops. */
typedef ssize_t gzip_read_fn(void *body, char *out, size_t max);

struct gzip;

/* The body stays the caller's. */
int gzip_open(struct gzip **ret, gzip_read_fn *read, void *body);
void gzip_close(struct gzip *g);

/* Up to `max` further bytes, 0 at the end; an error of the body is handed on, and stays. */
ssize_t gzip_read(struct gzip *g, char *out, size_t max);

#endif
