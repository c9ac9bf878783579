/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the mirror: an open-addressing table of what the kernel told of each connection, keyed by its id. Invariants: a record is
 * applied only if it is newer than the entry; an entry is live or a tombstone, at most `limit` of each; the tombstones
 * stand in a queue in the order of their deaths, so that freeing them is no search.
 * accept() seen by the fallback names a socket only by its cookie: it is applied to the entry at once, or waits for the first
 * record in a small table. After that pools ignores what records say of owner and accept: they do not know it.
 * Whatever bytes come: a message is checked by itself and against the entry before pools sees it. Knows no series, no
 * ring, no clock.
 * A record touches several lines of memory that are in no cache, so records go through a pipeline: asked for are the
 * entry, a few records later the series, and a few later all is there. Twice as many per second at 100,000 connections.
 */
#include "connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accepts.h"
#include "hash.h"
#include "memory.h"
#include "tombstones.h"
#include "util.h"
#include "valid.h"

#define ENTRIES_MIN 1024
#define PIPELINE 32 /* records; a power of two */
/* From taking a record to accounting it: twice the way from memory at full speed. */
#define PIPELINE_LAG 24

/* One cache line: a record touches no second one here. */
struct entry {
	uint64_t id;
	uint64_t established_ns; /* this and what follows up to flags: what an accept needs to be accounted */
	uint8_t peer[16];
	uint64_t birth_owner : 20;
	uint64_t owner : 20; /* who has it now, by the record or by an accept of the fallback */
	uint64_t local_port : 16;
	uint64_t direction : 1;
	uint64_t flags : 6;
	struct pools_state state;
	uint32_t version; /* 0: the slot is free */
	uint32_t hash;
	uint32_t shown; /* the inventory in which a copy touched it, newer or not */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct entry) == 64, "memory is paid per connection");
_Static_assert(POOLS_OWNER_MAX < 1 << 20 && PS_DIRECTIONS <= 2 && PS_HEALED < 1 << 6,
	       "they fit their bits");

struct taken {
	struct ps_record record;
	struct pools_state fresh; /* if it is the first of its connection */
	uint32_t hash;
};

struct connections {
	struct pools *pools;
	struct hash_key key;
	struct entry *entries;
	uint32_t mask, used; /* used: live and tombstones */
	struct tombstones tombstones;
	struct accepts accepts;
	uint32_t taken, asked, accounted; /* places in the pipeline, not wrapped */
	struct taken pipeline[PIPELINE];
	uint32_t inventory; /* counts them; entries that carry less were not shown since it began */
	struct connections_stats stats;
};

