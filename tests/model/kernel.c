/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel half (bpf/conn.bpf.h, conn_heal of bpf/inventory.bpf.h) and the sockets that it watches. A run of a program is: reserve; one
 * hold that changes the record and copies it; submit, or what follows a refusal. The tracepoint fires before sk_state
 * is stored; at most `skips` runs do not take place.
 */
#include "protocol.h"

#include <string.h>

static struct record *slot_of(struct model *m, unsigned int actor)
{
	for (unsigned int i = 0; i < m->s.slots; i++) {
		if (m->s.ring[i].kind == S_BUSY && m->s.ring[i].by == actor)
			return &m->s.ring[i];
	}
	return NULL;
}

void conn_reserve(struct model *m, unsigned int actor)
{
	if (m->s.slots < m->c->ring)
		m->s.ring[m->s.slots++] = (struct record){.kind = S_BUSY, .by = actor};
	else
		m->s.d.ever_refused = 1;
	m->s.actor[actor].pc = HOLD;
}

static unsigned int sock_of(const struct model *m, unsigned int actor)
{
	return actor == WALK ? m->s.d.cursor : actor == ACCEPT ? 0 : actor;
}

/* What a reader of the ring sees of a record. */
static struct record copy_of(const struct record *v, enum slot_kind kind, unsigned int by)
{
	struct record r = *v;

	r.exists = r.self = r.told = r.shown = r.met = 0;
	r.kind = kind;
	r.by = by;
	return r;
}

/* Call in a hold: copies into the actor's slot unless this version was told. A walk of all names what was told. */
static bool conn_copy(struct model *m, unsigned int actor, struct record *v)
{
	bool all = actor == WALK && m->s.actor[WALK].op == OP_SHOW && m->s.d.all;
	bool told = v->told == v->version;
	struct record *slot = slot_of(m, actor);

	if (!slot || (told && !(all && !v->shown)))
		return false;
	*slot = copy_of(v, S_BUSY, actor);
	if (actor == WALK && m->s.actor[WALK].op == OP_SHOW && !told && !v->met)
		slot->flags |= F_CORRECTS;
	slot->told = told; /* the reader has this version: it is only named */
	if (!is_broken(m, TOLD_OUTSIDE_HOLD))
		v->told = v->version;
	if (all) {
		v->shown = 1;
		v->met = 0;
	}
	return true;
}

static void conn_clear(struct record *v, enum owner owner)
{
	unsigned int life = v->life + (v->version ? 1 : 0), sock = v->sock;

	*v = (struct record){
		.sock = sock, .life = life, .owner = owner, .birth = owner, .exists = 1, .self = 1};
}

static void conn_born(struct record *v)
{
	v->version = 0;
	conn_clear(v, v->owner);
}

static enum phase sock_phase(enum sk_state state)
{
	static const uint8_t phases[SK_STATES] = {[SYN_SENT] = PENDING,
						  [ESTABLISHED] = ACTIVE,
						  [CLOSE_WAIT] = STALE,
						  [FIN] = ENDED,
						  [CLOSE] = ENDED};

	return phases[state];
}

/* A new record has been made for the present life of its socket. */
static void truth_begin(struct model *m, struct record *v, enum how how)
{
	struct life *life = &m->s.life[v->sock];
	unsigned int counted = m->s.truth[id_of(v)].counted;

	life->tracked = 1;
	m->s.truth[id_of(v)] = (struct truth){.how = how,
					      .opened = life->opened,
					      .over = life->over,
					      .birth = v->birth,
					      .holder = v->owner,
					      .counted = counted};
}

static bool conn_advance(struct model *m, struct record *v, enum phase phase, bool was_established)
{
	bool established = phase == ACTIVE || was_established;

	if (!v->self) {
		if (!established)
			return false;
		conn_born(v);
	}
	if (phase <= v->phase || !v->birth || (v->phase == NONE && !established))
		return false;
	if (v->phase == NONE &&
	    v->met) { /* adoption had just made it: established before we came */
		v->flags |= F_ADOPTED;
		truth_begin(m, v, H_MET_ACTIVE);
	} else if (established && v->phase < ACTIVE) {
		v->flags |= F_OPENED | (v->owner != v->birth ? F_HANDED : 0);
	}
	v->phase = phase;
	v->version++;
	return true;
}

