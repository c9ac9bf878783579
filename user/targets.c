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
#include <unistd.h>

#include "log.h"
#include "name.h"
#include "processes.h"
#include "selection.h"
#include "started.h"
#include "util.h"

/* Descendants are read until a reading finds no new one; each round takes one more generation of a process tree that
 * forks while it is read, and from then on the fork program follows. */
#define ROUNDS_MAX 64

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

void targets_say(const struct target *target, char *text, size_t size)
{
	if (target->selects)
		snprintf(text, size, "%s %s", selector_kind_text(target->selector.kind),
			 target->selector.text);
	else
		snprintf(text, size, "PID %d", (int)target->pid);
}

struct tally {
	uint32_t owner;
	size_t count;
};

static void on_owned(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct tally *tally = arg;

	(void)tgid;
	tally->count += process->owner == tally->owner;
}

size_t targets_processes(const struct targets *t, const struct target *target)
{
	struct tally tally = {.owner = target->id};

	return probes_processes(t->probes, on_owned, &tally) ? 0 : tally.count;
}

/* The spec's process must exist, be a user process, alive and not attached yet. */
static int check_process(const struct targets *t, const struct processes *s,
			 const struct target_spec *spec, char *why, size_t why_size)
{
	const struct process *found = processes_find(s, (uint32_t)spec->pid);

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

/* What the operator named, for people to read. */
static void say_spec(const struct target_spec *spec, char *text, size_t size)
{
	targets_say(&(struct target){.pid = spec->pid,
				     .selects = spec->selector != NULL,
				     .selector = spec->selector ? *spec->selector
								: (struct selector){}},
		    text, size);
}

static int check_selector(const struct targets *t, const struct target_spec *spec, char *why,
			  size_t why_size)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct target *other = &t->at[i];
		char text[TARGETS_TEXT_SIZE];

		if (!other->selects || !selection_equal(&other->selector, spec->selector))
			continue;
		say_spec(spec, text, sizeof(text));
		snprintf(why, why_size, "%s is attached already, as %s", text, other->name);
		return -EEXIST;
	}
	return 0;
}

static int check_spec(const struct targets *t, const struct processes *s,
		      const struct target_spec *spec, char *why, size_t why_size)
{
	if (spec->selector)
		return check_selector(t, spec, why, why_size);
	return check_process(t, s, spec, why, why_size);
}

/* `process` is NULL with a selector. */
static void make_target(struct target *target, const struct process *process,
			const struct target_spec *spec)
{
	if (spec->selector) {
		target->selects = true;
		target->selector = *spec->selector;
		selection_name(spec->selector, target->name);
	} else {
		target->pid = spec->pid;
		target->start_ns = process->row.start_ns;
		name_clean(process->row.comm, target->name);
	}
	if (spec->name)
		name_clean(spec->name, target->name);
}

/* Tells pools and the recording of the next target. */
static int name_target(struct targets *t, const struct target *target, const char *text, char *why,
		       size_t why_size)
{
	int err = pools_add_owner(t->pools, target->id, target->name);

	if (err == -ERANGE)
		snprintf(why, why_size,
			 "cannot attach %s: %u targets have been attached since "
			 "the start, and their numbers are not used again",
			 text, t->last_id);
	else if (err)
		snprintf(why, why_size,
			 "cannot name %s %s: more than %d process names; "
			 "detach what has ended",
			 text, target->name, SERIES_NAMES_MAX);
	if (!err)
		recording_owner(t->recording, target->id, target->name);
	return err;
}