int connections_open(struct connections **ret, uint32_t limit, struct pools *pools,
		     const uint8_t hash_key[16])
{
	struct connections *c;

	if (!limit || limit > CONNECTIONS_LIMIT_MAX)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->pools = pools;
	c->key = hash_key_make(hash_key);
	c->stats.limit = limit;
	c->mask = ENTRIES_MIN - 1;
	c->entries = memory_zeroed(ENTRIES_MIN * sizeof(*c->entries));
	if (!c->entries || tombstones_init(&c->tombstones, limit) ||
	    accepts_init(&c->accepts, &c->key)) {
		connections_close(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void connections_close(struct connections *c)
{
	if (!c)
		return;
	memory_free(c->entries, (c->mask + 1UL) * sizeof(*c->entries));
	accepts_done(&c->accepts);
	tombstones_done(&c->tombstones);
	free(c);
}

/* The entry, or the free slot where it would stand. */
static struct entry *entry_find(const struct connections *c, uint64_t id, uint32_t hash)
{
	for (uint32_t i = hash;; i++) {
		struct entry *e = &c->entries[i & c->mask];

		if (!e->version || e->id == id)
			return e;
	}
}

static void entry_prefetch(const struct connections *c, uint32_t hash)
{
	__builtin_prefetch(&c->entries[hash & c->mask], 1);
}

static struct entry *entry_get(struct connections *c, uint64_t id)
{
	struct entry *e = entry_find(c, id, (uint32_t)hash_u64(&c->key, id));

	return e->version ? e : NULL;
}

static int entries_grow(struct connections *c)
{
	uint32_t old_size = c->mask + 1;
	struct entry *old = c->entries, *entries = memory_zeroed(2UL * old_size * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	c->entries = entries;
	c->mask = 2 * old_size - 1;
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i].version)
			*entry_find(c, old[i].id, old[i].hash) = old[i];
	}
	memory_free(old, old_size * sizeof(*old));
	return 0;
}

/* A new entry, with id and hash only. NULL: no memory. The bounds on live ones and tombstones bound the table. */
static struct entry *entry_add(struct connections *c, uint64_t id, uint32_t hash)
{
	struct entry *e;

	if (c->used + 1 > (c->mask + 1ULL) * 3 / 4 && entries_grow(c) && c->used == c->mask)
		return NULL;
	e = entry_find(c, id, hash);
	e->id = id;
	e->hash = hash;
	c->used++;
	return e;
}

/* Closes the gap by moving back what probed past it, so that lookups never meet a deleted slot. */
static void entry_free(struct connections *c, struct entry *e)
{
	uint32_t gap = (uint32_t)(e - c->entries);

	for (uint32_t i = (gap + 1) & c->mask; c->entries[i].version; i = (i + 1) & c->mask) {
		uint32_t probed = (i - c->entries[i].hash) & c->mask;

		if (probed < ((i - gap) & c->mask))
			continue;
		c->entries[gap] = c->entries[i];
		gap = i;
	}
	memset(&c->entries[gap], 0, sizeof(*e));
	c->used--;
}

static void tombstone_free_first(struct connections *c)
{
	const struct tombstone *t = tombstones_at(&c->tombstones, 0);

	if (c->tombstones.count > PIPELINE_LAG)
		entry_prefetch(c, tombstones_at(&c->tombstones, PIPELINE_LAG)->hash);
	entry_free(c, entry_find(c, t->id, t->hash));
	tombstones_drop_first(&c->tombstones);
}

static void tombstone_add(struct connections *c, const struct entry *e)
{
	uint64_t id = e->id;
	uint32_t hash = e->hash;

	if (!tombstones_have_room(&c->tombstones)) {
		tombstone_free_first(c);
		c->stats.tombstones_dropped++;
	}
	tombstones_add(&c->tombstones, id, hash);
}

/* A life cycle goes forward: a newer version may add milestones, never take one back. */
static bool record_follows(const struct ps_record *r, const struct entry *e)
{
	uint8_t milestones = PS_ATTEMPTED | PS_OPENED | PS_ADOPTED;

	return r->direction == e->direction && r->phase >= e->state.phase &&
	       (r->flags & e->flags & milestones) == (e->flags & milestones);
}

/* Accounts a version of the connection; the entry moves if it ended and another one had to be given up for it. */
static void entry_apply(struct connections *c, struct entry *e, const struct ps_record *r)
{
	bool was_live = e->version && e->state.phase != PS_PHASE_ENDED;
	bool had_left = e->state.counted & POOLS_LEFT, accepted = e->state.counted & POOLS_ACCEPTED;

	e->established_ns = r->established_ns;
	memcpy(e->peer, r->peer, sizeof(e->peer));
	e->birth_owner = r->birth_owner;
	e->local_port = r->local_port;
	e->direction = r->direction;
	e->flags = r->flags;
	e->version = r->version;
	pools_account(c->pools, &e->state, r);
	if (had_left ? !(e->state.counted & POOLS_LEFT) : !accepted)
		e->owner = r->owner; /* else it is not the record that knows */
	if (r->phase != PS_PHASE_ENDED) {
		c->stats.tracked += !was_live;
		return;
	}
	c->stats.tracked -= was_live;
	tombstone_add(c, e);
}

/* The record as it would be had the kernel half seen the accept. */
static void record_accept(struct ps_record *r, uint32_t owner, uint64_t accepted_ns)
{
	bool established = r->phase == PS_PHASE_ESTABLISHED ||
			   (r->closed_ns && accepted_ns < r->closed_ns);

	if (owner != r->birth_owner && established && r->flags & (PS_OPENED | PS_ADOPTED))
		r->flags |= PS_HANDED;
	r->owner = owner;
	r->accepted_ns = accepted_ns;
}

/* A reset or a time-out ends a connection at once, so what was accepted later had ended already, whatever order the two come in. */
static bool record_ended_before(const struct ps_record *r, uint64_t accepted_ns)
{
	return r->phase == PS_PHASE_ENDED && r->closed_ns && r->closed_ns < accepted_ns &&
	       r->reason != PS_CLOSE_LOCAL && r->reason != PS_CLOSE_PEER;
}

static bool owner_is_dropped(const struct connections *c, uint32_t owner)
{
	return owner && pools_owner_name(c->pools, owner) < 0;
}

/* Of dropped owners only: what comes of them is late. */
static bool is_forgotten(const struct connections *c, uint32_t birth_owner, uint32_t owner)
{
	return pools_owner_name(c->pools, birth_owner) < 0 && pools_owner_name(c->pools, owner) < 0;
}

/* An accept of the fallback may have come before the first record. */
static void record_take_accept(struct connections *c, struct ps_record *r)
{
	struct accept accept;

	if (r->direction != PS_INBOUND || !accepts_take(&c->accepts, r->id, &accept) ||
	    r->accepted_ns || record_ended_before(r, accept.accepted_ns))
		return;
	record_accept(r, accept.owner, accept.accepted_ns);
	c->stats.events[PS_EVENT_ACCEPT]++;
}

/* The entry that the record is to change; NULL: it is late, repeated, refused or wrong. */
static struct entry *record_entry(struct connections *c, struct taken *t)
{
	struct ps_record *r = &t->record;
	struct entry *e = entry_find(c, r->id, t->hash);

	if (e->version) {
		if (e->birth_owner != r->birth_owner)
			return NULL; /* a copy from before a detachment: the id begins anew */
		e->shown = c->inventory;
		if (e->state.phase == PS_PHASE_ENDED || r->version <= e->version)
			return NULL;
		if (record_follows(r, e))
			return e;
		c->stats.invalid++;
		return NULL;
	}
	/* What lives has, or will have, a version of its new owner. What has ended may have been accepted before. */
	if (r->phase != PS_PHASE_ENDED && is_forgotten(c, r->birth_owner, r->owner))
		return NULL;
	record_take_accept(c, r);
	if (is_forgotten(c, r->birth_owner, r->owner))
		return NULL;
	/* One that has ended takes no place among the live ones: its whole story is in this record. */
	e = NULL;
	if (r->phase == PS_PHASE_ENDED || c->stats.tracked < c->stats.limit)
		e = entry_add(c, r->id, t->hash);
	if (!e) {
		c->stats.full++;
		return NULL;
	}
	e->state = t->fresh;
	e->shown = c->inventory;
	return e;
}

static bool phase_has_gauge(uint8_t phase)
{
	return phase != PS_PHASE_NONE && phase != PS_PHASE_ENDED;
}

/* A gauge moves because of an inventory, or later than the kernel half wanted it to. */
static void count_correction(struct connections *c, uint8_t from, uint8_t to)
{
	if (from != to && (phase_has_gauge(from) || phase_has_gauge(to)))
		c->stats.corrections++;
}

static void record_account(struct connections *c, struct taken *t)
{
	struct ps_record *r = &t->record;
	struct entry *e = record_entry(c, t);

	if (!e)
		return;
	c->stats.events[PS_EVENT_PENDING + r->phase - PS_PHASE_PENDING]++;
	if (r->flags & (PS_REFUSED | PS_HEALED))
		count_correction(c, e->state.phase, r->phase);
	entry_apply(c, e, r);
}

static void record_prefetch(const struct connections *c, struct taken *t)
{
	struct entry *e = entry_find(c, t->record.id, t->hash);

	t->fresh = (struct pools_state){};
	pools_prefetch(c->pools, e->version ? &e->state : &t->fresh, &t->record);
}

/* Leaves at most `lag` records in the pipeline. */
static void pipeline_run(struct connections *c, uint32_t lag)
{
	for (; c->taken - c->asked > lag / 2; c->asked++)
		record_prefetch(c, &c->pipeline[c->asked % PIPELINE]);
	for (; c->taken - c->accounted > lag; c->accounted++)
		record_account(c, &c->pipeline[c->accounted % PIPELINE]);
}

static void record_take(struct connections *c, const void *record)
{
	struct taken *t = &c->pipeline[c->taken % PIPELINE];

	memcpy(&t->record, record, sizeof(t->record)); /* whatever its alignment */
	if (!valid_record(&t->record)) {
		c->stats.invalid++;
		return;
	}
	t->hash = (uint32_t)hash_u64(&c->key, t->record.id);
	entry_prefetch(c, t->hash);
	c->taken++;
	pipeline_run(c, PIPELINE_LAG);
}

/* What is known of the connection, as a record. */
static struct ps_record entry_view(const struct entry *e)
{
	struct ps_record view = {
		.id = e->id,
		.established_ns = e->established_ns,
		.version = e->version,
		.birth_owner = (uint32_t)e->birth_owner,
		.owner = (uint32_t)e->birth_owner,
		.local_port = e->local_port,
		.phase = e->state.phase,
		.direction = e->direction,
		.flags = e->flags,
	};

	memcpy(view.peer, e->peer, sizeof(view.peer));
	return view;
}

static void accept_account(struct connections *c, const struct ps_message_accept *m,
			   uint64_t now_ns)
{
	uint64_t id = m->cookie & PS_COOKIE_MASK;
	struct ps_record view;
	struct entry *e;

	if (!m->accepted_ns || m->owner > POOLS_OWNER_MAX) {
		c->stats.invalid++;
		return;
	}
	pipeline_run(c, 0); /* in the order of the ring */
	e = entry_get(c, id);
	if (!e) {
		accepts_add(&c->accepts, m, now_ns);
		return;
	}
	if (e->direction != PS_INBOUND || e->state.counted & POOLS_ACCEPTED)
		return;
	if (e->state.phase == PS_PHASE_ENDED)
		return; /* it had ended before: an accept is read before any end that follows it */
	view = entry_view(e);
	record_accept(&view, m->owner, m->accepted_ns);
	c->stats.events[PS_EVENT_ACCEPT]++;
	pools_account(c->pools, &e->state, &view);
	e->owner = m->owner;
}

/* One that is not here either waits in the pipeline, and is shown by that, or found the mirror full. */
static void entry_shown(struct connections *c, uint64_t id)
{
	struct entry *e = entry_get(c, id);

	if (e)
		e->shown = c->inventory;
}

void connections_message(struct connections *c, const void *data, size_t size, uint64_t now_ns)
{
	struct ps_message_accept accept;
	struct ps_message_shown shown;
	uint32_t kind = 0;

	if (size >= sizeof(kind))
		memcpy(&kind, data, sizeof(kind));
	if (kind == PS_MESSAGE_RECORD && size == sizeof(struct ps_message_record)) {
		record_take(c, (const char *)data + offsetof(struct ps_message_record, record));
	} else if (kind == PS_MESSAGE_ACCEPT && size == sizeof(accept)) {
		memcpy(&accept, data, sizeof(accept));
		if (owner_is_dropped(c, accept.owner))
			accept.owner = 0;
		accept_account(c, &accept, now_ns);
	} else if (kind == PS_MESSAGE_SHOWN && size == sizeof(shown)) {
		memcpy(&shown, data, sizeof(shown));
		entry_shown(c, shown.id);
	} else {
		c->stats.invalid++;
	}
}

void connections_drained(struct connections *c, uint64_t consumed, uint64_t produced)
{
	pipeline_run(c, 0);
	while (tombstones_passed(&c->tombstones, consumed))
		tombstone_free_first(c);
	tombstones_stamp(&c->tombstones, produced);
}

void connections_parked(struct connections *c, const struct ps_record *record)
{
	record_take(c, record);
}

void connections_inventory_begin(struct connections *c)
{
	pipeline_run(c, 0);
	c->inventory++;
}

/* The kernel has it no more: nobody saw its end, so nobody knows when or why. */
static void entry_end(struct connections *c, struct entry *e)
{
	struct ps_record r = entry_view(e);

	count_correction(c, r.phase, PS_PHASE_ENDED);
	r.phase = PS_PHASE_ENDED;
	r.version++;
	r.reason = r.flags & (PS_OPENED | PS_ADOPTED) ? (uint8_t)PS_CLOSE_OTHER
						      : (uint8_t)PS_FAIL_OTHER;
	entry_apply(c, e, &r);
}

void connections_inventory_end(struct connections *c)
{
	pipeline_run(c, 0);
	for (uint32_t i = 0; i <= c->mask; i++) {
		struct entry *e = &c->entries[i];

		if (e->version && phase_has_gauge(e->state.phase) && e->shown != c->inventory)
			entry_end(c, e);
	}
}

/* Lets the entry go from its dropped owners; true if it is nobody's any more. */
static bool entry_leave(struct connections *c, struct entry *e)
{
	uint32_t birth_owner = (uint32_t)e->birth_owner, owner = (uint32_t)e->owner;

	bool birth = owner_is_dropped(c, birth_owner), holder = owner_is_dropped(c, owner);

	if (birth || holder)
		pools_leave(c->pools, &e->state, birth, holder);
	return is_forgotten(c, birth_owner, owner);
}

static bool tombstone_is_kept(void *arg, const struct tombstone *t)
{
	const struct connections *c = arg;
	const struct entry *e = entry_find(c, t->id, t->hash);

	return !is_forgotten(c, (uint32_t)e->birth_owner, (uint32_t)e->owner);
}

static bool owner_is_unknown(void *arg, uint32_t owner)
{
	return owner_is_dropped(arg, owner);
}

void connections_forget(struct connections *c)
{
	uint32_t i = 0;

	pipeline_run(c, 0);
	tombstones_keep(&c->tombstones, tombstone_is_kept, c);
	accepts_disown(&c->accepts, owner_is_unknown, c);
	while (i <= c->mask) {
		struct entry *e = &c->entries[i];
		bool live = e->state.phase != PS_PHASE_ENDED;

		if (!e->version || !entry_leave(c, e)) {
			i++;
			continue;
		}
		c->stats.tracked -= live;
		entry_free(c, e); /* what probed past it stands here now */
	}
}

uint32_t connections_orphan_owners(struct connections *c, uint64_t now_ns, uint32_t *owners,
				   uint32_t max)
{
	pipeline_run(c, 0);
	return accepts_expire(&c->accepts, now_ns, owners, max);
}

void connections_queued(struct connections *c, uint64_t cookie)
{
	struct entry *e;

	pipeline_run(c, 0);
	e = entry_get(c, cookie & PS_COOKIE_MASK);
	if (e)
		pools_queued(c->pools, &e->state);
}

void connections_visit(struct connections *c, connections_live_fn *fn, void *arg)
{
	pipeline_run(c, 0);
	for (uint32_t i = 0; i <= c->mask; i++) {
		const struct entry *e = &c->entries[i];
		struct connections_live live = {.id = e->id,
						.established_ns = e->established_ns,
						.local_port = e->local_port,
						.direction = e->direction,
						.phase = e->state.phase};
		int name;

		if (!e->version || !phase_has_gauge(e->state.phase))
			continue;
		name = pools_state_name(c->pools, &e->state);
		if (name < 0)
			continue;
		live.name = (uint16_t)name;
		live.adopted = !(e->flags & (PS_ATTEMPTED | PS_OPENED)) ||
			       e->state.counted & POOLS_HANDED;
		live.accepted = e->state.counted & POOLS_ACCEPTED;
		memcpy(live.peer, e->peer, sizeof(live.peer));
		fn(arg, &live);
	}
}

size_t connections_bytes(const struct connections *c)
{
	return (c->mask + 1UL) * sizeof(*c->entries) +
	       (c->tombstones.mask + 1UL) * sizeof(*c->tombstones.at) + sizeof(*c);
}

void connections_stats(struct connections *c, struct connections_stats *ret)
{
	struct pools_stats pools;

	pipeline_run(c, 0);
	pools_stats(c->pools, &pools);
	*ret = c->stats;
	ret->negative = pools.negative;
	ret->accepts_dropped = c->accepts.dropped;
	ret->accepts_lost = c->accepts.lost;
}
