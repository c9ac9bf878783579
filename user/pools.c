/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a record says, against what was accounted of it before, becomes numbers. A connection has at most two series: that of its
 * birth owner, which gets attempt, opening and handshake, and that of its present owner. Closing belongs to the
 * birth owner unless the connection was handed over while established. So for every series, after every call:
 *     opened + adopted = active + closed + handed_over       attempts = opened + pending + failures (outbound)
 * Each milestone is counted when it is first seen passed, whatever was skipped before. Knows nothing of versions, rings
 * or ids: connections sees to it that no older record comes after a newer one.
 * Invariant: a slot that a state names is in use until that state has ended, and what is in use is never dropped. All changes of a
 * series come from states that use it, so the end of its last use is its last change.
 */
#include "pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "util.h"

#define NO_NAME UINT16_MAX

struct pools {
	struct pools_config config; /* aggregates: longest first */
	struct series_table *table;
	struct series *series; /* the table's array, by slot */
	struct series nowhere; /* where an owner that is no target of ours is counted */
	struct pools_stats stats;
	uint16_t *names; /* by owner; NO_NAME: unknown */
	uint32_t owners; /* size of names */
	uint32_t name_owners[SERIES_NAMES_MAX]; /* how many have the name */
	uint32_t expire_next; /* slot at which pools_expire() goes on */
	uint64_t now_ns;
};

static int prefix_longer_first(const void *a, const void *b)
{
	const struct address_prefix *x = a, *y = b;

	return (int)y->len - (int)x->len;
}

