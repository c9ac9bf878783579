// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Attaching and detaching. Order: the processes enter the kernel's map first, so that whatever they do from then on is recorded; then what they
 * hold already is adopted, in two passes with a grace period between. A socket that both could see has a
 * record by the time of the second, and keeps it. Detaching goes the same way back: the owner first, so that nothing new comes; then
 * what others hold is theirs; then the rest goes. Knows no socket.
 */
#include "targets.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "name.h"
#include "started.h"
#include "util.h"

/* Descendants are read until a reading finds no new one; each round takes one more generation of a process tree that
 * forks while it is read, and from then on the fork program follows. */
#define ROUNDS_MAX 64

struct process {
	struct ps_task_row row;
	uint32_t owner;
	bool follow;
};

/* A reading of the host's processes, by rising tgid. */
struct snapshot {
	struct process *at;
	size_t count, cap;
	bool failed;
};

struct targets {
	struct probes *probes;
	struct pools *pools;
	struct recording *recording; /* NULL: none */
	uint32_t last_id;
	bool unreleased; /* the kernel half still has something of dropped ones */
	size_t count;
	struct target at[TARGETS_MAX];
};

int targets_open(struct targets **ret, struct probes *probes, struct pools *pools)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->probes = probes;
	t->pools = pools;
	*ret = t;
	return 0;
}

void targets_close(struct targets *t)
{
	free(t);
}

void targets_set_recording(struct targets *t, struct recording *recording)
{
	t->recording = recording;
}

size_t targets_count(const struct targets *t)
{
	return t->count;
}

const struct target *targets_at(const struct targets *t, size_t i)
{
	return &t->at[i];
}

static void on_task(void *arg, const struct ps_task_row *row)
{
	struct snapshot *s = arg;

	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct process *more = realloc(s->at, cap * sizeof(*more));

		if (!more) {
			s->failed = true;
			return;
		}
		s->at = more;
		s->cap = cap;
	}
	s->at[s->count++] = (struct process){.row = *row};
}

static int by_tgid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->row.tgid > y->row.tgid) - (x->row.tgid < y->row.tgid);
}

static struct process *snapshot_find(const struct snapshot *s, uint32_t tgid)
{
	struct process key = {.row.tgid = tgid};

	return s->count ? bsearch(&key, s->at, s->count, sizeof(key), by_tgid) : NULL;
}

static void on_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct process *found = snapshot_find(arg, tgid);

	if (!found)
		return;
	found->owner = process->owner;
	found->follow = process->follow;
}

/* Reads the host's processes and, from the kernel's map, whose they are. */
static int snapshot_take(struct snapshot *s, struct probes *probes)
{
	int err;

	s->count = 0;
	err = probes_tasks(probes, on_task, s);
	if (!err && s->failed)
		err = -ENOMEM;
	if (err)
		return err;
	qsort(s->at, s->count, sizeof(*s->at), by_tgid);
	return probes_processes(probes, on_process, s);
}

/* A name for the spec's process; it must exist, be a user process, alive and not attached by name yet. */
static int check_spec(const struct targets *t, const struct snapshot *s,
		      const struct target_spec *spec, char *why, size_t why_size)
{
	const struct process *found = snapshot_find(s, (uint32_t)spec->pid);

	if (!found) {
		snprintf(why, why_size, "no process with PID %d (a thread's ID will not do)",
			 (int)spec->pid);
		return -ESRCH;
	}
	if (found->row.flags & PS_TASK_KERNEL) {
		snprintf(why, why_size,
			 "PID %d is a kernel thread: it has no connections of its own",
			 (int)spec->pid);
		return -EINVAL;
	}
	if (found->row.flags & PS_TASK_DEAD) {
		snprintf(why, why_size,
			 "PID %d is a zombie: it has exited and holds no connections",
			 (int)spec->pid);
		return -EINVAL;
	}
	if (spec->start_ticks && spec->start_ticks != started_ticks_of(found->row.start_ns)) {
		snprintf(why, why_size, "PID %d is another process by now", (int)spec->pid);
		return -ESRCH;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (t->at[i].pid == spec->pid && t->at[i].start_ns == found->row.start_ns) {
			snprintf(why, why_size, "PID %d is attached already, as %s", (int)spec->pid,
				 t->at[i].name);
			return -EEXIST;
		}
	}
	return 0;
}