/* Fills an empty record with what its socket is in the middle of its life; what is over is no connection for us. */
static bool conn_met(struct model *m, struct record *v, enum sk_state state)
{
	enum how how = state == SYN_SENT      ? H_BORN
		       : state == ESTABLISHED ? H_MET_ACTIVE
					      : H_MET_STALE;

	if (state != SYN_SENT && state != ESTABLISHED && state != CLOSE_WAIT) {
		v->owner = v->birth = NOBODY;
		return false;
	}
	v->phase = sock_phase(state);
	v->flags = state == SYN_SENT ? F_ATTEMPTED : state == ESTABLISHED ? F_ADOPTED : 0;
	v->version = 1;
	v->met = 1;
	truth_begin(m, v, how);
	return true;
}

static bool conn_connect(struct model *m, struct record *v, struct actor *a)
{
	unsigned int sock = (unsigned int)(v - m->s.value);

	v->sock = sock;
	conn_clear(v, a->owner);
	if (!a->owner)
		return false;
	v->flags = F_ATTEMPTED;
	v->phase = PENDING;
	v->version = 1;
	truth_begin(m, v, H_BORN);
	return true;
}

static bool conn_end(struct record *v)
{
	if (v->phase != ENDED) {
		v->phase = ENDED;
		v->version++;
	}
	return true;
}

/* The owner that accept() gives, and whether that is a handing over: where both overlap an end, either may be told. */
static void truth_accept(struct model *m, const struct record *v)
{
	const struct life *life = &m->s.life[0];
	struct truth *t = &m->s.truth[id_of(v)];
	bool active = life->opened && !life->over;

	t->holder = m->c->acceptor;
	t->handed = active && t->holder != t->birth;
	t->vague = m->s.actor[TRANSITION_0].pc != IDLE ||
		   (v->phase != NONE && (v->phase == ACTIVE) != active) ||
		   (m->c->fallback &&
		    (m->s.d.ever_refused || m->s.d.ever_missed || m->s.actor[WALK].pc != IDLE));
}

static bool conn_accept(struct model *m, struct record *v)
{
	if (!v->self)
		conn_born(v);
	if (v->phase == ENDED || v->accepted)
		return false;
	truth_accept(m, v);
	v->accepted = 1;
	if (v->owner != m->c->acceptor && v->phase == ACTIVE)
		v->flags |= F_HANDED;
	v->owner = m->c->acceptor;
	v->version++;
	return v->phase != NONE;
}

/* Detaching: another target has the listener, or has accepted it, maybe without the kernel half's knowing. */
static bool conn_take_over(struct model *m, unsigned int sock, struct record *v, bool queued)
{
	if (v->phase == ENDED || v->owner != OWNER)
		return false;
	if (queued) {
		v->version = 0;
		conn_clear(v, ACCEPTOR);
		return conn_met(m, v, m->s.life[sock].sk);
	}
	if (v->phase == ACTIVE)
		v->flags |= F_HANDED;
	v->owner = ACCEPTOR;
	v->version++;
	return true;
}

/* The one hold of a run: change and copy. */
static void actor_hold(struct model *m, unsigned int actor)
{
	struct actor *a = &m->s.actor[actor];
	unsigned int actor_sock = sock_of(m, actor);
	struct record *v = &m->s.value[actor_sock];
	bool changed = true;

	a->pc = SUBMIT;
	if (a->stale)
		return;
	switch (a->op) {
	case OP_ADVANCE:
		changed = conn_advance(m, v, sock_phase(a->to),
				       (a->old == ESTABLISHED || a->old == CLOSE_WAIT) &&
					       !is_broken(m, NO_WAS_ESTABLISHED));
		break;
	case OP_END:
		changed = conn_end(v);
		break;
	case OP_CONNECT:
		changed = conn_connect(m, v, a);
		break;
	case OP_ACCEPT:
		changed = actor == WALK ? conn_take_over(m, actor_sock, v, a->old)
					: conn_accept(m, v);
		break;
	case OP_ADOPT:
		changed = v->phase != NONE ||
			  (v->birth && conn_met(m, v, m->s.life[actor_sock].sk));
		break;
	}
	a->fresh = changed && conn_copy(m, actor, v);
}

/* The run of the program is over. */
static void actor_next(struct model *m, unsigned int actor)
{
	struct actor *a = &m->s.actor[actor];
	struct record *v = &m->s.value[sock_of(m, actor)];

	a->fresh = 0;
	if (actor == ACCEPT) {
		*a = (struct actor){};
	} else if (actor == WALK) {
		if (!v->exists)
			*v = (struct record){};
		*a = (struct actor){};
		m->s.d.cursor++;
	} else if (a->op == OP_END && a->to == SYN_SENT) {
		a->op = OP_CONNECT;
		a->pc = a->owner || v->exists ? RESERVE : STORE;
	} else {
		a->pc = STORE;
	}
}

