// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * --pid, --unit, --cgroup, --exe, --comm: one list of targets, in the order of the command line, bounded together. Looks nothing up: whether there
 * is such a process, unit or file is found by who may still look.
 */
#include "options_target.h"

#include <string.h>

#include "name.h"

#define PID_LIMIT 4194304 /* PID_MAX_LIMIT of 64-bit kernels, include/linux/threads.h */

/* False: the list is full, and this has been said. */
static bool has_room(struct parser *p, const char *value)
{
	if (p->o.target_count < OPTIONS_TARGETS_MAX)
		return true;
	bad(p, value, "more than %d targets", OPTIONS_TARGETS_MAX);
	return false;
}

void options_target_pid(struct parser *p, const char *value)
{
	const char *end = value, *fault = NULL;
	uint64_t pid;

	if (!parser_number(&end, PID_LIMIT, &pid) || pid == 0 || (*end && *end != '=')) {
		bad(p, value, "expected PID or PID=NAME, the PID from 1 to %d", PID_LIMIT);
		return;
	}
	if (*end == '=')
		fault = name_fault(end + 1);
	if (fault) {
		bad(p, value, "%s", fault);
		return;
	}
	for (size_t i = 0; i < p->o.target_count; i++) {
		if (p->o.targets[i].pid == (pid_t)pid) {
			bad(p, value, "process %d is given twice", (int)pid);
			return;
		}
	}
	if (has_room(p, value))
		p->o.targets[p->o.target_count++] = (struct option_target){
			.pid = (pid_t)pid, .name = *end == '=' ? end + 1 : NULL};
}

static void add_selector(struct parser *p, enum selector_kind kind, const char *value)
{
	struct option_target target = {.selector.kind = kind};
	const char *fault = parser_selector(value, target.selector.text, &target.name);

	if (fault) {
		bad(p, value, "%s", fault);
		return;
	}
	for (size_t i = 0; i < p->o.target_count; i++) {
		const struct option_target *other = &p->o.targets[i];

		if (!other->pid && other->selector.kind == kind &&
		    strcmp(other->selector.text, target.selector.text) == 0) {
			bad(p, value, "given twice");
			return;
		}
	}
	if (has_room(p, value))
		p->o.targets[p->o.target_count++] = target;
}

void options_target_unit(struct parser *p, const char *value)
{
	add_selector(p, SELECTOR_UNIT, value);
}

void options_target_cgroup(struct parser *p, const char *value)
{
	add_selector(p, SELECTOR_CGROUP, value);
}

void options_target_exe(struct parser *p, const char *value)
{
	add_selector(p, SELECTOR_EXE, value);
}

void options_target_comm(struct parser *p, const char *value)
{
	add_selector(p, SELECTOR_COMM, value);
}
