/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A reading of the host's processes.
 */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes.h"

struct process {
	struct ps_task_row row;
	struct ps_process is; /* whose it is; owner 0: nobody's */
};

/* By rising tgid. All zero: nothing was read yet. */
struct processes {
	struct process *at; /* to be freed by the caller, also after an error */
	size_t count, cap;
	bool failed;
};

/* Reads them anew and, from the kernel's map, whose they are. -ENOMEM, or what the kernel said. */
int processes_read(struct processes *s, struct probes *probes);

/* NULL: there was none. */
struct process *processes_find(const struct processes *s, uint32_t tgid);
/* Whether it had ended by then. */
bool processes_ended(const struct processes *s, uint32_t tgid);

#endif