static void truth_lost(struct model *m, const struct record *v)
{
	m->s.truth[id_of(v)].lost = 1;
	m->s.d.answer_lost = m->s.d.ever_lost = 1;
}

static bool shown_is_left_out(const struct model *m, const struct record *slot)
{
	return slot->kind == S_SHOWN && (is_broken(m, TOLD_NOT_SHOWN) ||
					 (slot->phase == ENDED && is_broken(m, ENDED_NOT_SHOWN)));
}

/* conn_submit(), and conn_refused() with the first hold of conn_park(). */
static void actor_submit(struct model *m, unsigned int actor)
{
	struct actor *a = &m->s.actor[actor];
	struct record *v = &m->s.value[sock_of(m, actor)], *slot = slot_of(m, actor);

	if (slot) {
		slot->kind = !a->fresh		   ? S_DISCARDED
			     : a->op == OP_MESSAGE ? S_ACCEPT
			     : slot->told	   ? S_SHOWN
						   : S_RECORD;
		if (slot->kind == S_DISCARDED || shown_is_left_out(m, slot))
			*slot = (struct record){.kind = S_DISCARDED};
		slot->told = slot->by = 0;
		if (a->fresh && is_broken(m, TOLD_OUTSIDE_HOLD) && a->op != OP_MESSAGE)
			v->told = v->version;
		actor_next(m, actor);
		return;
	}
	if (a->stale || v->phase == NONE || v->told == v->version ||
	    (actor == WALK && !is_broken(m, WALK_PARKS))) { /* a pass follows adoption */
		actor_next(m, actor);
		return;
	}
	m->s.d.answer_refused = 1;
	m->s.truth[id_of(v)].vague |= m->c->fallback;
	if (v->phase != ENDED) {
		actor_next(m, actor);
		return;
	}
	v->told = v->version;
	a->pc = PARK;
}

static void actor_park(struct model *m, unsigned int actor)
{
	const struct record *v = &m->s.value[sock_of(m, actor)];

	for (unsigned int i = 0; i < m->c->parked && !m->s.actor[actor].stale; i++) {
		if (m->s.parked[i].kind)
			continue;
		m->s.parked[i] = copy_of(v, S_RECORD, 0);
		actor_next(m, actor);
		return;
	}
	m->s.actor[actor].pc = UNPARK;
}

static void actor_unpark(struct model *m, unsigned int actor)
{
	struct record *v = &m->s.value[sock_of(m, actor)];

	if (!is_broken(m, PARKING_UNCOUNTED))
		m->s.d.answer_refused =
			1; /* counted after the hold, so that an inventory comes after it, too */
	if (!is_broken(m, NO_SECOND_TRY))
		v->told = 0;
	if (m->s.actor[actor].op == OP_END && v->exists)
		truth_lost(m, v);
	actor_next(m, actor);
}

/* sk_state is stored; or the socket and its storage are gone, but for a walk that has hold of it. */
static void actor_store(struct model *m, unsigned int sock)
{
	struct actor *a = &m->s.actor[sock];
	struct record *v = &m->s.value[sock];

	m->s.life[sock].sk = a->to;
	m->s.d.grace &= ~(1U << sock);
	if (a->to == DEAD) {
		v->exists = 0;
		if (m->s.actor[WALK].pc == IDLE || m->s.d.cursor != sock)
			*v = (struct record){};
	}
	*a = (struct actor){};
}

/* The next step of a run under way. */
bool actor_step(struct model *m, unsigned int actor)
{
	switch (m->s.actor[actor].pc) {
	case RESERVE:
		conn_reserve(m, actor);
		return true;
	case HOLD:
		actor_hold(m, actor);
		return true;
	case SUBMIT:
		actor_submit(m, actor);
		return true;
	case PARK:
		actor_park(m, actor);
		return true;
	case UNPARK:
		actor_unpark(m, actor);
		return true;
	case STORE:
		actor_store(m, actor);
		return true;
	}
	return false;
}

static bool run(struct model *m, unsigned int actor)
{
	return actor_step(m, actor);
}

bool kernel_is_idle(const struct model *m)
{
	return m->s.actor[0].pc == IDLE && m->s.actor[1].pc == IDLE &&
	       m->s.actor[ACCEPT].pc == IDLE;
}

/* ---- healing: one hold in the walk ------------------------------------------------------------------------------- */

/* A new life whose begin was skipped: the record has ended long ago, its socket lives. False: its end is to be told first. */
static bool conn_heal_birth(struct model *m, struct record *v, enum sk_state state)
{
	enum owner owner = v->owner;

	if (v->told != v->version)
		return false;
	conn_clear(v, owner);
	conn_met(m, v, state);
	return true;
}

