// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Attaching and detaching while it runs: exact each time, and nothing of what was detached is left. The engine of the daemon runs in the
 * test process. Scenarios 30 and 32.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "exposition_check.h"
#include "filter.h"
#include "grace.h"
#include "privileges.h"

#define HOST "127.0.0.1"
#define FDS_MAX 1024

static void attach(const struct actor *a, const char *name, bool follow)
{
	struct target_spec spec = {.pid = a->pid, .name = name};
	char why[512] = "";

	if (daemon_attach(engine_daemon(), &spec, follow, why, sizeof(why)) != EXIT_OK)
		fail_msg("attach: %s", why);
}

static void detach(const struct actor *a)
{
	char why[512] = "";

	if (daemon_detach(engine_daemon(), a->pid, NULL, why, sizeof(why)) != 0)
		fail_msg("detach: %s", why);
}

/* ---- what is left ---- */

static bool has_value(const char *map, const struct actor *a, int fd)
{
	char value[256];
	int pidfd = (int)syscall(SYS_pidfd_open, a->pid, 0), copy, err;

	assert_true(pidfd >= 0);
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	assert_true(copy >= 0);
	err = bpf_map_lookup_elem(engine_map(map), &copy, value);
	close(copy);
	close(pidfd);
	return err == 0;
}

