/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon: it drains when it likes, takes inventories, attaches and detaches. One thread: it does not drain while
 * it walks, and while it waits for the ring to be drained to a position it does nothing else.
 */
#include "protocol.h"

#include <string.h>

/* daemon_drain(), one message of it: parked accepts come first. */
static bool drain_one(struct model *m)
{
	struct record message = m->s.ring[0], accept = {.kind = S_ACCEPT, .owner = m->c->acceptor};
	bool parked = m->s.d.parked_accept;

	m->s.d.parked_accept = 0;
	if (parked)
		mirror_message(m, &accept);
	if (!m->s.slots || message.kind == S_BUSY)
		return parked;
	mirror_message(m, &message);
	m->s.slots--;
	memmove(m->s.ring, m->s.ring + 1, (RING_MAX - 1) * sizeof(m->s.ring[0]));
	m->s.ring[RING_MAX - 1] = (struct record){};
	mirror_consumed(m);
	return true;
}

static bool read_one_parked(struct model *m)
{
	struct record message = m->s.parked[0];

	if (!message.kind)
		return false;
	memmove(m->s.parked, m->s.parked + 1, (PARKED_MAX - 1) * sizeof(m->s.parked[0]));
	m->s.parked[PARKED_MAX - 1] = (struct record){};
	mirror_message(m, &message);
	return true;
}

/* ---- one inventory ----------------------------------------------------------------------------------------------- */

static void absence(struct model *m)
{
	for (unsigned int id = 0; id < IDS; id++) {
		if (m->s.entry[id].kind == E_LIVE && !m->s.entry[id].touched)
			mirror_absent(m, id);
	}
}

static void mark_unseen(struct model *m)
{
	for (unsigned int id = 0; id < IDS; id++)
		m->s.entry[id].touched = 0;
	for (unsigned int i = 0; i < SOCKETS; i++)
		m->s.value[i].shown = 0; /* a new generation */
}

static bool skip_under_way(const struct model *m)
{
	return m->s.actor[0].op == OP_SKIPPED || m->s.actor[1].op == OP_SKIPPED;
}

/* A skipped run is answered a moment after it was counted: its sk_state must have been stored. */
static void inventory_begin(struct model *m, bool all)
{
	struct daemon *d = &m->s.d;

	d->answer_refused = 0;
	d->all = all;
	d->cursor = 0;
	d->place = D_PASS;
	if (!all && is_broken(m, ABSENCE_WITHOUT_ALL))
		mark_unseen(m);
	if (!all)
		return;
	d->answer_lost = 0;
	if (!skip_under_way(m) || is_broken(m, ANSWER_SKIP_AT_ONCE))
		d->answer_missed = 0;
	d->place = is_broken(m, NO_ADOPTION_AGAIN) && m->s.d.place != D_ADOPT ? D_DRAIN : D_ADOPT;
	d->target = is_broken(m, MARK_BEFORE_DRAIN) ? 0 : m->s.slots;
}

static bool walk_end(struct model *m)
{
	struct record *v = &m->s.value[m->s.d.cursor];

	if (!v->exists)
		*v = (struct record){};
	m->s.actor[WALK] = (struct actor){};
	m->s.d.cursor++;
	return true;
}

/* show_record(): heal, and find out whether it is to be sent. */
static bool show_record(struct model *m, bool old)
{
	struct daemon *d = &m->s.d;
	struct record *v = &m->s.value[d->cursor];

	if (!v->exists)
		return walk_end(m);
	if (!conn_heal(m, d->cursor, old))
		d->refused = 1;
	if (v->phase == NONE || !v->self)
		return walk_end(m);
	if (v->told == v->version && (!d->all || v->shown))
		return walk_end(m);
	m->s.actor[WALK] = (struct actor){.op = OP_SHOW, .pc = RESERVE};
	return true;
}

static bool pass_step(struct model *m, bool old)
{
	struct daemon *d = &m->s.d;
	struct actor *a = &m->s.actor[WALK];

	if (a->pc == RESERVE && m->s.slots == m->c->ring) {
		d->refused = 1;
		return walk_end(m);
	}
	if (a->pc != IDLE)
		return actor_step(m, WALK);
	if (d->cursor < m->c->sockets)
		return show_record(m, old);
	d->cursor = 0;
	d->place = D_DRAIN_PASS;
	d->target = m->s.slots;
	return true;
}

/* Whether the ring is consumed as far as it was produced when the wait began; a busy slot holds it up. */
static bool drained(struct model *m, bool *ret_waits)
{
	struct daemon *d = &m->s.d;
	unsigned int slots;

	*ret_waits = false;
	if (!d->target || (is_broken(m, BUSY_IS_DRAINED) && m->s.ring[0].kind == S_BUSY)) {
		d->target = 0;
		return true;
	}
	slots = m->s.slots;
	*ret_waits = !drain_one(m);
	d->target -= slots - m->s.slots;
	return false;
}

