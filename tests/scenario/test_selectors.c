// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Processes that are selected by unit, cgroup, program or name: those that run when the selector is attached, those that come later, and
 * nobody else. The engine of the daemon runs in the test process. "Workers" are copies of this test in files of their
 * own. Scenario 41.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "exposition_check.h"

#define HOST "127.0.0.1"

/* ---- programs and cgroups ---- */

/* Names that no other run of this test has: a name and a unit are of the whole host. */
static struct place {
	char dir[32]; /* of the copies */
	char tree[32]; /* where cgroup2 is mounted; "": nowhere */
	char served[PS_COMM_MAX], other[PS_COMM_MAX]; /* programs */
	char unit[32], unit_path[64],
		other_unit[32]; /* cgroups; the unit's name is that of the program */
} place;

static void program_path(const char *name, char path[48])
{
	snprintf(path, 48, "%s/%s", place.dir, name);
}

/* Another inode with the same content. */
static void copy_program(const char *name)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	struct stat st;
	char path[48];

	program_path(name, path);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	assert_int_equal(fstat(from, &st), 0);
	while (st.st_size > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)st.st_size);

		assert_true(n > 0);
		st.st_size -= n;
	}
	close(from);
	close(to);
}

static void find_tree(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	assert_non_null(f);
	while (!place.tree[0] && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 "))
			assert_int_equal(sscanf(line, "%*d %*d %*s %*s %31s", place.tree), 1);
	fclose(f);
}

#define CGROUP_PATH 96

static void cgroup_path(const char *name, char path[CGROUP_PATH])
{
	snprintf(path, CGROUP_PATH, "%s/%s", place.tree, name);
}

static void cgroup_make(const char *name)
{
	char path[CGROUP_PATH];

	if (!place.tree[0])
		skip_because("no cgroup2 is mounted here");
	cgroup_path(name, path);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", path, strerror(errno));
}

static void cgroup_remove(const char *name)
{
	char path[CGROUP_PATH];

	cgroup_path(name, path);
	for (int i = 0; rmdir(path) != 0 && errno == EBUSY && i < 500; i++)
		pause_ms(10); /* the last process is leaving */
}

/* pid 0: this process */
static int cgroup_enter(const char *path, pid_t pid)
{
	char procs[CGROUP_PATH + 16], text[16];
	int fd, n = snprintf(text, sizeof(text), "%d", pid);
	bool entered;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	entered = write(fd, text, (size_t)n) == n;
	close(fd);
	return entered ? 0 : -errno;
}

static void move(const struct actor *a, const char *cgroup)
{
	char path[CGROUP_PATH];

	cgroup_path(cgroup, path);
	assert_int_equal(cgroup_enter(path, a->pid), 0);
}

static int group_setup(void **state)
{
	(void)state;
	snprintf(place.dir, sizeof(place.dir), "/tmp/selectors.XXXXXX");
	snprintf(place.served, sizeof(place.served), "psel%d", getpid());
	snprintf(place.other, sizeof(place.other), "other%d", getpid());
	snprintf(place.unit, sizeof(place.unit), "%s.service", place.served);
	snprintf(place.unit_path, sizeof(place.unit_path), "/%s", place.unit);
	snprintf(place.other_unit, sizeof(place.other_unit), "%s.service", place.other);
	find_tree();
	return mkdtemp(place.dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	char path[48];

	(void)state;
	program_path(place.served, path);
	unlink(path);
	program_path(place.other, path);
	unlink(path);
	return rmdir(place.dir);
}

/* ---- selecting ---- */

static enum exit_code try_select(enum selector_kind kind, const char *text, const char *name,
				 bool follow, char *why, size_t why_size)
{
	struct selector selector;
	struct target_spec spec = {.selector = &selector, .name = name};

	if (selector_resolve(&selector, kind, text, why, why_size) != 0)
		fail_msg("%s %s: %s", selector_kind_text(kind), text, why);
	return daemon_attach(engine_daemon(), &spec, follow, why, why_size);
}

static void select_by(enum selector_kind kind, const char *text, const char *name)
{
	char why[512] = "";

	if (try_select(kind, text, name, true, why, sizeof(why)) != EXIT_OK)
		fail_msg("%s %s: %s", selector_kind_text(kind), text, why);
}

static void select_program(const char *program, const char *name)
{
	char path[48];

	program_path(program, path);
	select_by(SELECTOR_EXE, path, name);
}

static void unselect(const char *name)
{
	char why[512] = "";

	if (daemon_detach(engine_daemon(), 0, name, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

static void attach(const struct actor *a, const char *name)
{
	struct target_spec spec = {.pid = a->pid, .name = name};
	char why[512] = "";

	if (daemon_attach(engine_daemon(), &spec, true, why, sizeof(why)) != EXIT_OK)
		fail_msg("%s", why);
}

static void expect_nothing_left(struct scene *s)
{
	expect_series_total(s, 0);
	assert_int_equal(engine_count("ps_processes"), 0);
	assert_int_equal(engine_count("ps_selectors"), 0);
	assert_int_equal(engine_count("ps_cgroup_names"), 0);
}

static long total(const char *text, const char *name)
{
	double sum;

	exposition_sum(text, name, "", &sum);
	return (long)sum;
}

static bool is_target(pid_t pid)
{
	struct ps_process process;

	return bpf_map_lookup_elem(engine_map("ps_processes"), &pid, &process) == 0;
}

/* ---- one of each kind ---- */

/* What makes a process one of the kind. */
static void become(struct actor *a, enum selector_kind kind)
{
	char path[48];

	if (kind == SELECTOR_UNIT || kind == SELECTOR_CGROUP) {
		move(a, place.unit);
		return;
	}
	program_path(place.served, path);
	actor_exec_file(a, path);
}

/* What makes it the same, but of another name. */
static void become_other(struct actor *a, enum selector_kind kind)
{
	char path[48];

	if (kind == SELECTOR_UNIT || kind == SELECTOR_CGROUP) {
		move(a, place.other_unit);
		return;
	}
	program_path(place.other, path);
	actor_exec_file(a, path);
}

static void select_kind(enum selector_kind kind)
{
	char path[48];

	program_path(place.served, path);
	if (kind == SELECTOR_EXE)
		select_by(kind, path, NULL);
	else if (kind == SELECTOR_COMM)
		select_by(kind, place.served, NULL);
	else
		select_by(kind, kind == SELECTOR_UNIT ? place.unit : place.unit_path, NULL);
}

static void prepare(enum selector_kind kind)
{
	copy_program(place.served);
	copy_program(place.other);
	if (kind != SELECTOR_UNIT && kind != SELECTOR_CGROUP)
		return;
	cgroup_make(place.unit);
	cgroup_make(place.other_unit);
}

/* Who runs and who comes, with what they bring, and whom they bear; and the others beside them. */
static void selects(void **state, enum selector_kind kind, const char *name)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *early = scene_actor(s, NULL),
		     *late = scene_actor(s, NULL), *other = scene_actor(s, NULL), *child;
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	prepare(kind);
	become(early, kind);
	become_other(other, kind);
	act(early, step_hold, .host = HOST, .port = port, .count = 2);
	act(other, step_hold, .host = HOST, .port = port, .count = 4);
	select_kind(kind);
	expect(s, name, "outbound", HOST, port, .adopted = 2, .active = 2);

	act(late, step_connect, .host = HOST, .port = port);
	become(late, kind);
	act(late, step_hold, .host = HOST, .port = port, .count = 3);
	act(early, step_hold, .host = HOST, .port = port, .count = 1);
	child = scene_fork(s, late);
	act(child, step_hold, .host = HOST, .port = port, .count = 5);
	become_other(child, kind);
	act(child, step_hold, .host = HOST, .port = port, .count = 1);
	become_other(other, kind);
	act(other, step_hold, .host = HOST, .port = port, .count = 4);
	expect(s, name, "outbound", HOST, port, .adopted = 3, .attempts = 10, .opened = 10,
	       .active = 13, .handshakes = 10);
	expect_series_total(s, 1);
	assert_int_equal(engine_count("ps_processes"), 3);

	unselect(name);
	act(early, step_hold, .host = HOST, .port = port, .count = 1);
	become(other, kind);
	act(other, step_hold, .host = HOST, .port = port, .count = 1);
	expect_nothing_left(s);
}

static void by_program(void **state)
{
	selects(state, SELECTOR_EXE, place.served);
}

static void by_name(void **state)
{
	selects(state, SELECTOR_COMM, place.served);
}

static void by_cgroup(void **state)
{
	selects(state, SELECTOR_CGROUP, place.unit);
}

static void by_unit(void **state)
{
	selects(state, SELECTOR_UNIT, place.served);
}

/* A process that is meant without its descendants is meant for what it runs, and so is what it forks: until they run something else. */
static void is_left_at_exec(struct scene *s, enum selector_kind kind)
{
	struct actor *server = scene_actor(s, NULL), *one = scene_actor(s, NULL), *child;
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	char path[48], why[512] = "";

	prepare(kind);
	program_path(place.served, path);
	assert_int_equal(try_select(kind, kind == SELECTOR_EXE ? path : place.served, "one", false,
				    why, sizeof(why)),
			 EXIT_OK);
	become(one, kind);
	act(one, step_hold, .host = HOST, .port = port, .count = 2);
	child = scene_fork(s, one);
	act(child, step_hold, .host = HOST, .port = port, .count = 3);
	become_other(child, kind);
	act(child, step_hold, .host = HOST, .port = port, .count = 5);
	assert_true(is_target(one->pid));
	assert_false(is_target(child->pid));
	become_other(one, kind);
	act(one, step_hold, .host = HOST, .port = port, .count = 7);
	assert_int_equal(engine_count("ps_processes"), 0);
	become(child, kind); /* and comes back with what it has opened meanwhile */
	act(child, step_hold, .host = HOST, .port = port, .count = 1);
	expect(s, "one", "outbound", HOST, port, .attempts = 6, .opened = 6, .handshakes = 6,
	       .adopted = 5, .active = 11);
	expect_series_total(s, 1);
	unselect("one");
	expect_nothing_left(s);
}

static void a_program_without_its_descendants_is_left_at_exec(void **state)
{
	is_left_at_exec(*state, SELECTOR_EXE);
}

static void a_name_without_its_descendants_is_left_at_exec(void **state)
{
	is_left_at_exec(*state, SELECTOR_COMM);
}

/* ---- precedence ---- */

/* Attached in rising order, each takes the process from the one before. */
static void the_better_selector_has_the_process(void **state)
{
	static const char *const names[] = {"comm", "exe", "cgroup", "unit", "pid"};
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *a = scene_actor(s, NULL),
		     *late = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	prepare(SELECTOR_UNIT);
	become(a, SELECTOR_EXE);
	move(a, place.unit);
	for (int i = 0; i < 5; i++) {
		if (i == 0)
			select_by(SELECTOR_COMM, place.served, names[i]);
		else if (i == 1)
			select_program(place.served, names[i]);
		else if (i == 2)
			select_by(SELECTOR_CGROUP, place.unit_path, names[i]);
		else if (i == 3)
			select_by(SELECTOR_UNIT, place.unit, names[i]);
		else
			attach(a, names[i]);
		act(a, step_hold, .host = HOST, .port = port, .count = 1 + i);
	}
	become(late, SELECTOR_EXE);
	act(late, step_hold, .host = HOST, .port = port, .count = 10);
	move(late, place.unit);
	act(late, step_hold, .host = HOST, .port = port, .count = 20);
	for (int i = 0; i < 5; i++) {
		int count = 1 + i + (i == 1 ? 10 : 0) + (i == 3 ? 20 : 0);

		expect(s, names[i], "outbound", HOST, port, .attempts = count, .opened = count,
		       .active = count, .handshakes = count);
	}
	unselect("unit");
	expect(s, "cgroup", "outbound", HOST, port, .attempts = 3, .opened = 3, .adopted = 20,
	       .active = 23, .handshakes = 3);
	expect(s, "pid", "outbound", HOST, port, .attempts = 5, .opened = 5, .adopted = 4,
	       .active = 9, .handshakes = 5);
	for (int i = 0; i < 5; i++)
		if (i != 3)
			unselect(names[i]);
	expect_nothing_left(s);
}

/* Attached in falling order: who has it keeps it. */
static void the_worse_selector_leaves_the_process_alone(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *a = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	char why[512] = "", path[48];

	prepare(SELECTOR_EXE);
	become(a, SELECTOR_EXE);
	attach(a, "pid");
	select_program(place.served, "exe");
	select_by(SELECTOR_COMM, place.served, "comm");
	become(a, SELECTOR_EXE);
	act(a, step_hold, .host = HOST, .port = port, .count = 2);
	expect(s, "pid", "outbound", HOST, port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	expect_series_total(s, 1);
	program_path(place.served, path);
	assert_int_equal(try_select(SELECTOR_EXE, path, "again", true, why, sizeof(why)),
			 EXIT_TARGET);
	assert_non_null(strstr(why, "is attached already, as exe"));
}

/* Those that run when it is attached as those that are forked later. */
static void the_descendants_of_the_better_target_are_its_own(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, NULL), *early, *late;
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	prepare(SELECTOR_EXE);
	become(parent, SELECTOR_EXE);
	early = scene_fork(s, parent);
	select_program(place.served, "exe");
	act(early, step_hold, .host = HOST, .port = port, .count = 1);
	attach(parent, "pid");
	late = scene_fork(s, parent);
	act(early, step_hold, .host = HOST, .port = port, .count = 2);
	act(late, step_hold, .host = HOST, .port = port, .count = 4);
	expect(s, "exe", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	expect(s, "pid", "outbound", HOST, port, .attempts = 6, .opened = 6, .active = 6,
	       .handshakes = 6);
	unselect("pid");
	expect(s, "exe", "outbound", HOST, port, .attempts = 1, .opened = 1, .adopted = 6,
	       .active = 7, .handshakes = 1);
}

/* Its own program goes before what it descends from, if both are programs. */
static void a_program_of_its_own_goes_before_that_of_the_parent(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *parent = scene_actor(s, NULL), *child;
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	prepare(SELECTOR_EXE);
	select_program(place.served, "parent");
	select_program(place.other, "child");
	become(parent, SELECTOR_EXE);
	child = scene_fork(s, parent);
	act(child, step_hold, .host = HOST, .port = port, .count = 1);
	become_other(child, SELECTOR_EXE);
	act(child, step_hold, .host = HOST, .port = port, .count = 2);
	act(parent, step_hold, .host = HOST, .port = port, .count = 4);
	expect(s, "child", "outbound", HOST, port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	expect(s, "parent", "outbound", HOST, port, .attempts = 5, .opened = 5, .active = 5,
	       .handshakes = 5);
}

/* ---- who is not meant ---- */

static void the_daemon_is_never_selected(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *a = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	const struct step connect = {.host = HOST, .port = port};
	long fd;

	select_by(SELECTOR_EXE, "/proc/self/exe", "test");
	fd = step_connect(&connect);
	assert_true(fd >= 0);
	act(a, step_hold, .host = HOST, .port = port, .count = 3);
	expect(s, "test", "outbound", HOST, port, .attempts = 3, .opened = 3, .active = 3,
	       .handshakes = 3);
	assert_true(is_target(a->pid));
	assert_false(is_target(getpid()));
	close((int)fd);
}

/* The unit's name below a slice (0) and below a scope (1). */
static void nested_unit(int i, char above[24], char unit[CGROUP_PATH])
{
	snprintf(above, 24, "%s.%s", place.served, i ? "scope" : "slice");
	snprintf(unit, CGROUP_PATH, "%s/%s", above, place.unit);
}

/* As a cgroup of another manager than the host's: a user's, or a container's. */
static void a_unit_lies_in_slices_only(void **state)
{
	char above[2][24], units[2][CGROUP_PATH];
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *a[2];
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	for (int i = 0; i < 2; i++) {
		nested_unit(i, above[i], units[i]);
		cgroup_make(above[i]);
	}
	select_by(SELECTOR_UNIT, place.unit, "unit");
	for (int i = 0; i < 2; i++) {
		cgroup_make(units[i]);
		a[i] = scene_actor(s, NULL);
		move(a[i], units[i]);
		act(a[i], step_hold, .host = HOST, .port = port, .count = 2 + i);
	}
	expect(s, "unit", "outbound", HOST, port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
	assert_int_equal(engine_count("ps_selectors"), 1);
	for (int i = 0; i < 2; i++) {
		actor_end(a[i], SIGKILL);
		cgroup_remove(units[i]);
		cgroup_remove(above[i]);
	}
	assert_int_equal(engine_count("ps_selectors"), 0);
}

static void a_process_without_its_main_thread_is_selected(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *a = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);

	prepare(SELECTOR_EXE);
	become(a, SELECTOR_EXE);
	actor_leave_main_thread(a);
	select_program(place.served, place.served);
	act(a, step_hold, .host = HOST, .port = port, .count = 2);
	expect(s, place.served, "outbound", HOST, port, .attempts = 2, .opened = 2, .active = 2,
	       .handshakes = 2);
}

/* ---- restarts ---- */

#define RESTARTS 150
#define BURST 20

/* The worker of a restart: connects `count` times at once, and ends. */
static _Noreturn void burst(const char *port, const char *count)
{
	const struct step connect = {.host = HOST, .port = atoi(port)};
	int connected = 0;

	for (int i = 0; i < atoi(count); i++)
		connected += step_connect(&connect) >= 0;
	_exit(connected);
}

static pid_t restart(const struct step *s)
{
	char port[16], count[16];
	pid_t child = fork();

	if (child != 0)
		return child;
	snprintf(port, sizeof(port), "%d", s->port);
	snprintf(count, sizeof(count), "%d", s->value);
	if (!s->from || cgroup_enter(s->from, 0) == 0)
		execl(s->host, s->host, "burst", port, count, NULL);
	_exit(0);
}

/* host: program; from: cgroup, made anew for each, or none; count restarts of value connections each → connections */
static long step_restart(const struct step *s)
{
	long total = 0;

	signal(SIGCHLD, SIG_DFL);
	for (int i = 0; i < s->count; i++) {
		int status = 0;

		if (s->from)
			mkdir(s->from, 0755); /* else its worker connects nothing */
		waitpid(restart(s), &status, 0);
		total += WEXITSTATUS(status);
		while (s->from && rmdir(s->from) != 0 && errno == EBUSY)
			pause_ms(1);
	}
	signal(SIGCHLD, SIG_IGN);
	atomic_fetch_add(&s->shared->connected, total);
	atomic_fetch_sub(&s->shared->clients, 1);
	return total;
}

/* Beside strangers who do the same. The daemon takes its turns meanwhile. */
static void restarts(struct scene *s, const char *name, const char *programs[2],
		     const char *cgroups[2])
{
	const int count = traffic_volume(RESTARTS), expected = count * BURST;
	struct traffic_shared *shared = traffic_shared();
	struct actor *server = scene_actor(s, NULL), *managers[2];
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	char path[2][48], cgroup[2][CGROUP_PATH];
	char *text;

	atomic_store(&shared->clients, 2);
	act_begin(server, step_storm_serve, .fd = l, .shared = shared);
	for (int i = 0; i < 2; i++) {
		managers[i] = scene_actor(s, NULL);
		program_path(programs[i], path[i]);
		if (cgroups)
			cgroup_path(cgroups[i], cgroup[i]);
		act_begin(managers[i], step_restart, .host = path[i],
			  .from = cgroups ? cgroup[i] : NULL, .port = port, .count = count,
			  .value = BURST, .shared = shared);
	}
	while (atomic_load(&shared->clients)) {
		free(engine_text());
		pause_ms(100);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(actor_finish(managers[i]), expected);
	assert_int_equal(actor_finish(server), 2 * expected);
	expect(s, name, "outbound", HOST, port, .attempts = expected, .opened = expected,
	       .closed_local = expected, .handshakes = expected, .lifetimes = expected);
	expect_series_total(s, 1);
	text = engine_text();
	assert_int_equal(total(text, "poolscope_reconcile_corrections_total"), 0);
	assert_int_equal(total(text, "poolscope_records_refused_total"), 0);
	free(text);
	assert_int_equal(engine_count("ps_processes"), 0);
}

static void workers_of_a_program_are_followed_through_restarts(void **state)
{
	const char *programs[] = {place.served, place.other};

	prepare(SELECTOR_EXE);
	select_program(place.served, place.served);
	restarts(*state, place.served, programs, NULL);
}

static void a_unit_is_followed_through_restarts(void **state)
{
	const char *programs[] = {place.served, place.served},
		   *cgroups[] = {place.unit, place.other_unit};

	prepare(SELECTOR_EXE);
	cgroup_make(place.unit);
	cgroup_remove(place.unit);
	select_by(SELECTOR_UNIT, place.served, "unit");
	restarts(*state, "unit", programs, cgroups);
	assert_int_equal(engine_count("ps_selectors"), 0);
}

static void a_cgroup_is_followed_through_restarts(void **state)
{
	const char *programs[] = {place.served, place.served},
		   *cgroups[] = {place.unit, place.other_unit};

	prepare(SELECTOR_EXE);
	cgroup_make(place.unit); /* of another id than those that follow */
	select_by(SELECTOR_CGROUP, place.unit_path, "cgroup");
	cgroup_remove(place.unit);
	restarts(*state, "cgroup", programs, cgroups);
	assert_int_equal(engine_count("ps_selectors"), 0);
}

/* ---- as the daemon is while it serves ---- */

/* It has given up its privileges, and a filter kills it at any other call than those that it needs. */
static void it_takes_no_capability_and_is_allowed_by_the_filter(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *late = scene_actor(s, NULL);
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	char path[48], flag[64];

	prepare(SELECTOR_EXE);
	program_path(place.served, path);
	snprintf(flag, sizeof(flag), "--exe=%s", path);
	scene_observe(s, flag, "--reconcile-interval=1s", NULL);
	act(late, step_hold, .host = HOST, .port = port, .count = 1);
	become(late, SELECTOR_EXE);
	act(late, step_hold, .host = HOST, .port = port, .count = 2);
	expect(s, place.served, "outbound", HOST, port, .adopted = 1, .attempts = 2, .opened = 2,
	       .active = 3, .handshakes = 2);
	pause_ms(2500); /* inventories */
	expect(s, place.served, "outbound", HOST, port, .adopted = 1, .attempts = 2, .opened = 2,
	       .active = 3, .handshakes = 2);
	poolscoped_stop(&s->daemon);
}

/* ---- the bound ---- */

/* As if there were so many others: PIDs that no process can have. */
static void fill_processes(pid_t like, int count)
{
	int fd = engine_map("ps_processes");
	struct ps_process process;

	assert_int_equal(bpf_map_lookup_elem(fd, &like, &process), 0);
	for (int i = 0; i < count; i++) {
		uint32_t tgid = (1U << 30) + (uint32_t)i;

		assert_int_equal(bpf_map_update_elem(fd, &tgid, &process, BPF_NOEXIST), 0);
	}
}

static void who_finds_no_room_is_counted(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, NULL), *early = scene_actor(s, NULL), *late[3];
	int l, port = scene_listen(server, SCENE_BACKLOG, &l);
	char *text;

	prepare(SELECTOR_EXE);
	become(early, SELECTOR_EXE);
	select_program(place.served, place.served);
	fill_processes(early->pid, PS_PROCESSES_MAX - 2);
	for (int i = 0; i < 3; i++) {
		late[i] = scene_actor(s, NULL);
		become(late[i], SELECTOR_EXE);
		act(late[i], step_hold, .host = HOST, .port = port, .count = 1);
	}
	text = engine_text();
	assert_int_equal(total(text, "poolscope_records_refused_total"), 2);
	free(text);
	expect(s, place.served, "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
}

static int teardown(void **state)
{
	int err = engine_teardown(state);
	char above[24], unit[CGROUP_PATH];

	for (int i = 0; i < 2 && place.tree[0]; i++) {
		nested_unit(i, above, unit);
		cgroup_remove(unit);
		cgroup_remove(above);
	}
	if (place.tree[0]) {
		cgroup_remove(place.unit);
		cgroup_remove(place.other_unit);
	}
	return err;
}

#define selectors_test(name) cmocka_unit_test_setup_teardown(name, engine_setup, teardown)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		selectors_test(by_program),
		selectors_test(by_name),
		selectors_test(by_cgroup),
		selectors_test(by_unit),
		selectors_test(a_program_without_its_descendants_is_left_at_exec),
		selectors_test(a_name_without_its_descendants_is_left_at_exec),
		selectors_test(the_better_selector_has_the_process),
		selectors_test(the_worse_selector_leaves_the_process_alone),
		selectors_test(the_descendants_of_the_better_target_are_its_own),
		selectors_test(a_program_of_its_own_goes_before_that_of_the_parent),
		selectors_test(the_daemon_is_never_selected),
		selectors_test(a_unit_lies_in_slices_only),
		selectors_test(a_process_without_its_main_thread_is_selected),
		selectors_test(workers_of_a_program_are_followed_through_restarts),
		selectors_test(a_unit_is_followed_through_restarts),
		selectors_test(a_cgroup_is_followed_through_restarts),
		scene_test(it_takes_no_capability_and_is_allowed_by_the_filter),
		selectors_test(who_finds_no_room_is_counted),
	};

	if (argc == 2)
		actor_resume(argv[1]);
	if (argc == 4)
		burst(argv[2], argv[3]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("selectors", tests, group_setup, group_teardown);
}
