// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The kernel half alone: a child makes real traffic, the test reads the ring and asserts the exact records. Whatever the
 * accept mechanism of this kernel, the test says which one it met.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "probes.h"
#include "support.h"
#include "util.h"

#define OWNER 7
#define MESSAGES_MAX 65536

struct fixture {
	struct probes *probes;
	bool fexit;
	struct ps_record *records; /* in ring order */
	size_t record_count;
	struct ps_message_accept accepts[64];
	size_t accept_count;
	size_t shown[4]; /* by generation */
};

/* $ACCEPT_PROBE: "fexit" or "syscall"; else what the kernel has. */
static bool wants_fexit(const struct support *support)
{
	const char *accept_probe = getenv("ACCEPT_PROBE");

	if (!accept_probe)
		return support->of[FEATURE_FEXIT].present;
	return strcmp(accept_probe, "fexit") == 0;
}

static int open_fixture(struct fixture *f, uint32_t ring_bytes)
{
	struct support support;
	char why[256] = "";

	support_probe(&support);
	f->fexit = wants_fexit(&support);
	f->records = calloc(MESSAGES_MAX, sizeof(*f->records));
	struct probes_config config = {
		.ring_bytes = ring_bytes,
		.optmem_max = support.optmem_max,
		.since_7 = support.since_7,
		.cgroups = support.of[FEATURE_CGROUPS].present,
		.fexit_args = f->fexit ? support.accept_args : 0,
		.accept_syscall = !f->fexit && support.of[FEATURE_TRACEFS].present,
	};
	int err = probes_open(&f->probes, &config, why, sizeof(why));

	if (err)
		print_error("%s\n", why);
	return err;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return open_fixture(f, 4 * 1024 * 1024);
}

static int setup_small_ring(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return open_fixture(f, 64 * 1024);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	probes_close(f->probes);
	free(f->records);
	free(f);
	return 0;
}

static pid_t last_child;

static void on_message(void *arg, const void *data, size_t size)
{
	const struct ps_message_record *m = data;
	struct fixture *f = arg;

	if (m->kind == PS_MESSAGE_ACCEPT) {
		const struct ps_message_accept *accept = data;

		assert_int_equal(size, sizeof(*accept));
		if (accept->tgid != (uint32_t)last_child)
			return; /* of another process whose socket has a cookie */
		assert_true(f->accept_count < ARRAY_SIZE(f->accepts));
		memcpy(&f->accepts[f->accept_count++], data, size);
		return;
	}
	if (m->kind == PS_MESSAGE_SHOWN) {
		const struct ps_message_shown *shown = data;

		assert_int_equal(size, sizeof(*shown));
		assert_true(shown->id && shown->generation < ARRAY_SIZE(f->shown));
		f->shown[shown->generation]++;
		return;
	}
	assert_int_equal(m->kind, PS_MESSAGE_RECORD);
	assert_int_equal(size, sizeof(*m));
	assert_true(f->record_count < MESSAGES_MAX);
	f->records[f->record_count++] = m->record;
}

static void drain(struct fixture *f)
{
	struct probes_ring ring;

	assert_int_equal(probes_drain(f->probes, on_message, f, &ring), 0);
	assert_int_equal(ring.consumed, ring.produced);
}

/* A child that waits to be let go, runs `body`, reports through a pipe and waits to be let go again before it exits. */
struct child {
	pid_t pid;
	int go, said;
};

static struct child child_start(void (*body)(int said))
{
	int go[2], said[2];
	struct child c;
	char byte;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(said), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(said[0]);
		if (read(go[0], &byte, 1) == 1)
			body(said[1]);
		if (write(said[1], "", 1) == 1)
			_exit(read(go[0], &byte, 1) == 1 ? 0 : 1);
		_exit(2);
	}
	last_child = c.pid;
	close(go[0]);
	close(said[1]);
	c.go = go[1];
	c.said = said[0];
	return c;
}

static void child_step(struct child *c)
{
	char byte;

	assert_int_equal(write(c->go, "", 1), 1);
	assert_int_equal(read(c->said, &byte, 1), 1);
}

static void child_end(struct child *c)
{
	int status;

	assert_int_equal(write(c->go, "", 1), 1);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(c->go);
	close(c->said);
}

