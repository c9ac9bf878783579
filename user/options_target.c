// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * --pid, --unit, --cgroup, --exe, --comm: one list of targets, in the order of the command line, bounded together. Looks nothing up: whether there
 * is such a process, unit or file is found by who may still look.
 */
#include "options_target.h"

#include <string.h>

#include "name.h"
#include "util.h"

static const char *add(struct option_target list[OPTIONS_TARGETS_MAX], size_t *count,
		       const struct option_target *target)
{
	for (size_t i = 0; i < *count; i++) {
		const struct option_target *other = &list[i];

		if (target->pid ? other->pid == target->pid
				: !other->pid && other->selector.kind == target->selector.kind &&
					  !strcmp(other->selector.text, target->selector.text))
			return target->pid ? "this process is given twice" : "given twice";
	}
	if (*count == OPTIONS_TARGETS_MAX)
		return "more than " STRINGIFY(OPTIONS_TARGETS_MAX) " targets";
	list[(*count)++] = *target;
	return NULL;
}

const char *options_target_add_pid(struct option_target list[OPTIONS_TARGETS_MAX], size_t *count,
				   const char *value)
{
	struct option_target target = {};
	const char *end = value, *fault;
	uint64_t pid;

	if (!parser_number(&end, PID_LIMIT, &pid) || pid == 0 || (*end && *end != '='))
		return "expected PID or PID=NAME, the PID from 1 to " STRINGIFY(PID_LIMIT);
	target.pid = (pid_t)pid;
	target.name = *end == '=' ? end + 1 : NULL;
	fault = target.name ? name_fault(target.name) : NULL;
	return fault ? fault : add(list, count, &target);
}

const char *options_target_add_selector(struct option_target list[OPTIONS_TARGETS_MAX],
					size_t *count, enum selector_kind kind, const char *value)
{
	struct option_target target = {.selector.kind = kind};
	const char *fault = parser_selector(value, target.selector.text, &target.name);

	return fault ? fault : add(list, count, &target);
}

void options_target_pid(struct parser *p, const char *value)
{
	const char *fault = options_target_add_pid(p->o.targets, &p->o.target_count, value);

	if (fault)
		bad(p, value, "%s", fault);
}

static void add_selector(struct parser *p, enum selector_kind kind, const char *value)
{
	const char *fault =
		options_target_add_selector(p->o.targets, &p->o.target_count, kind, value);

	if (fault)
		bad(p, value, "%s", fault);
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
