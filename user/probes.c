// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Owner of the skeleton, the maps and libbpf's log hook; its programs are in programs.c, the reader of the ring in ring.c. Invariant: after
 * probes_close() the kernel holds nothing of ours, and so after SIGKILL, since nothing is pinned. Knows messages as bytes and
 * processes as numbers, not what they mean.
 */
#include "probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "batch.h"
#include "iterator.h"
#include "log.h"
#include "poolscope.skel.h"
#include "ring.h"
#include "util.h"

/* Of the ring; then one wake-up comes before the timer. */
#define WAKE_FRACTION 4
#define GRACE_NS (100 * 1000000L)
/* The second finds what was born of listeners during the first; more are needed only where a pass was restarted. */
#define FORGET_WALKS_MAX 16

struct probes {
	struct poolscope *skel;
	struct programs programs;
	struct ring ring;
	int cpus;
	int stats_fd; /* while it is open the kernel counts runs; -1: not asked for */
};

/* What libbpf says of a refused program is long (the verifier's log) and of use to developers only. */
static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;

	(void)level;
	if (!log_enabled(LOG_DEBUG))
		return 0;
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		return 0;
	}
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_debug("%s", line);
	return 0;
}

static void choose_programs(struct probes *p, const struct probes_config *config)
{
	bpf_program__set_autoload(p->skel->progs.ps_set_state_3, config->since_7);
	bpf_program__set_autoload(p->skel->progs.ps_accept_fexit4, config->fexit_args == 4);
	bpf_program__set_autoload(p->skel->progs.ps_accept_fexit2, config->fexit_args == 2);
	bpf_program__set_autoload(p->skel->progs.ps_accept_fexit2_2,
				  config->fexit_args == 2 && config->since_7);
	bpf_program__set_autoload(p->skel->progs.ps_accept_exit, config->accept_syscall);
	bpf_program__set_autoload(p->skel->progs.ps_accept4_exit, config->accept_syscall);
	bpf_program__set_autoload(p->skel->progs.ps_cgroup_attach, config->cgroups);
	bpf_program__set_autoload(p->skel->progs.ps_cgroup_mkdir, config->cgroups);
	bpf_program__set_autoload(p->skel->progs.ps_cgroup_rmdir, config->cgroups);
}

static int load_programs(struct probes *p, const struct probes_config *config)
{
	int err;

	p->skel = poolscope__open();
	if (!p->skel)
		return -errno;
	p->skel->rodata->ps_wake_bytes = config->ring_bytes / WAKE_FRACTION;
	p->skel->rodata->ps_optmem_max = config->optmem_max;
	p->skel->rodata->ps_delete_destroyed = config->since_7;
	p->skel->rodata->ps_daemon_tgid = (__u32)getpid();
	choose_programs(p, config);
	err = bpf_map__set_max_entries(p->skel->maps.ps_ring, config->ring_bytes);
	if (!err)
		err = poolscope__load(p->skel);
	if (err) {
		poolscope__destroy(p->skel);
		p->skel = NULL;
	}
	return err;
}

/* libbpf loads all or nothing: if it was those of cgroups or accept that the kernel refused, the core loads without them. */
static int load(struct probes *p, const struct probes_config *config, char *why, size_t why_size)
{
	struct probes_config core = *config;
	int err = load_programs(p, config);

	if (err && config->cgroups) {
		log_debug("loading without the cgroup programs: %s", strerror(-err));
		core.cgroups = false;
		err = load_programs(p, &core);
	}
	if (err && (config->fexit_args || config->accept_syscall)) {
		log_debug("loading without the accept programs: %s", strerror(-err));
		core.fexit_args = 0;
		core.accept_syscall = false;
		err = load_programs(p, &core);
	}
	if (err)
		snprintf(why, why_size,
			 "the kernel refused to load the BPF programs: %s (details with "
			 "--log.level=debug)",
			 strerror(-err));
	return err;
}

static int open_ring(struct probes *p, uint32_t bytes, char *why, size_t why_size)
{
	int err = ring_open(&p->ring, bpf_map__fd(p->skel->maps.ps_ring), bytes);

	if (err)
		snprintf(why, why_size, "cannot map the ring buffer: %s", strerror(-err));
	return err;
}