static void attach(struct fixture *f, pid_t pid, bool follow)
{
	struct ps_process process = {.owner = OWNER, .follow = follow};

	assert_int_equal(probes_process_add(f->probes, (uint32_t)pid, &process), 0);
}

/* Attaches a child, lets it run `body` and end, and reads all that it caused. */
static void run(struct fixture *f, void (*body)(int said))
{
	struct child c = child_start(body);

	attach(f, c.pid, true);
	child_step(&c);
	child_end(&c);
	drain(f);
}

static struct sockaddr_in loopback(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0x7f000000 | host)};
}

/* In children: a failed step ends the child, so the parent's step fails. */
static void must(bool ok)
{
	if (!ok)
		_exit(3);
}

static int do_listen(int backlog, struct sockaddr_in *ret)
{
	struct sockaddr_in address = loopback(1, 0);
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(fd, backlog) == 0);
	must(getsockname(fd, (struct sockaddr *)ret, &len) == 0);
	return fd;
}

static int do_connect(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0);
	return fd;
}

/* The records of one direction, in order. */
static size_t records_of(const struct fixture *f, uint8_t direction, const struct ps_record *ret[],
			 size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < f->record_count; i++)
		if (f->records[i].direction == direction && count < max)
			ret[count++] = &f->records[i];
	return count;
}

static void body_refused(int said)
{
	struct sockaddr_in to = loopback(2, 9); /* nobody listens on discard */
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)said;
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno == ECONNREFUSED);
	close(fd);
}

static void refused_connect_is_two_records(void **state)
{
	static const uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 2};
	struct fixture *f = *state;

	run(f, body_refused);
	assert_int_equal(f->record_count, 2);
	assert_int_equal(f->records[0].phase, PS_PHASE_PENDING);
	assert_int_equal(f->records[0].version, 1);
	assert_int_equal(f->records[0].flags, PS_ATTEMPTED);
	assert_int_equal(f->records[1].phase, PS_PHASE_ENDED);
	assert_int_equal(f->records[1].version, 2);
	assert_int_equal(f->records[1].flags, PS_ATTEMPTED);
	assert_int_equal(f->records[1].reason, PS_FAIL_REFUSED);
	assert_int_equal(f->records[1].established_ns, 0);
	assert_true(f->records[1].closed_ns >= f->records[1].attempt_ns);
	assert_int_equal(f->records[1].id, f->records[0].id);
	assert_int_equal(f->records[1].owner, OWNER);
	assert_int_equal(f->records[1].peer_port, 9);
	assert_memory_equal(f->records[1].peer, peer, 16);
}

static void body_pair(int said)
{
	struct sockaddr_in address;
	int listener = do_listen(8, &address), client, server;
	char byte;

	(void)said;
	client = do_connect(&address);
	server = accept(listener, NULL, NULL);
	must(write(client, "x", 1) == 1 && read(server, &byte, 1) == 1);
	close(client);
	must(read(server, &byte, 1) == 0);
	close(server);
	close(listener);
}

static void client_side_is_three_records(void **state)
{
	const struct ps_record *r[8];
	struct fixture *f = *state;

	run(f, body_pair);
	assert_int_equal(records_of(f, PS_OUTBOUND, r, 8), 3);
	assert_int_equal(r[0]->phase, PS_PHASE_PENDING);
	assert_int_equal(r[1]->phase, PS_PHASE_ESTABLISHED);
	assert_int_equal(r[2]->phase, PS_PHASE_ENDED);
	assert_int_equal(r[2]->version, 3);
	assert_int_equal(r[2]->flags, PS_ATTEMPTED | PS_OPENED);
	assert_int_equal(r[2]->reason, PS_CLOSE_LOCAL);
	assert_true(r[2]->established_ns > r[2]->attempt_ns);
	assert_true(r[2]->closed_ns > r[2]->established_ns);
	assert_int_equal(r[2]->local_port, r[1]->local_port);
	assert_true(r[2]->local_port != 0);
}