int pools_open(struct pools **ret, const struct pools_config *config)
{
	struct pools *p;
	int err;

	if (config->aggregate_count > POOLS_AGGREGATES_MAX)
		return -EINVAL;
	p = memory_zeroed(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->config = *config;
	qsort(p->config.aggregate, config->aggregate_count, sizeof(p->config.aggregate[0]),
	      prefix_longer_first);
	err = series_open(&p->table, config->peers_max, config->series_max, config->hash_key);
	if (err) {
		pools_close(p);
		return err;
	}
	p->series = series_at(p->table, 0);
	*ret = p;
	return 0;
}

void pools_close(struct pools *p)
{
	if (!p)
		return;
	series_close(p->table);
	free(p->names);
	memory_free(p, sizeof(*p));
}

static uint16_t owner_name(const struct pools *p, uint32_t owner)
{
	return owner < p->owners ? p->names[owner] : NO_NAME;
}

int pools_owner_name(const struct pools *p, uint32_t owner)
{
	uint16_t name = owner_name(p, owner);

	return name == NO_NAME ? -ENOENT : name;
}

static int owners_grow(struct pools *p, uint32_t owner)
{
	uint32_t owners = p->owners ? p->owners : 64;
	uint16_t *names;

	if (owner < p->owners)
		return 0;
	while (owners <= owner)
		owners *= 2;
	names = realloc(p->names, owners * sizeof(*names));
	if (!names)
		return -ENOMEM;
	memset(names + p->owners, 0xff, (owners - p->owners) * sizeof(*names));
	p->names = names;
	p->owners = owners;
	return 0;
}

int pools_add_owner(struct pools *p, uint32_t owner, const char *name)
{
	int err, index;

	if (!owner || owner > POOLS_OWNER_MAX)
		return -ERANGE;
	if (owner_name(p, owner) != NO_NAME)
		return -EEXIST;
	err = owners_grow(p, owner);
	if (err)
		return err;
	index = series_name(p->table, name);
	if (index < 0)
		return index;
	p->names[owner] = (uint16_t)index;
	p->name_owners[index]++;
	return 0;
}

void pools_drop_owner(struct pools *p, uint32_t owner)
{
	p->name_owners[p->names[owner]]--;
	p->names[owner] = NO_NAME;
}

uint64_t pools_sweep(struct pools *p)
{
	uint64_t swept = 0;

	for (uint32_t i = 0; i < series_names(p->table); i++) {
		if (p->name_owners[i] || !series_name_text(p->table, (uint16_t)i))
			continue;
		series_name_drop(p->table, (uint16_t)i);
		swept |= 1ULL << i;
	}
	return swept;
}

static struct series *series_of(struct pools *p, uint32_t slot)
{
	return slot ? &p->series[slot - 1] : &p->nowhere;
}

static bool key_of(const struct pools *p, uint32_t owner, const struct ps_record *r,
		   struct series_key *ret)
{
	bool inbound = r->direction == PS_INBOUND;
	uint16_t name = owner_name(p, owner);
	struct series_key key = {
		.server_port = inbound ? r->local_port : r->peer_port,
		.prefix_len = 128,
		.direction = r->direction,
		.name = (uint8_t)name,
	};

	if (name == NO_NAME)
		return false;
	memcpy(key.peer, r->peer, sizeof(key.peer));
	for (uint32_t i = 0; inbound && i < p->config.aggregate_count; i++) {
		const struct address_prefix *prefix = &p->config.aggregate[i];

		if (!address_prefix_contains(prefix, r->peer))
			continue;
		memcpy(key.peer, prefix->address, sizeof(key.peer));
		key.prefix_len = prefix->len;
		break;
	}
	*ret = key;
	return true;
}

/* Slot + 1 of the series in which a connection of this owner is counted, in use from now on; 0: none. `likely`: look there first. */
static uint32_t slot_take(struct pools *p, uint32_t owner, const struct ps_record *r,
			  uint32_t likely)
{
	const struct series *s = series_of(p, likely);
	struct series_key key;
	uint32_t slot = likely - 1;

	if (!key_of(p, owner, r, &key))
		return 0;
	if ((!s->labels || memcmp(&s->key, &key, sizeof(key)) != 0) &&
	    series_get(p->table, &key, &slot)) {
		p->stats.unaccounted++;
		return 0;
	}
	p->series[slot].states++;
	return slot + 1;
}

static void slot_leave(struct pools *p, uint32_t slot)
{
	struct series *s;

	if (!slot)
		return;
	s = series_of(p, slot);
	if (!--s->states)
		s->idle_ns = p->now_ns;
}

void pools_prefetch(const struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	struct series_key key;
	const struct series *s;

	if (st->phase == PS_PHASE_NONE)
		st->holder = key_of(p, r->birth_owner, r, &key) ? series_likely(p->table, &key) : 0;
	if (!st->holder)
		return;
	s = &p->series[st->holder - 1];
	__builtin_prefetch(&s->key, 1);
	if (r->phase < PS_PHASE_STALE)
		__builtin_prefetch(&s->attempts, 1);
	if (r->phase == PS_PHASE_ESTABLISHED)
		__builtin_prefetch(&s->handshake, 1);
	if (r->phase < PS_PHASE_STALE || st->counted & POOLS_OVER)
		return;
	__builtin_prefetch(&s->closed, 1);
	__builtin_prefetch(&s->lifetime, 1);
	__builtin_prefetch(&s->lifetime.buckets[8], 1);
}

/* Which of its two series has it in a gauge? */
static bool counts_at_birth(const struct pools_state *st)
{
	return st->phase == PS_PHASE_PENDING ||
	       (st->phase == PS_PHASE_ESTABLISHED && !(st->counted & POOLS_HANDED));
}

/* Adds to the gauge that holds a connection in this state; who is no target has none. */
static void gauge_add(struct pools *p, const struct pools_state *st, int32_t n)
{
	uint32_t slot = counts_at_birth(st) ? st->birth : st->holder;
	struct series *s = series_of(p, slot);
	int32_t *gauge;

	if (!slot)
		return;
	switch (st->phase) {
	case PS_PHASE_PENDING:
		gauge = &s->pending;
		break;
	case PS_PHASE_ESTABLISHED:
		gauge = &s->active;
		break;
	case PS_PHASE_STALE:
		gauge = &s->stale;
		break;
	default:
		return;
	}
	*gauge += n;
	if (*gauge < 0)
		p->stats.negative++;
}

static void account_birth(struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	uint8_t fresh = r->flags & (PS_ATTEMPTED | PS_OPENED | PS_ADOPTED) & ~st->counted;
	struct series *birth = series_of(p, st->birth);

	if (!fresh)
		return;
	st->counted |= fresh;
	birth->attempts += !!(fresh & PS_ATTEMPTED);
	birth->adopted += !!(fresh & PS_ADOPTED);
	if (!(fresh & PS_OPENED))
		return;
	birth->opened++;
	if (r->direction == PS_INBOUND && r->handshake_us)
		histogram_add(&birth->handshake, &p->config.handshake, r->handshake_us * 1000ULL);
	else if (r->direction == PS_OUTBOUND && r->attempt_ns && r->established_ns >= r->attempt_ns)
		histogram_add(&birth->handshake, &p->config.handshake,
			      r->established_ns - r->attempt_ns);
}

/*
 * The owner changes at most once, by accept(); to another owner of the same name is no change. After a detachment it may change
 * again: another target has the descriptor, too. Then handing over has been counted.
 */
static bool owner_changes(const struct pools *p, const struct pools_state *st,
			  const struct ps_record *r)
{
	if (st->counted & POOLS_LEFT)
		return r->owner != r->birth_owner && owner_name(p, r->owner) != NO_NAME;
	return !(st->counted & (POOLS_MOVED | POOLS_ACCEPTED)) &&
	       owner_name(p, r->owner) != owner_name(p, r->birth_owner);
}

static void account_owner(struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	bool handed = st->counted & POOLS_HANDED;

	if (!owner_changes(p, st, r))
		return;
	st->holder = slot_take(p, r->owner, r, 0);
	st->counted |= POOLS_MOVED;
	st->counted &= (uint8_t)~POOLS_LEFT;
	if (!(handed || r->flags & PS_HANDED) || st->counted & POOLS_OVER)
		return;
	st->counted |= POOLS_HANDED;
	series_of(p, st->birth)->handed_over += !handed;
	series_of(p, st->holder)->adopted++;
}

static void account_accept(struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	uint64_t wait_ns = r->accepted_ns > r->established_ns ? r->accepted_ns - r->established_ns
							      : 0;

	if (!r->accepted_ns || st->counted & POOLS_ACCEPTED)
		return;
	st->counted |= POOLS_ACCEPTED;
	if (r->direction == PS_INBOUND && st->counted & POOLS_OPENED && r->established_ns)
		histogram_add(&series_of(p, st->holder)->accept_wait, &p->config.handshake,
			      wait_ns);
}

static void account_end(struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	bool handed = st->counted & POOLS_HANDED;
	struct series *s = series_of(p, handed ? st->holder : st->birth);

	if (r->phase < PS_PHASE_STALE || st->counted & POOLS_OVER)
		return;
	if (st->counted & (POOLS_OPENED | POOLS_ADOPTED)) {
		s->closed[r->reason]++;
		if (st->counted & POOLS_OPENED && !handed && r->established_ns &&
		    r->closed_ns >= r->established_ns)
			histogram_add(&s->lifetime, &p->config.lifetime,
				      r->closed_ns - r->established_ns);
	} else if (st->counted & POOLS_ATTEMPTED) {
		s->failed[r->reason]++;
	} else {
		return; /* found in CLOSE_WAIT: only the stale gauge has it */
	}
	st->counted |= POOLS_OVER;
}

void pools_account(struct pools *p, struct pools_state *st, const struct ps_record *r)
{
	if (st->phase == PS_PHASE_ENDED)
		return;
	if (st->phase == PS_PHASE_NONE)
		st->birth = st->holder = slot_take(p, r->birth_owner, r, st->holder);
	gauge_add(p, st, -1);
	account_birth(p, st, r);
	account_owner(p, st, r);
	account_accept(p, st, r);
	account_end(p, st, r);
	st->phase = r->phase;
	gauge_add(p, st, 1);
	if (st->phase != PS_PHASE_ENDED)
		return;
	slot_leave(p, st->birth);
	if (st->counted & POOLS_MOVED)
		slot_leave(p, st->holder);
}

void pools_clock(struct pools *p, uint64_t now_ns)
{
	p->now_ns = now_ns;
}

static bool may_drop(const struct pools *p, const struct series *s)
{
	return s->labels && !s->key.overflow && !s->states && p->now_ns >= s->idle_ns &&
	       p->now_ns - s->idle_ns >= p->config.ttl_ns;
}

uint32_t pools_expire(struct pools *p, uint32_t slots)
{
	uint32_t count = series_count(p->table), dropped = 0;

	if (!p->config.ttl_ns)
		return 0;
	for (slots = slots < count ? slots : count; slots; slots--, p->expire_next++) {
		if (p->expire_next >= count)
			p->expire_next = 0;
		if (!may_drop(p, &p->series[p->expire_next]))
			continue;
		series_drop(p->table, p->expire_next);
		dropped++;
	}
	return dropped;
}

/* The series has it no more: counted as if it had gone elsewhere, so that its sums hold. */
static void give_up(const struct pools_state *st, struct series *s)
{
	if (st->phase == PS_PHASE_PENDING)
		s->failed[PS_FAIL_OTHER]++;
	else if (st->phase == PS_PHASE_ESTABLISHED)
		s->handed_over++;
}

void pools_leave(struct pools *p, struct pools_state *st, bool birth, bool owner)
{
	bool moved = st->counted & POOLS_MOVED, leaves;

	if (!moved)
		birth = owner; /* of one name, in one series: who has it now decides */
	leaves = counts_at_birth(st) ? birth : owner;
	gauge_add(p, st, -1);
	if (leaves)
		give_up(st, series_of(p, counts_at_birth(st) ? st->birth : st->holder));
	if (st->phase != PS_PHASE_ENDED && birth)
		slot_leave(p, st->birth);
	if (st->phase != PS_PHASE_ENDED && owner && moved)
		slot_leave(p, st->holder);
	if (birth)
		st->birth = 0;
	if (owner) {
		st->holder = 0;
		st->counted |= POOLS_MOVED | POOLS_LEFT;
	}
	if (owner && leaves && st->phase == PS_PHASE_ESTABLISHED)
		st->counted |= POOLS_HANDED;
	gauge_add(p, st, 1);
}

int pools_state_name(const struct pools *p, const struct pools_state *st)
{
	uint32_t slot = counts_at_birth(st) ? st->birth : st->holder;

	return slot ? p->series[slot - 1].key.name : -ENOENT;
}

void pools_queued_reset(struct pools *p)
{
	for (uint32_t i = 0; i < series_count(p->table); i++)
		p->series[i].queued = 0;
}

void pools_queued(struct pools *p, const struct pools_state *st)
{
	if (st->phase == PS_PHASE_ESTABLISHED && !(st->counted & POOLS_ACCEPTED))
		series_of(p, st->holder)->queued++;
}

const struct pools_config *pools_config(const struct pools *p)
{
	return &p->config;
}

struct series_table *pools_series(struct pools *p)
{
	return p->table;
}

void pools_stats(const struct pools *p, struct pools_stats *ret)
{
	*ret = p->stats;
}
