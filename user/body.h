/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A body that is made while it is sent: what the endpoint asks of whoever has the metrics.
 */
#ifndef BODY_H
#define BODY_H

#include <stddef.h>
#include <sys/types.h>

#include "negotiate.h"

/*
 * open: -errno fails the request with 500. read: up to `max` further bytes, 0 at the end, -errno; after an error the
 * connection is reset. close: once for each body that was opened, whatever became of the connection. A HEAD opens none.
 */
struct body_ops {
	int (*open)(void *arg, enum negotiate_format format, void **ret_body);
	ssize_t (*read)(void *body, char *out, size_t max);
	void (*close)(void *body);
};

#endif