static void server_side_is_counted_from_established(void **state)
{
	const struct ps_record *out[8], *in[8];
	struct fixture *f = *state;
	size_t n;

	run(f, body_pair);
	assert_int_equal(records_of(f, PS_OUTBOUND, out, 8), 3);
	n = records_of(f, PS_INBOUND, in, 8);
	/* fexit: the accept is a version of the record; fallback: a message of its own */
	assert_int_equal(n, f->fexit ? 4 : 3);
	assert_int_equal(f->accept_count, f->fexit ? 0 : 1);
	assert_int_equal(in[0]->phase, PS_PHASE_ESTABLISHED);
	assert_int_equal(in[n - 2]->phase, PS_PHASE_STALE);
	assert_int_equal(in[n - 1]->phase, PS_PHASE_ENDED);
	assert_int_equal(in[n - 1]->version, n);
	assert_int_equal(in[n - 1]->flags, PS_OPENED);
	assert_int_equal(in[n - 1]->reason, PS_CLOSE_PEER);
	assert_int_equal(in[n - 1]->local_port, out[0]->peer_port);
	assert_int_equal(in[n - 1]->peer_port, out[2]->local_port);
	assert_true(in[0]->handshake_us > 0 && in[0]->handshake_us < 1000000);
	assert_int_equal(in[n - 1]->owner, OWNER);
	assert_int_equal(in[n - 1]->birth_owner, OWNER);
	if (!f->fexit) {
		assert_int_equal(f->accepts[0].cookie, in[0]->id);
		assert_int_equal(f->accepts[0].owner, OWNER);
		assert_true(f->accepts[0].accepted_ns > in[0]->established_ns);
	}
}

static void body_reconnect(int said)
{
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	struct sockaddr_in address;
	int listener = do_listen(8, &address), client;

	(void)said;
	client = do_connect(&address);
	must(connect(client, &unspec, sizeof(unspec)) == 0);
	must(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(client);
	close(listener);
}

static void reconnect_is_a_new_incarnation(void **state)
{
	const struct ps_record *r[8];
	struct fixture *f = *state;

	run(f, body_reconnect);
	assert_int_equal(records_of(f, PS_OUTBOUND, r, 8), 6);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r[i]->id, r[0]->id);
		assert_int_equal(r[3 + i]->id, r[0]->id + (1ULL << PS_COOKIE_BITS));
		assert_int_equal(r[3 + i]->version, i + 1);
	}
	assert_int_equal(r[2]->reason, PS_CLOSE_RESET_BY_LOCAL);
	assert_int_equal(r[5]->phase, PS_PHASE_ENDED);
	assert_int_equal(r[5]->flags, PS_ATTEMPTED | PS_OPENED);
}

static void body_linger(int said)
{
	struct linger reset = {.l_onoff = 1};
	struct sockaddr_in address;
	int listener = do_listen(8, &address), client, server;

	(void)said;
	client = do_connect(&address);
	server = accept(listener, NULL, NULL);
	must(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
	close(client);
	close(server);
	close(listener);
}

static void reset_says_which_side(void **state)
{
	const struct ps_record *out[8], *in[8];
	struct fixture *f = *state;
	size_t n;

	run(f, body_linger);
	assert_int_equal(records_of(f, PS_OUTBOUND, out, 8), 3);
	n = records_of(f, PS_INBOUND, in, 8);
	assert_int_equal(out[2]->reason, PS_CLOSE_RESET_BY_LOCAL);
	assert_int_equal(in[n - 1]->phase, PS_PHASE_ENDED);
	assert_int_equal(in[n - 1]->reason, PS_CLOSE_RESET_BY_PEER);
}

/* ss(8) asks for the cookie of every socket, so the one in the accept queue has one, as our own do. */
static void body_pair_with_cookie(int said)
{
	struct sockaddr_in address;
	int listener = do_listen(8, &address), client = do_connect(&address), server;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	(void)said;
	must(system("ss -tn >/dev/null") == 0);
	server = accept(listener, NULL, NULL);
	must(server >= 0 && !getsockopt(server, SOL_SOCKET, SO_COOKIE, &cookie, &len) && cookie);
	close(client);
	close(server);
	close(listener);
}

static void expect_nothing_of(struct fixture *f, void (*stranger)(int said))
{
	struct child c = child_start(stranger);

	child_step(&c);
	child_end(&c);
	drain(f);
	assert_int_equal(f->record_count, 0);
	assert_int_equal(f->accept_count, 0);
}

static void stranger_causes_nothing(void **state)
{
	struct fixture *f = *state;

	expect_nothing_of(f, body_pair);
	expect_nothing_of(f, body_pair_with_cookie);
}

static void body_fork(int said)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		body_refused(said);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forked_child_belongs_to_the_target(void **state)
{
	struct fixture *f = *state;

	run(f, body_fork);
	assert_int_equal(f->record_count, 2);
	assert_int_equal(f->records[1].owner, OWNER);
}

static void forked_child_is_left_out_without_follow(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_fork);

	attach(f, c.pid, false);
	child_step(&c);
	child_end(&c);
	drain(f);
	assert_int_equal(f->record_count, 0);
}