int probes_open(struct probes **ret, const struct probes_config *config, char *why, size_t why_size)
{
	struct probes *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->stats_fd = -1;
	libbpf_set_print(on_libbpf_print);
	p->cpus = libbpf_num_possible_cpus();
	err = p->cpus < 0 ? p->cpus : load(p, config, why, why_size);
	if (!err)
		err = open_ring(p, config->ring_bytes, why, why_size);
	if (!err)
		err = programs_attach(&p->programs, p->skel->obj, why, why_size);
	if (err) {
		probes_close(p);
		return err;
	}
	*ret = p;
	return 0;
}

void probes_close(struct probes *p)
{
	if (!p)
		return;
	programs_detach(&p->programs);
	ring_close(&p->ring);
	poolscope__destroy(p->skel);
	cleanup_close(&p->stats_fd);
	free(p);
}

bool probes_see_accept(const struct probes *p)
{
	return programs_see_accept(&p->programs);
}

int probes_fd(const struct probes *p)
{
	return bpf_map__fd(p->skel->maps.ps_ring);
}

static void set_owner(struct probes *p, uint32_t owner)
{
	p->skel->bss->ps_owners[owner / 8] |= (uint8_t)(1U << owner % 8);
}

static bool owner_is_set(const struct probes *p, uint32_t owner)
{
	return p->skel->bss->ps_owners[owner / 8] >> owner % 8 & 1;
}

int probes_process_add(struct probes *p, uint32_t tgid, const struct ps_process *process)
{
	set_owner(p, process->owner);
	if (bpf_map_update_elem(bpf_map__fd(p->skel->maps.ps_processes), &tgid, process, BPF_ANY))
		return -errno;
	return 0;
}

void probes_process_drop(struct probes *p, uint32_t tgid)
{
	bpf_map_delete_elem(bpf_map__fd(p->skel->maps.ps_processes), &tgid);
}

void probes_owner_drop(struct probes *p, uint32_t owner)
{
	p->skel->bss->ps_owners[owner / 8] &= (uint8_t) ~(1U << owner % 8);
}

struct process_reader {
	probes_process_fn *fn;
	void *arg;
};

static void on_process(void *arg, const void *key, const void *value)
{
	const struct process_reader *r = arg;

	r->fn(r->arg, *(const uint32_t *)key, value);
}

int probes_processes(struct probes *p, probes_process_fn *fn, void *arg)
{
	struct process_reader r = {.fn = fn, .arg = arg};

	return batch_read(bpf_map__fd(p->skel->maps.ps_processes), sizeof(uint32_t),
			  sizeof(struct ps_process), on_process, &r);
}

int probes_selector_add(struct probes *p, const struct ps_selector *selector,
			const struct ps_process *value)
{
	set_owner(p, value->owner);
	if (bpf_map_update_elem(bpf_map__fd(p->skel->maps.ps_selectors), selector, value, BPF_ANY))
		return -errno;
	return 0;
}

int probes_cgroup_name_add(struct probes *p, const struct ps_cgroup_name *name,
			   const struct ps_process *value)
{
	set_owner(p, value->owner);
	if (bpf_map_update_elem(bpf_map__fd(p->skel->maps.ps_cgroup_names), name, value, BPF_ANY))
		return -errno;
	return 0;
}

int probes_select(struct probes *p, uint32_t ranks, uint32_t counted_from)
{
	p->skel->bss->ps_selecting = ranks;
	p->skel->bss->ps_counted_from = counted_from;
	return ranks ? iterator_run(programs_link(&p->programs, PROGRAM_SELECT)) : 0;
}

int probes_selected(struct probes *p, uint32_t tgids[PS_PROCESSES_MAX], size_t *ret_count)
{
	_cleanup_free_ uint8_t *values = calloc(PS_PROCESSES_MAX, sizeof(*values));
	uint32_t position, count = PS_PROCESSES_MAX;

	if (!values)
		return -ENOMEM;
	/* -ENOENT: these were all */
	if (bpf_map_lookup_and_delete_batch(bpf_map__fd(p->skel->maps.ps_selected), NULL, &position,
					    tgids, values, &count, NULL) &&
	    errno != ENOENT)
		return -errno;
	*ret_count = count;
	return 0;
}

struct stranger_hunt {
	const struct probes *probes;
	int fd;
};

static void on_owned(void *arg, const void *key, const void *value)
{
	const struct stranger_hunt *hunt = arg;
	const struct ps_process *process = value;

	if (!owner_is_set(hunt->probes, process->owner))
		bpf_map_delete_elem(hunt->fd, key);
}

