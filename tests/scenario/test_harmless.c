/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the workload sees does not change because somebody looks: it counts its own errors, some of which it provokes, and their number is the
 * same without the daemon, with it, while it is frozen behind a full ring, and where the kernel has no memory for records.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define PORT 8080
#define CLOSED_PORT 8081
#define BYTES 1000
#define GROUP 50 /* pairs open at a time */
#define GROUPS 40
#define BROKEN 1000000 /* errors: no connection can be had */
#define ROUNDS (GROUP * GROUPS)

/* ---- the workload: one process, both ends ---- */

/* Touches pages that the kernel may take back at any time: fills a memory cgroup to its limit. */
static void memory_press(void)
{
	const size_t chunk = 1 << 20;

	for (int i = 0; i < 8; i++) {
		char *p = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			continue;
		memset(p, 1, chunk);
		madvise(p, chunk, MADV_FREE);
		if (i < 4)
			munmap(p, chunk);
	}
}

static long bytes_pass(int from, int to)
{
	char bytes[BYTES];
	long errors = step_write(&(struct step){.fd = from, .count = BYTES}) < 0;

	for (ssize_t n, have = 0; !errors && have < BYTES; have += n) {
		n = read(to, bytes, sizeof(bytes));
		if (n <= 0)
			errors++;
	}
	return errors;
}

/* Every other one is reset, which the other end must notice; each error counts. */
static long pair_close(int c, int a, bool reset)
{
	long end;

	step_close(&(struct step){.fd = c, .flags = reset ? STEP_RESET : 0});
	end = step_read_end(&(struct step){.fd = a});
	step_close(&(struct step){.fd = a});
	return end == (reset ? -ECONNRESET : 0) ? reset : 1000;
}

static long group_run(int listener)
{
	int c[GROUP], a[GROUP];
	long errors = 0;

	for (int i = 0; i < GROUP; i++) {
		c[i] = (int)step_connect(&(struct step){.host = HOST, .port = PORT});
		a[i] = (int)step_accept(&(struct step){.fd = listener});
		if (c[i] < 0 || a[i] < 0)
			return BROKEN;
		errors += bytes_pass(c[i], a[i]) + bytes_pass(a[i], c[i]);
	}
	for (int i = 0; i < GROUP; i++)
		errors += pair_close(c[i], a[i], i % 2);
	errors += step_connect(&(struct step){.host = HOST, .port = CLOSED_PORT}) < 0;
	return errors;
}

/* fd: its listener; value: under memory pressure → errors */
static long step_work(const struct step *s)
{
	long errors = 0;

	for (int i = 0; i < GROUPS && errors < BROKEN; i++) {
		if (s->value)
			memory_press();
		errors += group_run(s->fd);
	}
	return errors;
}

#define ERRORS (GROUPS * (GROUP / 2 + 1)) /* what it provokes itself */

static struct actor *worker(struct scene *s)
{
	struct actor *a = scene_actor_in(s, "worker", CLONE_NEWNET);

	act(a, step_loopback_up, .fd = 0);
	return a;
}

static int worker_listen(struct actor *a)
{
	return (int)act(a, step_listen, .host = HOST, .port = PORT, .backlog = GROUP);
}

static void expect_work_counted(struct scene *s, long runs)
{
	expect(s, "worker", "outbound", HOST, PORT, .attempts = runs * ROUNDS,
	       .opened = runs * ROUNDS, .closed_local = runs * ROUNDS / 2,
	       .closed_reset_by_local = runs * ROUNDS / 2, .handshakes = runs * ROUNDS,
	       .lifetimes = runs * ROUNDS);
	expect(s, "worker", "outbound", HOST, CLOSED_PORT, .attempts = runs * GROUPS,
	       .refused = runs * GROUPS);
	expect(s, "worker", "inbound", HOST, PORT, .opened = runs * ROUNDS,
	       .closed_peer = runs * ROUNDS / 2, .closed_reset_by_peer = runs * ROUNDS / 2,
	       .handshakes = runs * ROUNDS, .lifetimes = runs * ROUNDS,
	       .accept_waits = runs * ROUNDS);
}

/* ---- the cases ---- */

static void the_workload_meets_the_same_errors_with_and_without_the_daemon(void **state)
{
	struct scene *s = *state;
	struct actor *a = worker(s);
	int l = worker_listen(a);

	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	scene_observe(s, NULL);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	expect_work_counted(s, 1);
	kill(s->daemon.process.pid, SIGKILL);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
}

static void a_frozen_daemon_behind_a_full_ring_is_not_noticed(void **state)
{
	struct scene *s = *state;
	struct actor *a = worker(s);
	int l;

	scene_observe(s, "--ring-size=64KiB", NULL);
	l = worker_listen(a);
	kill(s->daemon.process.pid, SIGSTOP);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	kill(s->daemon.process.pid, SIGCONT);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	expect_work_counted(s, 2);
	assert_true(poolscoped_sum(&s->daemon, "poolscope_events_refused_total", "") > 0);
}

