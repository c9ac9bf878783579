/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Runs programs for tests. Owns a process by its pidfd, so that neither a late signal nor a wait can hit a stranger that got
 * the same PID. Knows nothing of what it runs.
 */
#include "process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PORT_LOW 20000
#define PORT_HIGH 32000

static _Noreturn void process_exec(const char *const argv[], const struct process_how *how, int out,
				   int err)
{
	int null = open("/dev/null", O_RDONLY);
	int program = how && how->prepare ? open(argv[0], O_PATH) : -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(how && how->in ? how->in : null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	/* Now, not at exec: one that is stopped before holds nothing of ours. */
	if (program >= 0)
		program = dup2(program, 3);
	close_range(program >= 0 ? 4 : 3, ~0U, 0);
	fcntl(program, F_SETFD, FD_CLOEXEC);
	if (how && how->prepare)
		how->prepare();
	if (how && how->stopped)
		raise(SIGSTOP);
	if (program >= 0) /* whoever prepare() has made us may not reach the directory it is in */
		fexecve(program, (char *const *)argv, environ);
	else
		execvp(argv[0], (char *const *)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void process_start(struct process *p, const char *const argv[], const struct process_how *how)
{
	int status;

	p->out = memfd_create("stdout", MFD_CLOEXEC);
	p->err = memfd_create("stderr", MFD_CLOEXEC);
	assert_true(p->out >= 0 && p->err >= 0);
	fflush(NULL);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		process_exec(argv, how, p->out, p->err);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	assert_true(p->pidfd >= 0);
	if (how && how->stopped)
		assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
}

void process_continue(const struct process *p)
{
	assert_int_equal(kill(p->pid, SIGCONT), 0);
}

int process_wait(struct process *p, int deadline_ms)
{
	struct pollfd gone = {.fd = p->pidfd, .events = POLLIN};
	int status;

	if (poll(&gone, 1, deadline_ms) <= 0)
		return -ETIMEDOUT;
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void process_done(struct process *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	if (p->pidfd > 0)
		close(p->pidfd);
	if (p->out > 0)
		close(p->out);
	if (p->err > 0)
		close(p->err);
	memset(p, 0, sizeof(*p));
}

static char *process_text(int fd)
{
	struct stat st;
	char *text;

	assert_int_equal(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
	return text;
}

char *process_stdout(const struct process *p)
{
	return process_text(p->out);
}

char *process_stderr(const struct process *p)
{
	return process_text(p->err);
}

int process_run(const char *const argv[], const struct process_how *how, int deadline_ms,
		char **ret_stdout, char **ret_stderr)
{
	struct process p = {0};
	int code;

	process_start(&p, argv, how);
	code = process_wait(&p, deadline_ms);
	if (code == -ETIMEDOUT) {
		char *text = process_stderr(&p);

		print_error("%s did not end; it said: %s\n", argv[0], text);
		free(text);
		process_done(&p);
		fail();
	}
	if (ret_stdout)
		*ret_stdout = process_stdout(&p);
	if (ret_stderr)
		*ret_stderr = process_stderr(&p);
	process_done(&p);
	return code;
}

long process_rss_bytes(const struct process *p)
{
	char path[64];
	long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", p->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

int process_descriptors(const struct process *p)
{
	char path[64];
	int count = -2; /* "." and ".." */
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", p->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

int process_own_descriptors(void)
{
	return process_descriptors(&(struct process){.pid = getpid()});
}

const char *process_external(const char *path)
{
	static char full[4096];
	const char *root = getenv("EXT");

	snprintf(full, sizeof(full), "%s/%s", root ? root : "build/ext", path);
	return access(full, X_OK) == 0 ? full : NULL;
}

/* Bound to every address and without SO_REUSEADDR: also refuses a port in use at another loopback address. */
static bool process_port_is_free(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_free;

	assert_true(fd >= 0);
	is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return is_free;
}

int process_free_port(void)
{
	static int next;

	if (!next)
		next = PORT_LOW + getpid() * 37 % (PORT_HIGH - PORT_LOW);
	for (int tries = 0; tries < PORT_HIGH - PORT_LOW; tries++) {
		int port = next;

		next = next + 1 < PORT_HIGH ? next + 1 : PORT_LOW;
		if (process_port_is_free(port))
			return port;
	}
	fail_msg("no free port between %d and %d", PORT_LOW, PORT_HIGH);
	return -1;
}
