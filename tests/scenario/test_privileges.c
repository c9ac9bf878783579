/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the daemon may do once it serves: nothing but read what it holds. And how little it needs to start.
 */
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "scene.h"

#define HOST "127.0.0.1"
#define TWO ((1ULL << CAP_BPF) | (1ULL << CAP_PERFMON))

/* A number of /proc/PID/status, in base 16 as it stands there. */
static unsigned long long status_of(const struct scene *s, const char *key)
{
	unsigned long long value = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", s->daemon.process.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, 16);
	fclose(f);
	return value;
}

static void expect_no_power(const struct scene *s, unsigned long long bounding)
{
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		assert_int_equal(status_of(s, sets[i]), 0);
	assert_int_equal(status_of(s, "CapBnd"), bounding);
	assert_int_equal(status_of(s, "NoNewPrivs"), 1);
}

static void expect_it_counts(struct scene *s, struct actor *server, struct actor *client)
{
	int l, c, a, port = scene_listen(server, SCENE_BACKLOG, &l);

	scene_pair(client, server, l, port, &c, &a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .active = 1,
	       .handshakes = 1);
	act(client, step_close, .fd = c);
	act(server, step_close, .fd = a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
}

/* The inventories of each second adopt what the targets hold, by iterators that are made for it. */
static void as_root_it_keeps_no_capability_and_goes_on_counting(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	char *log;

	scene_observe(s, "--reconcile-interval=1s", NULL);
	expect_no_power(s, 0);
	expect_it_counts(s, server, client);
	pause_ms(2500);
	assert_true(poolscoped_value(&s->daemon, "poolscope_reconcile_total", "cause=timer") >= 2);
	log = process_stderr(&s->daemon.process);
	if (strstr(log, "level=error"))
		fail_msg("%s", log);
	free(log);
}

/* root, but for the other capabilities: exec() gives no more than the bounding set. */
static void keep_two(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(TWO & 1ULL << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			_exit(99);
}

/* But for the accept fallback, whose tracepoints Debian's kernels give to more power only: auto does without. */
static void two_capabilities_suffice(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");

	s->daemon.prepare = keep_two;
	scene_observe(s, "--accept-probe=auto", NULL);
	expect_no_power(s, TWO); /* emptying that set takes CAP_SETPCAP */
	expect_it_counts(s, server, client);
}

static void sighup_is_survived(void **state)
{
	struct scene *s = *state;

	scene_actor(s, "target");
	scene_observe(s, NULL);
	assert_int_equal(kill(s->daemon.process.pid, SIGHUP), 0);
	pause_ms(200);
	assert_int_equal(poolscoped_get(&s->daemon, "/-/healthy", NULL), 200);
	poolscoped_stop(&s->daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(as_root_it_keeps_no_capability_and_goes_on_counting),
		scene_test(two_capabilities_suffice),
		scene_test(sighup_is_survived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
