/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Actors and their steps. A command travels over a SEQPACKET socketpair as the address of a function, which is the same in every
 * fork of this program, and its arguments. A step never waits longer than its deadline, and an actor ends when
 * its control socket does: nothing outlives the test. Knows nothing of the daemon.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define STEP_MS 10000 /* a step that waits for the other side */
#define ANSWER_MS 60000 /* the test waits for a step */
#define WINDOW \
	1000 /* connections that a storm's client may be ahead of the server: no backlog (4,096) overflows */

struct command {
	long fn; /* from step_connect(), since exec() moves the program; LEAVE */
	struct step step;
	char host[48], from[48];
};

#define LEAVE (-1L)

/* What this process is, if it is an actor. */
static struct {
	int control;
	int passed; /* descriptor that came with the command */
	int held[TRAFFIC_HELD_MAX];
	int held_first, held_count;
} self;

/* ---- control ---- */

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

static void command_send(int control, const struct command *c, int pass)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = (void *)c, .iov_len = sizeof(*c)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (pass >= 0) {
		memcpy(CMSG_DATA(&ancillary.head), &pass, sizeof(pass));
		msg.msg_control = &ancillary;
		msg.msg_controllen = sizeof(ancillary);
	}
	assert_int_equal(sendmsg(control, &msg, MSG_NOSIGNAL), sizeof(*c));
}

/* False at the end of the test. */
static bool command_receive(int control, struct command *c)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct iovec iov = {.iov_base = c, .iov_len = sizeof(*c)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ancillary,
			     .msg_controllen = sizeof(ancillary)};

	self.passed = -1;
	if (recvmsg(control, &msg, 0) != sizeof(*c))
		return false;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&self.passed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(self.passed));
	c->step.host = c->step.host ? c->host : NULL;
	c->step.from = c->step.from ? c->from : NULL;
	return true;
}

static long command_fn(step_fn *fn)
{
	return (long)((uintptr_t)fn - (uintptr_t)step_connect);
}

static void *command_run(void *arg)
{
	const struct command *c = arg;
	step_fn *fn = (step_fn *)((uintptr_t)step_connect + (uintptr_t)c->fn);

	return (void *)fn(&c->step);
}

static long command_answer(struct command *c)
{
	pthread_t thread;
	void *answer;

	if (!(c->step.flags & STEP_THREAD))
		return (long)command_run(c);
	if (pthread_create(&thread, NULL, command_run, c) != 0)
		return -EAGAIN;
	pthread_join(thread, &answer);
	return (long)answer;
}

static _Noreturn void actor_serve(int control)
{
	struct command c;
	long answer;

	self.control = control;
	while (command_receive(control, &c) && c.fn != LEAVE) {
		answer = command_answer(&c);
		if (send(control, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* The child side of a start: only its end of the control channel stays open. */
static _Noreturn void actor_run(int control)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	dup2(control, 3);
	close_range(4, ~0U, 0);
	actor_serve(3);
}

int actor_start_as(struct actor *a, pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	int pair[2];
	long child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		actor_run(pair[1]);
	close(pair[1]);
	if (child < 0) {
		child = -errno;
		close(pair[0]);
		return (int)child;
	}
	*a = (struct actor){.pid = (pid_t)child, .control = pair[0], .ours = true};
	return 0;
}

void actor_start(struct actor *a, unsigned int namespaces)
{
	struct clone_args args = {.exit_signal = SIGCHLD, .flags = namespaces};
	int pair[2];
	long child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fflush(NULL);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		actor_run(pair[1]);
	assert_true(child > 0);
	close(pair[1]);
	*a = (struct actor){.pid = (pid_t)child, .control = pair[0], .ours = true};
}

static long step_fork(const struct step *s)
{
	int control = self.passed;
	const long here = 0;
	pid_t child = fork();

	(void)s;
	if (child == 0) {
		close(self.control);
		if (send(control, &here, sizeof(here), MSG_NOSIGNAL) == sizeof(here))
			actor_serve(control);
		_exit(1);
	}
	close(control);
	return child < 0 ? -errno : 0;
}

/* The PID of who sends the next answer, as it is here: fork() may have told it as it is in another PID namespace. */
static pid_t actor_sender(int control)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} ancillary;
	long answer;
	struct iovec iov = {.iov_base = &answer, .iov_len = sizeof(answer)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ancillary,
			     .msg_controllen = sizeof(ancillary)};
	struct ucred sender;

	assert_int_equal(recvmsg(control, &msg, 0), sizeof(answer));
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&sender, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(sender));
	set_option(control, SOL_SOCKET, SO_PASSCRED, 0);
	return sender.pid;
}

