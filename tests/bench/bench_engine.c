/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the engine costs without a kernel: ns per record with 10,000 series and 100,000 live connections, bytes per mirrored
 * connection, ns per rendered line. The best of a few rounds, since other work on the machine only ever adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connections.h"
#include "exposition.h"
#include "pools.h"
#include "snapshot.h"
#include "util.h"

#define SERIES 10000
#define LIVE 100000
#define ROUNDS 5
#define DRAINS 30 /* per round */
#define CHURN \
	12000 /* connections that end and are replaced per drain: about what a ring of 4 MiB holds */

static const uint8_t key[16] = "bench_engine";

static struct ps_message_record message(uint64_t id, uint32_t version, enum ps_phase phase,
					uint64_t now_ns)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD};
	struct ps_record *r = &m.record;
	uint32_t peer = (uint32_t)(id * 2654435761U) % SERIES;

	r->id = id;
	r->version = version;
	r->phase = (uint8_t)phase;
	r->direction = PS_OUTBOUND;
	r->flags = phase == PS_PHASE_PENDING ? PS_ATTEMPTED : PS_ATTEMPTED | PS_OPENED;
	r->owner = r->birth_owner = 1 + peer % 64;
	r->peer_port = 443;
	memcpy(r->peer, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a", 13);
	r->peer[14] = (uint8_t)(peer >> 8);
	r->peer[15] = (uint8_t)peer;
	r->attempt_ns = now_ns;
	r->established_ns = phase >= PS_PHASE_ESTABLISHED ? now_ns + id % 1000000 : 0;
	r->closed_ns = phase >= PS_PHASE_STALE ? r->established_ns + id % 100000000000ULL : 0;
	return m;
}

/* The content of the ring, made before the clock starts. Connections end in random order: nothing is where the last one was. */
static size_t churn_make(struct ps_message_record *m, uint64_t *live, uint64_t *next_id,
			 uint64_t *seed)
{
	size_t n = 0;

	for (int i = 0; i < CHURN; i++) {
		uint64_t *slot;

		*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
		slot = &live[(*seed >> 33) % LIVE];
		if (i % 2)
			m[n++] = message(*slot, 3, PS_PHASE_STALE, *slot);
		m[n++] = message(*slot, 4, PS_PHASE_ENDED, *slot);
		*slot = (*next_id)++;
		m[n++] = message(*slot, 1, PS_PHASE_PENDING, *slot);
		m[n++] = message(*slot, 2, PS_PHASE_ESTABLISHED, *slot);
	}
	return n;
}

static uint64_t drain(struct connections *c, const struct ps_message_record *m, size_t n)
{
	uint64_t start = util_now_ns();

	for (size_t i = 0; i < n; i++)
		connections_message(c, &m[i], sizeof(m[i]), start);
	connections_drained(c, start, start); /* any position that rises serves */
	return util_now_ns() - start;
}

static void records_bench(struct connections *c)
{
	struct ps_message_record *m = malloc((4UL * CHURN + LIVE) * sizeof(*m));
	uint64_t *live = malloc(LIVE * sizeof(*live)), next_id = 1, seed = 1;
	struct connections_stats stats;
	double best = 1e9;

	if (!m || !live)
		exit(1);
	for (int i = 0; i < LIVE; i++) {
		live[i] = next_id++;
		m[i] = message(live[i], 2, PS_PHASE_ESTABLISHED, live[i]);
	}
	drain(c, m, LIVE);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t ns = 0, records = 0;

		for (int j = 0; j < DRAINS; j++) {
			size_t n = churn_make(m, live, &next_id, &seed);

			ns += drain(c, m, n);
			records += n;
		}
		best = (double)ns / (double)records < best ? (double)ns / (double)records : best;
	}
	connections_stats(c, &stats);
	printf("records: %.1f ns each, %.1f M/s (%u live, refused %llu)\n", best, 1e3 / best,
	       stats.tracked, (unsigned long long)(stats.full + stats.invalid + stats.negative));
	printf("mirror: %.1f bytes per live connection\n",
	       (double)connections_bytes(c) / stats.tracked);
	free(m);
	free(live);
}

static void rendering_bench(struct pools *p)
{
	struct exposition_self self = {};
	static char out[EXPOSITION_SLICE_BYTES];
	double best = 1e9, open_ms = 1e9, slice_ms = 1e9;
	size_t bytes = 0, lines = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct exposition *x;
		struct snapshot *snapshot;
		uint64_t start = util_now_ns(), opened, ns = 0, before, longest = 0;
		ssize_t n;

		if (snapshot_take(&snapshot, p, &self) ||
		    exposition_open(&x, EXPOSITION_TEXT, snapshot))
			exit(1);
		snapshot_release(snapshot);
		opened = util_now_ns();
		for (bytes = lines = 0;; bytes += (size_t)n) {
			before = util_now_ns();
			n = exposition_read(x, out, sizeof(out));
			before = util_now_ns() - before;
			ns += before;
			longest = before > longest ? before : longest;
			if (n <= 0)
				break;
			for (char *at = out; (at = memchr(at, '\n', (size_t)(out + n - at))); at++)
				lines++;
		}
		exposition_close(x);
		best = (double)ns < best * (double)lines ? (double)ns / (double)lines : best;
		open_ms = (double)(opened - start) / 1e6 < open_ms ? (double)(opened - start) / 1e6
								   : open_ms;
		slice_ms = (double)longest / 1e6 < slice_ms ? (double)longest / 1e6 : slice_ms;
	}
	printf("exposition: %.1f ns per line, %zu lines, %zu bytes, snapshot %.2f ms, "
	       "longest slice %.2f ms\n",
	       best, lines, bytes, open_ms, slice_ms);
}

int main(void)
{
	struct pools_config config = {.peers_max = SERIES, .series_max = SERIES};
	struct connections *c;
	struct pools *p;
	char name[16];

	memcpy(config.hash_key, key, sizeof(key));
	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	if (pools_open(&p, &config) || connections_open(&c, 2 * LIVE, p, key))
		return 1;
	for (uint32_t i = 1; i <= 64; i++) {
		snprintf(name, sizeof(name), "pool-%u", i);
		if (pools_add_owner(p, i, name))
			return 1;
	}
	records_bench(c);
	printf("series: %u of %zu bytes\n", series_count(pools_series(p)), sizeof(struct series));
	rendering_bench(p);
	connections_close(c);
	pools_close(p);
	return 0;
}