static int add_target(struct targets *t, const struct process *process,
		      const struct target_spec *spec, bool follow, char *why, size_t why_size)
{
	struct target *target = &t->at[t->count];
	struct ps_process value;
	int err;

	if (t->count == TARGETS_MAX) {
		snprintf(why, why_size, "more than %d targets", TARGETS_MAX);
		return -E2BIG;
	}
	*target = (struct target){.id = t->last_id + 1,
				  .pid = spec->pid,
				  .start_ns = process->row.start_ns,
				  .follow = follow};
	name_clean(spec->name ? spec->name : process->row.comm, target->name);
	value = (struct ps_process){.owner = target->id, .follow = follow};
	err = pools_add_owner(t->pools, target->id, target->name);
	if (err == -ERANGE)
		snprintf(why, why_size,
			 "cannot attach PID %d: %u targets have been attached since "
			 "the start, and their numbers are not used again",
			 (int)spec->pid, t->last_id);
	else if (err)
		snprintf(why, why_size, "cannot name PID %d %s: more than %d process names",
			 (int)spec->pid, target->name, SERIES_NAMES_MAX);
	if (err)
		return err;
	recording_owner(t->recording, target->id, target->name);
	t->count++;
	t->last_id++;
	err = probes_process_add(t->probes, (uint32_t)spec->pid, &value);
	if (err) {
		snprintf(why, why_size, "cannot add PID %d to the kernel's map: %s", (int)spec->pid,
			 strerror(-err));
		return err;
	}
	return 0;
}

/* Gives each process without an owner that of its parent; true if there was one. */
static bool inherit(struct targets *t, struct snapshot *s)
{
	bool added = false;

	for (size_t i = 0; i < s->count; i++) {
		struct process *child = &s->at[i];
		const struct process *parent = snapshot_find(s, child->row.parent_tgid);
		struct ps_process value;

		if (child->owner || !parent || !parent->owner || !parent->follow)
			continue;
		if (child->row.flags & (PS_TASK_KERNEL | PS_TASK_DEAD))
			continue;
		value = (struct ps_process){.owner = parent->owner, .follow = true};
		if (probes_process_add(t->probes, child->row.tgid, &value))
			continue; /* the bound; the kernel half counts those that it meets */
		child->owner = parent->owner;
		child->follow = true;
		added = true;
	}
	return added;
}

/* A process that ended before it was in the map would stay there for good: nobody saw it exit. */
static void drop_ended(struct targets *t, const struct snapshot *before, const struct snapshot *now)
{
	for (size_t i = 0; i < before->count; i++) {
		uint32_t tgid = before->at[i].row.tgid;
		const struct process *found = snapshot_find(now, tgid);

		if (before->at[i].owner && (!found || found->row.flags & PS_TASK_DEAD))
			probes_process_drop(t->probes, tgid);
	}
}

/* Leaves in *s a reading of the processes in which no descendant was missing. */
static int add_descendants(struct targets *t, struct snapshot *s)
{
	int err = 0;

	for (int round = 0; round < ROUNDS_MAX && !err; round++) {
		struct snapshot before = *s;
		bool added = false;

		while (inherit(t, s)) /* a child's number may be below its parent's */
			added = true;
		if (round && !added)
			return 0;
		*s = (struct snapshot){};
		err = snapshot_take(s, t->probes);
		if (!err)
			drop_ended(t, &before, s);
		free(before.at);
	}
	return err;
}

static int check_alive(struct targets *t, const struct snapshot *s, size_t first, char *why,
		       size_t why_size)
{
	for (size_t i = first; i < t->count; i++) {
		const struct target *target = &t->at[i];
		const struct process *found = snapshot_find(s, (uint32_t)target->pid);

		if (found && found->row.start_ns == target->start_ns &&
		    !(found->row.flags & PS_TASK_DEAD))
			continue;
		snprintf(why, why_size, "PID %d ended while it was being attached",
			 (int)target->pid);
		return -ESRCH;
	}
	return 0;
}

/* Both passes over the processes of the targets with ids from `first` to `last`. */
static int adopt(struct targets *t, const struct snapshot *s, uint32_t first, uint32_t last,
		 void (*drain)(void *arg), void *arg)
{
	for (unsigned int pass = 1; pass <= 2; pass++) {
		int err;

		if (pass == 2)
			probes_grace_period();
		for (size_t i = 0; i < s->count; i++) {
			const struct process *process = &s->at[i];

			if (process->owner < first || process->owner > last)
				continue;
			err = probes_adopt(t->probes, process->row.tgid, pass);
			if (err && err != -ESRCH)
				return err;
			drain(arg);
		}
	}
	/* a program that found no record, and stores its sk_state now, is over before the inventory looks */
	probes_grace_period();
	return 0;
}

/* From here on its processes are strangers; it keeps its place in the table. */
static void disown(struct targets *t, const struct target *target)
{
	t->unreleased = true;
	probes_owner_drop(t->probes, target->id);
	recording_owner_dropped(t->recording, target->id);
	pools_drop_owner(t->pools, target->id);
}

