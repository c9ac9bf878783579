/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of the kernel half's programs, and what keeps them attached. Of probes alone: others ask that one.
 */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_link;
struct bpf_object;

#define PROGRAMS_MAX 24

/* Those that are read, or run, by name. */
enum program_id {
	PROGRAM_LIST_LISTENERS,
	PROGRAM_LIST_TASKS,
	PROGRAM_INVENTORY,
	PROGRAM_LIST_RECORDS,
	PROGRAM_FORGET,
	PROGRAM_SELECT,
};

/* One program that runs. */
struct probes_program {
	const char *name; /* "set_state" */
	const char *attach; /* "tp_btf", "fexit", "tracepoint", "iter" */
	uint64_t missed; /* recursion_misses of the kernel */
	uint64_t runs, run_ns; /* since statistics were enabled, by whomever */
};

/* All zero: none is attached. */
struct programs {
	const struct bpf_object *object;
	struct bpf_link *links[PROGRAMS_MAX]; /* by the table; NULL: does not run */
};

/* Attaches all that the object, which stays the caller's, has loaded. One that is needed and refused is an error, told in
 * `why`; programs_detach() takes back what was attached by then. */
int programs_attach(struct programs *p, const struct bpf_object *object, char *why,
		    size_t why_size);
void programs_detach(struct programs *p);

/* What is attached under this id. */
struct bpf_link *programs_link(const struct programs *p, enum program_id id);
/* Whether an accept program runs. */
bool programs_see_accept(const struct programs *p);
/* Those that run. Returns how many it wrote. */
size_t programs_list(const struct programs *p, struct probes_program ret[PROGRAMS_MAX]);

#endif