static int add_target(struct targets *t, const struct processes *s, const struct target_spec *spec,
		      bool follow, char *why, size_t why_size)
{
	struct target *target = &t->at[t->count];
	char text[TARGETS_TEXT_SIZE];
	struct ps_process value;
	int err;

	say_spec(spec, text, sizeof(text));
	if (t->count == TARGETS_MAX) {
		snprintf(why, why_size, "more than %d targets", TARGETS_MAX);
		return -E2BIG;
	}
	*target = (struct target){.id = t->last_id + 1, .follow = follow};
	make_target(target, processes_find(s, (uint32_t)spec->pid), spec);
	err = name_target(t, target, text, why, why_size);
	if (err)
		return err;
	t->count++;
	t->last_id++;
	value = (struct ps_process){.owner = target->id, .follow = follow, .rank = PS_RANK_PID};
	err = spec->selector ? selection_add(spec->selector, t->probes, target->id, follow)
			     : probes_process_add(t->probes, (uint32_t)spec->pid, &value);
	if (err)
		snprintf(why, why_size, "cannot add %s to the kernel's map: %s", text,
			 strerror(-err));
	return err;
}

/* Kinds of selectors that there are, as ranks, one bit each. */
static uint32_t ranks_of(const struct targets *t)
{
	uint32_t ranks = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->at[i].selects)
			ranks |= selection_rank(&t->at[i].selector);
	return ranks;
}

/* Gives each process the owner of its parent, unless it is selected by something as good, as when it is forked; true if there was one
 * to give. This process is nobody's. */
static bool inherit(struct targets *t, struct processes *s)
{
	bool added = false;

	for (size_t i = 0; i < s->count; i++) {
		struct process *child = &s->at[i];
		const struct process *parent = processes_find(s, child->row.parent_tgid);

		if (!parent || !parent->is.owner || !parent->is.follow ||
		    (child->is.owner && child->is.rank <= parent->is.rank))
			continue;
		if (child->row.flags & (PS_TASK_KERNEL | PS_TASK_DEAD) ||
		    child->row.tgid == (uint32_t)getpid())
			continue;
		if (probes_process_add(t->probes, child->row.tgid, &parent->is))
			continue; /* the bound; the kernel half counts those that it meets */
		child->is = parent->is;
		added = true;
	}
	return added;
}

/* A process that ended before it was in the map would stay there for good: nobody saw it exit. */
static void drop_ended(struct targets *t, const struct processes *before,
		       const struct processes *now)
{
	for (size_t i = 0; i < before->count; i++) {
		uint32_t tgid = before->at[i].row.tgid;

		if (before->at[i].is.owner && processes_ended(now, tgid))
			probes_process_drop(t->probes, tgid);
	}
}

/* Leaves in *s a reading of the processes in which no descendant was missing. */
static int add_descendants(struct targets *t, struct processes *s)
{
	int err = 0;

	for (int round = 0; round < ROUNDS_MAX && !err; round++) {
		struct processes before = *s;
		bool added = false;

		while (inherit(t, s)) /* a child's number may be below its parent's */
			added = true;
		if (round && !added)
			return 0;
		*s = (struct processes){};
		err = processes_read(s, t->probes);
		if (!err)
			drop_ended(t, &before, s);
		free(before.at);
	}
	return err;
}

static int check_alive(struct targets *t, const struct processes *s, size_t first, char *why,
		       size_t why_size)
{
	for (size_t i = first; i < t->count; i++) {
		const struct target *target = &t->at[i];
		const struct process *found = processes_find(s, (uint32_t)target->pid);

		if (target->selects || (found && found->row.start_ns == target->start_ns &&
					!(found->row.flags & PS_TASK_DEAD)))
			continue;
		snprintf(why, why_size, "PID %d ended while it was being attached",
			 (int)target->pid);
		return -ESRCH;
	}
	return 0;
}

struct tgids {
	uint32_t at[PS_PROCESSES_MAX];
	size_t count;
};

static void on_tgid(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct tgids *list = arg;

	(void)process;
	if (list->count < PS_PROCESSES_MAX)
		list->at[list->count++] = tgid;
}

/* 1 if pass 1 met a socket without a record; 0, -errno */
static int adopt_pass(struct targets *t, const struct tgids *list, unsigned int pass,
		      void (*drain)(void *arg), void *arg)
{
	int found = 0;

	for (size_t i = 0; i < list->count; i++) {
		int err = probes_adopt(t->probes, list->at[i], pass);

		if (err && err != -ESRCH)
			return err;
		if (probes_adopt_found(t->probes))
			found = 1;
		drain(arg);
	}
	return found;
}