static void actor_bear(struct actor *parent, struct actor *ret, step_fn *step)
{
	struct command c = {.fn = command_fn(step)};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	set_option(pair[0], SOL_SOCKET, SO_PASSCRED, 1);
	command_send(parent->control, &c, pair[1]);
	close(pair[1]);
	assert_int_equal(actor_finish(parent), 0);
	*ret = (struct actor){.pid = actor_sender(pair[0]), .control = pair[0]};
	assert_true(ret->pid > 1);
}

void actor_fork(struct actor *parent, struct actor *ret)
{
	actor_bear(parent, ret, step_fork);
}

/* ---- other programs, other threads ---- */

static void program_exec(const char *path, int control)
{
	char number[16];
	char *argv[] = {(char *)"actor", number, NULL};

	snprintf(number, sizeof(number), "%d", control);
	execve(path, argv, environ);
}

_Noreturn void actor_resume(const char *argument)
{
	const int control = atoi(argument);
	const long here = 0;

	if (send(control, &here, sizeof(here), MSG_NOSIGNAL) != sizeof(here))
		_exit(1);
	actor_serve(control);
}

static long step_exec(const struct step *s)
{
	fcntl(self.control, F_SETFD, 0);
	program_exec(s->host ? s->host : "/proc/self/exe", self.control);
	return -errno;
}

static long step_vfork(const struct step *s)
{
	int control = self.passed;
	pid_t child;

	(void)s;
	fcntl(self.control, F_SETFD, FD_CLOEXEC);
	child = vfork();
	if (child == 0) {
		program_exec("/proc/self/exe", control);
		_exit(127);
	}
	close(control);
	return child < 0 ? -errno : 0;
}

void actor_exec(struct actor *a)
{
	assert_int_equal(act(a, step_exec, .fd = 0), 0);
}

void actor_exec_file(struct actor *a, const char *path)
{
	assert_int_equal(act(a, step_exec, .host = path), 0);
}

void actor_spawn(struct actor *parent, struct actor *ret)
{
	actor_bear(parent, ret, step_vfork);
}

static bool main_thread_has_left(void)
{
	char text[512] = "";
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	const char *name_end = strrchr(text, ')');

	close(fd);
	return n > 0 && name_end && name_end[2] == 'Z';
}

static void *other_thread_serve(void *arg)
{
	const long here = 0;

	while (!main_thread_has_left())
		pause_ms(1);
	if (send(self.control, &here, sizeof(here), MSG_NOSIGNAL) != sizeof(here))
		_exit(1);
	actor_serve(self.control);
	return arg;
}

static long step_leave_main_thread(const struct step *s)
{
	pthread_t thread;

	(void)s;
	if (pthread_create(&thread, NULL, other_thread_serve, NULL) != 0)
		return -EAGAIN;
	syscall(SYS_exit, 0); /* this thread only */
	return -EINVAL;
}

void actor_leave_main_thread(struct actor *a)
{
	assert_int_equal(act(a, step_leave_main_thread, .fd = 0), 0);
}

void actor_end(struct actor *a, int signal)
{
	struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, a->pid, 0), .events = POLLIN};
	struct command leave = {.fn = LEAVE};

	if (signal)
		kill(a->pid, signal);
	else
		command_send(a->control, &leave, -1);
	if (gone.fd >= 0 && poll(&gone, 1, STEP_MS) != 1)
		fail_msg("process %d does not end", a->pid);
	close(gone.fd);
	if (a->ours)
		waitpid(a->pid, NULL, 0);
	close(a->control);
	a->pid = 0;
}

