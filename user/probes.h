/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel half, seen from here: the only module (with features) that knows libbpf and the skeleton. What it hands on are plain
 * structs of include/poolscope.
 */
#ifndef PROBES_H
#define PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "poolscope/listing.h"
#include "poolscope/record.h"
#include "programs.h"
#include "ring.h"

#define PROBES_WANT_BATCH 1024
#define PROBES_PROGRAMS_MAX PROGRAMS_MAX

struct probes_config {
	uint32_t ring_bytes; /* a power of two, a multiple of the page size */
	uint32_t optmem_max; /* of kernels that have one for the whole host */
	bool since_7; /* Linux 7 or later: programs of tracepoints are preempted, walks meet sockets that are being destroyed */
	unsigned int fexit_args; /* parameters of inet_csk_accept(); 0: no fexit program */
	bool accept_syscall; /* the accept fallback */
	bool cgroups; /* follow processes that change their cgroup, and cgroups that are made anew */
};

struct probes_counters {
	uint64_t refused[PS_EVENTS];
	uint64_t lost[PS_EVENTS];
	uint64_t refusals[PS_REFUSALS];
};

/* Byte positions of the ring, ever rising. */
struct probes_ring {
	uint64_t consumed;
	uint64_t produced;
};

struct probes;

typedef ring_message_fn probes_message_fn;
typedef void probes_task_fn(void *arg, const struct ps_task_row *row);
typedef void probes_process_fn(void *arg, uint32_t tgid, const struct ps_process *process);
typedef void probes_listener_fn(void *arg, const struct ps_listener_row *row,
				const uint64_t *cookies, size_t count);

/*
 * Loads and attaches. A core program that the kernel refuses is an error, told in `why`; those of accept and of cgroups are optional and
 * show in probes_programs() if they run. -EPERM, -ENOMEM, or what the kernel said.
 */
int probes_open(struct probes **ret, const struct probes_config *config, char *why,
		size_t why_size);
void probes_close(struct probes *p); /* detaches; nothing stays in the kernel */

/* Whether an accept program runs. */
bool probes_see_accept(const struct probes *p);

/* Readable when the ring has filled to a quarter; drain on a timer besides. */
int probes_fd(const struct probes *p);
/*
 * Calls fn for each accept message that was parked, and for each message that stood complete in the ring when this began: an accept precedes
 * the end of its connection, and is read before it. *ret: the positions after it. The data is valid during the call.
 */
int probes_drain(struct probes *p, probes_message_fn *fn, void *arg, struct probes_ring *ret);

/* From here on the process' owner is a target: 1 … PS_OWNERS - 1. -E2BIG: PS_PROCESSES_MAX reached. */
int probes_process_add(struct probes *p, uint32_t tgid, const struct ps_process *process);
void probes_process_drop(struct probes *p, uint32_t tgid);
/* The owner is no target any more: what its processes do is a stranger's doing, once a grace period has passed. */
void probes_owner_drop(struct probes *p, uint32_t owner);
int probes_processes(struct probes *p, probes_process_fn *fn, void *arg);

/*
 * From here on what matches becomes this: a process when it is met, a cgroup (of which the selector is not known yet) when it is made. -E2BIG:
 * PS_SELECTORS_MAX reached. Each takes effect when its rank is among those of probes_select().
 */
int probes_selector_add(struct probes *p, const struct ps_selector *selector,
			const struct ps_process *value);
int probes_cgroup_name_add(struct probes *p, const struct ps_cgroup_name *name,
			   const struct ps_process *value);
/* Says which ranks (one bit each) have selectors, and selects among the processes that there are. Of owners from `counted_from` on those that
 * find no room count as refused; the others did so when they were met first. */
int probes_select(struct probes *p, uint32_t ranks, uint32_t counted_from);
/* Takes the PIDs of those that were selected since the last call, other than by probes_select(): they may hold what has no record. */
int probes_selected(struct probes *p, uint32_t tgids[PS_PROCESSES_MAX], size_t *ret_count);
/* Takes away processes and selectors of dropped owners. Call it a grace period after they were dropped. */
int probes_drop_strangers(struct probes *p);

/* Pass 1 or 2 of adoption over one process of the map (bpf/inventory.bpf.h); a grace period lies between.
 * -ESRCH: no such process any more. */
int probes_adopt(struct probes *p, uint32_t tgid, unsigned int pass);
/* Whether that was a pass 1 which met a socket without a record. */
bool probes_adopt_found(const struct probes *p);
/* Returns when every softirq that ran at the call is over; up to some tens of milliseconds. */
void probes_grace_period(void);

/* Deletes what the kernel half holds of dropped owners only: tags of listeners, records. Call it a grace period after the owners were
 * dropped and after the adoption by those that remain. */
int probes_forget(struct probes *p);

/* All processes of the host, by rising tgid; all listeners of targets. */
int probes_tasks(struct probes *p, probes_task_fn *fn, void *arg);
int probes_listeners(struct probes *p, probes_listener_fn *fn, void *arg);

/* Of which ids the readings below are: `count` more, or fewer, at most PROBES_WANT_BATCH; PS_WANTED_MAX in all, else -E2BIG. */
int probes_want(struct probes *p, const uint64_t *ids, uint32_t count, bool wanted);

/*
 * Readings in pieces, so that a long one does not hold up the caller: of struct ps_connection_row, the wanted connections, in no
 * order, repeated or left out where sockets come and go meanwhile; of struct ps_held_row, those of one process
 * (-ESRCH: it is gone). The descriptor is the caller's to close. One piece looks at PS_LIST_STEP objects at most: 0 is the
 * end; -EAGAIN: nothing in this piece, go on; a row may end in the next one.
 */
int probes_open_records(struct probes *p);
int probes_open_held(struct probes *p, uint32_t tgid);
ssize_t probes_read_rows(struct probes *p, int fd, void *out, size_t size);

/*
 * One silent pass over all records: heals those that are behind their socket, and sends what the reader was not told, or,
 * with a generation (not 0, new for each inventory), all that lives and was not shown in it. *ret_full: it stopped where
 * the ring was full: drain, and pass again.
 */
int probes_inventory(struct probes *p, uint32_t generation, bool *ret_full);
/* Takes the final records (struct ps_record) that the ring had no room for, some thousand at a time; each time drain() is
 * called before fn sees them: it reads the accepts that precede these ends. */
int probes_parked(struct probes *p, void (*drain)(void *arg), probes_message_fn *fn, void *arg);
/* Whether the last pass left a connect() alone that had just begun, or whose end was skipped: time will tell. */
bool probes_inventory_young(const struct probes *p);
/* Ring positions: up to which slots are reserved, and read. */
uint64_t probes_produced(const struct probes *p);
uint64_t probes_consumed(const struct probes *p);

/*
 * Makes the kernel count runs of programs and their time, of all programs on the host, until probes_close(): some 20 ns per run. -EPERM
 * without CAP_SYS_ADMIN; once enabled it needs none.
 */
int probes_enable_stats(struct probes *p);
bool probes_stats_enabled(const struct probes *p);

void probes_counters(const struct probes *p, struct probes_counters *ret);
/* Returns how many it wrote, at most PROBES_PROGRAMS_MAX. */
size_t probes_programs(const struct probes *p, struct probes_program ret[PROBES_PROGRAMS_MAX]);
const char *probes_libbpf_version(void);

#endif
