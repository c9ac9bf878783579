/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a record counts, in which series, whatever was skipped before it. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pools.h"
#include "util.h"

#define WEB 1 /* owners; WEB_TOO bears the same name */
#define WORKER 2
#define WEB_TOO 3
#define STRANGER 4 /* no owner of ours */
#define T0 (100 * NSEC_PER_SEC)
#define TTL (3600 * NSEC_PER_SEC)
#define ALL UINT32_MAX /* of the slots */

static struct pools_config config_default(void)
{
	struct pools_config config = {.peers_max = 128, .series_max = 512};

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	memcpy(config.hash_key, "test_pools", 10);
	return config;
}

static struct pools *pools_with(const struct pools_config *config)
{
	struct pools *p;

	assert_int_equal(pools_open(&p, config), 0);
	assert_int_equal(pools_add_owner(p, WEB, "web"), 0);
	assert_int_equal(pools_add_owner(p, WORKER, "worker"), 0);
	assert_int_equal(pools_add_owner(p, WEB_TOO, "web"), 0);
	return p;
}

static int setup(void **state)
{
	struct pools_config config = config_default();

	*state = pools_with(&config);
	return 0;
}

/* Whatever a test did, every series adds up and no gauge went below 0. */
static int teardown(void **state)
{
	struct pools *p = *state;
	struct pools_stats stats;

	for (uint32_t i = 0; i < series_count(pools_series(p)); i++) {
		const struct series *s = series_at(pools_series(p), i);
		uint64_t failed = 0, closed = 0;

		for (int reason = 0; reason < PS_CLOSES; reason++) {
			failed += s->failed[reason];
			closed += s->closed[reason];
		}
		assert_int_equal(s->opened + s->adopted,
				 (uint64_t)s->active + closed + s->handed_over);
		if (s->key.direction == PS_OUTBOUND)
			assert_int_equal(s->attempts, s->opened + (uint64_t)s->pending + failed);
	}
	pools_stats(p, &stats);
	assert_int_equal(stats.negative, 0);
	assert_int_equal(stats.unaccounted, 0);
	pools_close(p);
	return 0;
}

/* Peer 10.0.0.1: outbound to its port 5432, inbound to our port 80. */
static struct ps_record record(enum ps_direction direction, enum ps_phase phase, unsigned int flags)
{
	struct ps_record r = {
		.id = 1,
		.version = 1,
		.peer = {[10] = 0xff, 0xff, 10, 0, 0, 1},
		.owner = WEB,
		.birth_owner = WEB,
		.peer_port = direction == PS_OUTBOUND ? 5432 : 40000,
		.local_port = direction == PS_OUTBOUND ? 40000 : 80,
		.phase = (uint8_t)phase,
		.direction = (uint8_t)direction,
		.flags = (uint8_t)flags,
	};

	if (flags & PS_ATTEMPTED)
		r.attempt_ns = T0;
	if (flags & PS_OPENED)
		r.established_ns = T0 + 2 * NSEC_PER_MSEC;
	if (phase >= PS_PHASE_STALE)
		r.closed_ns = T0 + 2 * NSEC_PER_MSEC + 7 * NSEC_PER_SEC;
	return r;
}

/* The n-th series that was made; there must be that many. */
static struct series *nth(struct pools *p, uint32_t n)
{
	assert_true(n < series_count(pools_series(p)));
	return series_at(pools_series(p), n);
}

static uint64_t handshakes(struct pools *p, const struct series *s)
{
	return histogram_count(&s->handshake, &pools_config(p)->handshake);
}

static uint64_t waits(struct pools *p, const struct series *s)
{
	return histogram_count(&s->accept_wait, &pools_config(p)->handshake);
}

static uint64_t lifetimes(struct pools *p, const struct series *s)
{
	return histogram_count(&s->lifetime, &pools_config(p)->lifetime);
}

static void an_outbound_life_step_by_step(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *s;

	pools_account(p, &st, &r);
	s = nth(p, 0);
	assert_string_equal(
		s->labels,
		"process=\"web\",direction=\"outbound\",peer_address=\"10.0.0.1\",server_port=\"5432\"");
	assert_int_equal(s->pending, 1);
	assert_int_equal(s->attempts, 1);
	r = record(PS_OUTBOUND, PS_PHASE_ESTABLISHED, PS_ATTEMPTED | PS_OPENED);
	pools_account(p, &st, &r);
	assert_int_equal(s->pending, 0);
	assert_int_equal(s->active, 1);
	assert_int_equal(s->opened, 1);
	assert_int_equal(s->handshake.sum_ns, 2 * NSEC_PER_MSEC);
	r = record(PS_OUTBOUND, PS_PHASE_STALE, PS_ATTEMPTED | PS_OPENED);
	r.reason = PS_CLOSE_PEER;
	pools_account(p, &st, &r);
	assert_int_equal(s->active, 0);
	assert_int_equal(s->stale, 1);
	assert_int_equal(s->closed[PS_CLOSE_PEER], 1);
	assert_int_equal(s->lifetime.sum_ns, 7 * NSEC_PER_SEC);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	assert_int_equal(s->stale, 0);
	assert_int_equal(s->attempts, 1);
	assert_int_equal(s->opened, 1);
	assert_int_equal(s->closed[PS_CLOSE_PEER], 1);
	assert_int_equal(handshakes(p, s), 1);
	assert_int_equal(lifetimes(p, s), 1);
	assert_int_equal(series_count(pools_series(p)), 1);
}