void actor_begin(struct actor *a, step_fn *fn, const struct step *s)
{
	struct command c = {.fn = command_fn(fn), .step = *s};

	if (s->host)
		snprintf(c.host, sizeof(c.host), "%s", s->host);
	if (s->from)
		snprintf(c.from, sizeof(c.from), "%s", s->from);
	command_send(a->control, &c, -1);
}

long actor_finish(struct actor *a)
{
	struct pollfd answered = {.fd = a->control, .events = POLLIN};
	long answer = 0;

	if (poll(&answered, 1, ANSWER_MS) != 1)
		fail_msg("process %d does not answer", a->pid);
	if (recv(a->control, &answer, sizeof(answer), 0) != sizeof(answer))
		fail_msg("process %d has died", a->pid);
	return answer;
}

long actor_try(struct actor *a, step_fn *fn, const struct step *s)
{
	actor_begin(a, fn, s);
	return actor_finish(a);
}

long actor_do(struct actor *a, step_fn *fn, const struct step *s)
{
	long answer = actor_try(a, fn, s);

	if (answer < 0)
		fail_msg("a step of the workload failed: %s", strerror((int)-answer));
	return answer;
}

struct traffic_shared *traffic_shared(void)
{
	void *p = mmap(NULL, sizeof(struct traffic_shared), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* ---- addresses ---- */

int traffic_volume(int count)
{
	const char *text = getenv("VOLUME_DIVISOR");

	return text ? count / atoi(text) : count;
}

void traffic_address(const char *base, unsigned int offset, char text[16])
{
	struct in_addr a;

	inet_pton(AF_INET, base, &a);
	a.s_addr = htonl(ntohl(a.s_addr) + offset);
	inet_ntop(AF_INET, &a, text, INET_ADDRSTRLEN);
}

static int address_parse(const char *host, int port, struct sockaddr_storage *ret,
			 socklen_t *ret_len)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(*four);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1)
		return -EINVAL;
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)port);
	*ret_len = sizeof(*six);
	return 0;
}

/* ---- one socket ---- */

long step_listen(const struct step *s)
{
	struct sockaddr_storage a;
	socklen_t len;
	int r = address_parse(s->host, s->port, &a, &len);
	int fd = r < 0 ? -1 : socket(a.ss_family, SOCK_STREAM, s->protocol);

	if (fd < 0)
		return r < 0 ? r : -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (s->flags & STEP_REUSE_PORT)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (s->flags & STEP_DEFER)
		set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	if (a.ss_family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, s->backlog) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int bind_from(int fd, const char *from, int port)
{
	struct sockaddr_storage a;
	socklen_t len;
	int r = address_parse(from, port, &a, &len);

	if (r < 0)
		return r;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (port == 0)
		set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind(fd, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

static int connect_to(int fd, const struct sockaddr_storage *a, socklen_t len, const struct step *s)
{
	struct timeval patience = {.tv_sec = STEP_MS / 1000};
	int r = s->from ? bind_from(fd, s->from, s->from_port) : 0;

	if (r < 0)
		return r;
	if (s->flags & STEP_IMPATIENT)
		set_option(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)a, len) == 0)
		return 0;
	return (s->flags & STEP_NONBLOCK) && errno == EINPROGRESS ? 0 : -errno;
}

long step_connect(const struct step *s)
{
	struct sockaddr_storage a;
	socklen_t len;
	int r = address_parse(s->host, s->port, &a, &len);
	int type = SOCK_STREAM | (s->flags & STEP_NONBLOCK ? SOCK_NONBLOCK : 0) |
		   (s->flags & STEP_CLOEXEC ? SOCK_CLOEXEC : 0);
	int fd = r < 0 ? -1 : socket(a.ss_family, type, s->protocol);

	if (fd < 0)
		return r < 0 ? r : -errno;
	r = connect_to(fd, &a, len, s);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

long step_connect_again(const struct step *s)
{
	struct sockaddr undo = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage a;
	socklen_t len;
	long fd = step_connect(s);

	if (fd < 0)
		return fd;
	address_parse(s->host, s->port, &a, &len);
	if (connect((int)fd, &undo, sizeof(undo)) < 0 ||
	    connect((int)fd, (struct sockaddr *)&a, len) < 0)
		return -errno;
	return fd;
}

static int wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, STEP_MS) == 1 ? 0 : -ETIMEDOUT;
}

