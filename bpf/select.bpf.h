/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a process is selected by: its cgroup or one above it, its program, its name; whichever comes first in the order of precedence.
 * Pure readers of a task. Where nothing is selected they cost a load and a branch.
 */
#ifndef SELECT_BPF_H
#define SELECT_BPF_H

#include <bpf/bpf_core_read.h>

#include "maps.bpf.h"

/* Levels below a cgroup that is selected; a container's processes are about 8 below the root. */
#define CGROUP_DEPTH_MAX 32

static __always_inline bool is_selecting(enum ps_rank rank)
{
	return ps_selecting >> rank & 1;
}

static __always_inline bool select_find(const struct ps_selector *key, struct ps_process *ret)
{
	const struct ps_process *found = bpf_map_lookup_elem(&ps_selectors, key);

	if (!found || !owner_is_present(found->owner))
		return false;
	*ret = *found;
	return true;
}

/* The nearest wins. */
static __always_inline bool select_by_cgroup(struct task_struct *task, enum ps_rank rank,
					     struct ps_process *ret)
{
	struct ps_selector key = {.rank = rank};
	struct cgroup *cgroup;

	if (!is_selecting(rank) || !bpf_core_field_exists(task->cgroups))
		return false;
	cgroup = task->cgroups->dfl_cgrp;
	for (int i = 0; i < CGROUP_DEPTH_MAX && cgroup; i++) {
		struct cgroup_subsys_state *parent = cgroup->self.parent;

		key.number = cgroup->kn->id;
		if (select_find(&key, ret))
			return true;
		cgroup = parent ? parent->cgroup : NULL;
	}
	return false;
}

/* The last line: an mm that the task has left may be another's by now. Whatever it left it for tells of itself. */
static __always_inline bool select_by_exe(struct task_struct *task, struct ps_process *ret)
{
	struct ps_selector key = {.rank = PS_RANK_EXE};
	struct mm_struct *mm = task->mm;
	struct inode *inode;
	struct file *file;

	if (!is_selecting(PS_RANK_EXE) || !mm)
		return false;
	file = mm->exe_file;
	if (!file)
		return false;
	inode = file->f_inode;
	key.number = inode->i_ino;
	key.device = inode->i_sb->s_dev;
	return select_find(&key, ret) && task->mm == mm;
}

static __always_inline bool select_by_comm(struct task_struct *task, struct ps_process *ret)
{
	struct ps_selector key = {.rank = PS_RANK_COMM};
	struct task_struct *leader = task->group_leader;
	bool more = true;

	if (!is_selecting(PS_RANK_COMM))
		return false;
#pragma unroll
	for (int i = 0; i < PS_COMM_MAX - 1; i++) { /* what is behind its end is of an older name */
		more = more && leader->comm[i];
		key.comm[i] = more ? leader->comm[i] : 0;
	}
	return select_find(&key, ret);
}

static __always_inline bool select_task(struct task_struct *task, struct ps_process *ret)
{
	if (task->flags & PF_KTHREAD || task->tgid == ps_daemon_tgid)
		return false;
	return select_by_cgroup(task, PS_RANK_UNIT, ret) ||
	       select_by_cgroup(task, PS_RANK_CGROUP, ret) || select_by_exe(task, ret) ||
	       select_by_comm(task, ret);
}

#endif