/* The rest, when pass 1 is done. */
static int adopt_rest(struct targets *t, const struct tgids *list, void (*drain)(void *arg),
		      void *arg)
{
	int err;

	probes_grace_period();
	err = adopt_pass(t, list, 2, drain, arg);
	/* a program that found no record, and stores its sk_state now, is over before the inventory looks */
	if (err >= 0)
		probes_grace_period();
	return err < 0 ? err : 0;
}

/* Both passes over the processes of the targets with ids from `first` to `last`. */
static int adopt(struct targets *t, const struct processes *s, uint32_t first, uint32_t last,
		 void (*drain)(void *arg), void *arg)
{
	_cleanup_free_ struct tgids *list = calloc(1, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) {
		const struct process *process = &s->at[i];

		if (process->is.owner >= first && process->is.owner <= last)
			on_tgid(list, process->row.tgid, &process->is);
	}
	err = adopt_pass(t, list, 1, drain, arg);
	return err < 0 ? err : adopt_rest(t, list, drain, arg);
}

int targets_adopt_selected(struct targets *t, void (*drain)(void *arg), void *arg)
{
	_cleanup_free_ struct tgids *list = NULL;
	int err;

	if (!ranks_of(t))
		return 0;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	err = probes_selected(t->probes, list->at, &list->count);
	if (!err)
		err = adopt_pass(t, list, 1, drain, arg);
	if (err <= 0)
		return err;
	err = adopt_rest(t, list, drain, arg);
	return err ? err : 1;
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

/* Reads the processes, with what is selected, also by the new targets from `first_id` on, and adds what descends from them. */
static int gather(struct targets *t, struct processes *s, uint32_t first_id, char *why,
		  size_t why_size)
{
	int err = told(probes_select(t->probes, ranks_of(t), first_id), "look for what is selected",
		       why, why_size);

	if (!err)
		err = told(processes_read(s, t->probes), "read the processes of the host", why,
			   why_size);
	if (!err)
		err = told(add_descendants(t, s), "follow the descendants", why, why_size);
	return err;
}

int targets_attach(struct targets *t, const struct target_spec *specs, size_t count, bool follow,
		   void (*drain)(void *arg), void *arg, char *why, size_t why_size)
{
	struct processes s = {};
	size_t first = t->count;
	uint32_t first_id = t->last_id + 1;
	int err;

	err = told(processes_read(&s, t->probes), "read the processes of the host", why, why_size);
	for (size_t i = 0; i < count && !err; i++) {
		err = check_spec(t, &s, &specs[i], why, why_size); /* also with those before it */
		if (!err)
			err = add_target(t, &s, &specs[i], follow, why, why_size);
	}
	if (!err)
		err = gather(t, &s, first_id, why, why_size);
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
	struct processes s = {};
	int err = processes_read(&s, t->probes);

	if (!err)
		err = adopt(t, &s, owner, owner, drain, arg);
	free(s.at);
	return err;
}

/* The map is read before the processes are, so one that was forked in between is not taken for dead. */
static int refresh(struct targets *t, struct processes *s, struct tgids *known)
{
	int err = probes_processes(t->probes, on_tgid, known);

	if (!err)
		err = processes_read(s, t->probes);
	if (err)
		return err;
	for (size_t i = 0; i < known->count; i++)
		if (processes_ended(s, known->at[i]))
			probes_process_drop(t->probes, known->at[i]);
	err = probes_select(t->probes, ranks_of(t), PS_OWNERS);
	return err ? err : add_descendants(t, s);
}

int targets_adopt_all(struct targets *t, void (*drain)(void *arg), void *arg)
{
	struct processes s = {};
	struct tgids *known;
	int err;

	if (!t->count)
		return probes_select(t->probes, 0, PS_OWNERS); /* the last may have selected */
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
	err = probes_drop_strangers(t->probes);
	return err ? err : targets_adopt_all(t, drain, arg);
}

int targets_forget(struct targets *t)
{
	int err = probes_forget(t->probes);

	t->unreleased = err != 0;
	return err;
}
