/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns pools and a mirror without a kernel, and makes messages as the ring would hold them. Every number follows from the position in
 * the sequence: two runs are the same, byte for byte. Knows nothing of clocks, and of what is measured.
 */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNERS 64
#define CONNECTIONS 12000 /* that end per drain, and begin */

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

/* Connections end in random order: nothing is where the last one was. */
void feed_next(struct feed *f)
{
	struct ps_message_record *m = f->messages;

	for (int i = 0; i < CONNECTIONS; i++) {
		uint64_t *id;

		f->seed = f->seed * 6364136223846793005ULL + 1442695040888963407ULL;
		id = &f->live[(f->seed >> 33) % f->live_count];
		if (i % 2)
			*m++ = message(f, *id, 3, PS_PHASE_STALE);
		*m++ = message(f, *id, 4, PS_PHASE_ENDED);
		*id = f->next_id++;
		*m++ = message(f, *id, 1, PS_PHASE_PENDING);
		*m++ = message(f, *id, 2, PS_PHASE_ESTABLISHED);
	}
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

	*f = (struct feed){.series = series, .live_count = live, .next_id = 1, .seed = 1};
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	f->messages = malloc(FEED_RECORDS * sizeof(*f->messages));
	f->live = malloc(live * sizeof(*f->live));
	if (!f->messages || !f->live || pools_open(&f->pools, &config) ||
	    connections_open(&f->connections, 2 * live, f->pools, hash_key) || feed_fill(f)) {
		feed_close(f);
		return -ENOMEM;
	}
	return 0;
}

void feed_close(struct feed *f)
{
	connections_close(f->connections);
	pools_close(f->pools);
	free(f->messages);
	free(f->live);
	*f = (struct feed){};
}