static void the_last_record_alone_tells_the_whole_life(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_ENDED, PS_ATTEMPTED | PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *s;

	r.reason = PS_CLOSE_RESET_BY_PEER;
	pools_account(p, &st, &r);
	pools_account(p, &st, &r);
	s = nth(p, 0);
	assert_int_equal(s->attempts, 1);
	assert_int_equal(s->opened, 1);
	assert_int_equal(s->closed[PS_CLOSE_RESET_BY_PEER], 1);
	assert_int_equal(handshakes(p, s), 1);
	assert_int_equal(lifetimes(p, s), 1);
	assert_int_equal(s->active | s->pending | s->stale, 0);
}

static void an_attempt_that_fails_is_never_closed(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED);
	struct pools *p = *state;

	for (uint8_t reason = 0; reason < PS_FAILS; reason++) {
		struct pools_state st = {};

		r.phase = PS_PHASE_PENDING;
		pools_account(p, &st, &r);
		r.phase = PS_PHASE_ENDED;
		r.reason = reason;
		pools_account(p, &st, &r);
		assert_int_equal(nth(p, 0)->failed[reason], 1);
		assert_int_equal(nth(p, 0)->closed[reason], 0);
	}
	assert_int_equal(nth(p, 0)->attempts, PS_FAILS);
	assert_int_equal(nth(p, 0)->opened, 0);
	assert_int_equal(handshakes(p, nth(p, 0)) + lifetimes(p, nth(p, 0)), 0);
}