static void take_option_memory(struct actor *a)
{
	long r = act_try(a, step_sysctl, .host = "core/optmem_max", .value = 0);

	if (r == -ENOENT)
		skip_because("net.core.optmem_max is not of each namespace here (before 6.9)");
	assert_int_equal(r, 0);
}

/* No storage can be charged to a socket: what cannot be recorded whole is not recorded at all, and says so. */
static void without_option_memory_nothing_is_counted_and_nothing_breaks(void **state)
{
	struct scene *s = *state;
	struct actor *a = worker(s);
	int l;

	take_option_memory(a);
	scene_observe(s, NULL);
	l = worker_listen(a);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	/* the listener's two; an adoption in between asks again */
	assert_true(poolscoped_value(&s->daemon, "poolscope_records_refused_total",
				     "cause=memory") >= ROUNDS + GROUPS + 1);
	assert_true(poolscoped_value(&s->daemon, "poolscope_records_refused_total",
				     "cause=optmem") >= 1);
	expect_series_total(s, 0);
}

/* The listener bears a record already, which the kernel copies to each child, or drops the child: until somebody looks. */
static void option_memory_taken_away_later_breaks_nothing(void **state)
{
	struct scene *s = *state;
	struct actor *a = worker(s);
	int l;

	scene_observe(s, NULL);
	l = worker_listen(a);
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	expect_work_counted(s, 1);
	take_option_memory(a);
	pause_ms(60); /* the next scrape shares no numbers with the last */
	free(poolscoped_scrape(&s->daemon)); /* reads the listeners, and sees it */
	assert_int_equal(act(a, step_work, .fd = l), ERRORS);
	assert_true(poolscoped_value(&s->daemon, "poolscope_records_refused_total",
				     "cause=optmem") >= 1);
}

/* ---- memory cgroup ---- */

#define CGROUP_LIMIT (4 << 20)

/* A memory cgroup of its own. What differs between v1, below the group of this test, and v2, below the root: there no group that has
 * processes may have groups. */
struct cgroup {
	char path[256];
	const char *limit, *hits; /* files */
	const char *hits_word; /* before the number */
};

static bool cgroup_make(struct cgroup *g)
{
	char line[200], *own = NULL;
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && !own && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		own = strstr(line, ":memory:");
	}
	if (f)
		fclose(f);
	if (own) {
		g->limit = "memory.limit_in_bytes";
		g->hits = "memory.failcnt";
		g->hits_word = "";
		snprintf(g->path, sizeof(g->path), "/sys/fs/cgroup/memory%s/poolscope-%d",
			 own + strlen(":memory:"), getpid());
	} else {
		g->limit = "memory.max";
		g->hits = "memory.events";
		g->hits_word = "max ";
		snprintf(g->path, sizeof(g->path), "/sys/fs/cgroup/poolscope-%d", getpid());
	}
	return mkdir(g->path, 0755) == 0;
}

static bool cgroup_write(const struct cgroup *g, const char *file, long value)
{
	char full[320];
	int fd;
	bool ok;

	snprintf(full, sizeof(full), "%s/%s", g->path, file);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && dprintf(fd, "%ld\n", value) > 0;
	close(fd);
	return ok;
}

/* How often its limit was hit; -1: not known. */
static long cgroup_hits(const struct cgroup *g)
{
	size_t len = strlen(g->hits_word);
	char line[320];
	long value = -1;
	FILE *f;

	snprintf(line, sizeof(line), "%s/%s", g->path, g->hits);
	f = fopen(line, "re");
	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, g->hits_word, len) == 0)
			value = atol(line + len);
	if (f)
		fclose(f);
	return value;
}

static void a_workload_at_the_limit_of_its_memory_meets_the_same_errors(void **state)
{
	struct scene *s = *state;
	struct actor *a = worker(s);
	long without, hits[2];
	struct cgroup g;
	bool ready;
	int l;

	if (!cgroup_make(&g))
		skip_because("no memory cgroup can be made here");
	ready = cgroup_write(&g, g.limit, CGROUP_LIMIT) && cgroup_write(&g, "cgroup.procs", a->pid);
	l = worker_listen(a);
	without = ready ? act(a, step_work, .fd = l, .value = 1) : -1;
	hits[0] = cgroup_hits(&g);
	scene_observe(s, NULL);
	assert_int_equal(act(a, step_work, .fd = l, .value = 1), without);
	hits[1] = cgroup_hits(&g);
	expect_work_counted(s, 1);
	actor_end(a, SIGKILL);
	rmdir(g.path);
	assert_true(ready);
	assert_int_equal(without, ERRORS);
	print_message("# the limit was hit %ld times without and %ld times with the daemon\n",
		      hits[0], hits[1] - hits[0]);
	assert_true(hits[0] > 0 && hits[1] > hits[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(the_workload_meets_the_same_errors_with_and_without_the_daemon),
		scene_test(a_frozen_daemon_behind_a_full_ring_is_not_noticed),
		scene_test(without_option_memory_nothing_is_counted_and_nothing_breaks),
		scene_test(option_memory_taken_away_later_breaks_nothing),
		scene_test(a_workload_at_the_limit_of_its_memory_meets_the_same_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("harmless", tests, NULL, NULL);
}