static void count_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	(void)tgid;
	assert_int_equal(process->owner, OWNER);
	(*(size_t *)arg)++;
}

static size_t process_count(struct fixture *f)
{
	size_t count = 0;

	assert_int_equal(probes_processes(f->probes, count_process, &count), 0);
	return count;
}

static void *thread_waits(void *said)
{
	char byte = 0;

	/* the main thread has exited: tell so, and live on until the test is done with it */
	must(write((int)(intptr_t)said, &byte, 1) == 1);
	pause();
	return NULL;
}

static void body_leave_main_thread(int said)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, thread_waits, (void *)(intptr_t)said) == 0);
	pthread_exit(NULL);
}

static void process_lives_on_without_its_main_thread(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_leave_main_thread);

	attach(f, c.pid, true);
	child_step(&c);
	assert_int_equal(process_count(f), 1);
	kill(c.pid, SIGKILL);
	assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
	assert_int_equal(process_count(f), 0);
	close(c.go);
	close(c.said);
}

static void body_hold_everything(int said)
{
	static int fds[16];
	struct sockaddr_in address;
	int listener = do_listen(0, &address), n = 0;

	(void)said;
	fds[n++] = do_connect(&address); /* accepted: both ends established */
	fds[n++] = accept(listener, NULL, NULL);
	fds[n++] = do_connect(&address); /* stale at the server */
	fds[n] = accept(listener, NULL, NULL);
	shutdown(fds[n - 1], SHUT_WR);
	must(read(fds[n++], &address, 1) == 0);
	fds[n++] = do_connect(&address); /* stays in the queue */
	must(listen(listener, 5) == 0);
}

static size_t count_adopted(const struct fixture *f, uint8_t direction, uint8_t phase,
			    uint8_t flags)
{
	size_t count = 0;

	for (size_t i = 0; i < f->record_count; i++) {
		const struct ps_record *r = &f->records[i];

		if (r->direction == direction && r->phase == phase && r->flags == flags &&
		    r->version == 1)
			count++;
	}
	return count;
}

static void adopt(struct fixture *f, pid_t pid)
{
	assert_int_equal(probes_adopt(f->probes, (uint32_t)pid, 1), 0);
	probes_grace_period();
	assert_int_equal(probes_adopt(f->probes, (uint32_t)pid, 2), 0);
}

static void adoption_takes_what_is_held_once(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_hold_everything);

	child_step(&c);
	attach(f, c.pid, true);
	adopt(f, c.pid);
	drain(f);
	/* clients: one half-closed by itself is FIN_WAIT2, so gone; servers: accepted, queued; one stale */
	assert_int_equal(count_adopted(f, PS_OUTBOUND, PS_PHASE_ESTABLISHED, PS_ADOPTED), 2);
	assert_int_equal(count_adopted(f, PS_INBOUND, PS_PHASE_ESTABLISHED, PS_ADOPTED), 2);
	assert_int_equal(count_adopted(f, PS_INBOUND, PS_PHASE_STALE, 0), 1);
	assert_int_equal(f->record_count, 5);
	for (size_t i = 0; i < f->record_count; i++) {
		assert_int_equal(f->records[i].attempt_ns, 0);
		assert_int_equal(f->records[i].established_ns, 0);
	}
	adopt(f, c.pid);
	drain(f);
	assert_int_equal(f->record_count, 5);
	child_end(&c);
	drain(f);
	/* each of the five ends once: four as closed, the stale one as no more stale */
	assert_int_equal(f->record_count >= 10, true);
	size_t ended = 0;
	for (size_t i = 5; i < f->record_count; i++)
		ended += f->records[i].phase == PS_PHASE_ENDED;
	assert_int_equal(ended, 5);
}

struct listing {
	size_t rows, queued;
	struct ps_listener_row last;
};

