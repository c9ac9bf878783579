/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The user half's mirror and what pools counts (user/connections.c, user/pools.c), as they must be with the whole protocol. A tombstone
 * is stamped at once and goes as soon as the ring allows it: the daemon does both later, which is safer.
 */
#include "protocol.h"

/* The owner has a series. Owners without one: no target of ours, or detached. */
bool owner_is_known(const struct model *m, enum owner owner)
{
	if (owner == OWNER)
		return m->s.d.owner == OWNER || !m->c->attaches;
	if (owner == OWNER_AGAIN)
		return m->s.d.owner == OWNER_AGAIN;
	return owner == ACCEPTOR;
}

static void count(struct model *m, unsigned int id, enum counter counter)
{
	struct truth *t = &m->s.truth[id];

	if (t->counted & counter)
		model_wrong(m, "a milestone is counted twice");
	t->counted |= counter;
}

static void gauge_add(struct model *m, const struct entry *e, int n)
{
	int8_t *gauge = e->phase == PENDING ? &m->s.pending[e->birth]
			: e->phase == ACTIVE
				? &m->s.active[e->counted & F_HANDED ? e->holder : e->birth]
			: e->phase == STALE ? &m->s.stale[e->holder]
					    : NULL;

	if (!gauge)
		return;
	*gauge += (int8_t)n;
	if (*gauge < 0)
		model_wrong(m, "a gauge is negative");
}

static void account_owner(struct model *m, unsigned int id, struct entry *e, const struct record *r)
{
	if (e->counted & (P_MOVED | P_ACCEPTED) || r->owner == r->birth)
		return;
	e->holder = owner_is_known(m, r->owner) ? r->owner : NOBODY;
	e->counted |= P_MOVED;
	if (!(r->flags & F_HANDED) || e->counted & P_OVER)
		return;
	e->counted |= F_HANDED;
	count(m, id, C_HANDED);
}

static void account_end(struct model *m, unsigned int id, struct entry *e, const struct record *r)
{
	if (r->phase < STALE || e->counted & P_OVER)
		return;
	if (e->counted & (F_OPENED | F_ADOPTED))
		count(m, id, e->counted & F_HANDED ? C_CLOSED_HOLDER : C_CLOSED);
	else if (e->counted & F_ATTEMPTED)
		count(m, id, C_FAILED);
	else
		return;
	e->counted |= P_OVER;
}

static void pools_account(struct model *m, unsigned int id, struct entry *e, const struct record *r)
{
	unsigned int fresh = r->flags & (F_ATTEMPTED | F_OPENED | F_ADOPTED) & ~e->counted;

	if (e->phase == NONE)
		e->birth = e->holder = owner_is_known(m, r->birth) ? r->birth : NOBODY;
	gauge_add(m, e, -1);
	if (is_broken(m, NO_OVERRIDE) && !r->accepted) {
		e->holder = r->owner;
		e->counted &= ~(F_HANDED | P_MOVED);
	}
	e->counted |= fresh;
	if (fresh & F_ATTEMPTED)
		count(m, id, C_ATTEMPT);
	if (fresh & F_ADOPTED)
		count(m, id, C_ADOPTED);
	if (fresh & F_OPENED)
		count(m, id, C_OPENED);
	account_owner(m, id, e, r);
	if (r->accepted)
		e->counted |= P_ACCEPTED;
	account_end(m, id, e, r);
	e->phase = r->phase;
	gauge_add(m, e, 1);
}

/* A newer version: the difference is accounted. What a walk brought, and changes a gauge, is a correction. */
static void entry_apply(struct model *m, unsigned int id, const struct record *r)
{
	struct entry *e = &m->s.entry[id], before = *e;

	e->kind = E_LIVE;
	e->touched = 1;
	e->version = r->version;
	pools_account(m, id, e, r);
	if (r->flags & F_CORRECTS && e->phase != before.phase)
		m->s.d.corrections = 1;
	if (e->phase != ENDED)
		return;
	*e = (struct entry){
		.kind = E_TOMBSTONE, .birth = e->birth, .holder = e->holder, .stamp = m->s.slots};
	if (!e->stamp || is_broken(m, NO_TOMBSTONES))
		*e = (struct entry){};
}

