/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Giving up, before the first byte of HTTP is read, all that only the start needed.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privileges_config {
	bool change_user; /* to the next two; takes CAP_SETUID and CAP_SETGID */
	uid_t uid;
	gid_t gid;
};

struct privileges_left {
	bool bounded; /* the bounding set is empty; else it is as it was found: emptying it takes CAP_SETPCAP */
};

/*
 * `text` is a name or a number. Group: the user's own, or for a number that the system has no user of, the same number. 0, or -ENOENT or
 * the lookup's -errno with what was looked for in `why`. Reads files and loads libraries: before privileges_drop().
 */
int privileges_find_user(const char *text, uid_t *ret_uid, gid_t *ret_gid, char *why,
			 size_t why_size);

/* The same for a group; a number need not be known to the system. */
int privileges_find_group(const char *text, gid_t *ret, char *why, size_t why_size);

/*
 * No capability is left in any set, no supplementary group if the user changes, no exec() can gain
 * anything, and nobody else's ptrace(2) or core dump reads this process. Since Linux 5.19 everything that the loop does with maps, links
 * and iterators needs no capability. 0, or -errno with what was refused in `why`: -EPERM names the capability that changing the user takes.
 * After a failure some of it may be gone: end the program.
 */
int privileges_drop(const struct privileges_config *config, struct privileges_left *ret, char *why,
		    size_t why_size);

#endif
