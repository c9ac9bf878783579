/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What must hold: the sums of docs/metrics.md in every state; at a quiet moment the gauges equal the sockets, and the counters
 * equal the truth unless a loss that was itself counted explains the difference.
 */
#include "protocol.h"

#include <string.h>

static int has(const struct truth *t, unsigned int counters)
{
	int n = 0;

	for (unsigned int bits = t->counted & counters; bits; bits &= bits - 1)
		n++;
	return n;
}

static void check_sums(struct model *m, enum owner owner)
{
	int came = 0, went = 0, attempts = 0, decided = 0;

	for (unsigned int id = 0; id < IDS; id++) {
		const struct truth *t = &m->s.truth[id];

		if (t->birth == owner) {
			came += has(t, C_OPENED | C_ADOPTED);
			went += has(t, C_CLOSED | C_HANDED);
			attempts += has(t, C_ATTEMPT);
			decided += m->c->inbound ? 0 : has(t, C_OPENED) + has(t, C_FAILED);
		}
		if (owner == ACCEPTOR && m->c->acceptor == ACCEPTOR) {
			came += has(t, C_HANDED);
			went += has(t, C_CLOSED_HOLDER);
		}
	}
	if (came != m->s.active[owner] + went)
		model_wrong(m, "opened + adopted != active + closed + handed_over");
	if (attempts != m->s.pending[owner] + decided)
		model_wrong(m, "attempts != opened + pending + failures");
}

void check_always(struct model *m)
{
	for (unsigned int owner = OWNER; owner < OWNERS; owner++) {
		if (owner_is_known(m, owner))
			check_sums(m, owner);
	}
	if (m->s.d.corrections && !m->s.d.ever_refused && !m->s.d.ever_missed)
		model_wrong(m, "a correction, and nothing was refused or skipped");
}

static void check_gauges(struct model *m)
{
	int pending[OWNERS] = {}, active[OWNERS] = {}, stale[OWNERS] = {};

	for (unsigned int i = 0; i < m->c->sockets; i++) {
		const struct life *l = &m->s.life[i];
		const struct truth *t = &m->s.truth[id_of(&m->s.value[i])];

		if (!l->tracked) {
			if (m->s.d.owner &&
			    (l->sk == SYN_SENT || l->sk == ESTABLISHED || l->sk == CLOSE_WAIT))
				model_wrong(m, "a connection of a target has no record");
			continue;
		}
		pending[t->birth] += l->sk == SYN_SENT;
		active[t->handed ? t->holder : t->birth] += l->sk == ESTABLISHED;
		stale[t->holder] += l->sk == CLOSE_WAIT;
	}
	for (unsigned int owner = OWNER; owner < OWNERS; owner++) {
		if (!owner_is_known(m, owner))
			continue;
		if (pending[owner] != m->s.pending[owner])
			model_wrong(m, "pending is not what the sockets are");
		if (active[owner] != m->s.active[owner])
			model_wrong(m, "active is not what the sockets are");
		if (stale[owner] != m->s.stale[owner])
			model_wrong(m, "stale is not what the sockets are");
	}
}

static unsigned int expected(const struct model *m, const struct truth *t, bool handed)
{
	bool attempted = t->how == H_BORN && !m->c->inbound, opened = t->how == H_BORN && t->opened;
	bool adopted = t->how == H_MET_ACTIVE, over = t->over && (opened || adopted);
	unsigned int counters = 0;

	counters |= attempted ? C_ATTEMPT : 0;
	counters |= opened ? C_OPENED : 0;
	counters |= adopted ? C_ADOPTED : 0;
	counters |= attempted && t->over && !opened ? C_FAILED : 0;
	counters |= handed ? C_HANDED : 0;
	counters |= !over ? 0 : handed ? C_CLOSED_HOLDER : C_CLOSED;
	if (t->birth == NOBODY) /* detached: only what the acceptor has */
		counters &= C_HANDED | C_CLOSED_HOLDER;
	return counters;
}

void check_quiet(struct model *m)
{
	check_gauges(m);
	for (unsigned int id = 0; id < IDS; id++) {
		const struct truth *t = &m->s.truth[id];
		unsigned int counted = t->counted;

		if (!owner_is_known(m, t->birth) && !owner_is_known(m, t->holder))
			continue;
		if (t->birth == NOBODY)
			counted &= C_HANDED | C_CLOSED_HOLDER;
		if (t->lost || counted == expected(m, t, t->handed))
			continue;
		if (t->vague && t->over &&
		    counted == expected(m, t, !t->handed && t->holder != t->birth))
			continue;
		model_wrong(m, "the counters are not the truth, and no loss was counted");
	}
}