static void on_listener(void *arg, const struct ps_listener_row *row, const uint64_t *cookies,
			size_t count)
{
	struct listing *l = arg;

	(void)cookies;
	l->rows++;
	l->queued += count;
	l->last = *row;
}

static void body_queue_three(int said)
{
	struct sockaddr_in address;

	(void)said;
	do_listen(5, &address);
	for (int i = 0; i < 3; i++)
		do_connect(&address);
}

static void listeners_show_backlog_and_queue(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_queue_three);
	struct listing l = {};

	attach(f, c.pid, true);
	child_step(&c);
	assert_int_equal(probes_listeners(f->probes, on_listener, &l), 0);
	assert_int_equal(l.rows, 1);
	assert_int_equal(l.queued, 3);
	assert_int_equal(l.last.queued, 3);
	assert_int_equal(l.last.queue_limit, 5);
	assert_int_equal(l.last.owner, OWNER);
	assert_int_equal(l.last.half_open, 0);
	child_end(&c);
	memset(&l, 0, sizeof(l));
	assert_int_equal(probes_listeners(f->probes, on_listener, &l), 0);
	assert_int_equal(l.rows, 0);
}

#define STORM 2000

static void body_storm(int said)
{
	for (int i = 0; i < STORM; i++)
		body_refused(said);
}

static void count_parked(void *arg, const void *data, size_t size)
{
	const struct ps_record *r = data;

	assert_int_equal(size, sizeof(*r));
	assert_int_equal(r->phase, PS_PHASE_ENDED);
	assert_int_equal(r->flags, PS_ATTEMPTED | PS_REFUSED);
	(*(uint64_t *)arg)++;
}

static uint64_t missed_runs(const struct fixture *f)
{
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	uint64_t missed = 0;

	for (size_t i = 0, n = probes_programs(f->probes, programs); i < n; i++)
		missed += programs[i].missed;
	return missed;
}

static uint64_t records_in(const struct fixture *f, uint8_t phase)
{
	uint64_t count = 0;

	for (size_t i = 0; i < f->record_count; i++)
		count += f->records[i].phase == phase;
	return count;
}

static void every_refused_record_is_counted_and_every_final_parked(void **state)
{
	struct fixture *f = *state;
	struct probes_counters counters;
	uint64_t parked = 0;

	run(f, body_storm);
	probes_counters(f->probes, &counters);
	assert_int_equal(probes_parked(f->probes, NULL, count_parked, &parked), 0);
	assert_int_equal(missed_runs(f), 0);
	assert_int_equal(records_in(f, PS_PHASE_PENDING) + counters.refused[PS_EVENT_PENDING],
			 STORM);
	assert_int_equal(records_in(f, PS_PHASE_ENDED) + parked, STORM);
	assert_int_equal(counters.refused[PS_EVENT_ENDED], parked);
	assert_int_equal(counters.lost[PS_EVENT_ENDED], 0);
	assert_true(parked > 0);
	parked = 0;
	assert_int_equal(probes_parked(f->probes, NULL, count_parked, &parked), 0);
	assert_int_equal(parked, 0);
}

#define FLOOD (PS_PARKED_MAX + 5000)

static void body_flood(int said)
{
	for (int i = 0; i < FLOOD; i++)
		body_refused(said);
}

/* Each of these many attempts must be somewhere; only what the kernel skipped (a whole life, at its begin) may be missing. */
static void what_neither_ring_nor_parking_holds_is_lost_and_counted(void **state)
{
	struct fixture *f = *state;
	struct probes_counters counters;
	uint64_t parked = 0, found;

	run(f, body_flood);
	probes_counters(f->probes, &counters);
	assert_int_equal(probes_parked(f->probes, NULL, count_parked, &parked), 0);
	assert_int_equal(parked, PS_PARKED_MAX);
	found = records_in(f, PS_PHASE_ENDED) + parked + counters.lost[PS_EVENT_ENDED];
	assert_in_range(found, FLOOD - missed_runs(f), FLOOD);
	assert_true(counters.lost[PS_EVENT_ENDED] > 0);
}

#define HELD 900 /* more than a ring of 64 KiB holds records */

static void body_hold_many(int said)
{
	struct sockaddr_in address;
	int listener = do_listen(HELD, &address);

	(void)said;
	for (int i = 0; i < HELD; i++)
		do_connect(&address);
	(void)listener;
}

