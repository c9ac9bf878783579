// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The table of programs: how each is attached, and to which map an iterator is bound. Invariant: a program that the loader left out has no
 * link. Refuses to know what a program does; which are loaded is probes' choice.
 */
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "util.h"

struct program {
	const char *bpf_name;
	const char *attach;
	const char *map; /* that an iterator walks; NULL: none */
	bool optional;
};

static const struct program table[] = {
	[PROGRAM_LIST_LISTENERS] = {"ps_list_listeners", "iter", "ps_listeners", false},
	[PROGRAM_LIST_TASKS] = {"ps_list_tasks", "iter", NULL, false},
	[PROGRAM_INVENTORY] = {"ps_inventory", "iter", "ps_records", false},
	[PROGRAM_LIST_RECORDS] = {"ps_list_records", "iter", "ps_records", false},
	[PROGRAM_FORGET] = {"ps_forget", "iter", "ps_records", false},
	[PROGRAM_SELECT] = {"ps_select", "iter", NULL, false},
	{"ps_set_state", "tp_btf", NULL, false},
	{"ps_set_state_2", "tp_btf", NULL, false},
	{"ps_set_state_3", "tp_btf", NULL, false},
	{"ps_destroy_sock", "tp_btf", NULL, false},
	{"ps_destroy_sock_2", "tp_btf", NULL, false},
	{"ps_fork", "tp_btf", NULL, false},
	{"ps_exec", "tp_btf", NULL, false},
	{"ps_exit", "tp_btf", NULL, false},
	{"ps_cgroup_attach", "tp_btf", NULL, false},
	{"ps_cgroup_mkdir", "tp_btf", NULL, false},
	{"ps_cgroup_rmdir", "tp_btf", NULL, false},
	{"ps_accept_fexit4", "fexit", NULL, true},
	{"ps_accept_fexit2", "fexit", NULL, true},
	{"ps_accept_fexit2_2", "fexit", NULL, true},
	{"ps_accept_exit", "tracepoint", NULL, true},
	{"ps_accept4_exit", "tracepoint", NULL, true},
};

_Static_assert(ARRAY_SIZE(table) <= PROGRAMS_MAX, "links[] holds one each");

static struct bpf_program *program_of(const struct programs *p, size_t i)
{
	return bpf_object__find_program_by_name(p->object, table[i].bpf_name);
}

static struct bpf_link *attach_one(const struct programs *p, size_t i)
{
	union bpf_iter_link_info info = {};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	if (!table[i].map)
		return bpf_program__attach(program_of(p, i));
	info.map.map_fd = (__u32)bpf_object__find_map_fd_by_name(p->object, table[i].map);
	return bpf_program__attach_iter(program_of(p, i), &opts);
}

int programs_attach(struct programs *p, const struct bpf_object *object, char *why, size_t why_size)
{
	p->object = object;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!bpf_program__autoload(program_of(p, i)))
			continue;
		p->links[i] = attach_one(p, i);
		if (p->links[i])
			continue;
		if (!table[i].optional) {
			int err = -errno;

			snprintf(why, why_size, "the kernel refused to attach %s: %s",
				 table[i].bpf_name, strerror(-err));
			return err;
		}
		log_debug("%s is not attached: %s", table[i].bpf_name, strerror(errno));
	}
	return 0;
}

void programs_detach(struct programs *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		bpf_link__destroy(p->links[i]);
}

struct bpf_link *programs_link(const struct programs *p, enum program_id id)
{
	return p->links[id];
}

bool programs_see_accept(const struct programs *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].optional && p->links[i])
			return true;
	return false;
}

size_t programs_list(const struct programs *p, struct probes_program ret[PROGRAMS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (!p->links[i])
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program_of(p, i)), &info, &size))
			memset(&info, 0, sizeof(info));
		ret[count].name = table[i].bpf_name + strlen("ps_");
		ret[count].attach = table[i].attach;
		ret[count].missed = info.recursion_misses;
		ret[count].runs = info.run_cnt;
		ret[count].run_ns = info.run_time_ns;
		count++;
	}
	return count;
}
