/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the operator gets wrong and what the machine lacks: the exit code, and what the message names, each time.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define RUN_MS 10000

/* The exit codes of docs/metrics.md, not those of user/options.h. */
enum { ENDED, USAGE = 2, KERNEL = 3, PRIVILEGE = 4, TARGET = 5, ADDRESS = 6 };

static void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* Runs the daemon with two arguments (either may be NULL): this exit code, and both parts in what it says on stderr. */
static void expect_refusal(const struct process_how *how, const char *arg, const char *arg2,
			   int code, const char *part, const char *part2)
{
	const char *argv[] = {poolscoped_path(), arg ? arg : arg2, arg ? arg2 : NULL, NULL};
	char *err;
	int found = process_run(argv, how, RUN_MS, NULL, &err);

	if (found != code)
		print_error("# %s %s: %s\n", arg ? arg : "", arg2 ? arg2 : "", err);
	assert_int_equal(found, code);
	expect_text(err, part);
	expect_text(err, part2);
	free(err);
}

/* ---- usage: 2 ---- */

static void bad_values_are_refused_by_name(void **state)
{
	static const char *const cases[][3] = {
		{"--pid=0", "--pid", "'0'"},
		{"--pid=-3", "--pid", "'-3'"},
		{"--pid=garbage", "--pid", "garbage"},
		{"--pid=12x", "--pid", "12x"},
		{"--pid=5000000000", "--pid", "5000000000"},
		{"--pid=", "--pid", "''"},
		{"--pid=1=", "--pid", "name is empty"},
		{"--pid=1=a\nb", "--pid", "control character"},
		{"--ring-size=1000", "--ring-size", "power of two"},
		{"--ring-size=12parsecs", "--ring-size", "12parsecs"},
		{"--peers.max=0", "--peers.max", "'0'"},
		{"--series.max=20000", "--series.max", "10000"},
		{"--peers.aggregate=10.0.0.0/33", "--peers.aggregate", "10.0.0.0/33"},
		{"--buckets.handshake=2,1", "--buckets.handshake", "2,1"},
		{"--buckets.lifetime=soon", "--buckets.lifetime", "soon"},
		{"--accept-probe=magic", "--accept-probe", "auto|fexit|syscall|off"},
		{"--log.level=loud", "--log.level", "loud"},
		{"--log.format=xml", "--log.format", "logfmt|json"},
		{"--web.listen-address=nowhere", "--web.listen-address", "nowhere"},
		{"--web.listen-address=127.0.0.1:70000", "--web.listen-address", "70000"},
		{"--web.listen-address=127.0.0.1", "--web.listen-address", "127.0.0.1"},
		{"--web.listen-address=0.0.0.0:10935", "--web.listen-address",
		 "--web.auth.token-file"},
		{"--web.telemetry-path=metrics", "--web.telemetry-path", "metrics"},
		{"--web.config.file=web.yml", "--web.config.file", "--web.tls"},
		{"--colour=blue", "--colour", "unknown"},
		{"surplus", "surplus", "unexpected"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(NULL, cases[i][0], NULL, USAGE, cases[i][1], cases[i][2]);
}

/* Scenario 32, its second half. */
static void the_same_pid_twice_is_refused(void **state)
{
	char arg[32], named[32], pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(arg, sizeof(arg), "--pid=%s", pid);
	snprintf(named, sizeof(named), "--pid=%s=again", pid);
	expect_refusal(NULL, arg, named, USAGE, pid, "twice");
}

/* ---- targets: 5 ---- */

static void a_pid_without_a_process_is_refused(void **state)
{
	struct actor a;
	char arg[32], pid[16];

	(void)state;
	actor_start(&a, 0);
	snprintf(pid, sizeof(pid), "%d", a.pid);
	snprintf(arg, sizeof(arg), "--pid=%s", pid);
	actor_end(&a, SIGKILL);
	expect_refusal(NULL, arg, NULL, TARGET, pid, "no process");
}

/* What one name says and another says again is one selector. */
static void the_same_program_twice_is_refused(void **state)
{
	char path[256] = "", arg[300], other[64];

	(void)state;
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	snprintf(arg, sizeof(arg), "--exe=%s=one", path);
	snprintf(other, sizeof(other), "--exe=/proc/%d/exe=two", getpid());
	expect_refusal(NULL, arg, other, TARGET, "is attached already", "as one");
}

static void a_kernel_thread_is_refused(void **state)
{
	(void)state;
	expect_refusal(NULL, "--pid=2", NULL, TARGET, "PID 2", "kernel thread");
}

static void a_zombie_is_refused(void **state)
{
	siginfo_t info;
	char arg[32];
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	snprintf(arg, sizeof(arg), "--pid=%d", pid);
	expect_refusal(NULL, arg, NULL, TARGET, arg + 6, "zombie");
	waitpid(pid, NULL, 0);
}

/* Each lives a little longer than the one before, so that some are gone before, some during and some after the attach. */
static void a_target_that_dies_while_it_is_attached_is_refused_or_attached(void **state)
{
	const int dying = 2 + traffic_volume(28);
	int refused = 0, attached = 0;
	char arg[32];

	(void)state;
	for (int i = 0; i < dying; i++) {
		pid_t pid = fork();
		int code;

		if (pid == 0) {
			pause_ms(i * 10L);
			_exit(0);
		}
		snprintf(arg, sizeof(arg), "--pid=%d", pid);
		code = process_run((const char *[]){poolscoped_path(), "--check", arg, NULL}, NULL,
				   RUN_MS, NULL, NULL);
		signal(SIGCHLD, SIG_DFL);
		refused += code == TARGET;
		attached += code == ENDED;
	}
	print_message("# of %d dying targets %d were refused and %d attached\n", dying, refused,
		      attached);
	assert_int_equal(refused + attached, dying);
}

/* ---- the machine: 3, 4, 6 ---- */

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(99);
}

/* Private from the mount that is changed down, not from "/": in a chroot that is no mount point. */
static void hide_btf(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/sys", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL))
		_exit(99);
}

/* Goes on as PID 1 of a namespace; the process that stays outside hands on its exit status. */
static void enter_pid_namespace(void)
{
	int status;
	pid_t child;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS))
		_exit(99);
	child = fork();
	if (child > 0) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
	}
	if (child < 0 || mount(NULL, "/proc", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		_exit(99);
}

static void without_privilege_the_missing_capabilities_are_named(void **state)
{
	(void)state;
	expect_refusal(&(struct process_how){.prepare = become_nobody}, "--check", NULL, PRIVILEGE,
		       "CAP_BPF", "CAP_PERFMON");
}

static void without_btf_it_says_so(void **state)
{
	(void)state;
	expect_refusal(&(struct process_how){.prepare = hide_btf}, "--check", NULL, KERNEL,
		       "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF");
}

static void in_another_pid_namespace_it_refuses_to_guess(void **state)
{
	(void)state;
	expect_refusal(&(struct process_how){.prepare = enter_pid_namespace}, "--check", NULL,
		       KERNEL, "PID namespace", "host");
}

static void a_port_in_use_is_named(void **state)
{
	struct scene *s = *state;
	struct actor *squatter = scene_actor(s, NULL);
	char arg[64];
	int l, port = scene_listen(squatter, 1, &l);

	snprintf(arg, sizeof(arg), "--web.listen-address=127.0.0.1:%d", port);
	expect_refusal(NULL, arg, NULL, ADDRESS, arg + sizeof("--web.listen-address"), "in use");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(bad_values_are_refused_by_name),
		scene_test(the_same_pid_twice_is_refused),
		scene_test(the_same_program_twice_is_refused),
		scene_test(a_pid_without_a_process_is_refused),
		scene_test(a_kernel_thread_is_refused),
		scene_test(a_zombie_is_refused),
		scene_test(a_target_that_dies_while_it_is_attached_is_refused_or_attached),
		scene_test(without_privilege_the_missing_capabilities_are_named),
		scene_test(without_btf_it_says_so),
		scene_test(in_another_pid_namespace_it_refuses_to_guess),
		scene_test(a_port_in_use_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