static void an_inbound_life_with_accept_by_its_owner(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *s;

	r.handshake_us = 350;
	pools_account(p, &st, &r);
	s = nth(p, 0);
	assert_string_equal(
		s->labels,
		"process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\"");
	assert_int_equal(s->attempts, 0);
	assert_int_equal(s->opened, 1);
	assert_int_equal(s->handshake.sum_ns, 350000);
	r.accepted_ns = r.established_ns + 40 * NSEC_PER_MSEC;
	pools_account(p, &st, &r);
	pools_account(p, &st, &r);
	assert_int_equal(waits(p, s), 1);
	assert_int_equal(s->accept_wait.sum_ns, 40 * NSEC_PER_MSEC);
	r.phase = PS_PHASE_ENDED;
	r.closed_ns = r.established_ns + NSEC_PER_SEC;
	r.reason = PS_CLOSE_LOCAL;
	pools_account(p, &st, &r);
	assert_int_equal(s->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(s->lifetime.sum_ns, NSEC_PER_SEC);
	assert_int_equal(s->active, 0);
}

static void durations_that_are_not_known_give_no_sample(void **state)
{
	struct ps_record in = record(PS_INBOUND, PS_PHASE_ENDED, PS_OPENED);
	struct ps_record out = record(PS_OUTBOUND, PS_PHASE_ENDED, PS_ATTEMPTED | PS_OPENED);
	struct pools_state st = {}, st_out = {}, st_met = {};
	struct pools *p = *state;

	in.accepted_ns = T0;
	in.established_ns = 0; /* the transition was skipped; the handshake is unknown with it */
	pools_account(p, &st, &in);
	assert_int_equal(handshakes(p, nth(p, 0)) + waits(p, nth(p, 0)) + lifetimes(p, nth(p, 0)),
			 0);
	assert_int_equal(nth(p, 0)->opened, 1);
	out.attempt_ns = 0; /* found in SYN_SENT at attach */
	pools_account(p, &st_out, &out);
	assert_int_equal(handshakes(p, nth(p, 1)), 0);
	assert_int_equal(lifetimes(p, nth(p, 1)), 1);
	out.closed_ns = 0;
	pools_account(p, &st_met, &out);
	assert_int_equal(lifetimes(p, nth(p, 1)), 1);
	assert_int_equal(nth(p, 1)->closed[PS_CLOSE_LOCAL], 2);
}

static void an_accept_before_establishment_waits_zero(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;

	r.accepted_ns = r.established_ns - 1;
	pools_account(p, &st, &r);
	assert_int_equal(waits(p, nth(p, 0)), 1);
	assert_int_equal(nth(p, 0)->accept_wait.sum_ns, 0);
}

static void an_adopted_connection_has_no_handshake_and_no_lifetime(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_ESTABLISHED, PS_ADOPTED);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *s;

	pools_account(p, &st, &r);
	s = nth(p, 0);
	assert_int_equal(s->adopted, 1);
	assert_int_equal(s->active, 1);
	r.phase = PS_PHASE_ENDED;
	r.established_ns = T0;
	r.closed_ns = T0 + 1;
	r.accepted_ns = T0 + 1;
	pools_account(p, &st, &r);
	assert_int_equal(s->active, 0);
	assert_int_equal(s->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(s->attempts + s->opened + handshakes(p, s) + lifetimes(p, s) + waits(p, s),
			 0);
}

static void one_found_in_close_wait_is_only_stale(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_STALE, 0);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *s;

	pools_account(p, &st, &r);
	s = nth(p, 0);
	assert_int_equal(s->stale, 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	assert_int_equal(s->stale, 0);
	assert_int_equal(s->opened + s->adopted + s->closed[0] + s->failed[0], 0);
}

static void an_accept_by_another_name_hands_over(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;
	struct series *web, *worker;

	r.handshake_us = 10;
	pools_account(p, &st, &r);
	r.owner = WORKER;
	r.flags |= PS_HANDED;
	r.accepted_ns = r.established_ns + 5;
	pools_account(p, &st, &r);
	web = nth(p, 0);
	worker = nth(p, 1);
	assert_string_equal(
		worker->labels,
		"process=\"worker\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\"");
	assert_int_equal(web->opened, 1);
	assert_int_equal(handshakes(p, web), 1);
	assert_int_equal(web->handed_over, 1);
	assert_int_equal(web->active, 0);
	assert_int_equal(worker->adopted, 1);
	assert_int_equal(worker->active, 1);
	assert_int_equal(waits(p, worker), 1);
	r.phase = PS_PHASE_STALE;
	r.closed_ns = r.established_ns + NSEC_PER_SEC;
	r.reason = PS_CLOSE_PEER;
	pools_account(p, &st, &r);
	assert_int_equal(worker->stale, 1);
	assert_int_equal(worker->closed[PS_CLOSE_PEER], 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	assert_int_equal(worker->stale, 0);
	assert_int_equal(web->handed_over, 1);
	assert_int_equal(web->closed[PS_CLOSE_PEER] + lifetimes(p, web) + lifetimes(p, worker), 0);
}

static void an_accept_by_no_target_hands_over_to_nobody(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools_state st = {}, later = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	r.owner = 0;
	r.flags |= PS_HANDED;
	r.accepted_ns = T0 + NSEC_PER_SEC;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->handed_over, 1);
	assert_int_equal(nth(p, 0)->active, 0);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	r.owner = STRANGER;
	pools_account(p, &later, &r);
	assert_int_equal(nth(p, 0)->handed_over, 2);
	assert_int_equal(nth(p, 0)->closed[PS_CLOSE_LOCAL], 0);
	assert_int_equal(waits(p, nth(p, 0)), 0);
	assert_int_equal(series_count(pools_series(p)), 1);
}

static void an_accept_under_the_same_name_is_no_hand_over(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED | PS_HANDED);
	struct pools_state st = {};
	struct pools *p = *state;

	r.owner = WEB_TOO;
	r.accepted_ns = T0 + NSEC_PER_SEC;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->active, 1);
	assert_int_equal(nth(p, 0)->handed_over + nth(p, 0)->adopted, 0);
	assert_int_equal(waits(p, nth(p, 0)), 1);
	r.phase = PS_PHASE_ENDED;
	r.closed_ns = T0 + 2 * NSEC_PER_SEC;
	pools_account(p, &st, &r);
	assert_int_equal(lifetimes(p, nth(p, 0)), 1);
	assert_int_equal(series_count(pools_series(p)), 1);
}

static void one_accepted_after_the_peer_closed_is_stale_at_the_acceptor(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_STALE, PS_OPENED);
	struct pools_state st = {}, once = {};
	struct pools *p = *state;
	struct series *web, *worker;

	r.reason = PS_CLOSE_PEER;
	pools_account(p, &st, &r);
	web = nth(p, 0);
	assert_int_equal(web->stale, 1);
	r.owner = WORKER; /* not while established: no hand-over */
	r.accepted_ns = r.closed_ns + 1;
	pools_account(p, &st, &r);
	worker = nth(p, 1);
	assert_int_equal(web->stale, 0);
	assert_int_equal(worker->stale, 1);
	assert_int_equal(web->closed[PS_CLOSE_PEER], 1);
	assert_int_equal(worker->adopted + worker->closed[PS_CLOSE_PEER] + web->handed_over, 0);
	assert_int_equal(lifetimes(p, web), 1);
	pools_account(p, &once, &r); /* the same, seen at once */
	assert_int_equal(web->closed[PS_CLOSE_PEER], 2);
	assert_int_equal(worker->stale, 2);
}

