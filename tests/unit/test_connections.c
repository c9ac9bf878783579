/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The mirror: newest version wins, tombstones, bounds, the accept fallback; then, with fixed seeds, that any order, repetition
 * and omission of versions leads to the same numbers, and that no bytes break them.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accepts.h"
#include "connections.h"
#include "util.h"

#define WEB 1 /* owners; WEB_TOO bears the same name */
#define WORKER 2
#define WEB_TOO 3
#define STRANGER 9 /* no owner of ours */
#define T0 (100 * NSEC_PER_SEC)

static const uint8_t hash_key[16] = "test_connections";

struct engine {
	struct pools *pools;
	struct connections *connections;
};

static struct engine engine_open(uint32_t limit)
{
	struct pools_config config = {.peers_max = 128, .series_max = 512};
	struct engine e;

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	assert_int_equal(pools_open(&e.pools, &config), 0);
	assert_int_equal(pools_add_owner(e.pools, WEB, "web"), 0);
	assert_int_equal(pools_add_owner(e.pools, WORKER, "worker"), 0);
	assert_int_equal(pools_add_owner(e.pools, WEB_TOO, "web"), 0);
	assert_int_equal(connections_open(&e.connections, limit, e.pools, hash_key), 0);
	return e;
}

static uint64_t sum(const uint64_t *values, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += values[i];
	return total;
}

static struct connections_stats stats_of(struct engine *e)
{
	struct connections_stats stats;

	connections_stats(e->connections, &stats);
	return stats;
}

/* What holds for every series after every message. */
static void assert_adds_up(struct engine *e)
{
	struct connections_stats stats = stats_of(e); /* accounts what is batched, too */

	assert_int_equal(stats.negative, 0);
	assert_true(stats.tracked <= stats.limit);
	for (uint32_t i = 0; i < series_count(pools_series(e->pools)); i++) {
		const struct series *s = series_at(pools_series(e->pools), i);

		assert_true(s->active >= 0 && s->pending >= 0 && s->stale >= 0);
		assert_int_equal(s->opened + s->adopted,
				 (uint64_t)s->active + sum(s->closed, PS_CLOSES) + s->handed_over);
		if (s->key.direction == PS_OUTBOUND)
			assert_int_equal(s->attempts, s->opened + (uint64_t)s->pending +
							      sum(s->failed, PS_FAILS));
		assert_true(histogram_count(&s->handshake, &pools_config(e->pools)->handshake) <=
			    s->opened);
		assert_true(histogram_count(&s->lifetime, &pools_config(e->pools)->lifetime) <=
			    sum(s->closed, PS_CLOSES));
	}
}

static void engine_close(struct engine *e)
{
	assert_adds_up(e);
	connections_close(e->connections);
	pools_close(e->pools);
}

/* The n-th series that was made, with all messages accounted. */
static const struct series *nth(struct engine *e, uint32_t n)
{
	stats_of(e);
	assert_true(n < series_count(pools_series(e->pools)));
	return series_at(pools_series(e->pools), n);
}

static struct ps_record record(uint64_t id, enum ps_direction direction, enum ps_phase phase,
			       uint32_t version)
{
	struct ps_record r = {
		.id = id,
		.version = version,
		.peer = {[10] = 0xff, 0xff, 10, 0, 0, 1},
		.owner = WEB,
		.birth_owner = WEB,
		.peer_port = 5432,
		.local_port = 80,
		.phase = (uint8_t)phase,
		.direction = (uint8_t)direction,
		.flags = phase == PS_PHASE_PENDING ? 0 : PS_OPENED,
	};

	if (direction == PS_OUTBOUND) {
		r.flags |= PS_ATTEMPTED;
		r.attempt_ns = T0;
	}
	if (phase >= PS_PHASE_ESTABLISHED)
		r.established_ns = T0 + NSEC_PER_MSEC;
	if (phase >= PS_PHASE_STALE)
		r.closed_ns = T0 + NSEC_PER_SEC;
	return r;
}

static void tell_record(struct engine *e, const struct ps_record *r)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD, .record = *r};

	connections_message(e->connections, &m, sizeof(m), T0);
}

static void tell(struct engine *e, uint64_t id, enum ps_direction direction, enum ps_phase phase,
		 uint32_t version)
{
	struct ps_record r = record(id, direction, phase, version);

	tell_record(e, &r);
}

static void tell_accept(struct engine *e, uint64_t cookie, uint32_t owner, uint64_t accepted_ns,
			uint64_t now_ns)
{
	struct ps_message_accept m = {.kind = PS_MESSAGE_ACCEPT,
				      .owner = owner,
				      .cookie = cookie,
				      .accepted_ns = accepted_ns};

	connections_message(e->connections, &m, sizeof(m), now_ns);
}

static uint64_t waits(struct engine *e, const struct series *s)
{
	return histogram_count(&s->accept_wait, &pools_config(e->pools)->handshake);
}

static void refuses_bad_limits(void **state)
{
	struct connections *c = NULL;

	(void)state;
	assert_int_equal(connections_open(&c, 0, NULL, hash_key), -EINVAL);
	assert_int_equal(connections_open(&c, CONNECTIONS_LIMIT_MAX + 1, NULL, hash_key), -EINVAL);
	assert_null(c);
	connections_close(NULL);
}

static void only_a_newer_version_is_applied(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	assert_int_equal(nth(&e, 0)->attempts, 1);
	assert_int_equal(nth(&e, 0)->pending, 0);
	assert_int_equal(nth(&e, 0)->active, 1);
	assert_int_equal(stats_of(&e).events[PS_EVENT_ESTABLISHED], 1);
	assert_int_equal(stats_of(&e).events[PS_EVENT_PENDING], 0);
	assert_int_equal(stats_of(&e).tracked, 1);
	engine_close(&e);
}

static void a_version_far_above_is_newer_too(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_PENDING, 7);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, UINT32_MAX);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(stats_of(&e).tracked, 0);
	engine_close(&e);
}

static void events_are_counted_by_kind_when_accounted(void **state)
{
	struct engine e = engine_open(10);
	struct connections_stats stats;

	(void)state;
	for (int repeat = 0; repeat < 2; repeat++) {
		tell(&e, 1, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
		tell_accept(&e, 1, WEB, T0 + NSEC_PER_SEC, T0);
		tell(&e, 1, PS_INBOUND, PS_PHASE_STALE, 2);
		tell(&e, 1, PS_INBOUND, PS_PHASE_ENDED, 3);
		tell(&e, 2, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	}
	stats = stats_of(&e);
	assert_int_equal(stats.events[PS_EVENT_PENDING], 1);
	assert_int_equal(stats.events[PS_EVENT_ESTABLISHED], 1);
	assert_int_equal(stats.events[PS_EVENT_STALE], 1);
	assert_int_equal(stats.events[PS_EVENT_ENDED], 1);
	assert_int_equal(stats.events[PS_EVENT_ACCEPT], 1);
	engine_close(&e);
}

static void a_tombstone_ignores_late_copies_until_the_ring_has_passed_it(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 9);
	connections_drained(e.connections, 1000, 2000); /* stamped with 2000 */
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	connections_drained(e.connections, 1999, 3000);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(nth(&e, 0)->attempts, 1);
	connections_drained(e.connections, 2000, 4000);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED,
	     3); /* no message like this can come: it shows that the entry is gone */
	assert_int_equal(nth(&e, 0)->attempts, 2);
	assert_int_equal(stats_of(&e).tombstones_dropped, 0);
	engine_close(&e);
}

