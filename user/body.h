/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A body that is made while it is sent: what the endpoint asks of whoever has the data.
 */
#ifndef BODY_H
#define BODY_H

#include <stddef.h>
#include <sys/types.h>

#include "negotiate.h"

struct body_request {
	enum negotiate_format format; /* of the metrics */
	const char *
		query; /* raw, what follows '?'; "" if nothing does. Valid during open() only, as the next */
	char *why; /* an empty text of BODY_WHY_BYTES */
};

#define BODY_WHY_BYTES 128

/*
 * open: 0; -EINVAL: the query is not understood (400), and `why` says what of it, repeating nothing of it; -EBUSY: not now, come again in a second (503); any other -errno: 500.
 * read: up to `max` further bytes, 0 at the end, -errno; after an error the connection is reset.
 *	A body that needs long for its next bytes gives 1 to 15 that mean nothing (white space, say) every few milliseconds: so
 *	short a read is sent at once, also through a compressor, and the loop turns.
 * close: once for each body that was opened, whatever became of the connection. A HEAD opens none.
 */
struct body_ops {
	int (*open)(void *arg, const struct body_request *request, void **ret_body);
	ssize_t (*read)(void *body, char *out, size_t max);
	void (*close)(void *body);
};

#endif