static bool has_record(const struct actor *a, int fd)
{
	return has_value("ps_records", a, fd);
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static long rss_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* No series, no listener, no line at all. */
static void expect_no_trace(const char *process)
{
	char *text = engine_text(), label[96];

	snprintf(label, sizeof(label), "process=\"%s\"", process);
	if (strstr(text, label))
		fail_msg("%s is still there: %.200s", process, strstr(text, label));
	free(text);
}

/* ---- the tests ---- */

static void a_detached_target_leaves_nothing_and_begins_at_0(void **state)
{
	struct scene *s = *state;
	struct actor *service = scene_actor(s, NULL), *peer = scene_actor(s, NULL);
	int l, other, c, a, c2, a2, other_port, port = scene_listen(service, SCENE_BACKLOG, &l);

	other_port = scene_listen(peer, SCENE_BACKLOG, &other);
	scene_pair(peer, service, l, port, &c, &a);
	for (int round = 0; round < 3; round++) {
		attach(service, "service", true);
		expect(s, "service", "inbound", HOST, port, .adopted = 1, .active = 1);
		scene_pair(service, peer, other, other_port, &c2, &a2);
		act(peer, step_hold, .host = HOST, .port = port, .count = 2);
		act(service, step_hold_accepted, .fd = l, .count = 1);
		expect(s, "service", "inbound", HOST, port, .adopted = 1, .opened = 2, .active = 3,
		       .queued = 1, .handshakes = 2, .accept_waits = 1);
		expect(s, "service", "outbound", HOST, other_port, .attempts = 1, .opened = 1,
		       .active = 1, .handshakes = 1);
		assert_true(has_record(service, l) && has_record(service, a) &&
			    has_record(service, c2) && has_value("ps_listeners", service, l));
		detach(service);
		expect_no_trace("service");
		expect_series_total(s, 0);
		assert_false(has_record(service, l) || has_record(service, a) ||
			     has_record(service, c2) || has_value("ps_listeners", service, l));
		assert_int_equal(engine_count("ps_processes"), 0);
		act(service, step_hold_accepted, .fd = l, .count = 1);
		act(peer, step_release, .count = 2);
		act(service, step_release, .count = 2);
		act(service, step_close, .fd = c2);
		act(peer, step_close, .fd = a2);
	}
	expect_series_total(s, 0);
}

static void what_cannot_be_attached_or_detached_leaves_nothing(void **state)
{
	struct scene *s = *state;
	struct actor *service = scene_actor(s, NULL);
	struct target_spec spec = {.pid = service->pid, .start_ticks = 1, .name = "service"};
	char why[512] = "";

	assert_int_equal(daemon_attach(engine_daemon(), &spec, true, why, sizeof(why)),
			 EXIT_TARGET);
	assert_non_null(strstr(why, "is another process by now"));
	assert_int_equal(daemon_detach(engine_daemon(), service->pid, NULL, why, sizeof(why)),
			 -ESRCH);
	assert_non_null(strstr(why, "is not attached"));
	assert_int_equal(daemon_detach(engine_daemon(), 0, "service", why, sizeof(why)), -ESRCH);
	assert_string_equal(why, "no target is named service");
	expect_no_trace("service");
	assert_int_equal(engine_count("ps_processes"), 0);
	attach(service, "service", true);
	spec.start_ticks = 0;
	assert_int_equal(daemon_attach(engine_daemon(), &spec, true, why, sizeof(why)),
			 EXIT_TARGET);
	assert_non_null(strstr(why, "attached already"));
	assert_int_equal(engine_count("ps_processes"), 1);
	detach(service);
	assert_int_equal(engine_count("ps_processes"), 0);
}

/* Scenario 32, with one of the two going. */
static void who_shares_a_name_keeps_it(void **state)
{
	struct scene *s = *state;
	struct actor *one = scene_actor(s, NULL), *two = scene_actor(s, NULL),
		     *peer = scene_actor(s, NULL);
	int l, port = scene_listen(peer, SCENE_BACKLOG, &l);
	char why[512] = "";

	attach(one, "web", true);
	attach(two, "web", true);
	act(one, step_hold, .host = HOST, .port = port, .count = 3);
	act(two, step_hold, .host = HOST, .port = port, .count = 4);
	expect(s, "web", "outbound", HOST, port, .attempts = 7, .opened = 7, .active = 7,
	       .handshakes = 7);
	detach(one);
	expect(s, "web", "outbound", HOST, port, .attempts = 7, .opened = 7, .active = 4,
	       .handed_over = 3, .handshakes = 7);
	act(one, step_release, .count = 3);
	act(two, step_release, .count = 1);
	expect(s, "web", "outbound", HOST, port, .attempts = 7, .opened = 7, .active = 3,
	       .handed_over = 3, .closed_local = 1, .handshakes = 7, .lifetimes = 1);
	attach(one, "web", true);
	act(one, step_hold, .host = HOST, .port = port, .count = 1);
	expect(s, "web", "outbound", HOST, port, .attempts = 8, .opened = 8, .active = 4,
	       .handed_over = 3, .closed_local = 1, .handshakes = 8, .lifetimes = 1);
	assert_int_equal(daemon_detach(engine_daemon(), 0, "web", why, sizeof(why)), 0);
	expect_no_trace("web");
	assert_int_equal(engine_count("ps_processes"), 0);
}

/* The listener's owner goes; who has it by fork() goes on with it, with what it has accepted and what waits in the queue. */
static void a_shared_listener_goes_on_under_who_remains(void **state)
{
	struct scene *s = *state;
	struct actor *parent = scene_actor(s, NULL), *peer = scene_actor(s, NULL), *child;
	int l, c, a, port;

	attach(parent, "parent", false);
	port = scene_listen(parent, SCENE_BACKLOG, &l);
	child = scene_fork(s, parent);
	attach(child, "child", true);
	scene_pair(peer, child, l, port, &c, &a);
	act(peer, step_hold, .host = HOST, .port = port, .count = 3);
	act(parent, step_hold_accepted, .fd = l, .count = 1);
	expect(s, "parent", "inbound", HOST, port, .opened = 4, .handed_over = 1, .active = 3,
	       .queued = 2, .handshakes = 4, .accept_waits = 1);
	expect(s, "child", "inbound", HOST, port, .adopted = 1, .active = 1, .accept_waits = 1);
	detach(parent);
	expect_no_trace("parent");
	expect(s, "child", "inbound", HOST, port, .adopted = 3, .active = 3, .queued = 2,
	       .accept_waits = 1);
	act(peer, step_hold, .host = HOST, .port = port, .count = 1);
	act(child, step_hold_accepted, .fd = l, .count = 3);
	expect(s, "child", "inbound", HOST, port, .adopted = 3, .opened = 1, .active = 4,
	       .handshakes = 1, .accept_waits = 2);
	act(peer, step_close, .fd = c);
	act(child, step_read_end, .fd = a);
	act(child, step_close, .fd = a);
	expect(s, "child", "inbound", HOST, port, .adopted = 3, .opened = 1, .active = 3,
	       .closed_peer = 1, .handshakes = 1, .accept_waits = 2);
	act(peer, step_release, .count = 4);
	act(child, step_release, .count = 3);
	expect(s, "child", "inbound", HOST, port, .adopted = 3, .opened = 1, .closed_peer = 4,
	       .handshakes = 1, .lifetimes = 1, .accept_waits = 2);
	assert_true(has_record(child, l));
	detach(child);
	assert_false(has_record(child, l));
	expect_series_total(s, 0);
}

/* The acceptor goes and comes again, the listener's owner stays. */
static void an_acceptor_that_comes_again_adopts_what_it_holds(void **state)
{
	struct scene *s = *state;
	struct actor *parent = scene_actor(s, NULL), *peer = scene_actor(s, NULL), *child;
	int l, port;

	attach(parent, "parent", false);
	port = scene_listen(parent, SCENE_BACKLOG, &l);
	child = scene_fork(s, parent);
	attach(child, "child", true);
	act(peer, step_hold, .host = HOST, .port = port, .count = 2);
	act(child, step_hold_accepted, .fd = l, .count = 2);
	expect(s, "child", "inbound", HOST, port, .adopted = 2, .active = 2, .accept_waits = 2);
	detach(child);
	expect_no_trace("child");
	expect(s, "parent", "inbound", HOST, port, .opened = 2, .handed_over = 2, .handshakes = 2);
	if (!scene_has_fexit(s))
		skip_because("with the accept fallback the record does not know of the acceptor");
	for (int round = 0; round < 2; round++) {
		attach(child, "child", true);
		expect(s, "child", "inbound", HOST, port, .adopted = 2, .active = 2);
		if (round == 0)
			detach(child);
	}
	act(peer, step_release, .count = 2);
	act(child, step_release, .count = 2);
	expect(s, "child", "inbound", HOST, port, .adopted = 2, .closed_peer = 2);
	expect(s, "parent", "inbound", HOST, port, .opened = 2, .handed_over = 2, .handshakes = 2);
}

/* What it followed goes with it; a process that was attached by itself goes back to whom it descends from. */
static void descendants_go_with_their_target(void **state)
{
	struct scene *s = *state;
	struct actor *parent = scene_actor(s, NULL), *peer = scene_actor(s, NULL), *child, *late;
	int l, port = scene_listen(peer, SCENE_BACKLOG, &l);

	attach(parent, "parent", true);
	child = scene_fork(s, parent);
	attach(child, "child", true);
	late = scene_fork(s, parent);
	act(child, step_hold, .host = HOST, .port = port, .count = 2);
	act(late, step_hold, .host = HOST, .port = port, .count = 1);
	detach(child);
	expect_no_trace("child");
	expect(s, "parent", "outbound", HOST, port, .attempts = 1, .opened = 1, .adopted = 2,
	       .active = 3, .handshakes = 1);
	act(child, step_hold, .host = HOST, .port = port, .count = 1);
	expect(s, "parent", "outbound", HOST, port, .attempts = 2, .opened = 2, .adopted = 2,
	       .active = 4, .handshakes = 2);
	detach(parent);
	act(late, step_hold, .host = HOST, .port = port, .count = 1);
	expect_series_total(s, 0);
	assert_int_equal(engine_count("ps_processes"), 0);
}

/* ---- again and again, under load ---- */

#define CYCLES 1000
#define BATCH 50 /* cycles of one storm, which must not last longer than a step may */
#define STORM_CYCLES \
	200 /* ... of them as fast as it goes; then some thousand connections a second at most */
#define HELD 20
#define SLACK_BYTES (1 << 20)

struct cycle {
	struct scene *s;
	struct actor *service, *peer;
	struct traffic_shared *storm;
	int port, listener; /* of the service */
};

/* The storm's connections go to another port of the same service: what is told of it lies between what its client knows. */
static void expect_storm(const struct cycle *c, const char *name, long low, long before_attach,
			 int storm_port)
{
	char filter[128], why[512] = "", *text = engine_text();
	long high = atomic_load(&c->storm->connected) - before_attach;
	double opened, adopted;

	snprintf(filter, sizeof(filter), "process=%s,direction=inbound,server_port=%d", name,
		 storm_port);
	exposition_sum(text, "poolscope_connections_opened_total", filter, &opened);
	exposition_sum(text, "poolscope_connections_adopted_total", filter, &adopted);
	if (exposition_check_invariants(text, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	free(text);
	/* one is under way at either end */
	if ((long)opened + 1 < low || (long)(opened + adopted) > high + 2)
		fail_msg("opened %g, adopted %g; the client knows of %ld to %ld", opened, adopted,
			 low, high);
}

static void one_cycle(const struct cycle *c, int i, int storm_port)
{
	long before = atomic_load(&c->storm->connected), low;
	char name[32];
	int fd, a;

	snprintf(name, sizeof(name), "service-%d", i);
	attach(c->service, name, true);
	low = -atomic_load(&c->storm->connected);
	if (i < STORM_CYCLES)
		expect(c->s, name, "inbound", HOST, c->port, .adopted = HELD, .active = HELD);
	low += atomic_load(&c->storm->connected);
	scene_pair(c->peer, c->service, c->listener, c->port, &fd, &a); /* what is shown is later */
	act(c->peer, step_close, .fd = fd);
	act(c->service, step_read_end, .fd = a);
	act(c->service, step_close, .fd = a);
	expect(c->s, name, "inbound", HOST, c->port, .adopted = HELD, .opened = 1, .active = HELD,
	       .closed_peer = 1, .handshakes = 1, .lifetimes = 1, .accept_waits = 1);
	expect_storm(c, name, low, before, storm_port);
	detach(c->service);
}

#define PACE_MS 1
#define PACE_BURST 4

/* As step_storm_connect(), but it leaves the processors some time. */
static long step_pace_connect(const struct step *s)
{
	long connected = 0;

	while (!atomic_load(&s->shared->stop)) {
		long fd = step_connect(s);

		if (fd < 0)
			break;
		connected++;
		atomic_fetch_add(&s->shared->connected, 1);
		close((int)fd);
		if (connected % PACE_BURST == 0)
			pause_ms(PACE_MS);
	}
	atomic_fetch_sub(&s->shared->clients, 1);
	return connected;
}

struct held {
	int descriptors;
	long rss;
};

static struct held held_now(void)
{
	return (struct held){count_descriptors(), rss_bytes()};
}

/* The service has its port, and connections that nobody touches, on `c->port`; a worker of it answers the storm on another. */
static void cycles_under_storm(struct cycle *c, struct actor *client, struct actor *worker,
			       int storm_listener, int storm_port, int first, int count)
{
	atomic_store(&c->storm->clients, 1);
	atomic_store(&c->storm->stop, false);
	act_begin(worker, step_storm_serve, .fd = storm_listener, .shared = c->storm);
	if (first < STORM_CYCLES)
		act_begin(client, step_storm_connect, .host = HOST, .port = storm_port,
			  .shared = c->storm);
	else
		act_begin(client, step_pace_connect, .host = HOST, .port = storm_port,
			  .shared = c->storm);
	for (int i = 0; i < count; i++)
		one_cycle(c, first + i, storm_port);
	atomic_store(&c->storm->stop, true);
	actor_finish(client);
	actor_finish(worker);
}

/* Also after a failure. */
static int usual_teardown(void **state)
{
	grace_usual();
	return engine_teardown(state);
}

static void attached_and_detached_a_thousand_times_under_load(void **state)
{
	struct scene *s = *state;
	struct cycle c = {.s = s, .storm = traffic_shared()};
	struct actor *client = scene_actor(s, NULL), *worker;
	int listener, port, a, cycles = traffic_volume(CYCLES);
	struct held before = {};

	c.service = scene_actor(s, NULL);
	c.peer = scene_actor(s, NULL);
	c.port = scene_listen(c.service, SCENE_BACKLOG, &c.listener);
	port = scene_listen(c.service, SCENE_BACKLOG, &listener);
	worker = scene_fork(s, c.service);
	act(c.peer, step_hold, .host = HOST, .port = c.port, .count = HELD);
	act(c.service, step_hold_accepted, .fd = c.listener, .count = HELD - 1);
	a = (int)act(c.service, step_accept, .fd = c.listener);
	cycles_under_storm(&c, client, worker, listener, port, 0, BATCH); /* tables grow */
	before = held_now();
	grace_quick(); /* a cycle waits for four of them, which is 45 ms of its 50 */
	for (int i = 0; i < cycles; i += BATCH)
		cycles_under_storm(&c, client, worker, listener, port, BATCH + i,
				   cycles - i < BATCH ? cycles - i : BATCH);
	assert_int_equal(count_descriptors(), before.descriptors);
	print_message("# %d cycles: %ld kB more\n", cycles, (rss_bytes() - before.rss) / 1024);
	assert_true(rss_bytes() < before.rss + SLACK_BYTES);
	assert_int_equal(engine_count("ps_processes"), 0);
	assert_false(has_record(c.service, a) || has_record(c.service, c.listener));
	expect_series_total(s, 0);
}

/* ---- as the daemon is while it serves ---- */

/* In a child, which cannot take any of it back: 0, or the number of the step that failed. */
static int confined(pid_t pid)
{
	const struct privileges_config config = {};
	struct target_spec spec = {.pid = pid, .name = "service"};
	struct privileges_left left;
	char why[512] = "";

	if (privileges_drop(&config, &left, why, sizeof(why)) || filter_install(why, sizeof(why)))
		return 1;
	for (int i = 0; i < 3; i++) {
		if (daemon_attach(engine_daemon(), &spec, true, why, sizeof(why)))
			return 2;
		daemon_tick(engine_daemon());
		if (daemon_detach(engine_daemon(), pid, NULL, why, sizeof(why)))
			return 3;
	}
	return 0;
}

static void it_takes_no_capability_and_is_allowed_by_the_filter(void **state)
{
	struct scene *s = *state;
	struct actor *service = scene_actor(s, NULL);
	int l, status;
	pid_t child;

	scene_listen(service, SCENE_BACKLOG, &l);
	child = fork();
	if (child == 0)
		_exit(confined(service->pid));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(has_record(service, l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		engine_test(a_detached_target_leaves_nothing_and_begins_at_0),
		engine_test(what_cannot_be_attached_or_detached_leaves_nothing),
		engine_test(who_shares_a_name_keeps_it),
		engine_test(a_shared_listener_goes_on_under_who_remains),
		engine_test(an_acceptor_that_comes_again_adopts_what_it_holds),
		engine_test(descendants_go_with_their_target),
		engine_test(it_takes_no_capability_and_is_allowed_by_the_filter),
		cmocka_unit_test_setup_teardown(attached_and_detached_a_thousand_times_under_load,
						engine_setup, usual_teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("detach", tests, NULL, NULL);
}