static void live_entries_outlast_all_drains(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	for (uint64_t position = 0; position < 5000; position += 1000)
		connections_drained(e.connections, position, position);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(nth(&e, 0)->attempts, 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	engine_close(&e);
}

static void a_full_mirror_refuses_the_new_and_counts_it(void **state)
{
	struct engine e = engine_open(3);

	(void)state;
	for (uint64_t id = 1; id <= 5; id++)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	assert_int_equal(stats_of(&e).full, 2);
	assert_int_equal(stats_of(&e).tracked, 3);
	assert_int_equal(nth(&e, 0)->active, 3);
	/* One that has ended needs no place, and makes good what was refused. */
	tell(&e, 4, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(stats_of(&e).full, 2);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	tell(&e, 5, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 3);
	assert_int_equal(stats_of(&e).tracked, 3);
	assert_int_equal(nth(&e, 0)->opened, 5);
	engine_close(&e);
}

static void tombstones_are_bounded_and_the_oldest_goes_first(void **state)
{
	struct engine e = engine_open(3);

	(void)state;
	for (uint64_t id = 1; id <= 1025; id++)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_ENDED, 1);
	assert_int_equal(stats_of(&e).tombstones_dropped, 1);
	tell(&e, 2, PS_OUTBOUND, PS_PHASE_ENDED, 2);
	tell(&e, 1025, PS_OUTBOUND, PS_PHASE_ENDED, 2);
	assert_int_equal(nth(&e, 0)->attempts, 1025);
	connections_drained(e.connections, 0, 10);
	connections_drained(e.connections, 10, 20);
	tell(&e, 1026, PS_OUTBOUND, PS_PHASE_ENDED, 2);
	assert_int_equal(stats_of(&e).tombstones_dropped, 1);
	engine_close(&e);
}

static void stamped_tombstones_may_be_dropped_too(void **state)
{
	struct engine e = engine_open(3);

	(void)state;
	for (uint64_t id = 1; id <= 1000; id++)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_ENDED, 1);
	connections_drained(e.connections, 0, 10);
	for (uint64_t id = 1001; id <= 3000; id++)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_ENDED, 1);
	assert_int_equal(stats_of(&e).tombstones_dropped, 3000 - 1024);
	connections_drained(e.connections, 10, 20);
	tell(&e, 3000, PS_OUTBOUND, PS_PHASE_ENDED, 1); /* stamped 20: still there */
	assert_int_equal(nth(&e, 0)->attempts, 3000);
	connections_drained(e.connections, 20, 30);
	tell(&e, 3000, PS_OUTBOUND, PS_PHASE_ENDED, 1);
	assert_int_equal(nth(&e, 0)->attempts, 3001);
	engine_close(&e);
}

static void a_hundred_thousand_live_connections_are_all_found_again(void **state)
{
	struct engine e = engine_open(100000);

	(void)state;
	for (uint64_t id = 1; id <= 100000; id++)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	assert_int_equal(stats_of(&e).tracked, 100000);
	for (uint64_t id = 1; id <= 100000; id++)
		tell(&e, id, PS_OUTBOUND, id % 2 ? PS_PHASE_ESTABLISHED : PS_PHASE_ENDED, 2);
	assert_int_equal(nth(&e, 0)->attempts, 100000);
	assert_int_equal(nth(&e, 0)->active, 50000);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 50000);
	connections_drained(e.connections, 0, 1);
	connections_drained(e.connections, 1, 2);
	for (uint64_t id = 1; id <= 100000; id += 2)
		tell(&e, id, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(stats_of(&e).tracked, 0);
	assert_int_equal(nth(&e, 0)->attempts, 100000);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 100000);
	assert_int_equal(stats_of(&e).full + stats_of(&e).tombstones_dropped, 0);
	assert_true(connections_bytes(e.connections) <= 256 * 100000);
	engine_close(&e);
}

static void messages_of_no_abi_are_invalid(void **state)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD};
	struct ps_record good = record(1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 1);
	struct engine e = engine_open(10);
	uint64_t invalid = 0;

	(void)state;
#define INVALID_IF(change)                                       \
	do {                                                     \
		struct ps_record r = good;                       \
		change;                                          \
		tell_record(&e, &r);                             \
		invalid++;                                       \
		assert_int_equal(stats_of(&e).invalid, invalid); \
	} while (0)
	INVALID_IF(r.phase = PS_PHASE_NONE);
	INVALID_IF(r.phase = PS_PHASES);
	INVALID_IF(r.direction = PS_DIRECTIONS);
	INVALID_IF(r.reason = PS_CLOSES);
	INVALID_IF(r.version = 0);
	INVALID_IF(r.id = 0);
	INVALID_IF(r.flags = PS_ATTEMPTED); /* established without a milestone */
	INVALID_IF(r.flags = PS_OPENED); /* outbound without an attempt */
	INVALID_IF(r.flags |= PS_ADOPTED);
	INVALID_IF(r.flags = PS_ADOPTED | PS_ATTEMPTED);
	INVALID_IF(r.direction = PS_INBOUND); /* inbound with an attempt */
	INVALID_IF(r.phase = PS_PHASE_PENDING); /* pending, but opened */
	INVALID_IF((r.phase = PS_PHASE_PENDING, r.flags = PS_ATTEMPTED | PS_HANDED));
	INVALID_IF((r.phase = PS_PHASE_STALE, r.flags = PS_HANDED));
	INVALID_IF((r.phase = PS_PHASE_STALE,
		    r.flags = PS_ATTEMPTED)); /* closed by the peer, but never opened */
	m.record = good;
	connections_message(e.connections, &m, sizeof(m) - 1, T0);
	connections_message(e.connections, &m, sizeof(m) + 1, T0);
	connections_message(e.connections, &m, 3, T0);
	connections_message(e.connections, NULL, 0, T0);
	m.kind = PS_MESSAGE_ACCEPT;
	connections_message(e.connections, &m, sizeof(m), T0);
	m.kind = 77;
	connections_message(e.connections, &m, sizeof(m), T0);
	tell_accept(&e, 1, WEB, 0, T0);
	assert_int_equal(stats_of(&e).invalid, invalid + 7);
	assert_int_equal(stats_of(&e).tracked, 0);
	tell_record(&e, &good);
	assert_int_equal(stats_of(&e).tracked, 1);
	engine_close(&e);
}