long step_finish(const struct step *s)
{
	socklen_t len = sizeof(int);
	int r = wait_for(s->fd, POLLOUT);
	int error = 0;

	if (r < 0)
		return r;
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

long step_wait(const struct step *s)
{
	return wait_for(s->fd, POLLIN);
}

long step_accept(const struct step *s)
{
	int r = wait_for(s->fd, POLLIN);
	int fd = r < 0 ? -1 : accept(s->fd, NULL, NULL);

	return r < 0 ? r : fd < 0 ? -errno : fd;
}

long step_write(const struct step *s)
{
	static const char bytes[4096];

	return send(s->fd, bytes, (size_t)s->count, MSG_NOSIGNAL) == s->count ? 0 : -errno;
}

long step_read_end(const struct step *s)
{
	char bytes[4096];
	long sum = 0;
	ssize_t n;

	while (wait_for(s->fd, POLLIN) == 0) {
		n = read(s->fd, bytes, sizeof(bytes));
		if (n <= 0)
			return n < 0 ? -errno : sum;
		sum += n;
	}
	return -ETIMEDOUT;
}

long step_shutdown(const struct step *s)
{
	return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void close_socket(int fd, unsigned int flags)
{
	struct linger now = {.l_onoff = 1};

	if (flags & STEP_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

long step_close(const struct step *s)
{
	close_socket(s->fd, s->flags);
	return 0;
}

long step_close_all(const struct step *s)
{
	return close_range((unsigned int)s->fd, ~0U, 0) < 0 ? -errno : 0;
}

long step_dup(const struct step *s)
{
	int fd = dup(s->fd);

	return fd < 0 ? -errno : fd;
}

long step_dup2(const struct step *s)
{
	return dup2(s->fd, s->to_fd) < 0 ? -errno : s->to_fd;
}

long step_take(const struct step *s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	long fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, s->fd, 0);

	if (fd < 0)
		fd = -errno;
	if (pidfd >= 0)
		close(pidfd);
	return fd;
}

long step_rtt_us(const struct step *s)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? -errno
									 : (long)info.tcpi_rtt;
}

long step_abort(const struct step *s)
{
	struct rlimit none = {0};

	(void)s;
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* ---- many sockets ---- */

long traffic_hold(long fd)
{
	if (fd < 0)
		return fd;
	if (self.held_count == TRAFFIC_HELD_MAX)
		return -ENOBUFS;
	self.held[(self.held_first + self.held_count++) % TRAFFIC_HELD_MAX] = (int)fd;
	return 0;
}

/* Step number i of `s`: the address and the source port rotate. */
static long connect_number(const struct step *s, int i)
{
	struct step one = *s;
	char host[16], from[16];

	if (s->spread) {
		traffic_address(s->host, (unsigned int)(i % s->spread), host);
		one.host = host;
	}
	if (s->from_spread)
		one.from_port = s->from_port + i % s->from_spread;
	if (s->from_hosts) {
		traffic_address(s->from, (unsigned int)(i % s->from_hosts), from);
		one.from = from;
	}
	return step_connect(&one);
}

long step_hold(const struct step *s)
{
	int i;

	for (i = 0; i < s->count && !(s->shared && atomic_load(&s->shared->stop)); i++) {
		long r = traffic_hold(connect_number(s, i));

		if (r < 0)
			return r;
	}
	return i;
}

long step_hold_accepted(const struct step *s)
{
	for (int i = 0; i < s->count; i++) {
		long r = traffic_hold(step_accept(s));

		if (r < 0)
			return r;
	}
	return s->count;
}

long step_hold_waiting(const struct step *s)
{
	struct pollfd listener = {.fd = s->fd, .events = POLLIN};
	long count = 0;

	while (poll(&listener, 1, 200) == 1) {
		long r = traffic_hold(step_accept(s));

		if (r < 0)
			return r;
		count++;
	}
	return count;
}

long step_release(const struct step *s)
{
	int count = s->count ? s->count : self.held_count;

	if (count > self.held_count)
		return -ENOENT;
	for (int i = 0; i < count; i++)
		close_socket(self.held[(self.held_first + i) % TRAFFIC_HELD_MAX], s->flags);
	self.held_first = (self.held_first + count) % TRAFFIC_HELD_MAX;
	self.held_count -= count;
	return count;
}

/* ---- storms ---- */

static bool storm_goes_on(const struct step *s, int i)
{
	if (atomic_load(&s->shared->stop))
		return false;
	return s->count == 0 || i < s->count;
}

long step_storm_connect(const struct step *s)
{
	struct traffic_shared *shared = s->shared;
	long connected = 0;

	for (int i = 0; storm_goes_on(s, i); i++) {
		long fd = connect_number(s, i);

		if (fd < 0) {
			atomic_fetch_sub(&shared->clients, 1);
			return fd;
		}
		connected++;
		atomic_fetch_add(&shared->connected, 1);
		close_socket((int)fd, s->flags);
		while (atomic_load(&shared->connected) - atomic_load(&shared->accepted) > WINDOW)
			sched_yield();
	}
	atomic_fetch_sub(&shared->clients, 1);
	return connected;
}

static bool storm_is_over(const struct traffic_shared *shared)
{
	return atomic_load(&shared->clients) == 0 &&
	       atomic_load(&shared->accepted) == atomic_load(&shared->connected);
}

long step_storm_serve(const struct step *s)
{
	struct pollfd listener = {.fd = s->fd, .events = POLLIN};
	double deadline = now_seconds() + ANSWER_MS / 1000.0;
	long accepted = 0;
	char byte;

	while (!storm_is_over(s->shared)) {
		int fd;

		if (now_seconds() > deadline)
			return -ETIMEDOUT;
		if (poll(&listener, 1, 10) != 1)
			continue;
		fd = accept(s->fd, NULL, NULL);
		if (fd < 0)
			return -errno;
		accepted++;
		atomic_fetch_add(&s->shared->accepted, 1);
		while (read(fd, &byte, 1) > 0)
			;
		close(fd);
	}
	return accepted;
}

long step_storm_alone(const struct step *s)
{
	char byte;

	for (int i = 0; i < s->count; i++) {
		long client = connect_number(s, i);
		long server = client < 0 ? client : step_accept(s);

		if (server < 0)
			return server;
		close_socket((int)client, s->flags);
		while (read((int)server, &byte, 1) > 0)
			;
		close((int)server);
	}
	return s->count;
}

/* ---- what is not TCP ---- */

static int udp_exchange(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
	char byte = 0;
	int r = 0;

	if (bind(receiver, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(receiver, (struct sockaddr *)&a, &len) < 0 ||
	    connect(sender, (struct sockaddr *)&a, len) < 0 || send(sender, &byte, 1, 0) != 1 ||
	    recv(receiver, &byte, 1, 0) != 1)
		r = -errno;
	close(sender);
	close(receiver);
	return r;
}

static int unix_exchange(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(a);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	int server = -1, r = 0;

	/* autobind: an abstract name of the kernel's choice */
	if (bind(listener, (struct sockaddr *)&a, sizeof(sa_family_t)) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&a, &len) < 0 ||
	    connect(client, (struct sockaddr *)&a, len) < 0)
		r = -errno;
	else
		server = accept(listener, NULL, NULL);
	close(server);
	close(client);
	close(listener);
	return r;
}

static int raw_exchange(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char packet[64] = "not an echo request";
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int r = 0;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send(fd, packet, sizeof(packet), 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

long step_other_protocols(const struct step *s)
{
	int r = udp_exchange();

	(void)s;
	if (r == 0)
		r = unix_exchange();
	return r < 0 ? r : raw_exchange();
}