/* Takes the record, then sk_state. `old`: it has been so for a second. False: the pass must be repeated. */
bool conn_heal(struct model *m, unsigned int sock, bool old)
{
	struct record *v = &m->s.value[sock];
	const struct actor *a = &m->s.actor[sock];
	enum sk_state state = m->s.life[sock].sk;
	enum phase phase = sock_phase(state);
	bool connecting = a->pc != IDLE && a->to == SYN_SENT;

	if (is_broken(m, NO_HEALING))
		return true;
	if (v->self && v->phase == ENDED && !m->s.life[sock].tracked &&
	    (phase == PENDING || phase == ACTIVE || phase == STALE)) {
		/* looked at again in a second, also when born now: its end may be under way */
		m->s.d.answer_missed |= !is_broken(m, YOUNG_FORGOTTEN);
		return !old || conn_heal_birth(m, v, state);
	}
	if (is_broken(m, HEAL_BACKWARDS) && v->self && phase < v->phase && phase != NONE &&
	    v->phase != NONE) {
		v->phase = phase;
		v->version++;
		return true;
	}
	if (v->phase == PENDING && state == CLOSE && !v->met && (!old || connecting) &&
	    !is_broken(m, HEAL_YOUNG_CONNECT)) {
		m->s.d.answer_missed = 1;
		return true;
	}
	if (phase != NONE)
		conn_advance(m, v, phase, state == CLOSE_WAIT || state == FIN);
	return true;
}

/* ---- the sockets ------------------------------------------------------------------------------------------------- */

static bool life_allows(const struct model *m, unsigned int sock, enum sk_state to)
{
	const struct life *l = &m->s.life[sock];

	if ((to == CLOSE_WAIT || to == FIN) && m->c->plain)
		return false;
	switch (l->sk) {
	case CLOSE:
		return (to == SYN_SENT && l->begun < m->c->lives && !m->c->inbound) ||
		       (to == DEAD && l->begun);
	case SYN_SENT:
		return to == ESTABLISHED || to == CLOSE;
	case SYN_RECV:
		return to == ESTABLISHED;
	case ESTABLISHED:
		return to == CLOSE_WAIT || to == FIN || to == CLOSE;
	case CLOSE_WAIT:
		return to == FIN || to == CLOSE;
	case FIN:
		return to == CLOSE;
	}
	return false;
}

/* Who holds the socket keeps it from being destroyed: accept() under way, a descriptor table being read. */
static bool sock_is_held(const struct model *m, unsigned int sock)
{
	return (sock == 0 && m->s.actor[ACCEPT].pc != IDLE) ||
	       ((m->s.d.place == D_ADOPT || m->s.d.place == D_CLAIM) && m->s.d.cursor == sock &&
		m->s.actor[WALK].pc != IDLE);
}

static void truth_transition(struct model *m, unsigned int sock, enum sk_state to)
{
	struct life *l = &m->s.life[sock];
	struct truth *t = &m->s.truth[id_of(&m->s.value[sock])];
	bool over = sock_phase(to) >= STALE;

	if (to == SYN_SENT) {
		*l = (struct life){.sk = l->sk, .begun = l->begun + 1};
		return;
	}
	if (l->tracked) {
		t->vague |= over && !l->over && m->s.actor[ACCEPT].pc != IDLE;
		t->opened |= to == ESTABLISHED;
		t->over |= over;
		if (to == ESTABLISHED)
			t->handed = t->holder != t->birth;
	}
	l->opened |= to == ESTABLISHED;
	l->over |= over;
}

static void transition_skipped(struct model *m, unsigned int sock, struct actor *a)
{
	const struct record *v = &m->s.value[sock];

	m->s.d.skips--;
	m->s.d.ever_missed = m->s.d.answer_missed = 1;
	if (a->to == DEAD && v->exists && v->phase != NONE && v->told != v->version)
		m->s.truth[id_of(v)].lost = 1;
	a->op = OP_SKIPPED;
	a->pc = STORE;
}