static void the_connections_of_strangers_are_counted_nowhere(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED);
	struct pools_state st = {};
	struct pools *p = *state;

	r.owner = r.birth_owner = STRANGER;
	pools_account(p, &st, &r);
	r = record(PS_OUTBOUND, PS_PHASE_ENDED, PS_ATTEMPTED | PS_OPENED);
	r.owner = r.birth_owner = STRANGER;
	pools_account(p, &st, &r);
	assert_int_equal(series_count(pools_series(p)), 0);
}

static void an_adopter_gets_what_a_stranger_opened(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ENDED, PS_OPENED | PS_HANDED);
	struct pools_state st = {};
	struct pools *p = *state;

	r.birth_owner = STRANGER;
	r.owner = WORKER;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->adopted, 1);
	assert_int_equal(nth(p, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(nth(p, 0)->opened + lifetimes(p, nth(p, 0)), 0);
}

static void queued_are_those_established_and_not_accepted(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED), stale, accepted;
	struct pools_state st = {}, st_stale = {}, st_accepted = {}, none = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	accepted = r;
	accepted.accepted_ns = T0 + NSEC_PER_SEC;
	pools_account(p, &st_accepted, &accepted);
	stale = record(PS_INBOUND, PS_PHASE_STALE, PS_OPENED);
	pools_account(p, &st_stale, &stale);
	for (int scrape = 0; scrape < 2; scrape++) {
		pools_queued_reset(p);
		pools_queued(p, &st);
		pools_queued(p, &st_accepted);
		pools_queued(p, &st_stale);
		pools_queued(p, &none);
		assert_int_equal(nth(p, 0)->queued, 1);
	}
	pools_queued_reset(p);
	assert_int_equal(nth(p, 0)->queued, 0);
}

static void inbound_peers_are_folded_by_the_longest_prefix(void **state)
{
	struct pools_config config = config_default();
	struct pools_state st[5] = {};
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools *p;

	pools_close(*state);
	assert_int_equal(address_prefix_parse("0.0.0.0/0", &config.aggregate[0]), 0);
	assert_int_equal(address_prefix_parse("10.0.0.0/24", &config.aggregate[1]), 0);
	assert_int_equal(address_prefix_parse("10.0.0.0/8", &config.aggregate[2]), 0);
	config.aggregate_count = 3;
	*state = p = pools_with(&config);
	pools_account(p, &st[0], &r);
	r.peer[15] = 77;
	pools_account(p, &st[1], &r);
	assert_int_equal(series_count(pools_series(p)), 1);
	assert_string_equal(
		nth(p, 0)->labels,
		"process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.0/24\",server_port=\"80\"");
	r.peer[14] = 1;
	pools_account(p, &st[2], &r);
	assert_string_equal(
		nth(p, 1)->labels,
		"process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.0/8\",server_port=\"80\"");
	r.peer[12] = 11;
	pools_account(p, &st[3], &r);
	assert_string_equal(
		nth(p, 2)->labels,
		"process=\"web\",direction=\"inbound\",peer_address=\"0.0.0.0/0\",server_port=\"80\"");
	r = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED);
	pools_account(p, &st[4], &r);
	assert_string_equal(
		nth(p, 3)->labels,
		"process=\"web\",direction=\"outbound\",peer_address=\"10.0.0.1\",server_port=\"5432\"");
}

static void a_full_table_keeps_the_sums(void **state)
{
	struct pools_config config = config_default();
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED);
	struct pools_state st[10] = {};
	struct series_peers peers;
	struct pools *p;

	pools_close(*state);
	config.peers_max = 3;
	*state = p = pools_with(&config);
	for (uint8_t i = 0; i < 10; i++) {
		r.peer[15] = i;
		pools_account(p, &st[i], &r);
	}
	assert_int_equal(series_count(pools_series(p)), 4);
	assert_int_equal(nth(p, 3)->pending, 7);
	r = record(PS_OUTBOUND, PS_PHASE_ENDED, PS_ATTEMPTED | PS_OPENED);
	for (uint8_t i = 0; i < 10; i++) {
		r.peer[15] = i;
		pools_account(p, &st[i], &r);
	}
	assert_int_equal(nth(p, 3)->closed[PS_CLOSE_LOCAL], 7);
	assert_int_equal(nth(p, 0)->closed[PS_CLOSE_LOCAL], 1);
	series_peers(pools_series(p), 0, PS_OUTBOUND, &peers);
	assert_int_equal(peers.overflowed, 7); /* once per connection, not per record */
}

/* A table whose series go after TTL, all within `peers_max`. */
static struct pools *pools_that_expire(void **state, uint32_t peers_max)
{
	struct pools_config config = config_default();

	pools_close(*state);
	config.ttl_ns = TTL;
	config.peers_max = peers_max;
	return *state = pools_with(&config);
}

/* Drops what may go at this time; returns how many that were. */
static uint32_t expire_at(struct pools *p, uint64_t now_ns)
{
	pools_clock(p, now_ns);
	return pools_expire(p, ALL);
}

