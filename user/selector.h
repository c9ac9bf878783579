/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What an operator names processes by when it is not a PID, and what the kernel knows that by.
 */
#ifndef SELECTOR_H
#define SELECTOR_H

#include <stddef.h>
#include <stdint.h>

#define SELECTOR_TEXT_MAX 255 /* bytes */
#define SELECTOR_COMM_MAX 15 /* TASK_COMM_LEN, less the NUL */

/* In the order of precedence; an explicit PID goes before them all. */
enum selector_kind { SELECTOR_UNIT, SELECTOR_CGROUP, SELECTOR_EXE, SELECTOR_COMM, SELECTOR_KINDS };

struct selector {
	enum selector_kind kind;
	/* "nginx.service"; of a cgroup the path below the root of the cgroup2 tree, "/system.slice/x"; "/usr/sbin/nginx"; "nginx" */
	char text[SELECTOR_TEXT_MAX + 1];
	uint64_t cgroup; /* of a unit or cgroup: its id, the inode of its directory; 0: there is none yet */
	/* of a file: the inode's number and its super block's device, MKDEV(major, minor) with 20 bits of minor */
	uint32_t device;
	uint64_t inode;
};

/* "unit", "cgroup", "exe", "comm" */
const char *selector_kind_text(enum selector_kind kind);

/* "unit:nginx.service", as it is shown. */
#define SELECTOR_SHOWN_MAX (SELECTOR_TEXT_MAX + sizeof("cgroup:"))
void selector_show(const struct selector *s, char ret[SELECTOR_SHOWN_MAX]);

/* What keeps a text from standing in a selector of this kind, for people to read; NULL: nothing. Pure. */
const char *selector_fault(enum selector_kind kind, const char *text);

/*
 * Looks up what the text names: a unit (".service" is appended if there is no suffix) and a cgroup in the tree of cgroup2, which may not be there
 * yet; a file, which must. A path to a cgroup may begin with the tree's mount point. Errors, told in `why`: -EINVAL of the text,
 * or of what is no program; -ENOTSUP no cgroup2 is mounted; -E2BIG too many cgroups to look for a unit; else what opening said.
 */
int selector_resolve(struct selector *ret, enum selector_kind kind, const char *text, char *why,
		     size_t why_size);

/* The same with the mounts that this file lists, which is like /proc/self/mountinfo. */
int selector_resolve_in(struct selector *ret, enum selector_kind kind, const char *text,
			const char *mountinfo, char *why, size_t why_size);

#endif