int probes_drop_strangers(struct probes *p)
{
	const struct bpf_map *maps[] = {p->skel->maps.ps_processes, p->skel->maps.ps_selectors,
					p->skel->maps.ps_cgroup_names};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps) && !err; i++) {
		struct stranger_hunt hunt = {.probes = p, .fd = bpf_map__fd(maps[i])};

		err = batch_read(hunt.fd, bpf_map__key_size(maps[i]), sizeof(struct ps_process),
				 on_owned, &hunt);
	}
	return err;
}

void probes_grace_period(void)
{
	const struct timespec while_ = {.tv_nsec = GRACE_NS};

	/* a synchronize_rcu(), refused with nohz_full: there a while must do, and the next inventory finds what it missed */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&while_, NULL);
}

int probes_adopt(struct probes *p, uint32_t tgid, unsigned int pass)
{
	struct bpf_link *link = iterator_attach(p->skel->progs.ps_adopt, tgid);
	int err;

	p->skel->bss->ps_adopt_pass = pass;
	p->skel->bss->ps_adopt_found = 0;
	if (!link)
		return -errno;
	err = iterator_run(link);
	bpf_link__destroy(link);
	return err;
}

bool probes_adopt_found(const struct probes *p)
{
	return p->skel->bss->ps_adopt_found != 0;
}

int probes_tasks(struct probes *p, probes_task_fn *fn, void *arg)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = iterator_read(programs_link(&p->programs, PROGRAM_LIST_TASKS), &text);
	struct ps_task_row row;

	if (len < 0)
		return (int)len;
	for (size_t at = 0; at + sizeof(row) <= (size_t)len; at += sizeof(row)) {
		memcpy(&row, text + at, sizeof(row));
		row.comm[PS_COMM_MAX - 1] = '\0';
		fn(arg, &row);
	}
	return 0;
}

int probes_listeners(struct probes *p, probes_listener_fn *fn, void *arg)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = iterator_read(programs_link(&p->programs, PROGRAM_LIST_LISTENERS), &text);
	const uint64_t *words = (const uint64_t *)text;
	struct ps_listener_row row;
	size_t at = 0, end, count;

	if (len < 0)
		return (int)len;
	end = (size_t)len / sizeof(*words);
	while (at + sizeof(row) / sizeof(*words) < end) {
		memcpy(&row, words + at, sizeof(row));
		at += sizeof(row) / sizeof(*words);
		for (count = 0; at + count < end && words[at + count]; count++)
			;
		fn(arg, &row, words + at, count);
		at += count + 1;
	}
	return 0;
}

int probes_want(struct probes *p, const uint64_t *ids, uint32_t count, bool wanted)
{
	static const uint8_t values[PROBES_WANT_BATCH];
	int fd = bpf_map__fd(p->skel->maps.ps_wanted);

	return wanted ? bpf_map_update_batch(fd, ids, values, &count, NULL)
		      : bpf_map_delete_batch(fd, ids, &count, NULL);
}

int probes_open_records(struct probes *p)
{
	return bpf_iter_create(bpf_link__fd(programs_link(&p->programs, PROGRAM_LIST_RECORDS)));
}

int probes_open_held(struct probes *p, uint32_t tgid)
{
	struct bpf_link *link = iterator_attach(p->skel->progs.ps_list_held, tgid);
	int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -errno;

	bpf_link__destroy(link); /* the iterator holds what it needs */
	return fd;
}

ssize_t probes_read_rows(struct probes *p, int fd, void *out, size_t size)
{
	ssize_t n;

	p->skel->bss->ps_list_budget = PS_LIST_STEP;
	n = read(fd, out, size);
	return n < 0 ? -errno : n;
}

int probes_inventory(struct probes *p, uint32_t generation, bool *ret_full)
{
	int err;

	p->skel->bss->ps_inventory_generation = generation;
	p->skel->bss->ps_inventory_full = 0;
	p->skel->bss->ps_inventory_young = 0;
	err = iterator_run(programs_link(&p->programs, PROGRAM_INVENTORY));
	if (!err)
		*ret_full = p->skel->bss->ps_inventory_full != 0;
	return err;
}

static void on_no_listener(void *arg, const struct ps_listener_row *row, const uint64_t *cookies,
			   size_t count)
{
	(void)arg;
	(void)row;
	(void)cookies;
	(void)count;
}