/* Passes and drains until nothing is refused; how many passes it took. */
static int inventory(struct fixture *f, uint32_t generation)
{
	bool full;
	int passes = 0;

	do {
		assert_int_equal(probes_inventory(f->probes, generation, &full), 0);
		drain(f);
		passes++;
	} while (full && passes < 100);
	assert_false(full);
	return passes;
}

static void an_inventory_tells_what_was_refused_once(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_hold_many);
	size_t before, established = 0;

	attach(f, c.pid, true);
	child_step(&c);
	drain(f);
	before = f->record_count;
	assert_true(before < 2 * HELD);
	assert_true(inventory(f, 0) > 1);
	/* the latest version of each: what was told before is not told again */
	for (size_t i = 0; i < f->record_count; i++)
		established += f->records[i].phase == PS_PHASE_ESTABLISHED;
	assert_int_equal(established, 2 * HELD);
	before = f->record_count;
	assert_int_equal(inventory(f, 0), 1);
	assert_int_equal(f->record_count, before);
	child_end(&c);
}

static void an_inventory_with_a_generation_shows_all_that_lives_once(void **state)
{
	struct fixture *f = *state;
	struct child c = child_start(body_hold_many);

	attach(f, c.pid, true);
	child_step(&c);
	drain(f);
	inventory(f, 0);
	f->record_count = 0;
	for (uint32_t generation = 1; generation <= 2; generation++) {
		inventory(f, generation);
		assert_int_equal(f->shown[generation], 2 * HELD);
	}
	assert_int_equal(f->record_count, 0); /* named only: they were told before */
	child_end(&c);
	drain(f);
	inventory(f, 3);
	assert_int_equal(f->shown[3], 0);
}

struct task_search {
	uint32_t tgid;
	size_t found;
	struct ps_task_row row;
};

static void on_task(void *arg, const struct ps_task_row *row)
{
	struct task_search *s = arg;

	if (row->tgid != s->tgid)
		return;
	s->found++;
	s->row = *row;
}

static struct ps_task_row task_of(struct fixture *f, pid_t pid)
{
	struct task_search s = {.tgid = (uint32_t)pid};

	assert_int_equal(probes_tasks(f->probes, on_task, &s), 0);
	assert_int_equal(s.found, 1);
	return s.row;
}

static void tasks_tell_parent_kernel_threads_and_zombies(void **state)
{
	struct fixture *f = *state;
	struct ps_task_row row = task_of(f, getpid());
	siginfo_t info;
	pid_t pid;

	assert_int_equal(row.parent_tgid, getppid());
	assert_int_equal(row.flags, 0);
	assert_string_equal(row.comm, "test_records");
	assert_int_equal(task_of(f, 2).flags, PS_TASK_KERNEL);
	pid = fork();
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(task_of(f, pid).flags, PS_TASK_DEAD);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused_connect_is_two_records, setup, teardown),
		cmocka_unit_test_setup_teardown(client_side_is_three_records, setup, teardown),
		cmocka_unit_test_setup_teardown(server_side_is_counted_from_established, setup,
						teardown),
		cmocka_unit_test_setup_teardown(reconnect_is_a_new_incarnation, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_says_which_side, setup, teardown),
		cmocka_unit_test_setup_teardown(stranger_causes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(forked_child_belongs_to_the_target, setup,
						teardown),
		cmocka_unit_test_setup_teardown(forked_child_is_left_out_without_follow, setup,
						teardown),
		cmocka_unit_test_setup_teardown(process_lives_on_without_its_main_thread, setup,
						teardown),
		cmocka_unit_test_setup_teardown(adoption_takes_what_is_held_once, setup, teardown),
		cmocka_unit_test_setup_teardown(listeners_show_backlog_and_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(
			every_refused_record_is_counted_and_every_final_parked, setup_small_ring,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_neither_ring_nor_parking_holds_is_lost_and_counted, setup_small_ring,
			teardown),
		cmocka_unit_test_setup_teardown(an_inventory_tells_what_was_refused_once,
						setup_small_ring, teardown),
		cmocka_unit_test_setup_teardown(
			an_inventory_with_a_generation_shows_all_that_lives_once, setup_small_ring,
			teardown),
		cmocka_unit_test_setup_teardown(tasks_tell_parent_kernel_threads_and_zombies, setup,
						teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