/* Takes back the targets from `first` on. */
static void undo(struct targets *t, size_t first)
{
	for (size_t i = first; i < t->count; i++)
		disown(t, &t->at[i]);
	t->count = first;
}

/* Hands on err, having said what it is of. */
static int told(int err, const char *what, char *why, size_t why_size)
{
	if (err)
		snprintf(why, why_size, "cannot %s: %s", what, strerror(-err));
	return err;
}

int targets_attach(struct targets *t, const struct target_spec *specs, size_t count, bool follow,
		   void (*drain)(void *arg), void *arg, char *why, size_t why_size)
{
	struct snapshot s = {};
	size_t first = t->count;
	uint32_t first_id = t->last_id + 1;
	int err;

	err = told(snapshot_take(&s, t->probes), "read the processes of the host", why, why_size);
	for (size_t i = 0; i < count && !err; i++)
		err = check_spec(t, &s, &specs[i], why, why_size);
	for (size_t i = 0; i < count && !err; i++)
		err = add_target(t, snapshot_find(&s, (uint32_t)specs[i].pid), &specs[i], follow,
				 why, why_size);
	if (!err)
		err = told(snapshot_take(&s, t->probes), "read the processes of the host", why,
			   why_size);
	if (!err)
		err = told(add_descendants(t, &s), "follow the descendants", why, why_size);
	if (!err)
		err = check_alive(t, &s, first, why, why_size);
	if (!err)
		err = told(adopt(t, &s, first_id, t->last_id, drain, arg),
			   "read the descriptor tables", why, why_size);
	if (err)
		undo(t, first);
	free(s.at);
	return err;
}

int targets_adopt(struct targets *t, uint32_t owner, void (*drain)(void *arg), void *arg)
{
	struct snapshot s = {};
	int err = snapshot_take(&s, t->probes);

	if (!err)
		err = adopt(t, &s, owner, owner, drain, arg);
	free(s.at);
	return err;
}

struct tgids {
	const struct pools *pools;
	uint32_t at[PS_PROCESSES_MAX];
	size_t count;
	bool strangers; /* of dropped owners only */
};

static void on_tgid(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct tgids *list = arg;

	if (list->strangers && pools_owner_name(list->pools, process->owner) >= 0)
		return;
	if (list->count < PS_PROCESSES_MAX)
		list->at[list->count++] = tgid;
}

/* Takes the processes of dropped targets out of the kernel's map. */
static int drop_strangers(struct targets *t)
{
	_cleanup_free_ struct tgids *list = calloc(1, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	list->pools = t->pools;
	list->strangers = true;
	err = probes_processes(t->probes, on_tgid, list);
	for (size_t i = 0; i < list->count; i++)
		probes_process_drop(t->probes, list->at[i]);
	return err;
}

/* The map is read before the processes are, so one that was forked in between is not taken for dead. */
static int refresh(struct targets *t, struct snapshot *s, struct tgids *known)
{
	int err = probes_processes(t->probes, on_tgid, known);

	if (!err)
		err = snapshot_take(s, t->probes);
	if (err)
		return err;
	for (size_t i = 0; i < known->count; i++) {
		const struct process *found = snapshot_find(s, known->at[i]);

		if (!found || found->row.flags & PS_TASK_DEAD)
			probes_process_drop(t->probes, known->at[i]);
	}
	return add_descendants(t, s);
}

int targets_adopt_all(struct targets *t, void (*drain)(void *arg), void *arg)
{
	struct snapshot s = {};
	struct tgids *known;
	int err;

	if (!t->count)
		return 0;
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	err = refresh(t, &s, known);
	if (!err)
		err = adopt(t, &s, 1, t->last_id, drain, arg);
	free(known);
	free(s.at);
	return err;
}

size_t targets_drop(struct targets *t, pid_t pid, const char *name)
{
	size_t kept = 0, dropped;

	for (size_t i = 0; i < t->count; i++) {
		const struct target *target = &t->at[i];

		if (pid ? target->pid == pid : !strcmp(target->name, name))
			disown(t, target);
		else
			t->at[kept++] = *target;
	}
	dropped = t->count - kept;
	t->count = kept;
	return dropped;
}

bool targets_unreleased(const struct targets *t)
{
	return t->unreleased;
}

int targets_release(struct targets *t, void (*drain)(void *arg), void *arg)
{
	int err;

	probes_grace_period(); /* what ran for the dropped, a fork among it, is over */
	err = drop_strangers(t);
	return err ? err : targets_adopt_all(t, drain, arg);
}

int targets_forget(struct targets *t)
{
	int err = probes_forget(t->probes);

	t->unreleased = err != 0;
	return err;
}
