/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The delivery protocol, small enough to try every interleaving: two sockets with two lives each, a ring of up to four
 * slots, one parking place or two. A step is what no other processor can see the middle of; steps bear the names of the
 * functions that they stand for (bpf/conn.bpf.h, bpf/inventory.bpf.h, user/connections.c, user/pools.c).
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS 2
#define LIVES 2
#define IDS (SOCKETS * LIVES)
#define RING_MAX 4
#define PARKED_MAX 2

/* sk_state. FIN stands for FIN_WAIT1 and all that can only follow it or CLOSE_WAIT; DEAD: destroyed, storage gone. */
enum sk_state { CLOSE, SYN_SENT, SYN_RECV, ESTABLISHED, CLOSE_WAIT, FIN, DEAD, SK_STATES };

enum phase { NONE, PENDING, ACTIVE, STALE, ENDED };

/* enum ps_flag, and what pools has counted: the first four are the same. */
enum flag {
	F_ATTEMPTED = 1,
	F_OPENED = 2,
	F_ADOPTED = 4,
	F_HANDED = 8,
	F_CORRECTS = 16, /* of a copy: a walk brought what no event had told */
	P_MOVED = 16, /* of an entry: the owner is another one than at birth */
	P_ACCEPTED = 32,
	P_OVER = 64,
};

/* Target ids. OWNER_AGAIN is the id of the first target after detach and re-attach. */
enum owner { NOBODY, OWNER, ACCEPTOR, OWNER_AGAIN, OWNERS };

enum slot_kind { S_FREE, S_BUSY, S_DISCARDED, S_RECORD, S_SHOWN, S_ACCEPT };

/* struct ps_value, and a copy of it in the ring or parked: there `kind` and `by` count, and not the second line. */
struct record {
	uint32_t sock : 1, life : 1, version : 3, phase : 3, flags : 5, owner : 2, birth : 2,
		accepted : 1;
	uint32_t exists : 1, self : 1, told : 3;
	uint32_t shown : 1; /* its generation is that of the inventory under way */
	uint32_t met : 1; /* adopted, and not shown since */
	uint32_t kind : 3, by : 2;
};

enum entry_kind { E_NONE, E_LIVE, E_TOMBSTONE };

/* An entry of the mirror, with its struct pools_state. `stamp`: slots still to be consumed before a tombstone may go. */
struct entry {
	uint32_t kind : 2, version : 3, phase : 3, counted : 7, touched : 1, birth : 2, holder : 2,
		stamp : 3;
};

/* How a connection came to have a record: that decides what ought to be counted of it. */
enum how { H_UNSEEN, H_BORN, H_MET_ACTIVE, H_MET_STALE };

/* What is true of an id, and (`counted`, enum counter) what was counted of it. Known to the checks only. */
struct truth {
	uint32_t how : 2, opened : 1, over : 1, handed : 1, birth : 2, holder : 2;
	uint32_t lost : 1; /* a loss that was counted: its counters may differ */
	uint32_t vague : 1; /* accept() and end overlapped, or one was late: either order may be told */
	uint32_t counted : 7;
};

enum counter {
	C_ATTEMPT = 1,
	C_OPENED = 2,
	C_ADOPTED = 4,
	C_HANDED = 8,
	C_FAILED = 16,
	C_CLOSED = 32,
	C_CLOSED_HOLDER = 64
};

/* Who takes steps: for each socket its transitions, one accept(), and the daemon's walks. */
enum actor_id { TRANSITION_0, TRANSITION_1, ACCEPT, WALK, ACTORS };

enum pc { IDLE, RESERVE, HOLD, SUBMIT, PARK, UNPARK, STORE, CREATE };
enum op { OP_ADVANCE, OP_END, OP_CONNECT, OP_ACCEPT, OP_MESSAGE, OP_SHOW, OP_ADOPT, OP_SKIPPED };

/* One run of a program. */
struct actor {
	uint16_t pc : 3, op : 3, old : 3 /* taking over: it was read in the accept queue */, to : 3,
		owner : 2;
	uint16_t fresh : 1; /* the slot holds a copy that is to be sent */
	uint16_t stale : 1; /* its record was deleted under it */
};

struct life {
	uint8_t sk : 3, begun : 2;
	uint8_t tracked : 1; /* the record is of this life */
	uint8_t opened : 1, over : 1;
};

/* Where the daemon is. */
enum place {
	D_IDLE,
	D_ATTACH,
	D_ADOPT,
	D_ADOPTED,
	D_DRAIN,
	D_PASS,
	D_DRAIN_PASS,
	D_PARKED,
	D_ABSENCE,
	D_DETACH,
	D_CLAIM,
	D_CLAIMED,
	D_DELETE
};

struct daemon {
	uint32_t deletes : 1; /* an inventory that the deletion of records follows */
	uint32_t place : 4, all : 1, cursor : 2, target : 3, refused : 1;
	uint32_t inventories : 2; /* that may still be begun at any time */
	uint32_t attaches : 2; /* how many have been */
	uint32_t waiting : 1, waiting_owner : 2; /* an accept that has no record yet */
	uint32_t answer_refused : 1, answer_missed : 1,
		answer_lost : 1; /* what wants an inventory */
	uint32_t corrections : 1;
	uint32_t ever_refused : 1, ever_missed : 1, ever_lost : 1;
	uint32_t skips : 1, accepts : 1; /* what may still happen */
	uint32_t parked_accept : 1; /* one that the ring refused */
	uint32_t grace : 2; /* runs that a grace period waits for, by socket */
	uint32_t owner : 2; /* target of the process that owns the sockets */
};

