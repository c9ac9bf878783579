/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A million peers through the decoder, as a port scan with forged addresses would bring them: the tables stay within their bounds,
 * the sums are exact, and what did not fit is counted; those that are gone for long make room. Scenario 38.
 */
#include "check.h"

#include <string.h>

#include "connections.h"
#include "util.h"

#define WEB 1
#define PEERS 1000000
#define LIMIT 4096 /* live connections at a time are far fewer */
#define T0 (100 * NSEC_PER_SEC)
#define TTL (3600 * NSEC_PER_SEC)
#define MESSAGE_SPACE 96 /* what a record takes in the ring, about: positions only have to rise */

static const uint8_t hash_key[16] = "test_flood";

struct flood {
	struct pools *pools;
	struct connections *connections;
	uint64_t position;
	uint64_t now_ns;
};

static void flood_open(struct flood *f, uint32_t peers_max, uint32_t series_max)
{
	struct pools_config config = {
		.peers_max = peers_max, .series_max = series_max, .ttl_ns = TTL};

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	f->position = 0;
	f->now_ns = T0;
	assert_int_equal(pools_open(&f->pools, &config), 0);
	assert_int_equal(pools_add_owner(f->pools, WEB, "web"), 0);
	assert_int_equal(connections_open(&f->connections, LIMIT, f->pools, hash_key), 0);
}

static void flood_close(struct flood *f)
{
	connections_close(f->connections);
	pools_close(f->pools);
}

static void tell(struct flood *f, const struct ps_record *r)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD, .record = *r};

	connections_message(f->connections, &m, sizeof(m), T0);
	f->position += MESSAGE_SPACE;
}

/* One inbound connection from peer number i, from its beginning to its end. */
static void one_connection(struct flood *f, uint32_t i)
{
	struct ps_record r = {
		.id = i + 1,
		.version = 1,
		.established_ns = T0,
		.handshake_us = 100,
		.peer = {[10] = 0xff,
			 0xff,
			 (uint8_t)(20 + (i >> 24)),
			 (uint8_t)(i >> 16),
			 (uint8_t)(i >> 8),
			 (uint8_t)i},
		.owner = WEB,
		.birth_owner = WEB,
		.peer_port = (uint16_t)(1024 + i % 60000),
		.local_port = 443,
		.phase = PS_PHASE_ESTABLISHED,
		.direction = PS_INBOUND,
		.flags = PS_OPENED,
	};

	tell(f, &r);
	r.version = 2;
	r.phase = PS_PHASE_ENDED;
	r.closed_ns = T0 + NSEC_PER_SEC;
	r.reason = PS_CLOSE_RESET_BY_PEER;
	tell(f, &r);
}

/* Drained every thousand connections, as the daemon does it before the ring is full. */
static void flood_run(struct flood *f, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		one_connection(f, first + i);
		if (i % 1000 == 999)
			connections_drained(f->connections, f->position, f->position);
	}
	connections_drained(f->connections, f->position, f->position);
}

struct sums {
	uint64_t opened, closed, handshakes, lifetimes;
	int64_t active;
};

static struct sums sums_of(struct flood *f)
{
	const struct pools_config *config = pools_config(f->pools);
	struct sums sum = {0};

	for (uint32_t i = 0; i < series_count(pools_series(f->pools)); i++) {
		const struct series *s = series_at(pools_series(f->pools), i);

		sum.opened += s->opened;
		sum.active += s->active;
		sum.handshakes += histogram_count(&s->handshake, &config->handshake);
		sum.lifetimes += histogram_count(&s->lifetime, &config->lifetime);
		for (int reason = 0; reason < PS_CLOSES; reason++)
			sum.closed += s->closed[reason];
	}
	return sum;
}

static void expect_flood(struct flood *f, uint32_t bound)
{
	struct connections_stats stats;
	struct series_peers peers;
	struct sums sum;

	connections_stats(f->connections, &stats);
	sum = sums_of(f);
	assert_int_equal(sum.opened, PEERS);
	assert_int_equal(sum.closed, PEERS);
	assert_int_equal(sum.handshakes, PEERS);
	assert_int_equal(sum.lifetimes, PEERS);
	assert_int_equal(sum.active, 0);
	assert_true(series_count(pools_series(f->pools)) <= bound + 2); /* overflow: one each way */
	series_peers(pools_series(f->pools), 0, PS_INBOUND, &peers);
	assert_int_equal(peers.peers, bound);
	assert_int_equal(peers.overflowed, PEERS - bound);
	assert_int_equal(stats.tracked, 0);
	assert_int_equal(stats.full, 0);
	assert_int_equal(stats.invalid, 0);
	assert_int_equal(stats.negative, 0);
	assert_int_equal(stats.tombstones_dropped, 0);
	assert_int_equal(stats.events[PS_EVENT_ENDED], PEERS);
}

static void a_million_peers_fill_the_bound_and_no_more(void **state)
{
	struct flood f;

	(void)state;
	flood_open(&f, 128, 512);
	flood_run(&f, 0, PEERS);
	expect_flood(&f, 128);
	flood_close(&f);
}

static void the_bound_of_all_series_holds_as_well(void **state)
{
	struct flood f;

	(void)state;
	flood_open(&f, 10000, 512);
	flood_run(&f, 0, PEERS);
	expect_flood(&f, 512);
	flood_close(&f);
}

/* Nothing grows with the number of those that came and went. */
static void the_mirror_takes_no_more_after_a_million_than_after_a_few(void **state)
{
	struct flood f;
	size_t bytes;

	(void)state;
	flood_open(&f, 128, 512);
	flood_run(&f, PEERS, 10000);
	bytes = connections_bytes(f.connections);
	flood_run(&f, 0, PEERS);
	assert_int_equal(connections_bytes(f.connections), bytes);
	flood_close(&f);
}

/*
 * A hundred come and go, the ttl passes: so the whole million has a series of its own, ten thousand times in the same hundred
 * slots. What is dropped takes its numbers with it, so these are added up before.
 */
static void a_million_peers_that_stay_away_all_had_their_series(void **state)
{
	struct series_peers peers;
	uint64_t opened = 0, closed = 0;
	uint32_t dropped = 0;
	struct flood f;

	(void)state;
	flood_open(&f, 128, 512);
	for (uint32_t first = 0; first < PEERS; first += 100) {
		struct sums sum;

		flood_run(&f, first, 100);
		sum = sums_of(&f);
		assert_int_equal(sum.opened, 100);
		assert_int_equal(sum.closed, 100);
		assert_int_equal(sum.active, 0);
		opened += sum.opened;
		closed += sum.closed;
		f.now_ns += TTL;
		pools_clock(f.pools, f.now_ns);
		dropped += pools_expire(f.pools, 1000);
	}
	assert_int_equal(opened, PEERS);
	assert_int_equal(closed, PEERS);
	assert_int_equal(dropped, PEERS);
	assert_int_equal(series_count(pools_series(f.pools)), 100);
	series_peers(pools_series(f.pools), 0, PS_INBOUND, &peers);
	assert_int_equal(peers.peers, 0);
	assert_int_equal(peers.overflowed, 0);
	flood_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_peers_fill_the_bound_and_no_more),
		cmocka_unit_test(the_bound_of_all_series_holds_as_well),
		cmocka_unit_test(the_mirror_takes_no_more_after_a_million_than_after_a_few),
		cmocka_unit_test(a_million_peers_that_stay_away_all_had_their_series),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
