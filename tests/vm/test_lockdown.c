// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * In a guest that is locked down to confidentiality, and nowhere else: tracing programs may not read kernel memory by helper
 * there, and tracefs is empty. The core does without; of the accept programs only fexit remains.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes.h"
#include "scene.h"

#define HOST "127.0.0.1"
#define RUN_MS 10000
#define EXIT_CODE_KERNEL 3 /* docs/metrics.md */

static int expect_locked_down(void **state)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "";

	(void)state;
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	assert_non_null(strstr(line, "[confidentiality]"));
	return 0;
}

static void what_the_kernel_refuses_of_accept_and_cgroups_is_left_out(void **state)
{
	struct probes_config config = {.ring_bytes = 1 << 20,
				       .optmem_max = 131072,
				       .accept_syscall = true,
				       .cgroups = true};
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	struct probes *p = NULL;
	char why[256] = "";
	bool core = false, cgroups = false;
	size_t count;

	(void)state;
	assert_int_equal(probes_open(&p, &config, why, sizeof(why)), 0);
	assert_false(probes_see_accept(p));
	count = probes_programs(p, programs);
	for (size_t i = 0; i < count; i++) {
		core |= strcmp(programs[i].name, "set_state") == 0;
		cgroups |= strncmp(programs[i].name, "cgroup_", strlen("cgroup_")) == 0;
	}
	assert_true(core && !cgroups);
	probes_close(p);
}

static void the_core_counts_and_fexit_sees_accepts(void **state)
{
	struct scene *s = *state;
	struct actor *server = scene_actor(s, "server"), *client = scene_actor(s, "client");
	int l, c, a, port;

	scene_observe(s, "--accept-probe=auto", NULL);
	port = scene_listen(server, SCENE_BACKLOG, &l);
	scene_pair(client, server, l, port, &c, &a);
	act(client, step_close, .fd = c);
	act(server, step_close, .fd = a);
	expect(s, "client", "outbound", HOST, port, .attempts = 1, .opened = 1, .closed_local = 1,
	       .handshakes = 1, .lifetimes = 1);
	expect(s, "server", "inbound", HOST, port, .opened = 1, .closed_peer = 1, .handshakes = 1,
	       .lifetimes = 1, .accept_waits = 1);
	assert_true(poolscoped_sum(&s->daemon, "poolscope_probe_info", "attach=fexit") == 1);
	poolscoped_stop(&s->daemon);
}

static void the_syscall_probe_is_refused_by_name_if_demanded(void **state)
{
	const char *argv[] = {poolscoped_path(), "--check", "--accept-probe=syscall", NULL};
	char *err;

	(void)state;
	assert_int_equal(process_run(argv, NULL, RUN_MS, NULL, &err), EXIT_CODE_KERNEL);
	assert_non_null(strstr(err, "--accept-probe"));
	free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_kernel_refuses_of_accept_and_cgroups_is_left_out),
		scene_test(the_core_counts_and_fexit_sees_accepts),
		scene_test(the_syscall_probe_is_refused_by_name_if_demanded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("lockdown", tests, expect_locked_down, NULL);
}