struct state {
	struct record value[SOCKETS];
	struct record ring[RING_MAX];
	struct record parked[PARKED_MAX];
	struct entry entry[IDS];
	struct truth truth[IDS];
	struct actor actor[ACTORS];
	struct daemon d;
	struct life life[SOCKETS];
	int8_t pending[OWNERS], active[OWNERS], stale[OWNERS];
	uint8_t slots; /* in use */
	uint8_t pad[1];
};

_Static_assert(sizeof(struct state) % 8 == 0, "hashed in words; no hidden padding");

/* Rules left out on purpose: each must lead to a counterexample, else the search proves nothing. */
enum broken {
	NO_TOMBSTONES = 1 << 0,
	NO_VERSIONS = 1 << 1, /* the mirror takes any copy */
	TOLD_OUTSIDE_HOLD = 1 << 2,
	TOLD_NOT_SHOWN = 1 << 3, /* a walk of all shows what was not told, only */
	ENDED_NOT_SHOWN = 1 << 4, /* ... and what was told and lives */
	BUSY_IS_DRAINED = 1 << 5, /* a drain that stops at a busy slot is taken for a whole one */
	ABSENCE_BEFORE_PARKED = 1 << 6,
	ABSENCE_WITHOUT_ALL = 1 << 7, /* judged after an inventory of the undelivered, too */
	REFUSED_PASS_COUNTS = 1 << 8, /* a pass that found the ring full is not repeated */
	MARK_BEFORE_DRAIN = 1 << 9,
	HEAL_BACKWARDS = 1 << 10, /* a record ahead of its socket is an error */
	HEAL_YOUNG_CONNECT = 1 << 11,
	YOUNG_FORGOTTEN = 1 << 12, /* what is too young to be judged is not looked at again */
	NO_HEALING = 1 << 13,
	NO_WAS_ESTABLISHED = 1 << 14, /* the old state of a transition is not regarded */
	NO_SECOND_TRY = 1 << 15, /* told stays set when parking failed */
	PARKING_UNCOUNTED = 1 << 16, /* a refusal is counted before the parking, and not after it */
	WALK_PARKS = 1 << 17, /* so does what the daemon's walks could not send */
	ANSWER_SKIP_AT_ONCE =
		1 << 18, /* an inventory may pass before the skipped run's sk_state is stored */
	NO_ADOPTION_AGAIN = 1 << 19,
	NO_GRACE = 1 << 20, /* around adoption, and before the records of a detached target go */
	NO_OVERRIDE = 1 << 21, /* the fallback's owner is not kept */
	FORGET_EARLY =
		1
		<< 22, /* an accept without a record does not wait for the inventory that brings it */
	DETACH_KEEPS_TOMBSTONES = 1 << 23,
	NO_CLAIM =
		1 << 24, /* what another target holds of a detached one does not become its own */
	DELETE_UNTOLD = 1 << 26, /* no inventory lies before the deletion */
	LATE_COPIES_COUNT = 1 << 25, /* ... of a detached owner, for an id that begins anew */
};

struct config {
	const char *name;
	unsigned int sockets, lives, ring, parked, inventories;
	unsigned int skips, accepts;
	bool inbound;
	bool fallback; /* accept() is told by a message of its own */
	bool plain; /* leaves CLOSE_WAIT and FIN out, to keep the search small */
	enum owner acceptor; /* who accepts: another target, or nobody's process */
	unsigned int attaches; /* 0: a target from the start; 2: attached, detached, attached again */
	enum sk_state found[SOCKETS]; /* with attaches: the state of the sockets before */
	unsigned int broken;
};

struct model {
	const struct config *c;
	struct state s;
	const char *wrong; /* the first invariant that the last step broke */
};

static inline unsigned int id_of(const struct record *r)
{
	return r->sock * LIVES + r->life;
}

static inline bool is_broken(const struct model *m, enum broken rule)
{
	return m->c->broken & rule;
}

static inline void model_wrong(struct model *m, const char *what)
{
	if (!m->wrong)
		m->wrong = what;
}

/* A step: changes the state, or returns false if it cannot be taken now. */
typedef bool step_fn(struct model *m, unsigned int arg);

struct step {
	const char *name;
	step_fn *fn;
	unsigned int args; /* 0 … args - 1 are tried */
};

/* kernel.c */
extern const struct step kernel_steps[];
extern const size_t kernel_step_count;
bool kernel_is_idle(const struct model *m);
void kernel_init(struct model *m);
bool actor_step(struct model *m, unsigned int actor);
bool conn_heal(struct model *m, unsigned int sock, bool old);
void conn_reserve(struct model *m, unsigned int actor);

/* mirror.c */
void mirror_message(struct model *m, const struct record *message);
void mirror_consumed(struct model *m);
void mirror_absent(struct model *m, unsigned int id);
void mirror_detach(struct model *m, enum owner owner);
bool owner_is_known(const struct model *m, enum owner owner);

/* daemon.c */
extern const struct step daemon_steps[];
extern const size_t daemon_step_count;
void daemon_settle(struct model *m);

/* check.c */
void check_always(struct model *m);
void check_quiet(struct model *m);

#endif
