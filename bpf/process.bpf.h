/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which processes belong to a target. exec() needs nothing: the tgid stays.
 */
#ifndef PROCESS_BPF_H
#define PROCESS_BPF_H

#include "maps.bpf.h"

static __always_inline bool owner_is_present(__u32 owner)
{
	return ps_owners[(owner & (PS_OWNERS - 1)) / 8] >> (owner & 7) & 1;
}

/* It was a target, and has been detached. */
static __always_inline bool owner_is_gone(__u32 owner)
{
	return owner && !owner_is_present(owner);
}

/* Target of a process, 0 if it is none of ours. */
static __always_inline __u32 process_owner(__u32 tgid)
{
	struct ps_process *p = bpf_map_lookup_elem(&ps_processes, &tgid);

	return p && owner_is_present(p->owner) ? p->owner : 0;
}

/* Only where the running task is the actor: connect(), listen(), accept(). Elsewhere a softirq borrows any task. */
static __always_inline __u32 process_current_owner(void)
{
	return process_owner(bpf_get_current_pid_tgid() >> 32);
}

static __always_inline void process_forked(struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
	struct ps_process *p, value;

	if (parent_tgid == child_tgid)
		return; /* a thread */
	p = bpf_map_lookup_elem(&ps_processes, &parent_tgid);
	if (!p || !p->follow)
		return;
	value = *p;
	if (!owner_is_present(value.owner))
		return;
	if (bpf_map_update_elem(&ps_processes, &child_tgid, &value, BPF_ANY))
		count_refusal(PS_REFUSAL_PROCESSES);
}

/* do_exit() has counted the thread off signal->live before it fires the tracepoint; 0: the process is gone, whichever
 * thread came last. Its sockets are closed after this, under the owner that their records name. */
static __always_inline void process_exited(struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (task->signal->live.counter == 0)
		bpf_map_delete_elem(&ps_processes, &tgid);
}

#endif