static void a_record_that_contradicts_the_last_is_invalid(void **state)
{
	struct ps_record r = record(1, PS_OUTBOUND, PS_PHASE_STALE, 1);
	struct engine e = engine_open(10);

	(void)state;
	tell_record(&e, &r);
	r = record(1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2); /* back */
	tell_record(&e, &r);
	r = record(1, PS_INBOUND, PS_PHASE_STALE, 3); /* another direction */
	tell_record(&e, &r);
	r = record(1, PS_OUTBOUND, PS_PHASE_STALE, 4); /* a milestone is gone */
	r.flags = PS_ATTEMPTED;
	tell_record(&e, &r);
	assert_int_equal(stats_of(&e).invalid, 3);
	assert_int_equal(nth(&e, 0)->stale, 1);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 5);
	assert_int_equal(nth(&e, 0)->stale, 0);
	engine_close(&e);
}

static void an_accept_is_merged_into_its_connection(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 7, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	tell_accept(&e, 7 | 5ULL << PS_COOKIE_BITS, WORKER, T0 + 3 * NSEC_PER_MSEC,
		    T0); /* only the low 48 bits name it */
	assert_int_equal(nth(&e, 0)->handed_over, 1);
	assert_int_equal(nth(&e, 0)->active, 0);
	assert_int_equal(nth(&e, 1)->active, 1);
	assert_int_equal(nth(&e, 1)->adopted, 1);
	assert_int_equal(nth(&e, 1)->accept_wait.sum_ns, 2 * NSEC_PER_MSEC);
	tell_accept(&e, 7, WEB, T0 + 4 * NSEC_PER_MSEC, T0); /* only the first one counts */
	tell(&e, 7, PS_INBOUND, PS_PHASE_STALE,
	     2); /* knows nothing of the accept, and moves nothing back */
	assert_int_equal(nth(&e, 0)->stale, 0);
	assert_int_equal(nth(&e, 1)->stale, 1);
	assert_int_equal(nth(&e, 1)->closed[PS_CLOSE_LOCAL], 1);
	tell(&e, 7, PS_INBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(nth(&e, 0)->handed_over, 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 0);
	assert_int_equal(nth(&e, 1)->stale, 0);
	assert_int_equal(waits(&e, nth(&e, 0)), 0);
	assert_int_equal(waits(&e, nth(&e, 1)), 1);
	engine_close(&e);
}

static void an_accept_waits_for_its_first_record(void **state)
{
	struct engine e = engine_open(10);
	uint32_t owners[4];

	(void)state;
	tell_accept(&e, 7, WORKER, T0 + 3 * NSEC_PER_MSEC, T0);
	tell(&e, 7, PS_INBOUND, PS_PHASE_ENDED,
	     4); /* closed later than accepted: it was handed over while established */
	assert_int_equal(nth(&e, 0)->handed_over, 1);
	assert_int_equal(nth(&e, 1)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(waits(&e, nth(&e, 1)), 1);
	assert_int_equal(connections_orphan_owners(e.connections, T0 + NSEC_PER_SEC, owners, 4), 0);
	tell_accept(&e, 8, WORKER, T0 + 2 * NSEC_PER_SEC, T0);
	tell(&e, 8, PS_INBOUND, PS_PHASE_STALE,
	     2); /* closed first: the acceptor only holds what is left */
	assert_int_equal(nth(&e, 0)->handed_over, 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(nth(&e, 1)->stale, 1);
	engine_close(&e);
}

static void an_accept_of_another_owner_of_the_same_name_moves_nothing(void **state)
{
	struct engine e = engine_open(10);
	struct ps_record moved;

	(void)state;
	tell(&e, 7, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	tell_accept(&e, 7, WEB_TOO, T0 + 3 * NSEC_PER_MSEC, T0);
	moved = record(7, PS_INBOUND, PS_PHASE_ESTABLISHED, 2);
	moved.owner = WORKER;
	moved.accepted_ns = T0 + 4 * NSEC_PER_MSEC;
	moved.flags |= PS_HANDED;
	tell_record(&e, &moved); /* accepted once is accepted for good */
	tell(&e, 7, PS_INBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(series_count(pools_series(e.pools)), 1);
	assert_int_equal(nth(&e, 0)->handed_over, 0);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(nth(&e, 0)->lifetime.sum_ns, 999 * NSEC_PER_MSEC);
	assert_int_equal(waits(&e, nth(&e, 0)), 1);
	engine_close(&e);
}

static void accepts_of_what_is_no_waiting_connection_do_nothing(void **state)
{
	struct engine e = engine_open(10);
	struct ps_record accepted = record(3, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	uint32_t owners[4];

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 1);
	tell(&e, 2, PS_INBOUND, PS_PHASE_ENDED, 1);
	accepted.accepted_ns = T0 + NSEC_PER_SEC;
	tell_record(&e, &accepted);
	for (uint64_t id = 1; id <= 3; id++)
		tell_accept(&e, id, WORKER, T0 + NSEC_PER_SEC, T0);
	assert_int_equal(series_count(pools_series(e.pools)), 2);
	assert_int_equal(stats_of(&e).events[PS_EVENT_ACCEPT], 0);
	assert_int_equal(waits(&e, nth(&e, 1)), 1);
	assert_int_equal(connections_orphan_owners(e.connections, T0 + NSEC_PER_SEC, owners, 4), 0);
	engine_close(&e);
}

static void orphan_accepts_are_reported_after_200_ms_once_per_owner(void **state)
{
	struct engine e = engine_open(10);
	uint32_t owners[4] = {};

	(void)state;
	tell_accept(&e, 0, WORKER, T0, T0); /* a socket without a cookie has no record of ours */
	tell_accept(&e, 0, WORKER, T0 + 1, T0);
	tell_accept(&e, 5, WEB, T0, T0);
	tell_accept(&e, 6, 0, T0, T0); /* accepted by no target: forgotten */
	tell_accept(&e, 9, WEB_TOO, T0, T0 + 150 * NSEC_PER_MSEC);
	assert_int_equal(
		connections_orphan_owners(e.connections, T0 + 199 * NSEC_PER_MSEC, owners, 4), 0);
	assert_int_equal(
		connections_orphan_owners(e.connections, T0 + 200 * NSEC_PER_MSEC, owners, 4), 2);
	assert_int_equal(owners[0] + owners[1], WORKER + WEB);
	assert_int_not_equal(owners[0], owners[1]);
	assert_int_equal(
		connections_orphan_owners(e.connections, T0 + 200 * NSEC_PER_MSEC, owners, 4), 0);
	assert_int_equal(
		connections_orphan_owners(e.connections, T0 + 350 * NSEC_PER_MSEC, owners, 4), 1);
	assert_int_equal(owners[0], WEB_TOO);
	tell(&e, 5, PS_INBOUND, PS_PHASE_ESTABLISHED,
	     1); /* refused at first: an inventory brought it */
	assert_int_equal(waits(&e, nth(&e, 0)), 1);
	connections_orphan_owners(e.connections, T0 + 4 * NSEC_PER_SEC, owners, 4);
	tell(&e, 9, PS_INBOUND, PS_PHASE_ESTABLISHED, 1); /* too late: its accept is forgotten */
	assert_int_equal(waits(&e, nth(&e, 0)), 1);
	engine_close(&e);
}

static void orphan_owners_that_find_no_room_come_next_time(void **state)
{
	struct engine e = engine_open(10);
	uint32_t owners[2], seen = 0;

	(void)state;
	assert_int_equal(pools_add_owner(e.pools, 4, "four"), 0);
	assert_int_equal(pools_add_owner(e.pools, 5, "five"), 0);
	for (uint32_t owner = 1; owner <= 5; owner++) {
		tell_accept(&e, 100 + owner, owner, T0, T0);
		tell_accept(&e, 200 + owner, owner, T0, T0);
	}
	for (int call = 0; call < 2; call++) {
		assert_int_equal(
			connections_orphan_owners(e.connections, T0 + NSEC_PER_SEC, owners, 2), 2);
		seen |= 1U << owners[0] | 1U << owners[1];
	}
	/* An accept of an owner already told may still wait in a later place of the table. */
	while (connections_orphan_owners(e.connections, T0 + NSEC_PER_SEC, owners, 1))
		seen |= 1U << owners[0];
	assert_int_equal(seen, 0x3e);
	engine_close(&e);
}

static void waiting_accepts_are_bounded_and_counted(void **state)
{
	struct engine e = engine_open(10);
	uint64_t told = 0;

	(void)state;
	for (uint64_t cookie = 1; cookie <= 400000; cookie++)
		tell_accept(&e, cookie, WORKER, T0, T0 + cookie);
	assert_int_equal(stats_of(&e).accepts_dropped, 400000 - 131072);
	for (uint64_t id = 1; id <= 400000; id++)
		tell(&e, id, PS_INBOUND, PS_PHASE_ENDED, 1);
	told = waits(&e, nth(&e, 1));
	assert_int_equal(told, 131072);
	assert_int_equal(nth(&e, 0)->opened, 400000);
	engine_close(&e);
}

static void queued_connections_are_found_by_cookie(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	tell(&e, 2, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	tell(&e, 3, PS_INBOUND, PS_PHASE_STALE, 1);
	tell(&e, 4, PS_INBOUND, PS_PHASE_ENDED, 1);
	tell_accept(&e, 2, WEB, T0 + 1, T0);
	pools_queued_reset(e.pools);
	for (uint64_t cookie = 0; cookie <= 9; cookie++)
		connections_queued(e.connections, cookie);
	assert_int_equal(nth(&e, 0)->queued, 1);
	engine_close(&e);
}

static void incarnations_of_a_socket_are_connections_of_their_own(void **state)
{
	uint64_t second = 5 | 1ULL << PS_COOKIE_BITS;
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 5, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell(&e, second, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	assert_int_equal(stats_of(&e).tracked, 2);
	tell(&e, 5, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	tell(&e, second, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	assert_int_equal(nth(&e, 0)->opened, 2);
	assert_int_equal(nth(&e, 0)->active, 1);
	engine_close(&e);
}

/*
 * The random lives. A life is what the kernel would tell of one connection: its versions in order and, in some of them, an
 * accept that only the fallback saw.
 */
#define VERSIONS_MAX 6
#define WINDOW 96 /* lives whose messages are mixed */
#define MESSAGES_MAX (WINDOW * 2 * (2 * VERSIONS_MAX + 1))

struct life {
	struct ps_record versions[VERSIONS_MAX];
	uint32_t count;
	uint32_t accept_after; /* the fallback's accept comes after so many versions; 0: none */
	struct ps_message_accept accept;
};

struct message {
	const struct life *life; /* NULL: only a late copy */
	union {
		uint32_t kind;
		struct ps_message_record record;
		struct ps_message_accept accept;
	} data;
};

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % n);
}

static void life_step(struct life *l, struct ps_record *r)
{
	r->version++;
	l->versions[l->count++] = *r;
}

static void life_accept(struct life *l, struct ps_record *r, uint64_t now_ns)
{
	static const uint32_t acceptors[] = {WEB, WORKER, WEB_TOO, 0, STRANGER};
	uint32_t owner = below(2) ? r->birth_owner : acceptors[below(ARRAY_SIZE(acceptors))];

	if (r->phase == PS_PHASE_ESTABLISHED && below(2)) {
		l->accept_after = l->count;
		l->accept = (struct ps_message_accept){.kind = PS_MESSAGE_ACCEPT,
						       .owner = owner,
						       .cookie = r->id,
						       .accepted_ns = now_ns};
		return;
	}
	if (owner != r->owner && r->phase == PS_PHASE_ESTABLISHED)
		r->flags |= PS_HANDED;
	r->owner = owner;
	r->accepted_ns = now_ns;
	life_step(l, r);
}

static void life_end(struct life *l, struct ps_record *r, uint64_t now_ns)
{
	bool accepted = r->accepted_ns || l->accept_after;

	if (below(4) == 0)
		return; /* still active */
	r->closed_ns = now_ns;
	r->reason = (uint8_t)below(PS_CLOSES);
	if (below(2)) {
		r->phase = PS_PHASE_STALE;
		life_step(l, r);
		if (r->direction == PS_INBOUND && !accepted && below(2))
			life_accept(l, r, now_ns + below(1000));
		if (below(4) == 0)
			return; /* leaks */
	}
	r->phase = PS_PHASE_ENDED;
	life_step(l, r);
}

/* As the kernel half would have it: new, found in SYN_SENT, found established, found in CLOSE_WAIT. */
static void life_make(struct life *l, uint64_t id)
{
	static const uint32_t births[] = {WEB, WORKER, WEB_TOO};
	uint64_t now_ns = T0 + below(1000000);
	struct ps_record r = {.id = id,
			      .peer = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)below(5)},
			      .peer_port = 5432,
			      .local_port = 80};
	uint32_t how = below(8);

	memset(l, 0, sizeof(*l));
	r.direction = (uint8_t)below(2);
	r.owner = r.birth_owner = births[below(ARRAY_SIZE(births))];
	if (how == 0) {
		r.phase = PS_PHASE_STALE;
		life_step(l, &r);
		r.phase = PS_PHASE_ENDED;
		if (below(2))
			life_step(l, &r);
		return;
	}
	if (how > 1 && r.direction == PS_OUTBOUND) {
		r.phase = PS_PHASE_PENDING;
		r.flags = PS_ATTEMPTED;
		r.attempt_ns = how == 2 ? 0 : now_ns;
		life_step(l, &r);
		if (below(8) == 0)
			return; /* still pending */
		if (below(4) == 0) {
			r.phase = PS_PHASE_ENDED;
			r.reason = (uint8_t)below(PS_FAILS);
			r.closed_ns = now_ns + 5;
			life_step(l, &r);
			return;
		}
	}
	r.flags |= how == 1 ? PS_ADOPTED : PS_OPENED;
	r.phase = PS_PHASE_ESTABLISHED;
	if (how > 1 && below(8)) {
		r.established_ns = now_ns += 1 + below(100000000);
		r.handshake_us = r.direction == PS_INBOUND ? below(3) * 1000 : 0;
	}
	life_step(l, &r);
	if (r.direction == PS_INBOUND && below(4))
		life_accept(l, &r, now_ns += 1 + below(10000000));
	life_end(l, &r, now_ns + 1 + below(1000000000));
}

static void deliver(struct engine *e, const struct message *m)
{
	size_t size = m->data.kind == PS_MESSAGE_RECORD ? sizeof(m->data.record)
							: sizeof(m->data.accept);

	connections_message(e->connections, &m->data, size, T0);
}

static void message_set(struct message *m, const struct life *l, const struct ps_record *r)
{
	memset(m, 0, sizeof(*m));
	m->life = l;
	if (r)
		m->data.record =
			(struct ps_message_record){.kind = PS_MESSAGE_RECORD, .record = *r};
	else
		m->data.accept = l->accept;
}

/* All that the kernel would tell, in order. Returns the number of messages. */
static size_t life_in_order(const struct life *l, struct message *ret)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		message_set(&ret[n++], l, &l->versions[i]);
		if (l->accept_after == i + 1)
			message_set(&ret[n++], l, NULL);
	}
	return n;
}

/* The last version, some of the others, some of them twice, and the accept. */
static size_t life_in_part(const struct life *l, struct message *ret)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		uint32_t copies = i + 1 == l->count ? 1 + below(2) : below(3);

		while (copies--)
			message_set(&ret[n++], l, &l->versions[i]);
	}
	if (l->accept_after)
		message_set(&ret[n++], l, NULL);
	return n;
}

static void swap(struct message *a, struct message *b)
{
	struct message m = *a;

	*a = *b;
	*b = m;
}

/*
 * Any order, but for this: the fallback's accept happened while established and the end is told after it, since a connection
 * that is accounted as closed by its listener's owner cannot be handed over any more.
 */
static void shuffle(struct message *m, size_t n)
{
	for (size_t i = n; i > 1; i--)
		swap(&m[i - 1], &m[below((uint32_t)i)]);
	for (size_t i = 0; i < n; i++) {
		if (m[i].data.kind != PS_MESSAGE_ACCEPT)
			continue;
		for (size_t j = 0; j < i; j++) {
			if (m[j].life == m[i].life &&
			    m[j].data.record.record.phase >= PS_PHASE_STALE) {
				swap(&m[i], &m[j]);
				break;
			}
		}
	}
}

/* The sums over all series that the lives call for, from their last versions alone. */
struct tally {
	uint64_t attempts, opened, adopted, handed_over, failed, closed, active, pending, stale,
		handshakes, lifetimes, waits;
	uint64_t tracked;
};

static const char *name_of(uint32_t owner)
{
	return owner == WEB || owner == WEB_TOO ? "web" : owner == WORKER ? "worker" : "";
}

static void tally_add(struct tally *t, const struct life *l)
{
	struct ps_record r = l->versions[l->count - 1];
	bool opened = r.flags & PS_OPENED, established = r.flags & (PS_OPENED | PS_ADOPTED), handed,
	     birth, owner, holder;

	if (l->accept_after) {
		r.owner = l->accept.owner;
		r.accepted_ns = l->accept.accepted_ns;
		r.flags |= r.owner != r.birth_owner ? PS_HANDED : 0;
	}
	handed = r.flags & PS_HANDED && strcmp(name_of(r.owner), name_of(r.birth_owner));
	birth = name_of(r.birth_owner)[0];
	owner = name_of(r.owner)[0];
	holder = handed ? owner : birth;
	t->attempts += birth && r.flags & PS_ATTEMPTED;
	t->opened += birth && opened;
	t->adopted += (birth && r.flags & PS_ADOPTED) + (handed && owner);
	t->handed_over += handed && birth;
	t->failed += birth && r.flags & PS_ATTEMPTED && !established && r.phase == PS_PHASE_ENDED;
	t->closed += holder && established && r.phase >= PS_PHASE_STALE;
	t->active += holder && r.phase == PS_PHASE_ESTABLISHED;
	t->pending += birth && r.phase == PS_PHASE_PENDING;
	t->stale += owner && r.phase == PS_PHASE_STALE;
	t->handshakes += birth && opened && (r.handshake_us || (r.attempt_ns && r.established_ns));
	t->lifetimes += birth && opened && !handed && r.established_ns && r.phase >= PS_PHASE_STALE;
	t->waits += owner && opened && r.accepted_ns && r.established_ns;
	t->tracked += r.phase != PS_PHASE_ENDED;
}

static void assert_tally(struct engine *e, const struct tally *want)
{
	struct tally got = {.tracked = stats_of(e).tracked};

	for (uint32_t i = 0; i < series_count(pools_series(e->pools)); i++) {
		const struct series *s = series_at(pools_series(e->pools), i);

		got.attempts += s->attempts;
		got.opened += s->opened;
		got.adopted += s->adopted;
		got.handed_over += s->handed_over;
		got.failed += sum(s->failed, PS_FAILS);
		got.closed += sum(s->closed, PS_CLOSES);
		got.active += (uint64_t)s->active;
		got.pending += (uint64_t)s->pending;
		got.stale += (uint64_t)s->stale;
		got.handshakes +=
			histogram_count(&s->handshake, &pools_config(e->pools)->handshake);
		got.lifetimes += histogram_count(&s->lifetime, &pools_config(e->pools)->lifetime);
		got.waits += histogram_count(&s->accept_wait, &pools_config(e->pools)->handshake);
	}
	assert_memory_equal(&got, want, sizeof(got));
}

/* Series by series, all numbers, whatever the slots. */
static void assert_same(struct engine *a, struct engine *b)
{
	size_t numbers = offsetof(struct series, accept_wait) + sizeof(struct histogram) -
			 offsetof(struct series, pending);

	stats_of(a);
	stats_of(b);
	assert_int_equal(series_count(pools_series(a->pools)),
			 series_count(pools_series(b->pools)));
	for (uint32_t i = 0; i < series_count(pools_series(a->pools)); i++) {
		const struct series *x = series_at(pools_series(a->pools), i), *y;
		uint32_t slot;

		assert_int_equal(series_get(pools_series(b->pools), &x->key, &slot), 0);
		y = series_at(pools_series(b->pools), slot);
		if (memcmp(&x->pending, &y->pending, numbers))
			fail_msg("the numbers differ for {%s}", x->labels);
	}
}

static void any_subset_in_any_order_gives_the_same_numbers(void **state)
{
	static struct life lives[WINDOW];
	static struct message in_order[MESSAGES_MAX], mixed[MESSAGES_MAX];
	struct engine a = engine_open(100000), b = engine_open(100000);
	size_t delivered = 0, late = 0;
	struct tally want = {};
	uint64_t id = 1;

	(void)state;
	for (seed = 1; delivered < 300000; seed++) {
		size_t n_order = 0, n_mixed = late;

		for (int i = 0; i < WINDOW; i++) {
			life_make(&lives[i], id++);
			tally_add(&want, &lives[i]);
			n_order += life_in_order(&lives[i], &in_order[n_order]);
			n_mixed += life_in_part(&lives[i], &mixed[n_mixed]);
		}
		shuffle(mixed, n_mixed);
		for (size_t i = 0; i < n_order; i++)
			deliver(&a, &in_order[i]);
		for (size_t i = 0; i < n_mixed; i++) {
			deliver(&b, &mixed[i]);
			if (below(WINDOW) == 0)
				assert_adds_up(&b);
		}
		delivered += n_order + n_mixed;
		connections_drained(a.connections, delivered, delivered);
		connections_drained(b.connections, delivered, delivered);
		assert_tally(&a, &want);
		assert_tally(&b, &want);
		assert_same(&a, &b);
		for (late = 0; late < WINDOW && late < n_order; late++) {
			/* The kernel tells an accept once, so only records come late. */
			mixed[late] =
				in_order[in_order[late].data.kind == PS_MESSAGE_RECORD ? late : 0];
			mixed[late].life = NULL;
		}
	}
	assert_true(want.waits > 1000 && want.handed_over > 1000 && want.stale > 1000 &&
		    want.failed > 1000);
	assert_int_equal(stats_of(&b).invalid + stats_of(&b).full + stats_of(&b).accepts_dropped,
			 0);
	assert_int_equal(stats_of(&b).tombstones_dropped, 0);
	engine_close(&a);
	engine_close(&b);
}

static void fuzz_message(struct message *m)
{
	uint8_t *bytes = (uint8_t *)&m->data;
	struct ps_record r = {};

	r.id = 1 + below(64);
	r.version = below(12);
	r.phase = (uint8_t)below(6);
	r.direction = (uint8_t)below(2 + !below(20));
	r.flags = (uint8_t)below(32);
	r.reason = (uint8_t)below(6 + !below(20));
	r.birth_owner = below(5);
	r.owner = below(5);
	r.peer[15] = (uint8_t)below(4);
	r.attempt_ns = below(3) * NSEC_PER_SEC;
	r.established_ns = below(3) * NSEC_PER_SEC;
	r.accepted_ns = below(3) * NSEC_PER_SEC;
	r.closed_ns = below(3) * NSEC_PER_SEC;
	message_set(m, NULL, &r);
	if (below(6) == 0) {
		m->data.accept = (struct ps_message_accept){.kind = PS_MESSAGE_ACCEPT,
							    .owner = below(5),
							    .cookie = below(64),
							    .accepted_ns = below(3)};
	}
	while (below(8) == 0)
		bytes[below(sizeof(m->data))] = (uint8_t)below(256);
}

/* A short run: once the few ids have ended, hardly anything is applied any more. */
static void fuzz_run(uint64_t messages, struct connections_stats *total)
{
	struct engine e = engine_open(15);
	struct connections_stats stats;
	uint32_t owners[4];
	struct message m;

	for (uint64_t i = 0; i < messages; i++) {
		fuzz_message(&m);
		deliver(&e, &m);
		if (below(16) == 0)
			connections_drained(e.connections, i, i);
		if (below(64) == 0)
			connections_queued(e.connections, below(64));
		if (below(64) == 0)
			connections_orphan_owners(e.connections, below(2) * UINT64_MAX, owners,
						  below(4));
		if (i % 16 == 0)
			assert_adds_up(&e);
	}
	stats = stats_of(&e);
	for (int kind = 0; kind < PS_EVENTS; kind++)
		total->events[kind] += stats.events[kind];
	total->invalid += stats.invalid;
	total->full += stats.full;
	engine_close(&e);
}

static void no_bytes_break_an_invariant(void **state)
{
	struct connections_stats total = {};

	(void)state;
	for (seed = 1; total.invalid < 200000; seed++)
		fuzz_run(1000, &total);
	assert_true(total.full > 1000);
	for (int kind = 0; kind < PS_EVENTS; kind++)
		assert_true(total.events[kind] > 100);
}

/* ---- inventory ---- */

static void what_an_inventory_does_not_show_is_gone(void **state)
{
	struct ps_message_shown shown = {.kind = PS_MESSAGE_SHOWN, .generation = 1, .id = 5};
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	tell(&e, 2, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell(&e, 3, PS_OUTBOUND, PS_PHASE_STALE, 3);
	tell(&e, 4, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell(&e, 5, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	connections_inventory_begin(e.connections);
	tell(&e, 4, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2); /* no newer, but shown */
	connections_message(e.connections, &shown, sizeof(shown), T0);
	connections_inventory_end(e.connections);
	assert_int_equal(stats_of(&e).tracked, 2);
	assert_int_equal(nth(&e, 0)->pending, 0);
	assert_int_equal(nth(&e, 0)->active, 2);
	assert_int_equal(nth(&e, 0)->stale, 0);
	assert_int_equal(nth(&e, 0)->failed[PS_FAIL_OTHER], 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_OTHER], 1);
	assert_int_equal(nth(&e, 0)->opened, 4);
	assert_int_equal(stats_of(&e).corrections, 3);
	engine_close(&e);
}

static void what_is_told_during_an_inventory_is_not_gone(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	connections_inventory_begin(e.connections);
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell(&e, 2, PS_OUTBOUND, PS_PHASE_PENDING, 1); /* born after the pass went by */
	connections_inventory_end(e.connections);
	assert_int_equal(stats_of(&e).tracked, 2);
	assert_int_equal(stats_of(&e).corrections, 0);
	engine_close(&e);
}

static void absence_gives_no_lifetime_and_is_told_once(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	for (int i = 0; i < 2; i++) {
		connections_inventory_begin(e.connections);
		connections_inventory_end(e.connections);
	}
	tell(&e, 1, PS_OUTBOUND, PS_PHASE_ENDED, 3); /* late: a tombstone ignores it */
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_OTHER], 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 0);
	assert_int_equal(histogram_count(&nth(&e, 0)->lifetime, &pools_config(e.pools)->lifetime),
			 0);
	assert_int_equal(stats_of(&e).corrections, 1);
	engine_close(&e);
}

static void late_and_healed_records_that_move_a_gauge_are_corrections(void **state)
{
	struct ps_record r = record(1, PS_OUTBOUND, PS_PHASE_PENDING, 1);
	struct engine e = engine_open(10);

	(void)state;
	r.flags |= PS_REFUSED;
	tell_record(&e, &r);
	assert_int_equal(stats_of(&e).corrections, 1);
	r = record(1, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 2);
	tell_record(&e, &r);
	assert_int_equal(stats_of(&e).corrections, 1);
	r = record(1, PS_OUTBOUND, PS_PHASE_ENDED, 3);
	r.flags |= PS_HEALED;
	tell_record(&e, &r);
	assert_int_equal(stats_of(&e).corrections, 2);
	r = record(2, PS_OUTBOUND, PS_PHASE_ENDED, 3); /* whole life in one: no gauge moved */
	r.flags |= PS_REFUSED;
	connections_parked(e.connections, &r);
	assert_int_equal(stats_of(&e).corrections, 2);
	assert_int_equal(nth(&e, 0)->opened, 2);
	engine_close(&e);
}

static void what_was_reset_before_its_accept_has_no_accept_wait_in_either_order(void **state)
{
	struct engine e = engine_open(10);
	struct ps_record reset = record(7, PS_INBOUND, PS_PHASE_ENDED, 4);

	(void)state;
	reset.reason = PS_CLOSE_RESET_BY_PEER;
	reset.closed_ns = T0 + 3 * NSEC_PER_MSEC;
	tell_accept(&e, 7, WORKER, T0 + 4 * NSEC_PER_MSEC, T0);
	tell_record(&e, &reset);
	reset.id = 8;
	tell_record(&e, &reset);
	tell_accept(&e, 8, WORKER, T0 + 4 * NSEC_PER_MSEC, T0);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_RESET_BY_PEER], 2);
	assert_int_equal(nth(&e, 0)->handed_over, 0);
	assert_int_equal(waits(&e, nth(&e, 0)), 0);
	assert_int_equal(stats_of(&e).accepts_lost, 0);
	reset.id = 9; /* after its accept */
	tell_accept(&e, 9, WEB, T0 + 2 * NSEC_PER_MSEC, T0);
	tell_record(&e, &reset);
	assert_int_equal(waits(&e, nth(&e, 0)), 1);
	engine_close(&e);
}

