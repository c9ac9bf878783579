/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who is at the other end of a unix socket, and what he may ask.
 */
#ifndef CONTROL_ACCESS_H
#define CONTROL_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct control_access {
	bool has_group, has_admin_group;
	gid_t group; /* may look */
	gid_t admin_group; /* may attach and detach, too */
};

struct control_peer {
	pid_t pid; /* of when it connected; 0: of another PID namespace */
	uid_t uid;
	bool may_look, may_change;
};

/*
 * Asks the kernel who connected: uid, primary and supplementary groups as they were then. Root and the daemon's own user may do
 * everything. -errno of getsockopt(2), or -ENOMEM.
 */
int control_access_of(const struct control_access *access, int fd, struct control_peer *ret);

#endif
