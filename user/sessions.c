/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * libmicrohttpd (MHD) parses requests, frames answers and speaks TLS; the table of connections and their deadlines are ours. A
 * connection is given to MHD with its first byte, so a silent one costs a slot and a descriptor, and what MHD closes without
 * a complete header was no HTTP.
 *
 * Invariant: a slot of the table is taken until the descriptor is closed. MHD closes it, so what is to end is shut down, and
 * MHD notices when it is run next, in the same turn.
 *
 * What it refuses to know: listeners, what is answered, and to whom.
 */
#include "sessions.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clients.h"
#include "response.h"
#include "listen.h"
#include "tls.h"
#include "util.h"

/* Request line and headers must fit, and what of it they leave is one chunk of the answer at a time. */
#define CONNECTION_MEMORY_BYTES (8 * 1024)
/* A second net below the table's deadlines. */
#define MHD_TIMEOUT_S 90
#define EVENTS_PER_RUN 32
/* After that long without a turn, what has come meanwhile is read before anybody is found late. */
#define AWAY_NS NSEC_PER_SEC

/*
 * MHD 0.9.75 takes a socket whose TLS handshake waits for the client for readable, and asks to be run again at once for as long.
 * So after this many turns without an event or a piece of a body it is run at this interval. Delete both with the last such MHD.
 */
#define TLS_TURNS 2
#define TLS_INTERVAL_MS 10

enum mode { PLAIN, TLS, MODES };

/* In the data of an event: a slot, or one of these. */
#define EVENT_TLS (UINT64_MAX - 1)
#define EVENT_OTHER UINT64_MAX

/* What lies behind a slot of the table. */
struct session {
	int fd; /* MHD's if in_mhd */
	enum mode mode;
	bool in_mhd;
	bool left; /* the client will send no more */
	bool greeted; /* its ClientHello is here */
	struct sessions *all;
	struct tls_greeting greeting;
	struct tls *certificate; /* that it presents; NULL: none */
	struct routes_request request;
};

struct sessions {
	struct routes *routes;
	struct tls *certificate;
	struct MHD_Daemon *mhd[MODES]; /* TLS: NULL without */
	int epoll_fd;
	uint64_t now_ns; /* of this turn */
	unsigned int tls_turns; /* since something happened that TLS may wait for */
	int adding; /* slot that MHD_add_connection() is called for */
	struct clients clients;
	struct session sessions[CLIENTS_MAX];
};

/* ---- what MHD calls ---- */

static struct session *session_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info->socket_context;
}

static int slot_of(const struct sessions *s, const struct session *c)
{
	return (int)(c - s->sessions);
}

static bool is_answered(const struct client_row *c)
{
	return c->phase == CLIENT_ANSWER || c->phase == CLIENT_BODY;
}

/* The request line is read. The target is raw here and nowhere later. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct session *c = session_of(connection);
	struct sessions *s = cls;

	clients_begin(&s->clients, slot_of(s, c), s->now_ns);
	routes_target(s->routes, &c->request, target);
	return c;
}

/*
 * Called with the header, and again when the request is complete. MHD closes the connection after an answer to the first
 * call, which is what a request with a body gets; any other is answered at the second, and kept alive.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct session *c = *context;
	struct sessions *s = cls;
	enum MHD_Result result;
	const char *timeout;

	(void)url;
	(void)upload;
	if (*upload_size)
		return MHD_NO;
	if (c->request.asked_ns) {
		result = routes_answer(s->routes, &c->request, connection, version);
		timeout = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
						      ROUTES_TIMEOUT_HEADER);
		if (c->request.body)
			clients_give(&s->clients, slot_of(s, c), s->now_ns,
				     routes_answer_ns(timeout));
		return result;
	}
	clients_ask(&s->clients, slot_of(s, c), s->now_ns);
	return routes_header(s->routes, &c->request, connection, method, util_now_ns());
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct session *c = *context;
	struct sessions *s = cls;
	int slot = slot_of(s, c);

	(void)connection;
	(void)code;
	routes_end(s->routes, &c->request, util_now_ns());
	if (is_answered(&s->clients.of[slot]))
		clients_answered(&s->clients, slot, s->now_ns);
}

static void on_greeting(void *arg)
{
	struct session *c = arg;

	c->greeted = true;
	clients_greet(&c->all->clients, slot_of(c->all, c), c->all->now_ns);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	struct session *c = *socket_context;
	struct sessions *s = cls;
	const struct client_row *client;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		c = &s->sessions[s->adding];
		*socket_context = c;
		if (c->mode != TLS || !s->certificate)
			return;
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		c->greeting = (struct tls_greeting){on_greeting, c};
		c->certificate = tls_use(s->certificate, info->tls_session, &c->greeting);
		return;
	}
	client = &s->clients.of[slot_of(s, c)];
	if (client->phase == CLIENT_HEADER && !client->ending)
		s->routes->counts.refused[REQUESTS_PROTOCOL]++;
	tls_close(c->certificate);
	clients_remove(&s->clients, slot_of(s, c));
}

static void run_mhd(struct sessions *s)
{
	for (enum mode mode = PLAIN; mode < MODES; mode++) {
		if (s->mhd[mode])
			MHD_run(s->mhd[mode]);
	}
}

/* ---- the end of a connection ---- */

