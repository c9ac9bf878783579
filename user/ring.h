/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The reading end of a BPF ring buffer, of which only a part is mapped at a time. Of probes alone.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>

/* The data is valid during the call. */
typedef void ring_message_fn(void *arg, const void *data, size_t size);

/* All zero: not open. */
struct ring {
	uint64_t *consumer;
	const uint64_t *producer;
	const uint8_t
		*window; /* what is mapped of the data; NULL: nothing, since the kernel refused */
	uint64_t window_at; /* its offset in the data */
	uint32_t bytes, window_bytes;
	unsigned int calm_reads; /* in a row */
	size_t page_bytes;
	int fd; /* of the map */
};

/* `bytes`: the size of the map, a power of two and a multiple of the page size. Messages are shorter than a page; the fd stays the
 * caller's. -errno of mmap(). */
int ring_open(struct ring *r, int fd, uint32_t bytes);
void ring_close(struct ring *r);

/* Byte positions, ever rising: up to which slots are reserved, and read. */
uint64_t ring_produced(const struct ring *r);
uint64_t ring_consumed(const struct ring *r);

/* Hands over what begins before the position `end` and stands complete, up to the first slot that is reserved but not filled. Their room is
 * given back some at a time, all of it by the return. -errno of mmap(): the rest stays for the next call. */
int ring_read(struct ring *r, uint64_t end, ring_message_fn *fn, void *arg);

#endif
