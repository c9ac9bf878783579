// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * BPF_MAP_LOOKUP_BATCH and its sister, which also deletes. Invariant: an entry that the kernel has deleted is seen by the caller, whatever
 * comes next. Refuses to know what is in a map.
 */
#include "batch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* As many as bring a long chain of a hash along: the kernel hands out whole chains. */
#define READ_ENTRIES 512
#define TAKE_ENTRIES 4096

struct batch {
	int fd;
	size_t key_size, value_size;
	uint32_t entries;
	bool take;
	void (*before)(void *arg);
	batch_fn *fn;
	void *arg;
};

static int next(const struct batch *b, void *from, void *to, uint8_t *keys, uint8_t *values,
		uint32_t *ret_count)
{
	*ret_count = b->entries;
	/* -ENOENT with what is left: the end. -ENOSPC: one hash chain is longer than the batch. */
	if (b->take)
		return bpf_map_lookup_and_delete_batch(b->fd, from, to, keys, values, ret_count,
						       NULL)
			       ? -errno
			       : 0;
	return bpf_map_lookup_batch(b->fd, from, to, keys, values, ret_count, NULL) ? -errno : 0;
}

static int run(const struct batch *b)
{
	_cleanup_free_ uint8_t *values = calloc(b->entries, b->value_size);
	_cleanup_free_ uint8_t *keys = calloc(b->entries, b->key_size);
	uint32_t position, count;
	void *from = NULL;
	int err = 0;

	if (!values || !keys)
		return -ENOMEM;
	while (!err) {
		err = next(b, from, &position, keys, values, &count);
		if (err == -EINVAL || err == -EFAULT || err == -EPERM)
			return err; /* not begun, and count not written */
		if (err && err != -ENOENT && !b->take)
			return err;
		if (count && b->before)
			b->before(b->arg);
		for (uint32_t i = 0; i < count; i++)
			b->fn(b->arg, keys + i * b->key_size, values + i * b->value_size);
		from = &position;
	}
	return err == -ENOENT ? 0 : err;
}

int batch_read(int fd, size_t key_size, size_t value_size, batch_fn *fn, void *arg)
{
	const struct batch b = {.fd = fd,
				.key_size = key_size,
				.value_size = value_size,
				.entries = READ_ENTRIES,
				.fn = fn,
				.arg = arg};

	return run(&b);
}

int batch_take(int fd, size_t key_size, size_t value_size, void (*before)(void *arg), batch_fn *fn,
	       void *arg)
{
	const struct batch b = {.fd = fd,
				.key_size = key_size,
				.value_size = value_size,
				.entries = TAKE_ENTRIES,
				.take = true,
				.before = before,
				.fn = fn,
				.arg = arg};

	return run(&b);
}
