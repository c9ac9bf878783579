// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a record can be, by itself: the fields and milestones that no version of the kernel half puts together are refused here, so that what
 * comes after need not ask. Knows no other record.
 */
#include "valid.h"

bool valid_record(const struct ps_record *r)
{
	bool attempted = r->flags & PS_ATTEMPTED, opened = r->flags & PS_OPENED,
	     adopted = r->flags & PS_ADOPTED;
	bool inbound = r->direction == PS_INBOUND;

	_Static_assert((int)PS_FAILS == (int)PS_CLOSES, "one check serves both kinds of reason");
	if (r->owner >= PS_OWNERS || r->birth_owner >= PS_OWNERS || r->flags >= PS_HEALED << 1)
		return false;
	if (!r->id || !r->version || r->direction >= PS_DIRECTIONS || r->reason >= PS_CLOSES)
		return false;
	if (r->phase == PS_PHASE_NONE || r->phase >= PS_PHASES)
		return false;
	if (adopted && (attempted || opened))
		return false;
	if (r->flags & PS_HANDED && !opened && !adopted)
		return false;
	if ((attempted || r->phase == PS_PHASE_PENDING) && inbound)
		return false;
	if (r->phase == PS_PHASE_PENDING)
		return attempted && !opened;
	if (opened && !attempted && !inbound)
		return false;
	if (r->phase == PS_PHASE_STALE && attempted && !opened)
		return false;
	return r->phase != PS_PHASE_ESTABLISHED || opened || adopted;
}