static void pass_done(struct model *m)
{
	struct daemon *d = &m->s.d;
	bool again = d->refused && !is_broken(m, REFUSED_PASS_COUNTS);

	d->refused = 0;
	if (again) {
		d->place = D_PASS;
		return;
	}
	if (!d->all && is_broken(m, ABSENCE_WITHOUT_ALL))
		absence(m);
	d->place = !d->all ? D_IDLE : is_broken(m, ABSENCE_BEFORE_PARKED) ? D_ABSENCE : D_PARKED;
}

/* Sees out the programs that run now: they may have looked for an owner or a record before there was one. */
static void grace_begin(struct model *m)
{
	for (unsigned int i = 0; i < SOCKETS && !is_broken(m, NO_GRACE); i++)
		m->s.d.grace |= (m->s.actor[i].pc != IDLE) << i;
}

/* ---- adoption ---------------------------------------------------------------------------------------------------- */

/* An empty record; the first hold fills it from sk_state, unless a program was quicker. */
static bool adopt_create(struct model *m)
{
	unsigned int sock = m->s.d.cursor;
	struct record *v = &m->s.value[sock];

	if (!v->exists || (v->self && v->phase == NONE && !v->birth))
		*v = (struct record){.sock = sock,
				     .life = v->life,
				     .owner = m->s.d.owner,
				     .birth = m->s.d.owner,
				     .exists = 1,
				     .self = 1,
				     .met = 1};
	m->s.actor[WALK].pc = RESERVE;
	return true;
}

/* conn_adopt(): one socket of the descriptor tables. A transition that came meanwhile may have found no record. */
static bool adopt_step(struct model *m)
{
	struct daemon *d = &m->s.d;
	struct actor *a = &m->s.actor[WALK];
	const struct record *v = &m->s.value[d->cursor];
	enum sk_state sk;

	if (d->cursor == m->c->sockets || !d->owner) {
		d->cursor = 0;
		d->place = D_ADOPTED;
		grace_begin(m);
		return true;
	}
	sk = m->s.life[d->cursor].sk;
	if (a->pc == IDLE) {
		if ((v->exists && !(v->self && v->phase == NONE && !v->birth)) ||
		    (sk != SYN_SENT && sk != ESTABLISHED && sk != CLOSE_WAIT))
			return walk_end(m);
		*a = (struct actor){.op = OP_ADOPT, .pc = CREATE, .to = sk};
		return true;
	}
	if (a->pc == CREATE)
		return adopt_create(m);
	return actor_step(m, WALK);
}

/* ---- detaching --------------------------------------------------------------------------------------------------- */

/* targets_adopt_all() of those that remain, as far as the sockets have records. */
static bool claim_step(struct model *m)
{
	struct daemon *d = &m->s.d;
	const struct record *v = &m->s.value[d->cursor];
	bool accept_runs = m->s.actor[ACCEPT].pc != IDLE;
	enum sk_state sk;

	if (m->s.actor[WALK].pc != IDLE)
		return actor_step(m, WALK);
	if (d->cursor == m->c->sockets || m->c->acceptor != ACCEPTOR || is_broken(m, NO_CLAIM)) {
		if (accept_runs)
			return false; /* the grace period after adoption */
		d->cursor = 0;
		d->place = D_CLAIMED;
		grace_begin(m);
		return true;
	}
	sk = m->s.life[d->cursor].sk;
	if (v->exists && v->self && v->owner == OWNER && v->phase != NONE &&
	    (sk == ESTABLISHED || sk == CLOSE_WAIT) &&
	    !(accept_runs && !m->c->fallback)) /* else neither in the queue nor in a table */
		m->s.actor[WALK] = (struct actor){
			.op = OP_ACCEPT, .pc = RESERVE, .old = d->cursor || d->accepts};
	else
		d->cursor++;
	return true;
}

/* If targets remain, what was refused of them is told before records go. */
static bool claimed_step(struct model *m)
{
	struct daemon *d = &m->s.d;

	if (d->grace)
		return false;
	if (m->c->acceptor != ACCEPTOR || is_broken(m, DELETE_UNTOLD)) {
		d->place = D_DELETE;
		return true;
	}
	inventory_begin(m, true);
	d->deletes = 1;
	d->place = D_DRAIN;
	d->target = m->s.slots;
	return true;
}