/* One that MHD does not know yet. */
static void drop(struct sessions *s, int slot)
{
	close(s->sessions[slot].fd);
	clients_remove(&s->clients, slot);
}

/* An answer that is cut off must not look complete, so no FIN may come before the reset. */
static void shut(const struct sessions *s, int slot)
{
	const struct session *c = &s->sessions[slot];

	if (is_answered(&s->clients.of[slot]))
		response_reset(c->fd);
	shutdown(c->fd, SHUT_RDWR);
}

/* Ends it for a reason of ours. MHD notices in its next turn. */
static void end(struct sessions *s, int slot, enum requests_cause cause)
{
	s->routes->counts.refused[cause]++;
	if (!s->sessions[slot].in_mhd) {
		drop(s, slot);
		return;
	}
	clients_end(&s->clients, slot);
	shut(s, slot);
}

static void end_overdue(struct sessions *s)
{
	static const enum requests_cause causes[] = {
		[CLIENT_HEADER] = REQUESTS_HEADER_TIMEOUT,
		[CLIENT_ANSWER] = REQUESTS_WRITE_TIMEOUT,
		[CLIENT_BODY] = REQUESTS_WRITE_TIMEOUT,
		[CLIENT_IDLE] = REQUESTS_IDLE_TIMEOUT,
	};
	int slot;

	while ((slot = clients_overdue(&s->clients, s->now_ns)) >= 0)
		end(s, slot, causes[s->clients.of[slot].phase]);
}

/* ---- the begin of a connection ---- */

static void give_to_mhd(struct sessions *s, int slot)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC}; /* MHD does nothing with it */
	struct session *c = &s->sessions[slot];

	c->in_mhd = true;
	s->adding = slot;
	/* Owns the descriptor from here on, also when it fails; it fails before or after it has told on_connection(). */
	if (MHD_add_connection(s->mhd[c->mode], c->fd, &nobody, sizeof(nobody)) == MHD_YES)
		return;
	s->routes->counts.refused[REQUESTS_FULL]++;
	if (s->clients.of[slot].phase != CLIENT_FREE)
		clients_remove(&s->clients, slot);
}

/* Something came on a connection: its first bytes, or those of the next request, or its end. */
static void look_at(struct sessions *s, int slot)
{
	struct session *c = &s->sessions[slot];
	ssize_t n;
	char byte;

	if (c->in_mhd && s->clients.of[slot].phase != CLIENT_IDLE)
		return;
	n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (!c->in_mhd && n > 0)
		give_to_mhd(s, slot);
	else if (!c->in_mhd && (n == 0 || errno != EAGAIN))
		drop(s, slot);
	else if (c->in_mhd && c->mode == PLAIN && n > 0) /* what TLS sends may be its end */
		clients_begin(&s->clients, slot, s->now_ns);
}

/* Whether there is a place for one more, for which one that is in may have to go. */
static bool make_room(struct sessions *s, const uint8_t *address)
{
	int victim, err = clients_admit(&s->clients, address, s->now_ns, &victim);

	if (err == -EAGAIN)
		end(s, victim, REQUESTS_EVICTED);
	/* Once, but GnuTLS reads what is left before it sees the end. */
	for (int runs = 0; err == -EAGAIN && runs < 2; runs++) {
		run_mhd(s);
		err = clients_admit(&s->clients, address, s->now_ns, &victim);
	}
	if (err)
		s->routes->counts.refused[err == -EUSERS ? REQUESTS_ADDRESS : REQUESTS_FULL]++;
	return !err;
}

static int watch(const struct sessions *s, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void sessions_take(struct sessions *s, int fd, const struct sockaddr_storage *from, bool local)
{
	uint8_t bytes[16];
	const uint8_t *address = local ? NULL : listen_limited(from, bytes);
	struct session *c;
	int slot;

	if (!make_room(s, address)) {
		close(fd);
		return;
	}
	slot = clients_add(&s->clients, address, s->now_ns);
	c = &s->sessions[slot];
	c->fd = fd;
	c->mode = s->mhd[TLS] && !local ? TLS : PLAIN;
	c->in_mhd = c->left = c->greeted = false;
	c->all = s;
	c->certificate = NULL;
	c->request.local = local;
	c->request.asked_ns = 0;
	if (watch(s, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, (uint64_t)slot)) {
		s->routes->counts.refused[REQUESTS_FULL]++;
		drop(s, slot);
		return;
	}
	look_at(s, slot);
}

/* ---- a turn ---- */

/* Returns whether TLS has something to do. Those that remain are seen in the next turn: nothing here waits for an event. */
static bool look_at_events(struct sessions *s)
{
	struct epoll_event events[EVENTS_PER_RUN];
	int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_RUN, 0);
	bool tls = false;

	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 < CLIENTS_MAX) {
			s->sessions[events[i].data.u64].left |= (events[i].events & EPOLLRDHUP) !=
								0;
			look_at(s, (int)events[i].data.u64);
		}
		tls |= events[i].data.u64 == EVENT_TLS;
	}
	return tls;
}

