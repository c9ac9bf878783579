/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns pools, a mirror, and in place of the kernel's ring a file in memory that is laid out like one. Every number follows from the
 * position in the sequence: two runs are the same, byte for byte. Knows nothing of clocks, and of what is measured.
 */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OWNERS 64
#define CONNECTIONS 12000 /* that end per drain, and begin */
#define RING_BYTES (4 * 1024 * 1024U) /* the daemon's default */

/* Of the ring: the kernel's header, which is the size and how far the ring begins before it, and a message. */
struct slot {
	uint32_t size, offset;
	struct ps_message_record message;
};

_Static_assert(FEED_RECORDS * sizeof(struct slot) <= RING_BYTES, "a drain has room");

static const uint8_t hash_key[16] = "feed";

static struct ps_message_record message(const struct feed *f, uint64_t id, uint32_t version,
					enum ps_phase phase)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD};
	struct ps_record *r = &m.record;
	uint32_t peer = (uint32_t)(id * 2654435761U) % f->series;

	r->id = id;
	r->version = version;
	r->phase = (uint8_t)phase;
	r->direction = PS_OUTBOUND;
	r->flags = phase == PS_PHASE_PENDING ? PS_ATTEMPTED : PS_ATTEMPTED | PS_OPENED;
	r->owner = r->birth_owner = 1 + peer % OWNERS;
	r->peer_port = 443;
	memcpy(r->peer, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a", 13);
	r->peer[14] = (uint8_t)(peer >> 8);
	r->peer[15] = (uint8_t)peer;
	r->attempt_ns = id;
	r->established_ns = phase >= PS_PHASE_ESTABLISHED ? id + id % 1000000 : 0;
	r->closed_ns = phase >= PS_PHASE_STALE ? r->established_ns + id % 100000000000ULL : 0;
	return m;
}

/* The kernel maps the data a second time behind its end, so that none is torn; here that is just room. */
static void put(struct feed *f, uint64_t *position, uint64_t id, uint32_t version,
		enum ps_phase phase)
{
	uint8_t *data = f->file + 2 * f->ring.page_bytes;
	struct slot slot = {.size = sizeof(slot.message),
			    .message = message(f, id, version, phase)};

	memcpy(data + (*position & (RING_BYTES - 1)), &slot, sizeof(slot));
	*position += sizeof(slot);
}

/* Connections end in random order: nothing is where the last one was. */
void feed_next(struct feed *f)
{
	uint64_t position = ring_produced(&f->ring);

	for (int i = 0; i < CONNECTIONS; i++) {
		uint64_t *id;

		f->seed = f->seed * 6364136223846793005ULL + 1442695040888963407ULL;
		id = &f->live[(f->seed >> 33) % f->live_count];
		if (i % 2)
			put(f, &position, *id, 3, PS_PHASE_STALE);
		put(f, &position, *id, 4, PS_PHASE_ENDED);
		*id = f->next_id++;
		put(f, &position, *id, 1, PS_PHASE_PENDING);
		put(f, &position, *id, 2, PS_PHASE_ESTABLISHED);
	}
	memcpy(f->file + f->ring.page_bytes, &position, sizeof(position));
}

static void on_message(void *arg, const void *data, size_t size)
{
	struct feed *f = arg;

	connections_message(f->connections, data, size, 0);
}

int feed_read(struct feed *f)
{
	return ring_read(&f->ring, ring_produced(&f->ring), on_message, f);
}

void feed_end(struct feed *f)
{
	connections_drained(f->connections, ring_consumed(&f->ring), ring_produced(&f->ring));
}

static size_t file_bytes(void)
{
	return 2 * (size_t)sysconf(_SC_PAGESIZE) + 2 * RING_BYTES;
}

static int feed_map(struct feed *f)
{
	void *file;

	f->fd = memfd_create("feed", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)file_bytes()))
		return -errno;
	file = mmap(NULL, file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (file == MAP_FAILED)
		return -errno;
	f->file = file;
	return ring_open(&f->ring, f->fd, RING_BYTES);
}

static int feed_fill(struct feed *f)
{
	char name[16];

	for (uint32_t i = 1; i <= OWNERS; i++) {
		snprintf(name, sizeof(name), "pool-%u", i);
		if (pools_add_owner(f->pools, i, name))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->live_count; i++) {
		struct ps_message_record m;

		f->live[i] = f->next_id++;
		m = message(f, f->live[i], 2, PS_PHASE_ESTABLISHED);
		connections_message(f->connections, &m, sizeof(m), 0);
	}
	connections_drained(f->connections, 0, 0);
	return 0;
}

int feed_open(struct feed *f, uint32_t series, uint32_t live)
{
	struct pools_config config = {.peers_max = series, .series_max = series};
	int err;

	*f = (struct feed){.series = series, .live_count = live, .fd = -1, .next_id = 1, .seed = 1};
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	f->live = malloc(live * sizeof(*f->live));
	err = f->live ? pools_open(&f->pools, &config) : -ENOMEM;
	if (!err)
		err = connections_open(&f->connections, 2 * live, f->pools, hash_key);
	if (!err)
		err = feed_fill(f);
	if (!err)
		err = feed_map(f);
	if (err)
		feed_close(f);
	return err;
}

void feed_close(struct feed *f)
{
	ring_close(&f->ring);
	if (f->file)
		munmap(f->file, file_bytes());
	if (f->fd >= 0)
		close(f->fd);
	connections_close(f->connections);
	pools_close(f->pools);
	free(f->live);
	*f = (struct feed){.fd = -1};
}
