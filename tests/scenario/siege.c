/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One epoll for all attackers; none ever waits. A loris that is closed comes back some seconds later, each after another
 * time: so with the garbage some 1,000 connections a second arrive, without a beat. Attackers stand for other
 * hosts: they give way to the endpoint that they share this one with.
 */
#include "siege.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "tls_client.h"

#define GARBAGE_MAX 1000 /* at a time */
#define ATTACKERS (SIEGE_LORIS + GARBAGE_MAX)
#define TURN_MS 2
#define BYTE_SECONDS 1.0
#define RETURN_SECONDS 1.0 /* to three times that */
#define NICE 10
#define PATIENCE_SECONDS 8 /* of garbage, for the close; a header has 5 */
#define END_SECONDS 10
#define LONG_HEADER 9000

enum state {
	CLOSED, /* until `due` */
	CONNECTING,
	SHAKING_HANDS,
	TRICKLING, /* the next byte at `due` */
	WAITING, /* for the close, until `due` */
};

struct attacker {
	enum state state;
	int fd;
	bool encrypts;
	struct tls_client *tls;
	double due;
	size_t sent;
};

static struct siege *siege;
static struct attacker attackers[ATTACKERS];
static int events;

struct siege *siege_new(int port, bool tls)
{
	siege = mmap(NULL, sizeof(*siege), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(siege != MAP_FAILED);
	siege->port = port;
	siege->tls = tls;
	return siege;
}

static size_t number_of(const struct attacker *a)
{
	return (size_t)(a - attackers);
}

static bool is_loris(const struct attacker *a)
{
	return number_of(a) < SIEGE_LORIS;
}

/* ---- what they send ---- */

/* In a record of TLS that says it has 512 bytes, a ClientHello; in plain text a header that goes on. */
static char loris_byte(const struct attacker *a)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	static const char header[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
	bool half_hello = siege->tls && !a->encrypts;
	const char *text = half_hello ? hello : header;
	size_t size = half_hello ? sizeof(hello) - 1 : sizeof(header) - 1;

	return a->sent < size ? text[a->sent] : 'a';
}

static const struct {
	const char *text;
	size_t size;
} garbage[] = {
#define GARBAGE(text)                  \
	{                              \
		text, sizeof(text) - 1 \
	}
	GARBAGE("\x01\xff\xfe\x80 \x7f\x02\x03 \xf0\xf1\xf2\r\n\r\n"),
	GARBAGE("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
	GARBAGE("GET /metrics HTTP/1.1\r\n\r\n"), /* no Host */
	GARBAGE("GET /metrics FTP/1.1\r\nHost: localhost\r\n\r\n"),
	GARBAGE("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: "), /* and LONG_HEADER more */
#undef GARBAGE
};
#define GARBAGE_KINDS (sizeof(garbage) / sizeof(garbage[0]))

/* 0 or -errno */
static int attacker_send(struct attacker *a, const char *from, size_t size)
{
	ssize_t n = a->tls ? tls_client_write(a->tls, from, size)
			   : send(a->fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return 0;
	return a->tls ? (int)n : -errno;
}

static int attacker_send_garbage(struct attacker *a)
{
	size_t kind = (size_t)atomic_load(&siege->garbage) % GARBAGE_KINDS;
	char text[LONG_HEADER + 128];
	size_t size = garbage[kind].size;

	memcpy(text, garbage[kind].text, size);
	if (kind == GARBAGE_KINDS - 1) {
		memset(text + size, 'a', LONG_HEADER);
		size += LONG_HEADER;
		memcpy(text + size, "\r\n\r\n", 4);
		size += 4;
	}
	return attacker_send(a, text, size);
}

/* ---- one attacker ---- */

static void attacker_close(struct attacker *a, double now)
{
	double spread = (double)((unsigned int)rand() % 1000) / 1000;

	tls_client_close(a->tls);
	close(a->fd);
	a->tls = NULL;
	a->state = CLOSED;
	a->due = is_loris(a) ? now + RETURN_SECONDS * (1 + 2 * spread) : 0;
}

static void attacker_open(struct attacker *a, double now)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)siege->port)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = a};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return;
	a->state = CONNECTING;
	a->sent = 0;
	a->encrypts = siege->tls && number_of(a) % 2;
	if (epoll_ctl(events, EPOLL_CTL_ADD, a->fd, &event) < 0 ||
	    (connect(a->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		attacker_close(a, now);
}

/* It could not send: closed by the other end, unless that did not take what came before. */
static void attacker_fail(struct attacker *a, int error, double now)
{
	if (error == -EAGAIN)
		atomic_fetch_add(&siege->given_up, 1);
	if (error < 0)
		attacker_close(a, now);
}

/* The connection stands, and so does TLS if it wanted that. */
static void attacker_begin(struct attacker *a, double now)
{
	if (is_loris(a)) {
		a->state = TRICKLING;
		a->due = now;
		return;
	}
	a->state = WAITING;
	a->due = now + PATIENCE_SECONDS;
	attacker_fail(a, attacker_send_garbage(a), now);
}

static void attacker_connected(struct attacker *a, double now)
{
	atomic_fetch_add(is_loris(a) ? &siege->loris : &siege->garbage, 1);
	a->state = SHAKING_HANDS;
	if (a->encrypts)
		a->tls = tls_client_open(a->fd, NULL);
	else
		attacker_begin(a, now);
}

static void attacker_shake_hands(struct attacker *a, double now)
{
	int r = tls_client_handshake(a->tls);

	if (r == -EAGAIN)
		return;
	if (r < 0) {
		attacker_close(a, now);
		return;
	}
	atomic_fetch_add(&siege->handshakes, 1);
	attacker_begin(a, now);
}

static bool attacker_is_closed(const struct attacker *a)
{
	char waste[4096];
	ssize_t n;

	do
		n = recv(a->fd, waste, sizeof(waste), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno != EAGAIN;
}

/* One that was accepted and closed again before we looked did come about: what follows finds it closed. */
static bool attacker_came_about(const struct attacker *a)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error != ECONNREFUSED && error != ETIMEDOUT;
}

static void attacker_event(struct attacker *a, double now)
{
	if (a->state == CONNECTING) {
		if (!attacker_came_about(a)) {
			attacker_close(a, now);
			return;
		}
		attacker_connected(a, now);
	}
	if (a->state == SHAKING_HANDS)
		attacker_shake_hands(a, now);
	else if (a->state > SHAKING_HANDS && attacker_is_closed(a))
		attacker_close(a, now);
}

static void attacker_turn(struct attacker *a, double now)
{
	char byte;

	if (a->state == CLOSED) {
		if (is_loris(a) && !atomic_load(&siege->stop))
			attacker_open(a, now);
	} else if (a->state == TRICKLING) {
		byte = loris_byte(a);
		a->sent++;
		a->due = now + BYTE_SECONDS;
		attacker_fail(a, attacker_send(a, &byte, 1), now);
	} else if (a->state == WAITING) {
		atomic_fetch_add(&siege->given_up, 1);
		attacker_close(a, now);
	}
}

/* ---- all of them ---- */

static void send_garbage(double begin, double now)
{
	static long begun;
	long wanted = (long)((now - begin) * SIEGE_GARBAGE_PER_SECOND);

	for (size_t i = SIEGE_LORIS; i < ATTACKERS && begun < wanted; i++) {
		if (attackers[i].state != CLOSED)
			continue;
		attacker_open(&attackers[i], now);
		begun++;
	}
	if (begun < wanted) {
		atomic_fetch_add(&siege->late, wanted - begun);
		begun = wanted;
	}
}

static bool all_closed(void)
{
	for (size_t i = 0; i < ATTACKERS; i++)
		if (attackers[i].state != CLOSED)
			return false;
	return true;
}

static void siege_turn(double begin)
{
	struct epoll_event event[256];
	int n = epoll_wait(events, event, 256, TURN_MS);
	double now = now_seconds();

	for (int i = 0; i < n; i++)
		attacker_event(event[i].data.ptr, now);
	for (size_t i = 0; i < ATTACKERS; i++)
		if (attackers[i].state != CONNECTING && attackers[i].state != SHAKING_HANDS &&
		    now >= attackers[i].due)
			attacker_turn(&attackers[i], now);
	if (!atomic_load(&siege->stop))
		send_garbage(begin, now);
}

static void siege_close(void)
{
	for (size_t i = 0; i < ATTACKERS; i++) {
		if (attackers[i].state == CLOSED)
			continue;
		atomic_fetch_add(&siege->given_up, attackers[i].state > CONNECTING);
		attacker_close(&attackers[i], 0);
	}
	close(events);
}

long step_siege(const struct step *s)
{
	struct rlimit files = {ATTACKERS + 64, ATTACKERS + 64};
	double begin = now_seconds(), end = 0;
	struct timespec cpu;

	(void)s;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setpriority(PRIO_PROCESS, 0, NICE) < 0)
		return -errno;
	events = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < SIEGE_LORIS; i++)
		attackers[i].due = begin + (double)i / SIEGE_LORIS;
	while (!atomic_load(&siege->stop) || !(all_closed() || now_seconds() > end)) {
		if (!atomic_load(&siege->stop))
			end = now_seconds() + END_SECONDS;
		siege_turn(begin);
	}
	siege_close();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	atomic_store(&siege->cpu_ms, cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000);
	return 0;
}
