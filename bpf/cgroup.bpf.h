/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Selected cgroups that come and go: a service that is started again has a new cgroup. Names lie behind untyped pointers, so these programs
 * are not core ones: under lockdown "confidentiality" only the cgroup that was there at attach is known.
 */
#ifndef CGROUP_BPF_H
#define CGROUP_BPF_H

#include "maps.bpf.h"
#include "select.bpf.h"

#define SLICE ".slice"

static __always_inline long cgroup_name(struct cgroup *cgroup, struct ps_cgroup_name *ret)
{
	return bpf_probe_read_kernel_str(ret->text, sizeof(ret->text), cgroup->kn->name);
}

/* `name` is room for one: two do not fit the stack. */
static __always_inline bool is_slice(struct cgroup *cgroup, struct ps_cgroup_name *name)
{
	const char suffix[] = SLICE; /* with its NUL, as the length */
	long len = cgroup_name(cgroup, name);
	__u32 at = len - sizeof(suffix);

	if (len < (long)sizeof(suffix) || at > sizeof(name->text) - sizeof(suffix))
		return false;
	for (__u32 i = 0; i < sizeof(suffix); i++)
		if (name->text[at + i] != suffix[i])
			return false;
	return true;
}

/* A unit of the host's manager lies in slices only, up to the root; those of users and containers have a service or scope above them. */
static __always_inline bool is_of_host(struct cgroup *cgroup, struct ps_cgroup_name *name)
{
	struct cgroup_subsys_state *parent = cgroup->self.parent;

	for (int i = 0; i < CGROUP_DEPTH_MAX; i++) {
		cgroup = parent ? parent->cgroup : NULL;
		parent = cgroup ? cgroup->self.parent : NULL;
		if (!parent)
			return true; /* the root */
		if (!is_slice(cgroup, name))
			return false;
	}
	return false;
}

/* Uses up the name. */
static __always_inline void cgroup_select(struct cgroup *cgroup, struct ps_cgroup_name *name)
{
	struct ps_process *found = bpf_map_lookup_elem(&ps_cgroup_names, name);
	struct ps_selector key = {.rank = name->rank};
	struct ps_process value;

	if (!found || !owner_is_present(found->owner))
		return;
	value = *found;
	if (key.rank == PS_RANK_UNIT && !is_of_host(cgroup, name))
		return;
	key.number = cgroup->kn->id;
	if (bpf_map_update_elem(&ps_selectors, &key, &value, BPF_ANY))
		count_refusal(PS_REFUSAL_PROCESSES);
}

/* Before anybody can come to it. */
static __always_inline void cgroup_made(struct cgroup *cgroup, const char *path)
{
	struct ps_cgroup_name name = {};

	if (cgroup->root->hierarchy_id)
		return; /* of the first version */
	if (is_selecting(PS_RANK_UNIT)) {
		name.rank = PS_RANK_UNIT;
		cgroup_name(cgroup, &name);
		cgroup_select(cgroup, &name);
	}
	if (is_selecting(PS_RANK_CGROUP)) {
		__builtin_memset(&name, 0, sizeof(name));
		name.rank = PS_RANK_CGROUP;
		bpf_probe_read_kernel_str(name.text, sizeof(name.text), path);
		cgroup_select(cgroup, &name);
	}
}

/* The number is not used again; a place in the map is. */
static __always_inline void cgroup_removed(struct cgroup *cgroup)
{
	struct ps_selector key = {.rank = PS_RANK_UNIT};

	if (cgroup->root->hierarchy_id)
		return;
	key.number = cgroup->kn->id;
	if (is_selecting(PS_RANK_UNIT))
		bpf_map_delete_elem(&ps_selectors, &key);
	key.rank = PS_RANK_CGROUP;
	if (is_selecting(PS_RANK_CGROUP))
		bpf_map_delete_elem(&ps_selectors, &key);
}

#endif
