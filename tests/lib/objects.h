/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The programs, maps and links that a process holds in the kernel, and whether they are gone once it is.
 */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define OBJECTS_MAX 256

struct object {
	int by_id; /* the command of bpf(2) that opens one of its kind by its id */
	unsigned int id;
};

/* From what /proc tells of its descriptors. Returns how many; asserts that there are some, and that object_exists() sees them. */
size_t objects_of(pid_t pid, struct object ret[OBJECTS_MAX]);

bool object_exists(const struct object *o);

/* Fails the test unless they are gone within 5 s: the kernel frees them after a grace period. */
void objects_expect_gone(const struct object *objects, size_t count);

#endif
