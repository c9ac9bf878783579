// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * From what an operator names to the keys that the kernel half compares. A unit and a cgroup have two: a name, by which each new cgroup
 * is known, and the number of the one that is there now. Refuses to know which processes that makes.
 */
#include "selection.h"

#include <string.h>

#include "name.h"
#include "util.h"

_Static_assert((int)SELECTOR_UNIT + 1 == (int)PS_RANK_UNIT &&
		       (int)SELECTOR_COMM + 1 == (int)PS_RANK_COMM,
	       "a rank is a kind, and PIDs go first");
_Static_assert(SELECTOR_TEXT_MAX + 1 < PS_CGROUP_NAME_MAX, "a name that is cut equals none");
_Static_assert(SELECTOR_COMM_MAX + 1 == PS_COMM_MAX, "a name fits");

static enum ps_rank rank_of(const struct selector *s)
{
	return (enum ps_rank)(s->kind + 1);
}

bool selection_equal(const struct selector *a, const struct selector *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == SELECTOR_EXE)
		return a->device == b->device && a->inode == b->inode;
	return strcmp(a->text, b->text) == 0;
}

void selection_name(const struct selector *s, char ret[SERIES_NAME_MAX + 1])
{
	static const char suffix[] = ".service";
	const char *slash = s->kind == SELECTOR_COMM ? NULL : strrchr(s->text, '/');
	char text[SELECTOR_TEXT_MAX + 1];
	size_t len;

	snprintf(text, sizeof(text), "%s", slash && slash[1] ? slash + 1 : s->text);
	len = strlen(text);
	if (s->kind == SELECTOR_UNIT && len > strlen(suffix) &&
	    strcmp(text + len - strlen(suffix), suffix) == 0)
		text[len - strlen(suffix)] = '\0';
	name_clean(text, ret);
}

uint32_t selection_rank(const struct selector *s)
{
	return 1U << rank_of(s);
}

static int add_cgroup_name(const struct selector *s, struct probes *probes,
			   const struct ps_process *value)
{
	struct ps_cgroup_name name = {.rank = value->rank};

	memcpy(name.text, s->text, strlen(s->text));
	return probes_cgroup_name_add(probes, &name, value);
}

/* The name first: a cgroup that is made from then on is known. */
int selection_add(const struct selector *s, struct probes *probes, uint32_t owner, bool follow)
{
	const struct ps_process value = {.owner = owner, .follow = follow, .rank = rank_of(s)};
	struct ps_selector key = {.rank = rank_of(s)};
	int err = 0;

	switch (s->kind) {
	case SELECTOR_UNIT:
	case SELECTOR_CGROUP:
		key.number = s->cgroup;
		err = add_cgroup_name(s, probes, &value);
		break;
	case SELECTOR_EXE:
		key.device = s->device;
		key.number = s->inode;
		break;
	default:
		memcpy(key.comm, s->text, strlen(s->text));
	}
	if (err || (!s->cgroup && value.rank <= PS_RANK_CGROUP))
		return err; /* there is none yet */
	return probes_selector_add(probes, &key, &value);
}
