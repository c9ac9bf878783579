/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Workloads. An actor is a forked process that does one step at a time, on command, and answers with a number: so a test
 * knows what its target has done so far, and that it does nothing else. Sockets are named by their descriptor in the actor.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define TRAFFIC_HELD_MAX 15000

/* NONBLOCK: return while the connect goes on. RESET: SO_LINGER 0, so that the close sends a RST. DEFER: TCP_DEFER_ACCEPT.
 * REUSE_PORT: SO_REUSEPORT. IMPATIENT: give a connect up after one retransmission (TCP_SYNCNT). CLOEXEC: SOCK_CLOEXEC.
 * THREAD: the step runs in a thread of its own, any step. */
enum step_flag {
	STEP_NONBLOCK = 1 << 0,
	STEP_RESET = 1 << 1,
	STEP_DEFER = 1 << 2,
	STEP_REUSE_PORT = 1 << 3,
	STEP_IMPATIENT = 1 << 4,
	STEP_CLOEXEC = 1 << 5,
	STEP_THREAD = 1 << 6,
};

/* Between the actors of a storm; traffic_shared() makes it before they are forked. */
struct traffic_shared {
	atomic_long connected; /* connects that succeeded, over all clients */
	atomic_long accepted;
	atomic_int clients; /* still running; set by the test */
	atomic_bool stop;
};

struct step {
	const char *host; /* "127.0.0.1", "::1": connect to or listen at */
	const char *from; /* connect: bind to this address first */
	int port, from_port;
	int fd, to_fd;
	int backlog;
	int count;
	pid_t pid;
	int spread; /* connect to this many addresses from `host` upwards, in turn (IPv4) */
	int from_spread; /* ... and from this many source ports from `from_port` upwards */
	int from_hosts; /* ... and from this many addresses from `from` upwards */
	int level, name, value; /* of setsockopt() */
	int protocol; /* 0: TCP */
	unsigned int flags; /* enum step_flag */
	struct traffic_shared *shared;
};

/* Runs in the actor: 0 or a positive number, or -errno. */
typedef long step_fn(const struct step *s);

struct actor {
	pid_t pid; /* in the test's PID namespace; 0: none */
	int control;
	bool ours; /* our child, to be reaped by us */
	const char *name;
};

/* `namespaces`: CLONE_NEWNET and the like, or 0. */
void actor_start(struct actor *a, unsigned int namespaces);
/* Like actor_start(), with that PID, free now. -EPERM, -EEXIST … */
int actor_start_as(struct actor *a, pid_t pid);
/* The actor forks: the child has its descriptors and is driven like any actor. */
void actor_fork(struct actor *parent, struct actor *ret);
/*
 * The actor becomes a new program by exec(), or starts one by vfork() and exec(): this test again, whose main() hands over to
 * actor_resume() if it got an argument. It is driven as before; what is open and not close-on-exec stays open.
 */
void actor_exec(struct actor *a);
/* The same with a copy of the program of this test, in a path of at most 47 bytes. */
void actor_exec_file(struct actor *a, const char *path);
void actor_spawn(struct actor *parent, struct actor *ret);
_Noreturn void actor_resume(const char *argument);
/* The main thread exits; another goes on taking steps. */
void actor_leave_main_thread(struct actor *a);
/* Signal 0: asks it to leave by _exit(), without closing anything. Returns once it is dead (and reaped, if ours). */
void actor_end(struct actor *a, int signal);

/* The next step; -errno if it failed. actor_begin() and actor_finish() are its halves, for steps that must overlap. */
long actor_try(struct actor *a, step_fn *fn, const struct step *s);
/* The same, and a failure fails the test. */
long actor_do(struct actor *a, step_fn *fn, const struct step *s);
void actor_begin(struct actor *a, step_fn *fn, const struct step *s);
long actor_finish(struct actor *a);

#define act(actor, fn, ...) actor_do(actor, fn, &(struct step){__VA_ARGS__})
#define act_try(actor, fn, ...) actor_try(actor, fn, &(struct step){__VA_ARGS__})
#define act_begin(actor, fn, ...) actor_begin(actor, fn, &(struct step){__VA_ARGS__})

struct traffic_shared *traffic_shared(void);

/* So many, or on a slow machine fewer: divided by $VOLUME_DIVISOR. */
int traffic_volume(int count);

/* One socket. */
step_fn step_listen; /* host, port, backlog, flags, protocol → fd */
step_fn step_connect; /* host, port, from, from_port, flags, protocol → fd */
step_fn step_connect_again; /* connects, undoes that by AF_UNSPEC, connects the same socket again → fd */
step_fn step_finish; /* fd: a connect begun with STEP_NONBLOCK → 0 or its error */
step_fn step_wait; /* fd: until it can be read, or accepted from */
step_fn step_accept; /* fd of the listener → fd */
step_fn step_write; /* fd, count bytes */
step_fn step_read_end; /* fd: reads until the peer has closed → bytes; -ECONNRESET */
step_fn step_shutdown; /* fd: no more writing */
step_fn step_close; /* fd, flags */
step_fn step_close_all; /* close_range(fd …) */
step_fn step_dup; /* fd → fd */
step_fn step_dup2; /* fd, to_fd */
step_fn step_take; /* pid, fd: a copy of that process' descriptor → fd */
step_fn step_rtt_us; /* fd → tcpi_rtt */
step_fn step_abort; /* abort(): no answer; use actor_begin() */

/* Many sockets, held by the actor in order. */
step_fn step_hold; /* connect `count` times as step_connect, or until shared->stop → how many */
step_fn step_hold_accepted; /* fd: accept `count` times → count */
step_fn step_hold_waiting; /* fd: accept until nothing comes for 200 ms → how many */
step_fn step_release; /* closes the `count` oldest held (0: all) → how many */

/* Storms: as fast as it goes. */
step_fn step_storm_connect; /* connect and close until `count` (0: until shared->stop) → connects that succeeded */
step_fn step_storm_serve; /* fd: accept, read to the end, close, until all clients are done → accepts */
step_fn step_storm_alone; /* count: connect, accept, close both, in one process; fd of its listener → count */

/* What is not TCP: UDP, UNIX stream and raw sockets, each with traffic. */
step_fn step_other_protocols;

/* For steps of other files: the actor holds this one, too. A negative number is handed back. */
long traffic_hold(long fd);

/* "127.0.0.1", 5 → "127.0.0.6"; text[16] */
void traffic_address(const char *base, unsigned int offset, char text[16]);

#endif
