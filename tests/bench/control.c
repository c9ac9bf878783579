/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Attaches and detaches at run time as an operator does. The socket stands in a directory of its own, which is removed at the end. Knows
 * nothing of what is measured meanwhile.
 */
#include "control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scene.h"

#define CLIENT_MS 20000
#define ARGV_MAX 8

static const struct control *running;

/* Everything else dies with us. */
static void on_signal(int number)
{
	unlink(running->socket);
	rmdir(running->directory);
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_signals(void (*handler)(int))
{
	signal(SIGINT, handler);
	signal(SIGTERM, handler);
}

void control_start(struct control *c, const char *const argv[])
{
	const char *all[ARGV_MAX] = {"--peers.max=10000", "--series.max=10000"};
	char flag[96], pid[32];
	int n = 2;

	*c = (struct control){.directory = "/tmp/poolscope-bench.XXXXXX"};
	assert_non_null(mkdtemp(c->directory));
	snprintf(c->socket, sizeof(c->socket), "%s/sock", c->directory);
	running = c;
	catch_signals(on_signal);
	snprintf(flag, sizeof(flag), "--control.socket=%s", c->socket);
	actor_start(&c->idle, 0);
	snprintf(pid, sizeof(pid), "--pid=%d=idle", c->idle.pid);
	all[n++] = flag;
	all[n++] = pid;
	for (; *argv; argv++) {
		assert_true(n < ARGV_MAX - 1);
		all[n++] = *argv;
	}
	poolscoped_must_start(&c->poolscoped, all);
}

static void ask(struct control *c, const char *command, const char *what)
{
	const char *client = getenv("POOLSCOPE");
	const char *argv[] = {
		client ? client : "build/poolscope", "--socket", c->socket, command, what, NULL};
	char *err;

	if (process_run(argv, NULL, CLIENT_MS, NULL, &err))
		fail_msg("poolscope %s: %s", command, err);
	free(err);
}

void control_attach(struct control *c, pid_t pid)
{
	char target[32];

	snprintf(target, sizeof(target), "%d=crowd", pid);
	ask(c, "attach", target);
}

void control_detach(struct control *c, pid_t pid)
{
	char target[32];

	snprintf(target, sizeof(target), "%d", pid);
	ask(c, "detach", target);
}

void control_stop(struct control *c)
{
	poolscoped_stop(&c->poolscoped);
	actor_end(&c->idle, SIGKILL);
	unlink(c->socket);
	rmdir(c->directory);
	catch_signals(SIG_DFL);
}
