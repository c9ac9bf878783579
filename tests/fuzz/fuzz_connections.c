/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as ring messages, in any order, with drains, inventories, repeats, owners that come and go and the end of idle series between: no crash, no gauge below 0, and what
 * metrics.md says adds up does so after each input. Messages come raw (any size and content) and as records made of few
 * ids and owners, so that they meet.
 */
#include "connections.h"
#include "fuzz.h"
#include "histogram.h"
#include "series.h"

#define INPUT_MAX 65536

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static uint32_t last_owner; /* ids count up from 1 */

/* Nobody, or one of the last three: it may have been dropped. */
static uint32_t owner_of(uint32_t number)
{
	return number ? last_owner + 1 - number : 0;
}

static void tell_raw(struct connections *c, struct input *in)
{
	size_t size = take(in);

	if (size > in->left)
		size = in->left;
	connections_message(c, in->at, size, NSEC_PER_SEC);
	in->at += size;
	in->left -= size;
}

static void tell_record(struct connections *c, struct input *in, bool parked)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD};
	struct ps_record *r = &m.record;
	uint8_t bits = take(in);

	r->id = 1 + bits % 8;
	r->owner = owner_of(bits >> 3 & 3);
	r->birth_owner = owner_of(bits >> 5 & 3);
	r->version = take(in) % 8;
	r->phase = take(in) % (PS_PHASES + 1);
	r->direction = take(in) % 2;
	r->flags = take(in);
	r->reason = take(in) % (PS_CLOSES + 1);
	r->attempt_ns = take(in);
	r->established_ns = take(in);
	r->accepted_ns = take(in);
	r->closed_ns = take(in);
	r->peer[15] = take(in) % 4;
	if (parked)
		connections_parked(c, r);
	else
		connections_message(c, &m, sizeof(m), NSEC_PER_SEC);
}

static void tell_accept(struct connections *c, struct input *in)
{
	struct ps_message_accept m = {.kind = PS_MESSAGE_ACCEPT};

	m.cookie = take(in) % 9;
	m.owner = owner_of(take(in) % 4);
	m.accepted_ns = take(in);
	m.parked = take(in) & 1;
	connections_message(c, &m, sizeof(m), NSEC_PER_SEC);
}

static void tell_shown(struct connections *c, struct input *in)
{
	struct ps_message_shown m = {.kind = PS_MESSAGE_SHOWN, .generation = 1};

	m.id = take(in) % 9;
	connections_message(c, &m, sizeof(m), NSEC_PER_SEC);
}

/* A second passes, and some series may go. */
static void wait_a_second(struct pools *p, uint64_t *now_ns)
{
	*now_ns += NSEC_PER_SEC;
	pools_clock(p, *now_ns);
	pools_expire(p, 2);
}

static void attach_or_detach(struct connections *c, struct pools *p, uint8_t bits)
{
	uint32_t owner = owner_of(1 + (bits >> 1) % 3);

	if (bits & 1) {
		check(!pools_add_owner(p, ++last_owner, bits & 2 ? "one" : "two"));
		return;
	}
	if (pools_owner_name(p, owner) < 0)
		return;
	pools_drop_owner(p, owner);
	connections_forget(c);
	pools_sweep(p);
}

static void step(struct connections *c, struct pools *p, uint64_t *now_ns, struct input *in)
{
	uint32_t owners[2];

	switch (take(in) % 9) {
	case 0:
		tell_raw(c, in);
		break;
	case 1:
		tell_accept(c, in);
		break;
	case 2:
		connections_drained(c, take(in), take(in));
		wait_a_second(p, now_ns);
		break;
	case 3:
		connections_inventory_begin(c);
		break;
	case 4:
		connections_inventory_end(c);
		break;
	case 5:
		tell_shown(c, in);
		connections_orphan_owners(c, take(in) * NSEC_PER_SEC, owners, 2);
		break;
	case 8:
		attach_or_detach(c, p, take(in));
		break;
	default:
		tell_record(c, in, take(in) & 1);
	}
}

static void check_series(const struct series *s, const struct pools_config *config)
{
	uint64_t closed = 0, failed = 0;

	for (int i = 0; i < PS_CLOSES; i++)
		closed += s->closed[i];
	for (int i = 0; i < PS_FAILS; i++)
		failed += s->failed[i];
	check(s->active >= 0 && s->pending >= 0 && s->stale >= 0);
	check(s->opened + s->adopted == (uint64_t)s->active + closed + s->handed_over);
	check(histogram_count(&s->handshake, &config->handshake) <= s->opened);
	check(histogram_count(&s->lifetime, &config->lifetime) <= closed);
	if (s->key.direction == PS_OUTBOUND)
		check(s->attempts == s->opened + (uint64_t)s->pending + failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pools_config config = {.peers_max = 3, .series_max = 5, .ttl_ns = 2 * NSEC_PER_SEC};
	uint64_t now_ns = NSEC_PER_SEC;
	struct input in = {data, size < INPUT_MAX ? size : INPUT_MAX};
	static const uint8_t key[16] = {1};
	struct connections_stats stats;
	struct connections *c;
	struct pools *p;

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	check(!pools_open(&p, &config));
	check(!pools_add_owner(p, 1, "one") && !pools_add_owner(p, 2, "two") &&
	      !pools_add_owner(p, 3, "one"));
	last_owner = 3;
	check(!connections_open(&c, 4, p, key));
	while (in.left)
		step(c, p, &now_ns, &in);
	connections_stats(c, &stats);
	check(!stats.negative && stats.tracked <= stats.limit);
	for (uint32_t i = 0; i < series_count(pools_series(p)); i++)
		check_series(series_at(pools_series(p), i), &config);
	connections_close(c);
	pools_close(p);
	return 0;
}