static void a_series_goes_the_ttl_after_its_last_connection(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_ESTABLISHED, PS_ATTEMPTED | PS_OPENED);
	struct pools *p = pools_that_expire(state, 128);
	struct pools_state first = {}, second = {}, again = {};

	pools_clock(p, T0);
	pools_account(p, &first, &r);
	pools_account(p, &second, &r);
	assert_int_equal(expire_at(p, T0 + 10 * TTL), 0);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &first, &r);
	assert_int_equal(expire_at(p, T0 + 20 * TTL), 0);
	pools_account(p, &second, &r);
	assert_int_equal(expire_at(p, T0 + 21 * TTL - 1), 0);
	assert_int_equal(nth(p, 0)->opened, 2);
	assert_int_equal(expire_at(p, T0 + 21 * TTL), 1);
	assert_null(nth(p, 0)->labels);
	assert_int_equal(expire_at(p, T0 + 22 * TTL), 0); /* once */
	pools_account(p, &again, &r);
	assert_int_equal(nth(p, 0)->opened, 1);
	assert_int_equal(series_count(pools_series(p)), 1);
	assert_int_equal(expire_at(p, T0 + 23 * TTL - 1), 0);
	assert_int_equal(expire_at(p, T0 + 23 * TTL), 1);
}

static void pending_and_stale_ones_keep_their_series(void **state)
{
	struct ps_record pending = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED),
			 stale = record(PS_INBOUND, PS_PHASE_STALE, 0);
	struct pools *p = pools_that_expire(state, 128);
	struct pools_state st_pending = {}, st_stale = {};

	pools_account(p, &st_pending, &pending);
	pools_account(p, &st_stale, &stale);
	assert_int_equal(expire_at(p, 10 * TTL), 0);
	pending.phase = stale.phase = PS_PHASE_ENDED;
	pools_account(p, &st_pending, &pending);
	assert_int_equal(expire_at(p, 11 * TTL), 1);
	assert_non_null(nth(p, 1)->labels);
	pools_account(p, &st_stale, &stale);
	assert_int_equal(expire_at(p, 12 * TTL), 1);
}

/* No gauge of the listener's owner speaks of it, nor of the acceptor's: the end still needs to find both. */
static void a_moved_connection_keeps_both_of_its_series(void **state)
{
	struct ps_record handed = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED | PS_HANDED),
			 late = record(PS_INBOUND, PS_PHASE_STALE, PS_OPENED);
	struct pools *p = pools_that_expire(state, 128);
	struct pools_state st = {}, st_late = {};

	handed.owner = late.owner = WORKER;
	handed.accepted_ns = late.accepted_ns = T0 + 100 * NSEC_PER_SEC;
	late.local_port = 81;
	pools_account(p, &st, &handed);
	pools_account(p, &st_late, &late);
	assert_int_equal(series_count(pools_series(p)), 4);
	assert_int_equal(nth(p, 0)->active + nth(p, 2)->stale, 0);
	assert_int_equal(expire_at(p, 10 * TTL), 0);
	handed.phase = late.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &handed);
	assert_int_equal(nth(p, 1)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(expire_at(p, 11 * TTL), 2);
	pools_account(p, &st_late, &late);
	assert_int_equal(expire_at(p, 12 * TTL), 2);
}

static void nothing_is_accounted_after_an_end(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ENDED, PS_OPENED);
	struct pools *p = pools_that_expire(state, 128);
	struct pools_state st = {};

	pools_account(p, &st, &r);
	assert_int_equal(expire_at(p, TTL), 1);
	r.owner = WORKER;
	r.flags |= PS_HANDED;
	pools_account(p, &st, &r);
	assert_int_equal(series_count(pools_series(p)), 1);
	assert_null(nth(p, 0)->labels);
}

static void a_dropped_slot_serves_another_key(void **state)
{
	struct ps_record out = record(PS_OUTBOUND, PS_PHASE_ENDED, PS_ATTEMPTED | PS_OPENED),
			 in = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools *p = pools_that_expire(state, 128);
	struct pools_state st_out = {}, st_in = {};

	pools_account(p, &st_out, &out);
	assert_int_equal(expire_at(p, TTL), 1);
	pools_account(p, &st_in, &in);
	assert_string_equal(
		nth(p, 0)->labels,
		"process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\"");
	assert_int_equal(nth(p, 0)->active, 1);
	assert_int_equal(nth(p, 0)->attempts, 0);
	assert_int_equal(series_count(pools_series(p)), 1);
	assert_int_equal(expire_at(p, 10 * TTL), 0);
}

