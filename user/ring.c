// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Reads a ring as kernel/bpf/ringbuf.c lays it out: the consumer's page at offset 0 of the map, the producer's page behind it, then the data,
 * twice in a row so that no message is torn. libbpf's reader maps all of that, and every page of it counts as resident: 8 MiB for a
 * ring of 4 MiB. Here it is a window that moves along. To move it costs some 10 ns a message, so whoever finds more than that waiting maps
 * as much, once, until it has been calm for a while. Invariant: the consumer's position is that of a message, and nothing before it is
 * looked at again. Knows messages as bytes.
 */
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* A multiple of the largest pages (64 KiB). */
#define WINDOW_BYTES (256 * 1024U)
/* Reads that needed less than the window: some seconds of the timer's. */
#define CALM_READS 64
/* The room of so many bytes is given back at once: producers read the position too, and each change costs them a cache miss. */
#define GIVE_BACK_BYTES 4096

static void *map(const struct ring *r, size_t bytes, int protection, uint64_t offset)
{
	return mmap(NULL, bytes, protection, MAP_SHARED, r->fd, (off_t)offset);
}

static void window_unmap(struct ring *r)
{
	if (r->window)
		munmap((void *)r->window, r->window_bytes + r->page_bytes);
	r->window = NULL;
}

/* The window in which `at` lies, of the same size in the place of the old one. A message that begins at its end goes on in the page behind it. */
static int window_move(struct ring *r, uint64_t at)
{
	uint64_t window_at = at & ~(uint64_t)(r->window_bytes - 1);
	void *window = mmap((void *)r->window, r->window_bytes + r->page_bytes, PROT_READ,
			    MAP_SHARED | (r->window ? MAP_FIXED : 0), r->fd,
			    (off_t)(2 * r->page_bytes + window_at));

	if (window == MAP_FAILED) {
		int err = -errno;

		window_unmap(r); /* half of it may be gone */
		return err;
	}
	r->window = window;
	r->window_at = window_at;
	return 0;
}

static uint32_t window_least(const struct ring *r)
{
	return r->bytes < WINDOW_BYTES ? r->bytes : WINDOW_BYTES;
}

/* As large as it should be for so many bytes that wait. If that is refused, what is mapped serves as well. */
static void window_fit(struct ring *r, uint64_t at, uint64_t waiting)
{
	struct ring fitting = *r;

	fitting.window = NULL;
	fitting.window_bytes = window_least(r);
	while (fitting.window_bytes < waiting && fitting.window_bytes < r->bytes)
		fitting.window_bytes *= 2;
	r->calm_reads = fitting.window_bytes < r->window_bytes ? r->calm_reads + 1 : 0;
	if (fitting.window_bytes <= r->window_bytes && r->calm_reads < CALM_READS)
		return;
	r->calm_reads = fitting.calm_reads = 0;
	if (window_move(&fitting, at))
		return;
	window_unmap(r);
	*r = fitting;
}

int ring_open(struct ring *r, int fd, uint32_t bytes)
{
	void *p;
	int err;

	*r = (struct ring){.fd = fd, .bytes = bytes, .page_bytes = (size_t)sysconf(_SC_PAGESIZE)};
	p = map(r, r->page_bytes, PROT_READ | PROT_WRITE, 0);
	if (p == MAP_FAILED)
		return -errno;
	r->consumer = p;
	p = map(r, r->page_bytes, PROT_READ, r->page_bytes);
	err = p == MAP_FAILED ? -errno : 0;
	if (!err) {
		r->producer = p;
		r->window_bytes = window_least(r);
		err = window_move(r, 0);
	}
	if (err)
		ring_close(r);
	return err;
}

void ring_close(struct ring *r)
{
	window_unmap(r);
	if (r->producer)
		munmap((void *)r->producer, r->page_bytes);
	if (r->consumer)
		munmap(r->consumer, r->page_bytes);
	*r = (struct ring){};
}

uint64_t ring_produced(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
}

uint64_t ring_consumed(const struct ring *r)
{
	return __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

static void give_back(struct ring *r, uint64_t position)
{
	__atomic_store_n(r->consumer, position, __ATOMIC_RELEASE);
}

int ring_read(struct ring *r, uint64_t end, ring_message_fn *fn, void *arg)
{
	uint64_t position = ring_consumed(r), given_back = position;
	int err = 0;

	window_fit(r, position & (r->bytes - 1), end - position);
	while (!err && position < end) {
		uint64_t at = position & (r->bytes - 1);
		const uint8_t *message;
		uint32_t header, size;

		if (!r->window || at - r->window_at >= r->window_bytes)
			err = window_move(r, at);
		if (err)
			break;
		message = r->window + (at - r->window_at);
		header = __atomic_load_n((const uint32_t *)message, __ATOMIC_ACQUIRE);
		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		size = header & ~BPF_RINGBUF_DISCARD_BIT;
		if (size == header)
			fn(arg, message + BPF_RINGBUF_HDR_SZ, size);
		position += BPF_RINGBUF_HDR_SZ + ((size + 7ULL) & ~7ULL);
		if (position - given_back < GIVE_BACK_BYTES)
			continue;
		give_back(r, position);
		given_back = position;
	}
	give_back(r, position);
	return err;
}