/* Programs that read the old map are over when the records are deleted; others may hold a record that is. */
static bool delete_step(struct model *m)
{
	struct daemon *d = &m->s.d;
	struct record *v = &m->s.value[d->cursor];

	if (d->cursor == m->c->sockets) {
		d->cursor = 0;
		d->place = D_IDLE;
		return true;
	}
	if (v->exists && !owner_is_known(m, v->birth) && !owner_is_known(m, v->owner)) {
		*v = (struct record){};
		m->s.life[d->cursor].tracked = 0;
		m->s.actor[d->cursor].stale = m->s.actor[d->cursor].pc != IDLE;
		if (d->cursor == 0)
			m->s.actor[ACCEPT].stale = m->s.actor[ACCEPT].pc != IDLE;
	}
	d->cursor++;
	return true;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* What the daemon has begun goes on. `old`: what looks as if it were under way has looked so for a second. */
static bool daemon_goes_on(struct model *m, unsigned int old)
{
	struct daemon *d = &m->s.d;
	bool waits;

	switch (d->place) {
	case D_ATTACH:
	case D_ADOPTED:
	case D_DETACH:
		d->place += !d->grace; /* D_ADOPT, D_DRAIN, D_CLAIM */
		d->target = is_broken(m, MARK_BEFORE_DRAIN) ? 0 : m->s.slots;
		return !d->grace;
	case D_ADOPT:
		return adopt_step(m);
	case D_DRAIN:
		if (!drained(m, &waits))
			return !waits;
		mark_unseen(m);
		d->place = D_PASS;
		return true;
	case D_PASS:
		return pass_step(m, old);
	case D_DRAIN_PASS:
		if (!drained(m, &waits))
			return !waits;
		pass_done(m);
		return true;
	case D_PARKED:
		if (!read_one_parked(m))
			d->place = D_ABSENCE;
		return true;
	case D_ABSENCE:
		absence(m);
		d->place = d->deletes ? D_DELETE : D_IDLE;
		d->deletes = 0;
		return true;
	case D_CLAIM:
		return claim_step(m);
	case D_CLAIMED:
		return claimed_step(m);
	case D_DELETE:
		return delete_step(m);
	}
	return false;
}

static bool drain(struct model *m, unsigned int arg)
{
	(void)arg;
	return m->s.d.place == D_IDLE && drain_one(m);
}

static bool read_parked(struct model *m, unsigned int arg)
{
	(void)arg;
	return m->s.d.place == D_IDLE && read_one_parked(m);
}

static bool inventory(struct model *m, unsigned int all)
{
	if (m->s.d.place != D_IDLE || !m->s.d.inventories || (m->c->attaches && !m->s.d.owner))
		return false;
	m->s.d.inventories--;
	inventory_begin(m, all);
	return true;
}

static bool attach(struct model *m, unsigned int arg)
{
	struct daemon *d = &m->s.d;

	(void)arg;
	if (d->place != D_IDLE || d->owner || d->attaches == m->c->attaches)
		return false;
	d->owner = d->attaches++ ? OWNER_AGAIN : OWNER;
	inventory_begin(m, true);
	d->place = D_ATTACH;
	grace_begin(m);
	return true;
}

static bool detach(struct model *m, unsigned int arg)
{
	struct daemon *d = &m->s.d;

	(void)arg;
	if (d->place != D_IDLE || d->owner != OWNER || d->attaches == m->c->attaches)
		return false;
	d->owner = NOBODY;
	mirror_detach(m, OWNER);
	d->place = D_DETACH;
	grace_begin(m);
	return true;
}

/* An accept without a record is given up only when no record can be on its way, or wait for an inventory. */
static bool forget_accept(struct model *m, unsigned int arg)
{
	struct daemon *d = &m->s.d;

	(void)arg;
	if (d->place != D_IDLE || !d->waiting || m->s.slots || !kernel_is_idle(m))
		return false;
	if ((d->answer_refused || d->answer_missed) && !is_broken(m, FORGET_EARLY))
		return false;
	d->waiting = d->waiting_owner = 0;
	return true;
}

const struct step daemon_steps[] = {
	{"daemon_goes_on", daemon_goes_on, 2},
	{"drain", drain, 1},
	{"read_parked", read_parked, 1},
	{"inventory", inventory, 2},
	{"attach", attach, 1},
	{"detach", detach, 1},
	{"forget_accept", forget_accept, 1},
};
const size_t daemon_step_count = sizeof(daemon_steps) / sizeof(daemon_steps[0]);

/* ---- a quiet moment ---------------------------------------------------------------------------------------------- */

static void finish(struct model *m)
{
	unsigned int patience = 1000;

	while (m->s.d.place != D_IDLE && daemon_goes_on(m, 1)) {
		if (!patience--) {
			model_wrong(m, "an inventory does not end");
			return;
		}
	}
	while (drain_one(m) || read_one_parked(m))
		;
}

/*
 * The sockets rest: the daemon does what it would do by itself, and its numbers must be right. Before any inventory if nothing was
 * refused or skipped; else after the one that this calls for; and the timer's must leave them as they are.
 */
void daemon_settle(struct model *m)
{
	struct daemon *d = &m->s.d;

	finish(m);
	if (!d->ever_refused && !d->answer_missed)
		check_quiet(m);
	if (d->answer_refused) {
		inventory_begin(m, false);
		finish(m);
	}
	if (d->answer_missed || d->answer_lost) {
		inventory_begin(m, true);
		finish(m);
	}
	check_quiet(m);
	inventory_begin(m, true);
	finish(m);
	check_quiet(m);
}
