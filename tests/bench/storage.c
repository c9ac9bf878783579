/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What it costs to keep a record, by the ways of storage.bpf.c: nanoseconds that the kernel counts for each program, over a storm, one
 * program at a time in shuffled order. What the kernel frees later, outside of the program, is not in it.
 */
#include "storage.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crowd.h"
#include "figures.h"
#include "sample.h"
#include "tests/bench/storage.skel.h"

#define ROUNDS 11
#define ROUNDS_QUICK 1
#define CONNECTIONS 1000

enum {
	NOTHING,
	STORAGE_LEFT,
	STORAGE_WIDE,
	STORAGE_NARROW,
	HASH_PREALLOCATED,
	HASH_ALLOCATING,
	WAYS
};

static const struct {
	const char *program;
	const char *name;
} ways[WAYS] = {
	[NOTHING] = {"keep_nothing", "a program that keeps nothing"},
	[STORAGE_LEFT] =
		{"keep_storage_left",
		 "record of 120 bytes in socket storage, left to the kernel to free (as it is)"},
	[STORAGE_WIDE] = {"keep_storage_wide", "record of 120 bytes in socket storage, deleted"},
	[STORAGE_NARROW] = {"keep_storage_narrow", "record of 56 bytes in socket storage, deleted"},
	[HASH_PREALLOCATED] = {"keep_hash_preallocated",
			       "record of 120 bytes in a preallocated hash, deleted"},
	[HASH_ALLOCATING] = {"keep_hash_allocating",
			     "record of 120 bytes in a hash that allocates, deleted"},
};

static const char how[] =
	"kernel statistics (run_time_ns) of one program that makes, changes and deletes a record, per connect, accept and close of a storm; "
	"tests/bench/storage.bpf.c";

/* ns per connection that the program ran while it was attached; negative: -errno. */
static double run(struct storage *s, int way, struct churn *churn)
{
	struct bpf_program *program = bpf_object__find_program_by_name(s->obj, ways[way].program);
	struct bpf_prog_info before = {}, after = {};
	__u32 size = sizeof(before);
	struct bpf_link *link = bpf_program__attach(program);
	int fd = bpf_program__fd(program);

	if (!link)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &before, &size))
		return -errno;
	churn_run(churn, CONNECTIONS, 0);
	if (bpf_obj_get_info_by_fd(fd, &after, &size))
		return -errno;
	bpf_link__destroy(link);
	return (double)(after.run_time_ns - before.run_time_ns) / CONNECTIONS;
}

static double measure(struct storage *s, unsigned int rounds, double ns[WAYS][ROUNDS])
{
	unsigned int order[WAYS];
	struct churn churn;
	double value = 0;

	churn_start(&churn);
	for (unsigned int round = 0; round < rounds && value >= 0; round++) {
		sample_shuffle(order, WAYS);
		for (int i = 0; i < WAYS && value >= 0; i++) {
			value = run(s, (int)order[i], &churn);
			ns[order[i]][round] = value;
		}
	}
	churn_end(&churn);
	return value;
}

int storage_measure(bool quick)
{
	static double ns[WAYS][ROUNDS];
	unsigned int rounds = quick ? ROUNDS_QUICK : ROUNDS;
	struct storage *s = storage__open_and_load();
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	double failed = !s || stats < 0 ? -errno : measure(s, rounds, ns);

	for (int i = 0; i < WAYS; i++) {
		struct figure f = {
			.section = "Kernel", .name = ways[i].name, .unit = "ns", .how = how};

		if (failed >= 0)
			sample_figure(ns[i], rounds, &f);
		else
			snprintf(f.note, sizeof(f.note), "refused: %s", strerror((int)-failed));
		figures_add(&f);
	}
	if (stats >= 0)
		close(stats);
	storage__destroy(s);
	return failed >= 0 ? 0 : -1;
}