/* The record as it would be had the kernel half seen the accept. Times are not modelled: truth knows which came first. */
static void record_accept(const struct model *m, struct record *r, enum owner owner,
			  bool before_end)
{
	(void)m;
	if (owner != r->birth && (r->phase == ACTIVE || before_end) &&
	    r->flags & (F_OPENED | F_ADOPTED))
		r->flags |= F_HANDED;
	r->owner = owner;
	r->accepted = 1;
}

static void record_account(struct model *m, struct record r, bool shown)
{
	unsigned int id = id_of(&r);
	struct entry *e = &m->s.entry[id];

	if (e->kind != E_NONE && e->birth != r.birth && e->birth != NOBODY &&
	    !is_broken(m, LATE_COPIES_COUNT))
		return; /* from before a detachment */
	if (e->kind == E_NONE && r.phase != ENDED && !owner_is_known(m, r.birth) &&
	    !owner_is_known(m, r.owner))
		return; /* detached: a later version says whose it is */
	if (shown) {
		e->touched |= e->kind == E_LIVE;
		return;
	}
	if (e->kind == E_TOMBSTONE)
		return;
	if (e->kind == E_LIVE) {
		e->touched = 1;
		if (r.version <= e->version && !is_broken(m, NO_VERSIONS))
			return;
		if (r.version > e->version && r.phase < e->phase)
			model_wrong(m, "a newer version goes back");
	} else if (m->s.d.waiting && !r.accepted && r.sock == 0) {
		m->s.d.waiting = 0;
		record_accept(m, &r, m->s.d.waiting_owner, m->s.truth[id].handed);
		m->s.d.waiting_owner = 0;
	}
	if (e->kind == E_NONE && !owner_is_known(m, r.birth) && !owner_is_known(m, r.owner))
		return; /* detached */
	entry_apply(m, id, &r);
}

/* The fallback's message. */
static void accept_account(struct model *m, enum owner owner)
{
	struct entry *e = &m->s.entry[0];
	struct record view = {.birth = e->birth, .phase = e->phase, .flags = e->counted & 7};

	if (e->kind == E_NONE) {
		m->s.d.waiting = 1;
		m->s.d.waiting_owner = owner;
		return;
	}
	if (e->kind == E_TOMBSTONE || e->counted & P_ACCEPTED)
		return;
	record_accept(m, &view, owner, false);
	pools_account(m, 0, e, &view);
}

void mirror_message(struct model *m, const struct record *message)
{
	if (message->kind == S_ACCEPT)
		accept_account(m, message->owner);
	else if (message->kind == S_RECORD || message->kind == S_SHOWN)
		record_account(m, *message, message->kind == S_SHOWN);
}

/* One slot more has been consumed. */
void mirror_consumed(struct model *m)
{
	for (unsigned int i = 0; i < IDS && !is_broken(m, DETACH_KEEPS_TOMBSTONES); i++) {
		struct entry *e = &m->s.entry[i];

		if (e->kind == E_TOMBSTONE && --e->stamp == 0)
			*e = (struct entry){};
	}
}

/* No copy has touched it in a whole inventory: its end is lost. */
void mirror_absent(struct model *m, unsigned int id)
{
	struct entry *e = &m->s.entry[id];
	struct record end = {.sock = id / LIVES,
			     .life = id % LIVES,
			     .version = e->version,
			     .phase = ENDED,
			     .birth = e->birth,
			     .owner = e->birth};

	m->s.d.corrections = 1;
	entry_apply(m, id, &end);
}

/* The series of the owner are gone; what it shared with another one stays for that one. */
void mirror_detach(struct model *m, enum owner owner)
{
	for (unsigned int id = 0; id < IDS; id++) {
		struct entry *e = &m->s.entry[id];
		struct truth *t = &m->s.truth[id];

		if (t->birth == owner) {
			t->birth = NOBODY;
			t->holder = t->holder == owner ? NOBODY : t->holder;
			t->counted &= C_HANDED | C_CLOSED_HOLDER;
		}
		if (e->kind == E_NONE || e->birth != owner)
			continue;
		if (e->kind == E_TOMBSTONE && is_broken(m, DETACH_KEEPS_TOMBSTONES))
			continue;
		if (e->holder == owner)
			*e = (struct entry){};
		e->birth = NOBODY;
	}
	m->s.pending[owner] = m->s.active[owner] = m->s.stale[owner] = 0;
}