static void the_overflow_series_stays_and_gets_less(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools *p = pools_that_expire(state, 1);
	struct pools_state first = {}, over = {}, later = {};
	struct series_peers peers;

	pools_account(p, &first, &r);
	r.peer[15] = 2;
	pools_account(p, &over, &r);
	assert_int_equal(nth(p, 1)->active, 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &first, &r);
	assert_int_equal(expire_at(p, TTL), 1);
	r.phase = PS_PHASE_ESTABLISHED;
	pools_account(p, &later,
		      &r); /* there is room now; what overflowed before stays where it is */
	assert_int_equal(nth(p, 0)->active, 1);
	assert_int_equal(nth(p, 1)->active, 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &over, &r);
	pools_account(p, &later, &r);
	assert_int_equal(nth(p, 1)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(expire_at(p, 10 * TTL), 1);
	assert_true(nth(p, 1)->key.overflow);
	assert_int_equal(nth(p, 1)->opened, 1);
	series_peers(pools_series(p), 0, PS_INBOUND, &peers);
	assert_int_equal(peers.peers, 0);
	assert_int_equal(peers.overflowed, 1);
}

static void expiry_looks_at_so_many_slots_and_goes_on_there(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ENDED, PS_OPENED);
	struct pools *p = pools_that_expire(state, 128);

	for (uint8_t i = 0; i < 10; i++) {
		struct pools_state st = {};

		r.peer[15] = i;
		pools_account(p, &st, &r);
	}
	pools_clock(p, TTL);
	assert_int_equal(pools_expire(p, 4), 4);
	assert_null(nth(p, 3)->labels);
	assert_non_null(nth(p, 4)->labels);
	assert_int_equal(pools_expire(p, 4), 4);
	assert_int_equal(pools_expire(p, 4), 2);
	assert_int_equal(pools_expire(p, 4), 0);
}

struct life {
	struct pools_state state;
	struct ps_record record;
	struct series_key birth, holder; /* of the slots that the state names */
};

/* One step of a random life: it begins, is accepted by another, closed by its peer, ends. */
static void life_step(struct pools *p, struct life *life, uint32_t random)
{
	struct ps_record *r = &life->record;

	if (life->state.phase == PS_PHASE_NONE) {
		*r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
		r->peer[15] = (uint8_t)(random % 8);
	} else if (random % 4 == 0 && !r->accepted_ns) {
		r->accepted_ns = T0 + NSEC_PER_SEC;
		r->owner = random % 8 ? WORKER : STRANGER;
		if (r->phase == PS_PHASE_ESTABLISHED)
			r->flags |= PS_HANDED;
	} else if (random % 4 == 1) {
		r->phase = PS_PHASE_STALE;
	} else if (random % 4 == 2) {
		r->phase = PS_PHASE_ENDED;
	}
	pools_account(p, &life->state, r);
	if (life->state.birth)
		life->birth = nth(p, life->state.birth - 1)->key;
	if (life->state.holder)
		life->holder = nth(p, life->state.holder - 1)->key;
	if (life->state.phase == PS_PHASE_ENDED)
		*life = (struct life){};
}

static void assert_keeps_its_series(struct pools *p, const struct life *life)
{
	const struct pools_state *st = &life->state;

	if (st->birth) {
		assert_non_null(nth(p, st->birth - 1)->labels);
		assert_memory_equal(&nth(p, st->birth - 1)->key, &life->birth, sizeof(life->birth));
	}
	if (st->holder) {
		assert_non_null(nth(p, st->holder - 1)->labels);
		assert_memory_equal(&nth(p, st->holder - 1)->key, &life->holder,
				    sizeof(life->holder));
	}
}

/* Peers come and go in a table that is too small for them, and series are dropped as soon as may be. */
static void no_live_connection_ever_loses_its_series(void **state)
{
	struct pools *p = pools_that_expire(state, 5);
	struct life lives[12] = {};
	uint64_t seed = 1, now_ns = T0;
	uint32_t dropped = 0;

	for (int step = 0; step < 200000; step++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		life_step(p, &lives[(seed >> 33) % ARRAY_SIZE(lives)], (uint32_t)(seed >> 40));
		if (seed >> 60 == 0)
			now_ns += TTL;
		dropped += expire_at(p, now_ns);
		for (size_t i = 0; i < ARRAY_SIZE(lives); i++)
			assert_keeps_its_series(p, &lives[i]);
		assert_true(series_count(pools_series(p)) <= 12); /* two names, 5 and 1 each */
	}
	assert_true(dropped > 1000);
}

static void without_a_ttl_nothing_goes(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ENDED, PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	assert_int_equal(expire_at(p, UINT64_MAX), 0);
	assert_int_equal(nth(p, 0)->opened, 1);
}

