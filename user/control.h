/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The control socket: a unix stream socket on which one request of control_request.h per connection is answered (docs/control.md).
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "body.h"
#include "control_access.h"
#include "control_request.h"
#include "options.h"

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_LOOKERS_MAX 12 /* of them who may not attach: they must not keep out who may */
#define CONTROL_REQUEST_MAX (64 * 1024) /* bytes, newline included */
/* For a whole request to come, and again for each 32 KiB of an answer to be taken. */
#define CONTROL_PATIENCE_NS 5000000000ULL

/* What stands behind the commands; `arg` of control_config goes with each call. */
struct control_actions {
	enum exit_code (*attach)(void *arg, const struct control_request *r, char *why,
				 size_t why_size);
	int (*detach)(void *arg, pid_t pid, const char *name, char *why, size_t why_size);
	const struct body_ops *list, *check, *connections;
	const struct body_ops *snapshot, *metrics; /* JSON; text in the format asked for */
};

struct control_config {
	const char *path;
	struct control_access access;
	const struct control_actions *actions;
	void *arg;
};

struct control;

/*
 * Makes the socket, mode 0600, or 0660 and of the group that may look (else of the one that may change), and the directory that it
 * stands in if that is missing. A file that nobody listens at is replaced. Errors, told in `why`: -EADDRINUSE names the process
 * that listens there; -EACCES, -EROFS … of the directory, the file or its group; -ENOMEM.
 */
int control_open(struct control **ret, const struct control_config *config, char *why,
		 size_t why_size);
/* Also removes the socket's file, where that is still allowed. */
void control_close(struct control *c);

/* Ready to read when there is something to do; then call control_run(). */
int control_fd(const struct control *c);
void control_run(void *control);
/* Ends clients that are too slow. Call it on a timer. */
void control_tick(struct control *c, uint64_t now_ns);

#endif
