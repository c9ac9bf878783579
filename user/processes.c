// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The processes at one moment, sorted, so that a parent is found by its number. The map of targets is read after them: whoever is in the reading
 * and in the map by then has its owner. Refuses to know what a target is.
 */
#include "processes.h"

#include <errno.h>
#include <stdlib.h>

static void on_task(void *arg, const struct ps_task_row *row)
{
	struct processes *s = arg;

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

struct process *processes_find(const struct processes *s, uint32_t tgid)
{
	struct process key = {.row.tgid = tgid};

	return s->count ? bsearch(&key, s->at, s->count, sizeof(key), by_tgid) : NULL;
}

bool processes_ended(const struct processes *s, uint32_t tgid)
{
	const struct process *found = processes_find(s, tgid);

	return !found || found->row.flags & PS_TASK_DEAD;
}

static void on_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct process *found = processes_find(arg, tgid);

	if (found)
		found->is = *process;
}

int processes_read(struct processes *s, struct probes *probes)
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