/* Whatever the key of the hash: a few sets are full long before the table is, unless each accept goes to the emptier of two. */
static void no_accept_is_given_up_while_the_table_may_grow(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 200; n++) {
		struct accepts a = {};
		uint8_t bytes[16] = {(uint8_t)n};
		struct hash_key key = hash_key_make(bytes);

		assert_int_equal(accepts_init(&a, &key), 0);
		for (uint64_t id = 1; id <= 5000; id++) {
			struct ps_message_accept m = {.kind = PS_MESSAGE_ACCEPT,
						      .owner = WEB,
						      .cookie = id,
						      .accepted_ns = T0};

			accepts_add(&a, &m, T0);
		}
		assert_int_equal(a.dropped, 0);
		assert_int_equal(a.count, 5000);
		accepts_done(&a);
	}
}

static void a_parked_accept_whose_connection_never_comes_is_lost_and_counted(void **state)
{
	struct ps_message_accept m = {.kind = PS_MESSAGE_ACCEPT,
				      .owner = WORKER,
				      .cookie = 1,
				      .accepted_ns = T0,
				      .parked = 1};
	struct engine e = engine_open(10);
	uint32_t owner;

	(void)state;
	tell(&e, 1, PS_INBOUND, PS_PHASE_ENDED, 3);
	connections_message(e.connections, &m, sizeof(m), T0);
	assert_int_equal(stats_of(&e).accepts_lost, 0); /* had ended before */
	m.cookie = 2; /* nobody ever tells of this one */
	connections_message(e.connections, &m, sizeof(m), T0);
	connections_orphan_owners(e.connections, T0 + 3 * NSEC_PER_SEC, &owner, 1);
	assert_int_equal(stats_of(&e).accepts_lost, 1);
	m.cookie = 3; /* ... but of this one in time */
	connections_message(e.connections, &m, sizeof(m), T0);
	tell(&e, 3, PS_INBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(stats_of(&e).accepts_lost, 1);
	engine_close(&e);
}

static void detach(struct engine *e, uint32_t owner)
{
	pools_drop_owner(e->pools, owner);
	connections_forget(e->connections);
	pools_sweep(e->pools);
}

/* Ids begin anew under another owner, while copies from before are still on their way. */
static void a_forgotten_id_may_come_again(void **state)
{
	struct ps_record again = record(1, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
	struct engine e = engine_open(10);

	(void)state;
	tell(&e, 1, PS_INBOUND, PS_PHASE_ESTABLISHED, 5);
	tell(&e, 2, PS_INBOUND, PS_PHASE_ENDED, 5); /* a tombstone */
	detach(&e, WEB_TOO);
	detach(&e, WEB);
	assert_int_equal(stats_of(&e).tracked, 0);
	assert_null(nth(&e, 0)->labels);
	tell(&e, 1, PS_INBOUND, PS_PHASE_STALE, 6); /* late */
	tell(&e, 3, PS_INBOUND, PS_PHASE_ENDED, 6);
	assert_int_equal(stats_of(&e).tracked, 0);
	again.owner = again.birth_owner = WORKER;
	tell_record(&e, &again);
	tell(&e, 1, PS_INBOUND, PS_PHASE_ENDED, 7); /* later still */
	again.id = 2;
	again.phase = PS_PHASE_ENDED;
	tell_record(&e, &again);
	assert_int_equal(nth(&e, 0)->opened, 2);
	assert_int_equal(nth(&e, 0)->active, 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(stats_of(&e).tracked, 1);
	assert_int_equal(stats_of(&e).invalid, 0);
	engine_close(&e);
}

/* The kernel half learns of it when it takes the record over; the socket may end before that. */
static void what_the_fallback_handed_over_outlives_the_listeners_owner(void **state)
{
	struct ps_record taken = record(1, PS_INBOUND, PS_PHASE_ESTABLISHED, 2);
	struct engine e = engine_open(10);
	const struct series *worker;

	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		tell(&e, id, PS_INBOUND, PS_PHASE_ESTABLISHED, 1);
		tell_accept(&e, id, WORKER, T0 + NSEC_PER_SEC / 2, T0);
	}
	detach(&e, WEB_TOO);
	detach(&e, WEB);
	worker = nth(&e, 1);
	assert_int_equal(worker->active, 3);
	taken.owner = WORKER;
	taken.flags |= PS_HANDED;
	tell_record(&e, &taken);
	tell(&e, 2, PS_INBOUND, PS_PHASE_ENDED, 2);
	connections_inventory_begin(e.connections);
	tell_record(&e, &taken);
	connections_inventory_end(e.connections);
	nth(&e, 1);
	assert_int_equal(worker->adopted, 3);
	assert_int_equal(worker->active, 1);
	assert_int_equal(worker->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(worker->closed[PS_CLOSE_OTHER], 1);
	detach(&e, WORKER);
	assert_int_equal(stats_of(&e).tracked, 0);
	engine_close(&e);
}

/* The whole life came between the last drain and the detachment of the listener's owner. */
static void an_accept_saves_the_record_that_follows_it(void **state)
{
	struct engine e = engine_open(10);

	(void)state;
	detach(&e, WEB);
	detach(&e, WEB_TOO);
	tell_accept(&e, 1, WORKER, T0 + NSEC_PER_SEC / 2, T0);
	tell_accept(&e, 2, WEB, T0 + NSEC_PER_SEC / 2, T0); /* dropped itself */
	tell(&e, 1, PS_INBOUND, PS_PHASE_ENDED, 3);
	tell(&e, 2, PS_INBOUND, PS_PHASE_ENDED, 3);
	assert_int_equal(nth(&e, 0)->adopted, 1);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 1);
	engine_close(&e);
}

static void an_acceptor_that_comes_again_takes_its_connections_back(void **state)
{
	struct ps_record r = record(1, PS_INBOUND, PS_PHASE_ESTABLISHED, 2);
	struct engine e = engine_open(10);

	(void)state;
	r.owner = WORKER;
	r.flags |= PS_HANDED;
	r.accepted_ns = T0 + NSEC_PER_SEC / 2;
	tell_record(&e, &r);
	detach(&e, WORKER);
	assert_int_equal(stats_of(&e).tracked, 1); /* it is WEB's, too: opened and handed over */
	for (uint32_t owner = 10; owner < 13; owner++) {
		assert_int_equal(pools_add_owner(e.pools, owner, "again"), 0);
		r.version++;
		r.owner = owner;
		tell_record(&e, &r);
		assert_int_equal(nth(&e, 1)->adopted, 1);
		assert_int_equal(nth(&e, 1)->active, 1);
		assert_int_equal(nth(&e, 0)->handed_over, 1);
		detach(&e, owner);
		assert_null(nth(&e, 1)->labels);
	}
	engine_close(&e);
}

static void forgetting_many_leaves_the_others(void **state)
{
	struct engine e = engine_open(20000);

	(void)state;
	for (uint64_t id = 1; id <= 20000; id++) {
		struct ps_record r = record(id, PS_OUTBOUND, PS_PHASE_ESTABLISHED, 1);

		r.owner = r.birth_owner = id % 3 ? WEB_TOO : WEB;
		tell_record(&e, &r);
		if (id % 5 == 0) {
			r.version++;
			r.phase = PS_PHASE_ENDED;
			tell_record(&e, &r);
		}
	}
	assert_int_equal(stats_of(&e).tracked, 16000); /* all is accounted */
	detach(&e, WEB);
	assert_int_equal(stats_of(&e).tracked, 20000 - 6666 - 4000 + 1333);
	assert_int_equal(nth(&e, 0)->handed_over, 6666 - 1333);
	assert_int_equal(nth(&e, 0)->active, 20000 - 6666 - 4000 + 1333);
	for (uint64_t id = 1; id <= 20000; id++) {
		struct ps_record r = record(id, PS_OUTBOUND, PS_PHASE_ENDED, 9);

		r.owner = r.birth_owner = id % 3 ? WEB_TOO : WEB;
		tell_record(&e, &r);
	}
	assert_int_equal(stats_of(&e).tracked, 0);
	assert_int_equal(nth(&e, 0)->closed[PS_CLOSE_LOCAL], 20000 - 6666 + 1333);
	connections_drained(e.connections, 0, 10);
	connections_drained(e.connections, 10, 20);
	assert_int_equal(stats_of(&e).tombstones_dropped, 0);
	engine_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_limits),
		cmocka_unit_test(only_a_newer_version_is_applied),
		cmocka_unit_test(a_version_far_above_is_newer_too),
		cmocka_unit_test(events_are_counted_by_kind_when_accounted),
		cmocka_unit_test(a_tombstone_ignores_late_copies_until_the_ring_has_passed_it),
		cmocka_unit_test(live_entries_outlast_all_drains),
		cmocka_unit_test(a_full_mirror_refuses_the_new_and_counts_it),
		cmocka_unit_test(tombstones_are_bounded_and_the_oldest_goes_first),
		cmocka_unit_test(stamped_tombstones_may_be_dropped_too),
		cmocka_unit_test(a_hundred_thousand_live_connections_are_all_found_again),
		cmocka_unit_test(messages_of_no_abi_are_invalid),
		cmocka_unit_test(a_record_that_contradicts_the_last_is_invalid),
		cmocka_unit_test(an_accept_is_merged_into_its_connection),
		cmocka_unit_test(an_accept_waits_for_its_first_record),
		cmocka_unit_test(an_accept_of_another_owner_of_the_same_name_moves_nothing),
		cmocka_unit_test(accepts_of_what_is_no_waiting_connection_do_nothing),
		cmocka_unit_test(orphan_accepts_are_reported_after_200_ms_once_per_owner),
		cmocka_unit_test(orphan_owners_that_find_no_room_come_next_time),
		cmocka_unit_test(waiting_accepts_are_bounded_and_counted),
		cmocka_unit_test(queued_connections_are_found_by_cookie),
		cmocka_unit_test(incarnations_of_a_socket_are_connections_of_their_own),
		cmocka_unit_test(any_subset_in_any_order_gives_the_same_numbers),
		cmocka_unit_test(no_bytes_break_an_invariant),
		cmocka_unit_test(what_an_inventory_does_not_show_is_gone),
		cmocka_unit_test(what_is_told_during_an_inventory_is_not_gone),
		cmocka_unit_test(absence_gives_no_lifetime_and_is_told_once),
		cmocka_unit_test(late_and_healed_records_that_move_a_gauge_are_corrections),
		cmocka_unit_test(
			what_was_reset_before_its_accept_has_no_accept_wait_in_either_order),
		cmocka_unit_test(no_accept_is_given_up_while_the_table_may_grow),
		cmocka_unit_test(a_parked_accept_whose_connection_never_comes_is_lost_and_counted),
		cmocka_unit_test(a_forgotten_id_may_come_again),
		cmocka_unit_test(what_the_fallback_handed_over_outlives_the_listeners_owner),
		cmocka_unit_test(an_accept_saves_the_record_that_follows_it),
		cmocka_unit_test(an_acceptor_that_comes_again_takes_its_connections_back),
		cmocka_unit_test(forgetting_many_leaves_the_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