/* The second reading of the listeners gives back a port that one forgotten by the first shared with another. By then each has its port, so
 * that none stands at 0 but one that begins now. */
static int forget_once(struct probes *p, bool *ret_any)
{
	int err;

	p->skel->bss->ps_ports[0] = 0;
	err = probes_listeners(p, on_no_listener, NULL);

	if (!err)
		err = probes_listeners(p, on_no_listener, NULL);
	p->skel->bss->ps_forgotten = 0;
	if (!err)
		err = iterator_run(programs_link(&p->programs, PROGRAM_FORGET));
	*ret_any = p->skel->bss->ps_forgotten != 0;
	return err;
}

int probes_forget(struct probes *p)
{
	bool any = true;
	int err = 0;

	for (int walk = 0; walk < FORGET_WALKS_MAX && !err && any; walk++) {
		err = forget_once(p, &any);
		if (any)
			probes_grace_period();
	}
	return err;
}

struct parked_reader {
	size_t size;
	void (*before)(void *arg);
	probes_message_fn *fn;
	void *arg;
};

static void before_parked(void *arg)
{
	const struct parked_reader *r = arg;

	if (r->before)
		r->before(r->arg);
}

static void on_parked(void *arg, const void *key, const void *value)
{
	const struct parked_reader *r = arg;

	(void)key;
	r->fn(r->arg, value, r->size);
}

static int take_parked(const struct bpf_map *map, void (*before)(void *arg), probes_message_fn *fn,
		       void *arg)
{
	struct parked_reader r = {
		.size = bpf_map__value_size(map), .before = before, .fn = fn, .arg = arg};

	return batch_take(bpf_map__fd(map), bpf_map__key_size(map), r.size, before_parked,
			  on_parked, &r);
}

int probes_parked(struct probes *p, void (*drain)(void *arg), probes_message_fn *fn, void *arg)
{
	return take_parked(p->skel->maps.ps_parked, drain, fn, arg);
}

int probes_drain(struct probes *p, probes_message_fn *fn, void *arg, struct probes_ring *ret)
{
	uint64_t end = ring_produced(&p->ring);
	int parked = 0, err;

	if (__atomic_exchange_n(&p->skel->bss->ps_accepts_parked, 0, __ATOMIC_SEQ_CST))
		parked = take_parked(p->skel->maps.ps_parked_accepts, NULL, fn, arg);
	if (parked)
		p->skel->bss->ps_accepts_parked = 1; /* not all of them */
	/* before the first read: a wake-up that is asked for from here on comes again */
	__atomic_store_n(&p->skel->bss->ps_wake_sent, 0, __ATOMIC_SEQ_CST);
	err = ring_read(&p->ring, end, fn, arg);
	ret->consumed = ring_consumed(&p->ring);
	ret->produced = ring_produced(&p->ring);
	return err ? err : parked;
}

bool probes_inventory_young(const struct probes *p)
{
	return p->skel->bss->ps_inventory_young != 0;
}

uint64_t probes_produced(const struct probes *p)
{
	return ring_produced(&p->ring);
}

uint64_t probes_consumed(const struct probes *p)
{
	return ring_consumed(&p->ring);
}

static void add_counters(struct probes_counters *sum, const struct ps_counters *c)
{
	for (size_t i = 0; i < PS_EVENTS; i++) {
		sum->refused[i] += c->refused[i];
		sum->lost[i] += c->lost[i];
	}
	for (size_t i = 0; i < PS_REFUSALS; i++)
		sum->refusals[i] += c->refusals[i];
}

int probes_enable_stats(struct probes *p)
{
	p->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return p->stats_fd < 0 ? -errno : 0;
}

bool probes_stats_enabled(const struct probes *p)
{
	return p->stats_fd >= 0;
}

void probes_counters(const struct probes *p, struct probes_counters *ret)
{
	_cleanup_free_ struct ps_counters *values = calloc((size_t)p->cpus, sizeof(*values));
	uint32_t zero = 0;

	memset(ret, 0, sizeof(*ret));
	if (!values || bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.ps_counters), &zero, values))
		return;
	for (int i = 0; i < p->cpus; i++)
		add_counters(ret, &values[i]);
}

size_t probes_programs(const struct probes *p, struct probes_program ret[PROBES_PROGRAMS_MAX])
{
	return programs_list(&p->programs, ret);
}

const char *probes_libbpf_version(void)
{
	return libbpf_version_string();
}
