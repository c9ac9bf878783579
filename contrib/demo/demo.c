/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A small workload to look at: a server process and a client process with five pools, each with a habit of its own:
 *   127.0.0.2  keeps its connections and now and then replaces one
 *   127.0.0.3  opens one for every request
 *   127.0.0.4  does not notice that the server has closed (a leak: stale)
 *   127.0.0.5  has nobody listening (refused)
 *   127.0.0.6  has a server that never accepts (pending, queued, given up)
 * Writes "SERVER_PID CLIENT_PID" as its first line. Every set of sockets is bounded, and all of it ends with its parent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_FIRST 18080
#define PORT_LAST 18280
#define TICK_MS 50
#define KEPT 8
#define LEAKED 5
#define WAITING 2
#define SERVED_MAX 64

enum habit { KEEP = 2, CHURN, LEAK, REFUSED, HANG };

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (getppid() != parent)
		_exit(0); /* it was quicker */
}

static struct sockaddr_in address_of(enum habit habit, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	a.sin_addr.s_addr = htonl(0x7f000000U + (unsigned int)habit);
	return a;
}

/* ---- server ---- */

static int listen_at(enum habit habit, int port)
{
	struct sockaddr_in a = address_of(habit, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	/* A backlog of 0 holds one connection: the hanging server soon has no room. */
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, habit == HANG ? 0 : 128) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct served {
	struct pollfd polled[SERVED_MAX];
	enum habit habits[SERVED_MAX];
	int listeners, count;
};

static void served_add(struct served *s, int fd, enum habit habit)
{
	s->polled[s->count] = (struct pollfd){.fd = fd, .events = POLLIN};
	s->habits[s->count++] = habit;
}

static void served_accept(struct served *s, int i)
{
	int fd = accept(s->polled[i].fd, NULL, NULL);

	if (fd >= 0 && s->count == SERVED_MAX)
		close(fd);
	else if (fd >= 0)
		served_add(s, fd, s->habits[i]);
}

/* Answers one request; false: the connection is over. */
static bool served_answer(int fd, enum habit habit)
{
	char request;

	if (recv(fd, &request, 1, 0) != 1 || send(fd, "!", 1, 0) != 1)
		return false;
	return habit != LEAK;
}

static _Noreturn void serve(struct served *s)
{
	for (;;) {
		if (poll(s->polled, (nfds_t)s->count, -1) < 0 && errno != EINTR)
			_exit(1);
		for (int i = s->count - 1; i >= 0; i--) {
			if (!s->polled[i].revents)
				continue;
			if (i < s->listeners) {
				served_accept(s, i);
			} else if (!served_answer(s->polled[i].fd, s->habits[i])) {
				close(s->polled[i].fd);
				s->count--;
				s->polled[i] = s->polled[s->count];
				s->habits[i] = s->habits[s->count];
			}
		}
	}
}

/* Listeners at one free port for all habits that have a server; returns the port, 0 if there is none. */
static int served_open(struct served *s, int *ret_hanging)
{
	static const enum habit habits[] = {KEEP, CHURN, LEAK, HANG};

	for (int port = PORT_FIRST; port <= PORT_LAST; port += 2) {
		int fds[4], n = 0;

		while (n < 4 && (fds[n] = listen_at(habits[n], port)) >= 0)
			n++;
		if (n == 4) {
			for (int i = 0; i < 3; i++)
				served_add(s, fds[i], habits[i]);
			s->listeners = s->count;
			*ret_hanging = fds[3];
			return port;
		}
		while (n > 0)
			close(fds[--n]);
	}
	return 0;
}

/* ---- client ---- */

/* -1: it did not connect. */
static int connect_to(enum habit habit, int port, int type)
{
	struct sockaddr_in a = address_of(habit, port);
	struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static bool ask(int fd)
{
	char answer;

	return fd >= 0 && send(fd, "?", 1, 0) == 1 && recv(fd, &answer, 1, 0) == 1;
}

static void forget(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct pools {
	int port;
	int kept[KEPT], leaked[LEAKED], waiting[WAITING];
};

static void kept_use(struct pools *p, long tick)
{
	int *fd = &p->kept[tick % KEPT];

	if (tick % 41 == 0)
		forget(fd);
	if (*fd < 0)
		*fd = connect_to(KEEP, p->port, 0);
	if (!ask(*fd))
		forget(fd);
}

static void churn(const struct pools *p)
{
	int fd = connect_to(CHURN, p->port, 0);

	ask(fd);
	forget(&fd);
}

static void leak(struct pools *p, long turn)
{
	int *fd = &p->leaked[turn % LEAKED];

	if (turn % LEAKED == 0)
		for (int i = 0; i < LEAKED; i++)
			forget(&p->leaked[i]);
	*fd = connect_to(LEAK, p->port, 0);
	ask(*fd);
}

static void hang(struct pools *p, long turn)
{
	int *fd = &p->waiting[turn % WAITING];

	forget(fd);
	*fd = connect_to(HANG, p->port, SOCK_NONBLOCK);
}

static _Noreturn void use_pools(int port)
{
	struct pools p = {.port = port};

	memset(p.kept, -1, sizeof(p.kept));
	memset(p.leaked, -1, sizeof(p.leaked));
	memset(p.waiting, -1, sizeof(p.waiting));
	for (long tick = 0;; tick++) {
		kept_use(&p, tick);
		churn(&p);
		if (tick % 20 == 0)
			leak(&p, tick / 20);
		if (tick % 20 == 10)
			hang(&p, tick / 20);
		if (tick % 10 == 5) {
			int fd = connect_to(REFUSED, port, 0);

			forget(&fd);
		}
		poll(NULL, 0, TICK_MS);
	}
}

/* Until a signal, or until one of the two has ended, which neither does by itself. */
static void wait_for_end(const sigset_t *ends, pid_t server, pid_t client)
{
	int signo;

	sigwait(ends, &signo);
	kill(server, SIGTERM);
	kill(client, SIGTERM);
	while (wait(NULL) > 0)
		;
}

static pid_t fork_with(pid_t self, const sigset_t *ends)
{
	pid_t child = fork();

	if (child == 0) {
		sigprocmask(SIG_UNBLOCK, ends, NULL);
		die_with(self);
	}
	return child;
}

int main(void)
{
	struct served served = {.count = 0};
	pid_t self = getpid(), server, client;
	int hanging, port;
	sigset_t ends;

	die_with(getppid());
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	port = served_open(&served, &hanging);
	if (!port) {
		fprintf(stderr, "demo: no free port from %d to %d\n", PORT_FIRST, PORT_LAST);
		return 1;
	}
	server = fork_with(self, &ends);
	if (server == 0)
		serve(&served);
	for (int i = 0; i < served.count; i++)
		close(served.polled[i].fd);
	close(hanging);
	client = fork_with(self, &ends);
	if (client == 0)
		use_pools(port);
	printf("%d %d\n", (int)server, (int)client);
	fflush(stdout);
	wait_for_end(&ends, server, client);
	return 0;
}