/* The other owner of the name goes on with it. */
static void what_leaves_a_shared_name_is_handed_over(void **state)
{
	struct ps_record active = record(PS_OUTBOUND, PS_PHASE_ESTABLISHED,
					 PS_ATTEMPTED | PS_OPENED),
			 pending = record(PS_OUTBOUND, PS_PHASE_PENDING, PS_ATTEMPTED),
			 stale = record(PS_INBOUND, PS_PHASE_STALE, 0);
	struct pools_state a = {}, b = {}, c = {};
	struct pools *p = *state;

	pools_account(p, &a, &active);
	pools_account(p, &b, &pending);
	pools_account(p, &c, &stale);
	pools_drop_owner(p, WEB);
	pools_leave(p, &a, true, true);
	pools_leave(p, &b, true, true);
	pools_leave(p, &c, true, true);
	assert_int_equal(pools_sweep(p), 0);
	assert_int_equal(nth(p, 0)->active, 0);
	assert_int_equal(nth(p, 0)->handed_over, 1);
	assert_int_equal(nth(p, 0)->pending, 0);
	assert_int_equal(nth(p, 0)->failed[PS_FAIL_OTHER], 1);
	assert_int_equal(nth(p, 0)->states, 0);
	assert_int_equal(nth(p, 1)->stale, 0);
	assert_int_equal(nth(p, 1)->handed_over, 0);
	assert_int_equal(pools_state_name(p, &a), -ENOENT);
	active.phase = PS_PHASE_ENDED; /* whatever is told of it from here on */
	pools_account(p, &a, &active);
	assert_int_equal(nth(p, 0)->closed[PS_CLOSE_LOCAL], 0);
}

static void a_name_without_owners_goes_with_its_series(void **state)
{
	struct ps_record r = record(PS_OUTBOUND, PS_PHASE_ESTABLISHED, PS_ATTEMPTED | PS_OPENED);
	struct pools *p = *state;
	char name[16];

	for (uint32_t i = 0; i < 1000; i++) {
		struct pools_state st = {};

		snprintf(name, sizeof(name), "n%u", i);
		r.owner = r.birth_owner = 100 + i;
		assert_int_equal(pools_add_owner(p, 100 + i, name), 0);
		assert_int_equal(pools_owner_name(p, 100 + i), 2);
		pools_account(p, &st, &r);
		assert_int_equal(nth(p, 0)->opened, 1);
		pools_drop_owner(p, 100 + i);
		assert_int_equal(pools_owner_name(p, 100 + i), -ENOENT);
		pools_leave(p, &st, true, true);
		assert_int_equal(pools_sweep(p), 1 << 2);
		assert_null(nth(p, 0)->labels);
	}
	assert_int_equal(pools_sweep(p), 0);
	assert_int_equal(series_count(pools_series(p)), 1);
}

static struct ps_record handed_record(uint32_t owner, enum ps_phase phase)
{
	struct ps_record r = record(PS_INBOUND, phase, PS_OPENED | PS_HANDED);

	r.owner = owner;
	r.accepted_ns = r.established_ns + 5;
	return r;
}

static void a_connection_stays_with_who_accepted_it(void **state)
{
	struct ps_record r = handed_record(WORKER, PS_PHASE_ESTABLISHED);
	struct pools_state st = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	pools_drop_owner(p, WEB);
	pools_drop_owner(p, WEB_TOO);
	pools_leave(p, &st, true, false);
	assert_int_equal(pools_sweep(p), 1);
	assert_null(nth(p, 0)->labels);
	assert_int_equal(nth(p, 1)->active, 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 1)->active, 0);
	assert_int_equal(nth(p, 1)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(nth(p, 1)->states, 0);
}

/* The listener's owner stays, the acceptor goes and comes again, as another target or as one of the same name. */
static void who_comes_after_the_acceptor_adopts(void **state)
{
	struct ps_record r = handed_record(WORKER, PS_PHASE_ESTABLISHED);
	struct pools_state st = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	pools_drop_owner(p, WORKER);
	pools_leave(p, &st, false, true);
	assert_int_equal(pools_sweep(p), 2);
	pools_account(p, &st, &r); /* told again: it has no other owner yet */
	assert_int_equal(nth(p, 0)->handed_over, 1);
	assert_int_equal(nth(p, 0)->adopted, 0);
	r.owner = WEB_TOO; /* of the listener's name */
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->handed_over, 1);
	assert_int_equal(nth(p, 0)->adopted, 1);
	assert_int_equal(nth(p, 0)->active, 1);
	r.phase = PS_PHASE_ENDED;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->active, 0);
	assert_int_equal(nth(p, 0)->closed[PS_CLOSE_LOCAL], 1);
	assert_int_equal(nth(p, 0)->states, 0);
}

/* With the fallback the record names the listener's owner for good: it must not get the connection back. */
static void a_handed_connection_does_not_come_back_by_the_record(void **state)
{
	struct ps_record r = handed_record(WORKER, PS_PHASE_ESTABLISHED);
	struct pools_state st = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	pools_drop_owner(p, WORKER);
	pools_leave(p, &st, false, true);
	pools_sweep(p);
	r.owner = WEB;
	r.flags = PS_OPENED;
	pools_account(p, &st, &r);
	assert_int_equal(nth(p, 0)->active, 0);
	assert_int_equal(nth(p, 0)->adopted, 0);
}

