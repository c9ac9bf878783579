/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which processes belong to a target: those that the reader has put in the map, their descendants, and what is selected. A process keeps
 * its owner, until it is selected by something at least as good: at exec(), when it is forked, when it comes to a cgroup.
 */
#ifndef PROCESS_BPF_H
#define PROCESS_BPF_H

#include "maps.bpf.h"
#include "select.bpf.h"

/* Target of a process, 0 if it is none of ours. */
static __always_inline __u32 process_owner(__u32 tgid)
{
	struct ps_process *p = bpf_map_lookup_elem(&ps_processes, &tgid);

	return p && owner_is_present(p->owner) ? p->owner : 0;
}

/*
 * Only where the running task is the actor: connect(), listen(), accept(). Elsewhere a softirq borrows any task. The verifier of Linux 6.1 would follow
 * each later test of the owner once for every way that leads here; of a number that was stored in halves it does not know the ways.
 */
static __always_inline __u32 process_current_owner(void)
{
	volatile __u16 halves[2]; /* declared last they cost 1,200 instructions more */
	__u32 owner = process_owner(bpf_get_current_pid_tgid() >> 32);

	halves[0] = owner;
	halves[1] = owner >> 16;
	return halves[0] | (__u32)halves[1] << 16;
}

/* Selects what may make *ret its own: true if that is another target. */
static __always_inline bool process_choose(struct task_struct *task, struct ps_process *ret)
{
	struct ps_process found = {};

	if (!select_task(task, &found) || found.owner == ret->owner)
		return false;
	if (ret->owner && ret->rank < found.rank)
		return false;
	*ret = found;
	return true;
}

/* `fresh`: nobody had it when this was decided. */
static __always_inline bool process_put(__u32 tgid, const struct ps_process *value, bool fresh,
					bool counts)
{
	long err = bpf_map_update_elem(&ps_processes, &tgid, value, fresh ? BPF_NOEXIST : BPF_ANY);

	if (err && err != -EEXIST && counts)
		count_refusal(PS_REFUSAL_PROCESSES);
	return !err;
}

/*
 * True if the process has another target now, which is in *ret. Of owners below `counted_from` a refusal is not counted. With `anew` a process
 * that was taken for its program or its name, and without its descendants, is decided on as if nobody had it.
 */
static __always_inline bool process_select(struct task_struct *task, __u32 counted_from, bool anew,
					   struct ps_process *ret)
{
	struct ps_process *known;
	__u32 tgid = task->tgid;

	if (!ps_selecting)
		return false;
	known = bpf_map_lookup_elem(&ps_processes, &tgid);
	if (known && owner_is_present(known->owner) &&
	    (!anew || known->follow || known->rank < PS_RANK_EXE))
		*ret = *known;
	if (process_choose(task, ret))
		return process_put(tgid, ret, !known, ret->owner >= counted_from);
	if (anew && known && !ret->owner)
		bpf_map_delete_elem(&ps_processes, &tgid);
	return false;
}

/* It may hold sockets that were a stranger's until now. */
static __always_inline void process_is_new(__u32 tgid)
{
	const __u8 one = 1;

	bpf_map_update_elem(&ps_selected, &tgid, &one, BPF_ANY);
}

/* exec(), or another cgroup. */
static __always_inline void process_changed(struct task_struct *task, bool executed)
{
	struct ps_process value = {};

	if (process_select(task, 0, executed, &value))
		process_is_new(task->tgid);
}

static __always_inline void process_forked(struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
	struct ps_process *p, value = {};
	bool selected;

	if (parent_tgid == child_tgid)
		return; /* a thread */
	p = bpf_map_lookup_elem(&ps_processes, &parent_tgid);
	if (p && p->follow && owner_is_present(p->owner))
		value = *p;
	selected = ps_selecting && process_choose(child, &value);
	if (value.owner && process_put(child_tgid, &value, false, true) && selected)
		process_is_new(child_tgid);
}

/* do_exit() has counted the thread off signal->live before it fires the tracepoint; 0: the process is gone, whichever
 * thread came last. Its sockets are closed after this, under the owner that their records name. */
static __always_inline void process_exited(struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (task->signal->live.counter == 0)
		bpf_map_delete_elem(&ps_processes, &tgid);
}

/* iter/task: what is selected among the processes that there are. Once for each: of a main thread that is gone another thread tells. */
static __always_inline void select_running(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ps_process value = {};
	__u32 tgid;

	if (!task || (task->pid != task->tgid && task->group_leader->mm))
		return;
	tgid = task->tgid;
	if (!process_select(task, ps_counted_from, false, &value))
		return;
	if (task->signal->live.counter == 0)
		bpf_map_delete_elem(&ps_processes, &tgid); /* its exit was before this */
	else if (value.owner < ps_counted_from)
		process_is_new(tgid); /* the others are adopted by who attaches */
}

#endif
