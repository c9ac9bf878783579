/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The set of attached processes: which PIDs the operator named, under which names, and the adoption of what they hold.
 */
#ifndef TARGETS_H
#define TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pools.h"
#include "probes.h"
#include "recording.h"
#include "selector.h"
#include "series.h"

#define TARGETS_MAX 256
#define TARGETS_TEXT_SIZE (SELECTOR_TEXT_MAX + 16)

struct target {
	uint32_t id; /* from 1, never reused; what records call their owner */
	pid_t pid; /* 0: of a selector */
	uint64_t start_ns; /* with the pid it names the process for good */
	bool selects;
	struct selector selector;
	bool follow;
	char name[SERIES_NAME_MAX + 1];
};

struct target_spec {
	pid_t pid;
	uint64_t start_ticks; /* started.h: of that process and no other; 0: whichever has the PID now */
	const struct selector *selector; /* NULL: the process with the PID */
	const char *
		name; /* valid UTF-8 without control characters; NULL: the process' comm, or what is selected */
};

struct targets;

int targets_open(struct targets **ret, struct probes *probes, struct pools *pools);
void targets_close(struct targets *t);

/* Where the targets' names are written, too; stays the caller's. */
void targets_set_recording(struct targets *t, struct recording *recording);

/*
 * Attaches all or none: puts the selectors, the processes and their descendants into the kernel's maps, then adopts what they hold. A
 * selector may match no process yet. Who is in the map keeps its owner, unless what comes precedes that in the order of enum ps_rank; an
 * explicit PID wins over following. `drain` is called between steps that fill the ring. Errors, told in `why`: -ESRCH no such
 * process, or it ended meanwhile; -EINVAL kernel thread or zombie; -EEXIST attached already; -E2BIG too many; -ERANGE no id is
 * left. An error leaves behind what targets_release() takes away.
 */
int targets_attach(struct targets *t, const struct target_spec *specs, size_t count, bool follow,
		   void (*drain)(void *arg), void *arg, char *why, size_t why_size);

/*
 * Takes targets away: those with this PID or, if that is 0, of this name. From here on their processes are strangers, and pools
 * does not know their ids. Returns how many there were.
 */
size_t targets_drop(struct targets *t, pid_t pid, const char *name);
/* After a drop, and after the mirror has forgotten the dropped: the targets that remain take what they hold of it. */
int targets_release(struct targets *t, void (*drain)(void *arg), void *arg);
/* After that, and after an inventory: the kernel half forgets the rest. Until this has succeeded targets_unreleased() is true. */
int targets_forget(struct targets *t);
bool targets_unreleased(const struct targets *t);

/* Adopts again what the processes of one target hold: an accept named a socket without a record. */
int targets_adopt(struct targets *t, uint32_t owner, void (*drain)(void *arg), void *arg);

/*
 * The same of the processes that were selected since the last call, other than by targets_attach(): they may have inherited sockets. 1: they
 * have, and the caller takes an inventory; 0, or -errno.
 */
int targets_adopt_selected(struct targets *t, void (*drain)(void *arg), void *arg);

/*
 * What an inventory repeats: descendants whose fork was not seen, and what was selected unseen, are added, processes whose exit was not seen are dropped,
 * and sockets without a record in any target's table are adopted.
 */
int targets_adopt_all(struct targets *t, void (*drain)(void *arg), void *arg);

size_t targets_count(const struct targets *t);
const struct target *targets_at(const struct targets *t, size_t i);
/* "PID 12", "unit nginx.service": what the operator named, in TARGETS_TEXT_SIZE bytes. */
void targets_say(const struct target *target, char *text, size_t size);
/* How many processes belong to it now. */
size_t targets_processes(const struct targets *t, const struct target *target);

#endif
