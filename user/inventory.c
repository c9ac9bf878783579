/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Inventories. Two kinds: after a mere refusal the records that the reader was not told are sent (undelivered); after a
 * skipped program or a lost final, at attach and on the timer every record is shown (all), and what was not shown is gone.
 * The order is the proof: drain; mark all unseen; pass; drain past the producer position read after the pass; again
 * until no record was refused; take the parked; only then judge absence.
 */
#include "inventory.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "util.h"

/* Between two inventories; also how soon a connect() that was about to begin is looked at again. */
#define PAUSE_NS NSEC_PER_SEC
/* The kernel is asked what it skipped program by program: 18 system calls, most of what an idle daemon would do each turn. */
#define MISSED_NS (NSEC_PER_SEC / 2)
/* Each pass empties the ring once: 64 of them show 2.6 million records through the default ring. */
#define PASSES_MAX 64
/* A reserved slot is filled within microseconds, unless its processor was taken away. */
#define DRAINS_MAX 1000

/* What tells that something went wrong; all only rise. */
struct losses {
	uint64_t refused, lost, missed;
};

struct inventory {
	struct probes *probes;
	struct connections *connections;
	struct targets *targets;
	struct recording *recording; /* NULL: none */
	void (*drain)(void *arg);
	void *arg;
	uint64_t interval_ns;
	uint64_t last_ns, last_all_ns;
	uint64_t missed_ns; /* when that was read last */
	uint32_t generation;
	bool again; /* the last one was incomplete, or met what it could not judge yet */
	struct losses previous; /* of the turn before */
	struct losses seen; /* what the last inventory has answered */
	uint64_t counts[INVENTORY_CAUSES];
};

int inventory_open(struct inventory **ret, struct probes *probes, struct connections *connections,
		   struct targets *targets, uint64_t interval_ns, void (*drain)(void *arg),
		   void *arg)
{
	struct inventory *inv = calloc(1, sizeof(*inv));

	if (!inv)
		return -ENOMEM;
	*inv = (struct inventory){
		.probes = probes,
		.connections = connections,
		.targets = targets,
		.drain = drain,
		.arg = arg,
		.interval_ns = interval_ns,
	};
	*ret = inv;
	return 0;
}

void inventory_close(struct inventory *inv)
{
	free(inv);
}

void inventory_set_recording(struct inventory *inv, struct recording *recording)
{
	inv->recording = recording;
}

static struct losses read_losses(struct inventory *inv, uint64_t now_ns)
{
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	struct probes_counters counters;
	struct losses l = {.missed = inv->previous.missed};

	probes_counters(inv->probes, &counters);
	for (size_t i = 0; i < PS_EVENTS; i++) {
		l.refused += counters.refused[i];
		l.lost += counters.lost[i];
	}
	if (now_ns - inv->missed_ns < MISSED_NS)
		return l;
	inv->missed_ns = now_ns;
	l.missed = 0;
	for (size_t i = 0, n = probes_programs(inv->probes, programs); i < n; i++)
		l.missed += programs[i].missed;
	return l;
}

/* Drains until every slot that is reserved now has been read. */
static int drain_past(struct inventory *inv)
{
	uint64_t position = probes_produced(inv->probes);

	for (int i = 0; i < DRAINS_MAX; i++) {
		inv->drain(inv->arg);
		if (probes_consumed(inv->probes) >= position)
			return 0;
		sched_yield();
	}
	return -EAGAIN;
}

/* Passes and drains until a pass did not meet a full ring. */
static int show(struct inventory *inv, uint32_t generation)
{
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		bool full;
		int err = probes_inventory(inv->probes, generation, &full);

		if (!err)
			err = drain_past(inv);
		if (err || !full)
			return err;
	}
	return -EAGAIN;
}

static void on_parked(void *arg, const void *record, size_t size)
{
	const struct inventory *inv = arg;

	(void)size;
	recording_parked(inv->recording, record);
	connections_parked(inv->connections, record);
}

static void drain(void *arg)
{
	const struct inventory *inv = arg;

	inv->drain(inv->arg);
}

int inventory_settle(struct inventory *inv)
{
	int err = drain_past(inv);

	if (!err)
		err = probes_parked(inv->probes, drain, on_parked, inv);
	return err ? err : drain_past(inv);
}

static int take(struct inventory *inv, enum inventory_cause cause, bool all)
{
	int err = drain_past(inv);

	/* births that were skipped left no record: the descriptor tables have their sockets; attaching has just read them */
	if (!err && all && cause != INVENTORY_ATTACH)
		err = targets_adopt_all(inv->targets, inv->drain, inv->arg);
	if (err)
		return err;
	if (all) {
		recording_mark(inv->recording, RECORDING_INVENTORY_BEGIN);
		connections_inventory_begin(inv->connections);
		if (!++inv->generation)
			inv->generation = 1;
	}
	err = show(inv, all ? inv->generation : 0);
	if (!err)
		err = probes_parked(inv->probes, drain, on_parked, inv);
	if (err || !all)
		return err;
	recording_mark(inv->recording, RECORDING_INVENTORY_END);
	connections_inventory_end(inv->connections);
	return 0;
}

static int run(struct inventory *inv, enum inventory_cause cause, bool all, uint64_t now_ns)
{
	int err;

	/* A skipped run is counted before its sk_state is stored, so what came since the turn before is answered once more. */
	inv->seen = inv->previous;
	inv->counts[cause]++;
	inv->last_ns = now_ns;
	err = take(inv, cause, all);
	inv->again = err != 0 || probes_inventory_young(inv->probes);
	if (!err && all)
		inv->last_all_ns = now_ns;
	return err;
}

int inventory_take(struct inventory *inv, enum inventory_cause cause, uint64_t now_ns)
{
	return run(inv, cause, true, now_ns);
}

static int answer(struct inventory *inv, const struct losses *now, uint64_t now_ns)
{
	if (now_ns - inv->last_ns < PAUSE_NS)
		return 0;
	if (inv->again || now->lost != inv->seen.lost || now->missed != inv->seen.missed)
		return run(inv, INVENTORY_LOSS, true, now_ns);
	if (now->refused != inv->seen.refused)
		return run(inv, INVENTORY_LOSS, false, now_ns);
	if (now_ns - inv->last_all_ns >= inv->interval_ns)
		return run(inv, INVENTORY_TIMER, true, now_ns);
	return 0;
}

int inventory_turn(struct inventory *inv, uint64_t now_ns)
{
	struct losses now = read_losses(inv, now_ns);
	int err = answer(inv, &now, now_ns);

	inv->previous = now;
	return err;
}

uint64_t inventory_count(const struct inventory *inv, enum inventory_cause cause)
{
	return inv->counts[cause];
}