/* ps_set_state and ps_destroy_sock up to the reserve. */
static bool transition(struct model *m, unsigned int arg)
{
	unsigned int skip = arg & 1, to = arg / 2 % SK_STATES, sock = arg / 2 / SK_STATES;
	struct actor *a = &m->s.actor[sock];
	struct record *v = &m->s.value[sock];
	bool ends, has;

	if (sock >= m->c->sockets || a->pc != IDLE || !life_allows(m, sock, to) ||
	    (skip && !m->s.d.skips))
		return false;
	if (to == DEAD && sock_is_held(m, sock))
		return false;
	if (skip && m->s.life[sock].tracked && v->self && v->phase < sock_phase(m->s.life[sock].sk))
		return false; /* the one before was missed, too, by a race with adoption */
	if (m->c->inbound && to == ESTABLISHED && !v->exists && m->s.d.owner) {
		*v = (struct record){
			.sock = sock, .owner = m->s.d.owner, .birth = m->s.d.owner, .exists = 1};
		truth_begin(
			m, v,
			H_BORN); /* a child of a tagged listener, born with a copy of its record */
	}
	truth_transition(m, sock, to);
	*a = (struct actor){.to = to, .old = m->s.life[sock].sk, .pc = STORE};
	if (skip) {
		transition_skipped(m, sock, a);
		return true;
	}
	ends = v->exists && v->self && v->phase != NONE &&
	       !(v->phase == ENDED && v->told == v->version);
	has = v->exists;
	if (to == SYN_SENT)
		a->owner = m->s.d.owner;
	if (a->owner && !has) /* the storage is there from now on, empty */
		*v = (struct record){.sock = sock, .exists = 1};
	a->op = to == DEAD || (to == SYN_SENT && ends) ? OP_END
		: to == SYN_SENT		       ? OP_CONNECT
						       : OP_ADVANCE;
	if (a->op == OP_END	  ? !ends
	    : a->op == OP_CONNECT ? !v->exists
				  : !has || (v->self && sock_phase(to) <= v->phase))
		return true;
	conn_reserve(m, sock);
	return true;
}

/* accept() returns the first socket: the fexit program, or the message of the fallback. */
static bool accept_returns(struct model *m, unsigned int arg)
{
	struct actor *a = &m->s.actor[ACCEPT];
	struct record *v = &m->s.value[0], *slot;
	enum sk_state sk = m->s.life[0].sk;

	(void)arg;
	if (!m->s.d.accepts || a->pc != IDLE || !v->exists || sk == DEAD ||
	    m->s.actor[0].to == DEAD || (m->c->fallback && sk == SYN_RECV))
		return false;
	if (v->owner == OWNER &&
	    (m->s.d.deletes || m->s.d.place == D_CLAIMED || m->s.d.place == D_DELETE ||
	     (m->s.d.place == D_CLAIM && m->s.actor[WALK].pc == IDLE)))
		return false; /* all that can be accepted has been taken over */
	if (m->c->fallback && m->s.d.place == D_ADOPT && !m->s.life[0].tracked)
		return false; /* not modelled */
	m->s.d.accepts = 0;
	*a = (struct actor){.op = m->c->fallback ? OP_MESSAGE : OP_ACCEPT, .owner = m->c->acceptor};
	if (m->c->fallback && !v->self) /* no cookie: no record of ours */
		return true;
	conn_reserve(m, ACCEPT);
	if (!m->c->fallback)
		return true;
	truth_accept(m, v);
	slot = slot_of(m, ACCEPT);
	if (!slot) {
		m->s.d.parked_accept = 1;
		*a = (struct actor){};
		return true;
	}
	slot->owner = m->c->acceptor;
	a->fresh = 1;
	a->pc = SUBMIT;
	return true;
}

void kernel_init(struct model *m)
{
	m->s.d.skips = m->c->skips;
	m->s.d.accepts = m->c->accepts;
	m->s.d.inventories = m->c->inventories;
	m->s.d.owner = m->c->attaches && !m->c->inbound ? NOBODY : OWNER;
	m->s.d.attaches = m->c->attaches && m->c->inbound;
	for (unsigned int i = 0; i < m->c->sockets; i++) {
		struct life *l = &m->s.life[i];

		if (m->c->inbound) {
			*l = (struct life){.sk = SYN_RECV, .begun = 1};
			if (m->c->attaches)
				continue;
			m->s.value[i] = (struct record){
				.sock = i, .owner = OWNER, .birth = OWNER, .exists = 1};
			truth_begin(m, &m->s.value[i], H_BORN);
		} else {
			enum sk_state sk = m->c->found[i];

			*l = (struct life){.sk = sk,
					   .begun = sk != CLOSE,
					   .opened = sk == ESTABLISHED || sk == CLOSE_WAIT,
					   .over = sk == CLOSE_WAIT};
		}
	}
}

const struct step kernel_steps[] = {
	{"transition", transition, SOCKETS *SK_STATES * 2},
	{"accept_returns", accept_returns, 1},
	{"run", run, WALK},
};
const size_t kernel_step_count = sizeof(kernel_steps) / sizeof(kernel_steps[0]);
