/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * BPF objects of other processes, by their ids. Knows nothing of what they are for.
 */
#include "objects.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#define DESCRIPTORS_MAX 256

size_t objects_of(pid_t pid, struct object ret[OBJECTS_MAX])
{
	static const struct {
		const char *key;
		int by_id;
	} kinds[] = {{"prog_id:", BPF_PROG_GET_FD_BY_ID},
		     {"map_id:", BPF_MAP_GET_FD_BY_ID},
		     {"link_id:", BPF_LINK_GET_FD_BY_ID}};
	size_t count = 0;
	char path[64], line[256];

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
		f = fopen(path, "re");
		while (f && count < OBJECTS_MAX && fgets(line, sizeof(line), f))
			for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
				if (strncmp(line, kinds[i].key, strlen(kinds[i].key)) == 0)
					ret[count++] = (struct object){
						.by_id = kinds[i].by_id,
						.id = (unsigned int)strtoul(
							line + strlen(kinds[i].key), NULL, 10),
					};
		if (f)
			fclose(f);
	}
	assert_true(count > 10);
	for (size_t i = 0; i < count; i++)
		assert_true(object_exists(&ret[i]));
	return count;
}

bool object_exists(const struct object *o)
{
	union bpf_attr attr = {.prog_id = o->id}; /* the ids of all kinds share one place */
	int fd = (int)syscall(SYS_bpf, o->by_id, &attr, sizeof(attr));

	if (fd >= 0)
		close(fd);
	else
		assert_int_equal(errno, ENOENT);
	return fd >= 0;
}

void objects_expect_gone(const struct object *objects, size_t count)
{
	double deadline = now_seconds() + 5;

	for (size_t i = 0; i < count; i++)
		while (object_exists(&objects[i])) {
			if (now_seconds() > deadline)
				fail_msg("object %u is still in the kernel", objects[i].id);
			pause_ms(20);
		}
}