/*
 * MHD 0.9.75 waits for an event after each read that did not fill its buffer, and there is none when the end of the connection
 * came together with the bytes before it. Once it has read them there is nothing to wait for. Delete with the last such MHD.
 */
static void end_if_left(struct session *c)
{
	char byte;

	if (!c->left || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
		return;
	c->left = false;
	shutdown(c->fd, SHUT_RDWR);
}

/* MHD has read what there was: of those that wait now, which have a reason to? */
static void look_at_waiting(struct sessions *s)
{
	for (int slot = 0; slot < CLIENTS_MAX; slot++) {
		enum client_phase phase = s->clients.of[slot].phase;
		struct session *c = &s->sessions[slot];

		if ((phase != CLIENT_HEADER && phase != CLIENT_IDLE) || !c->in_mhd)
			continue;
		if (phase == CLIENT_HEADER && !c->greeted)
			clients_dawdle(&s->clients, slot);
		end_if_left(c);
	}
}

void sessions_run(struct sessions *s, uint64_t now_ns)
{
	uint64_t reads = s->routes->load.reads;
	bool was_away = now_ns - s->now_ns >= AWAY_NS, tls;

	s->now_ns = now_ns;
	tls = look_at_events(s);
	if (was_away)
		run_mhd(s);
	end_overdue(s);
	run_mhd(s);
	look_at_waiting(s);
	s->tls_turns = tls || s->routes->load.reads != reads ? 0 : s->tls_turns + 1;
}

static int mhd_timeout_ms(const struct sessions *s, enum mode mode)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!s->mhd[mode] || MHD_get_timeout(s->mhd[mode], &ms) == MHD_NO)
		return INT_MAX;
	if (mode == TLS && ms < TLS_INTERVAL_MS && s->tls_turns >= TLS_TURNS)
		return TLS_INTERVAL_MS;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Rounded up: a time-out that is early by a part of a millisecond would be one for nothing. */
static int deadline_ms(const struct sessions *s)
{
	uint64_t deadline_ns = clients_deadline_ns(&s->clients), now_ns = util_now_ns();

	if (deadline_ns == UINT64_MAX)
		return INT_MAX;
	if (deadline_ns <= now_ns)
		return 0;
	return (int)((deadline_ns - now_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

int sessions_timeout_ms(const struct sessions *s)
{
	int least = deadline_ms(s);

	for (enum mode mode = PLAIN; mode < MODES; mode++) {
		int ms = mhd_timeout_ms(s, mode);

		least = ms < least ? ms : least;
	}
	return least == INT_MAX ? -1 : least;
}

/* ---- what its owner does ---- */

int sessions_fd(const struct sessions *s)
{
	return s->epoll_fd;
}

int sessions_add_listener(struct sessions *s, int fd)
{
	return watch(s, fd, EPOLLIN, EVENT_OTHER);
}

void sessions_hear(struct sessions *s, int listener, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u64 = EVENT_OTHER};

	epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, listener, &event);
}

void sessions_set_tls(struct sessions *s, struct tls *certificate)
{
	tls_close(s->certificate);
	s->certificate = certificate;
}

/*
 * No MHD_USE_ERROR_LOG: MHD would print what clients do wrong to stderr. No MHD_OPTION_CONNECTION_LIMIT: the bound is the
 * table's, and below MHD's own default.
 */
static int start_mhd(struct sessions *s, enum mode mode)
{
	const union MHD_DaemonInfo *info;
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)&tls_no_certificate},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET;

	if (mode == TLS)
		flags |= MHD_USE_TLS;
	errno = 0;
	s->mhd[mode] = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)MHD_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY,
		mode == TLS ? tls : none, MHD_OPTION_END);
	if (!s->mhd[mode])
		return errno ? -errno : -ENOMEM;
	info = MHD_get_daemon_info(s->mhd[mode], MHD_DAEMON_INFO_EPOLL_FD);
	return watch(s, info->epoll_fd, EPOLLIN, mode == TLS ? EVENT_TLS : EVENT_OTHER);
}

int sessions_open(struct sessions **ret, struct routes *routes, bool tls)
{
	struct sessions *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return -ENOMEM;
	s->routes = routes;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		err = -errno;
	if (!err)
		err = start_mhd(s, PLAIN);
	if (!err && tls)
		err = start_mhd(s, TLS);
	if (err) {
		sessions_close(s);
		return err;
	}
	*ret = s;
	return 0;
}

void sessions_close(struct sessions *s)
{
	if (!s)
		return;
	for (int slot = 0; slot < CLIENTS_MAX; slot++) {
		if (is_answered(&s->clients.of[slot]))
			shut(s, slot);
		else if (s->clients.of[slot].phase != CLIENT_FREE && !s->sessions[slot].in_mhd)
			drop(s, slot);
	}
	for (enum mode mode = PLAIN; mode < MODES; mode++) {
		if (s->mhd[mode])
			MHD_stop_daemon(s->mhd[mode]);
	}
	tls_close(s->certificate);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}
