/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is searched. The first part must hold. In the second one rule is left out each time, and the search must find that out:
 * it says which rules are needed, and that the search can find anything.
 */
#define ONE(slots, places) .sockets = 1, .ring = slots, .parked = places
#define TWO(slots) .sockets = 2, .ring = slots, .parked = 1, .lives = 1, .plain = true
#define OUT(slots, places) ONE(slots, places), .lives = 2
#define IN(slots, places, who) \
	ONE(slots, places), .lives = 1, .inbound = true, .accepts = 1, .acceptor = who

static const struct config configs[] = {
	{"outbound, two inventories", OUT(2, 1), .inventories = 2},
	{"outbound, a skip", OUT(2, 1), .inventories = 1, .skips = 1},
	{"outbound, a skip, one slot, nothing parked", OUT(1, 0), .inventories = 1, .skips = 1},
	{"outbound, a skip, one slot, two parked", OUT(1, 2), .inventories = 1, .skips = 1},
	{"inbound, handed over, a skip", IN(2, 1, ACCEPTOR), .inventories = 2, .skips = 1},
	{"inbound, handed to nobody, nothing parked, a skip", IN(2, 0, NOBODY), .inventories = 2,
	 .skips = 1},
	{"inbound, own accept, one slot, a skip", IN(1, 1, OWNER), .inventories = 2, .skips = 1},
	{"inbound, accept fallback", IN(2, 1, ACCEPTOR), .fallback = true, .inventories = 2},
	{"inbound, accept fallback, one slot, a skip", IN(1, 1, ACCEPTOR), .fallback = true,
	 .inventories = 2, .skips = 1},
	{"attach to a connecting one", OUT(2, 1), .inventories = 1, .attaches = 1,
	 .found = {SYN_SENT}},
	{"attach to an established one, a skip", OUT(2, 1), .inventories = 1, .attaches = 1,
	 .found = {ESTABLISHED}, .skips = 1},
	{"attach to a stale one, a skip", OUT(2, 1), .inventories = 1, .attaches = 1,
	 .found = {CLOSE_WAIT}, .skips = 1},
	{"attach, detach, attach again", OUT(2, 1), .attaches = 2, .found = {SYN_SENT}},
	{"inbound, handed over, detach, attach again", IN(2, 1, ACCEPTOR), .attaches = 2},
	{"inbound, accept fallback, detach, attach again", IN(2, 1, ACCEPTOR), .fallback = true,
	 .attaches = 2},
	{"inbound, handed over, detach, one slot, nothing parked", IN(1, 0, ACCEPTOR),
	 .attaches = 2},
	{"two outbound", TWO(2), .inventories = 1},
	{"two outbound, one slot", TWO(1), .inventories = 1},
	{"two inbound, one accepted, three slots", TWO(3), .inbound = true, .accepts = 1,
	 .acceptor = ACCEPTOR},
	{"two inbound, one accepted", TWO(2), .inbound = true, .accepts = 1, .acceptor = ACCEPTOR,
	 .inventories = 1},
	{"two inbound, a skip", TWO(2), .inbound = true, .inventories = 1, .skips = 1},
	{"two inbound, one accepted by the fallback", TWO(2), .inbound = true, .fallback = true,
	 .accepts = 1, .acceptor = ACCEPTOR, .inventories = 1},
	{"two, attach, detach, attach again", TWO(2), .attaches = 2,
	 .found = {SYN_SENT, ESTABLISHED}},

#define BROKEN(rule) "without: " #rule, .broken = rule
	{BROKEN(NO_TOMBSTONES), OUT(2, 1), .inventories = 1},
	{BROKEN(NO_VERSIONS), OUT(2, 1), .inventories = 1},
	{BROKEN(TOLD_OUTSIDE_HOLD), IN(2, 1, ACCEPTOR), .inventories = 1},
	{BROKEN(ENDED_NOT_SHOWN), OUT(2, 1), .inventories = 1},
	{BROKEN(BUSY_IS_DRAINED), OUT(2, 1), .inventories = 1},
	{BROKEN(ABSENCE_BEFORE_PARKED), OUT(2, 1), .inventories = 1},
	{BROKEN(ABSENCE_WITHOUT_ALL), OUT(2, 1), .inventories = 1},
	{BROKEN(REFUSED_PASS_COUNTS), OUT(2, 1), .inventories = 1},
	{BROKEN(TOLD_NOT_SHOWN), OUT(2, 1), .inventories = 1},
	{BROKEN(HEAL_BACKWARDS), OUT(2, 1), .inventories = 1},
	{BROKEN(HEAL_YOUNG_CONNECT), OUT(2, 1), .inventories = 1},
	{BROKEN(YOUNG_FORGOTTEN), OUT(2, 1), .inventories = 1, .skips = 1},
	{BROKEN(NO_HEALING), OUT(2, 1), .inventories = 1, .skips = 1},
	{BROKEN(NO_WAS_ESTABLISHED), OUT(2, 1), .inventories = 1, .skips = 1},
	{BROKEN(ANSWER_SKIP_AT_ONCE), OUT(2, 1), .inventories = 1, .skips = 1},
	{BROKEN(NO_ADOPTION_AGAIN), OUT(2, 1), .inventories = 1, .skips = 1},
	{BROKEN(MARK_BEFORE_DRAIN), OUT(2, 0), .inventories = 1},
	{BROKEN(NO_SECOND_TRY), OUT(2, 0), .inventories = 1},
	{BROKEN(PARKING_UNCOUNTED), OUT(2, 1), .inventories = 1},
	{BROKEN(WALK_PARKS), OUT(2, 1), .attaches = 1, .found = {SYN_SENT}},
	{BROKEN(NO_OVERRIDE), IN(2, 1, ACCEPTOR), .fallback = true},
	{BROKEN(FORGET_EARLY), TWO(1), .inbound = true, .fallback = true, .accepts = 1,
	 .acceptor = ACCEPTOR},
	{BROKEN(NO_GRACE), OUT(2, 1), .attaches = 1, .found = {SYN_SENT}},
	{BROKEN(DETACH_KEEPS_TOMBSTONES), OUT(2, 1), .attaches = 2, .found = {SYN_SENT}},
	{BROKEN(NO_CLAIM), IN(2, 1, ACCEPTOR), .fallback = true, .attaches = 2},
	{BROKEN(DELETE_UNTOLD), IN(1, 0, ACCEPTOR), .fallback = true, .attaches = 2},
	{BROKEN(LATE_COPIES_COUNT), IN(2, 1, ACCEPTOR), .attaches = 2},
};
