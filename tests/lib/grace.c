// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A child of ours owns the machine's setting: it sets it and takes it back when it is told to or its parent is gone. Where the setting is
 * on already, somebody else owns it.
 */
#include "grace.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SETTING "/sys/kernel/rcu_expedited"

static pid_t keeper; /* 0: none */

static _Noreturn void keep(int fd, pid_t parent, const sigset_t *all)
{
	int signal;

	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	if (getppid() == parent && pwrite(fd, "1", 1, 0) == 1)
		sigwait(all, &signal);
	_exit(pwrite(fd, "0", 1, 0) == 1 ? 0 : 1);
}

void grace_quick(void)
{
	int fd = open(SETTING, O_RDWR | O_CLOEXEC);
	pid_t parent = getpid();
	sigset_t all, before;
	char value;

	if (fd < 0)
		return;
	if (pread(fd, &value, 1, 0) != 1 || value != '0') {
		close(fd);
		return;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper == 0)
		keep(fd, parent, &all);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fd);
}

void grace_usual(void)
{
	int status;

	if (!keeper)
		return;
	assert_int_equal(kill(keeper, SIGUSR1), 0);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_int_equal(status, 0);
	keeper = 0;
}
