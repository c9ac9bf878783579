// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Decides by what the kernel noted when the peer connected (SO_PEERCRED, SO_PEERGROUPS), never by anything the peer sends. The mode of the
 * socket's file keeps strangers away first; this is what holds when it does not. Knows no command.
 */
#include "control_access.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* NGROUPS_MAX of Linux: more nobody can have. */
#define GROUPS_BYTES_MAX (65536 * sizeof(gid_t))

/* Supplementary groups of the peer, freed by the caller; the kernel tells how much room they need. */
static int read_groups(int fd, gid_t **ret, size_t *ret_count)
{
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t len = 0;

	/* without room: -ERANGE, and the length; 0 if there are none */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 && errno != ERANGE)
		return -errno;
	if (len > GROUPS_BYTES_MAX)
		return -E2BIG;
	groups = malloc(len ? len : 1);
	if (!groups)
		return -ENOMEM;
	if (len && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return -errno;
	*ret = groups;
	*ret_count = len / sizeof(gid_t);
	groups = NULL;
	return 0;
}

static bool is_member(gid_t wanted, gid_t primary, const gid_t *groups, size_t count)
{
	bool found = primary == wanted;

	for (size_t i = 0; i < count && !found; i++)
		found = groups[i] == wanted;
	return found;
}

int control_access_of(const struct control_access *access, int fd, struct control_peer *ret)
{
	_cleanup_free_ gid_t *groups = NULL;
	struct ucred ucred;
	socklen_t len = sizeof(ucred);
	size_t count = 0;
	bool change;
	int err;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len) < 0)
		return -errno;
	err = read_groups(fd, &groups, &count);
	if (err)
		return err;
	change = ucred.uid == 0 || ucred.uid == geteuid() ||
		 (access->has_admin_group &&
		  is_member(access->admin_group, ucred.gid, groups, count));
	*ret = (struct control_peer){
		.pid = ucred.pid,
		.uid = ucred.uid,
		.may_change = change,
		.may_look = change || (access->has_group &&
				       is_member(access->group, ucred.gid, groups, count)),
	};
	return 0;
}