static void within_a_name_the_last_owner_decides(void **state)
{
	struct ps_record r = record(PS_INBOUND, PS_PHASE_ESTABLISHED, PS_OPENED);
	struct pools_state st = {};
	struct pools *p = *state;

	pools_account(p, &st, &r);
	r.owner = WEB_TOO;
	r.flags |= PS_HANDED;
	r.accepted_ns = r.established_ns + 5;
	pools_account(p, &st, &r);
	pools_drop_owner(p, WEB);
	pools_leave(p, &st, true, false);
	assert_int_equal(nth(p, 0)->active, 1);
	assert_int_equal(nth(p, 0)->handed_over, 0);
	pools_drop_owner(p, WEB_TOO);
	pools_leave(p, &st, true, true);
	assert_int_equal(nth(p, 0)->active, 0);
	assert_int_equal(nth(p, 0)->states, 0);
	assert_int_equal(pools_sweep(p), 1);
}

static void owners_have_one_name_for_good(void **state)
{
	struct pools *p = *state;
	char name[16];

	assert_int_equal(pools_add_owner(p, WEB, "other"), -EEXIST);
	assert_int_equal(pools_add_owner(p, 0, "x"), -ERANGE);
	assert_int_equal(pools_add_owner(p, POOLS_OWNER_MAX + 1, "x"), -ERANGE);
	assert_int_equal(pools_add_owner(p, 9, ""), -EINVAL);
	for (int i = 2; i < SERIES_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(pools_add_owner(p, (uint32_t)(100 + i), name), 0);
	}
	assert_int_equal(pools_add_owner(p, 9, "one more"), -ENOSPC);
	assert_int_equal(pools_owner_name(p, 9), -ENOENT);
	assert_int_equal(pools_add_owner(p, POOLS_OWNER_MAX, "web"), 0);
	assert_int_equal(pools_owner_name(p, POOLS_OWNER_MAX), 0);
	assert_int_equal(pools_owner_name(p, WORKER), 1);
	assert_int_equal(pools_owner_name(p, 0), -ENOENT);
	assert_int_equal(pools_owner_name(p, UINT32_MAX), -ENOENT);
}

static void refuses_a_bad_configuration(void **state)
{
	struct pools_config config = config_default();
	struct pools *p = NULL;

	(void)state;
	config.aggregate_count = POOLS_AGGREGATES_MAX + 1;
	assert_int_equal(pools_open(&p, &config), -EINVAL);
	config.aggregate_count = 0;
	config.series_max = 0;
	assert_int_equal(pools_open(&p, &config), -EINVAL);
	assert_null(p);
	pools_close(NULL);
}

#define POOLS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLS_TEST(an_outbound_life_step_by_step),
		POOLS_TEST(the_last_record_alone_tells_the_whole_life),
		POOLS_TEST(an_attempt_that_fails_is_never_closed),
		POOLS_TEST(an_inbound_life_with_accept_by_its_owner),
		POOLS_TEST(durations_that_are_not_known_give_no_sample),
		POOLS_TEST(an_accept_before_establishment_waits_zero),
		POOLS_TEST(an_adopted_connection_has_no_handshake_and_no_lifetime),
		POOLS_TEST(one_found_in_close_wait_is_only_stale),
		POOLS_TEST(an_accept_by_another_name_hands_over),
		POOLS_TEST(an_accept_by_no_target_hands_over_to_nobody),
		POOLS_TEST(an_accept_under_the_same_name_is_no_hand_over),
		POOLS_TEST(one_accepted_after_the_peer_closed_is_stale_at_the_acceptor),
		POOLS_TEST(the_connections_of_strangers_are_counted_nowhere),
		POOLS_TEST(an_adopter_gets_what_a_stranger_opened),
		POOLS_TEST(queued_are_those_established_and_not_accepted),
		POOLS_TEST(inbound_peers_are_folded_by_the_longest_prefix),
		POOLS_TEST(a_full_table_keeps_the_sums),
		POOLS_TEST(a_series_goes_the_ttl_after_its_last_connection),
		POOLS_TEST(pending_and_stale_ones_keep_their_series),
		POOLS_TEST(a_moved_connection_keeps_both_of_its_series),
		POOLS_TEST(nothing_is_accounted_after_an_end),
		POOLS_TEST(a_dropped_slot_serves_another_key),
		POOLS_TEST(the_overflow_series_stays_and_gets_less),
		POOLS_TEST(expiry_looks_at_so_many_slots_and_goes_on_there),
		POOLS_TEST(no_live_connection_ever_loses_its_series),
		POOLS_TEST(without_a_ttl_nothing_goes),
		POOLS_TEST(what_leaves_a_shared_name_is_handed_over),
		POOLS_TEST(a_name_without_owners_goes_with_its_series),
		POOLS_TEST(a_connection_stays_with_who_accepted_it),
		POOLS_TEST(who_comes_after_the_acceptor_adopts),
		POOLS_TEST(a_handed_connection_does_not_come_back_by_the_record),
		POOLS_TEST(within_a_name_the_last_owner_decides),
		POOLS_TEST(owners_have_one_name_for_good),
		cmocka_unit_test(refuses_a_bad_configuration),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
