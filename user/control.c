// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Owns the control socket and its clients. A client sends one line, is answered by one line and perhaps a body in frames, and is closed. Each
 * call does one step for each client that is ready, so a long body lets the loop turn. Invariant: a client holds one buffer, which is
 * its request first and then its answer, and a slot; nothing of a client outlives its slot.
 *
 * Refuses to know what the commands do, and what makes a body.
 */
#include "control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"
#include "log.h"
#include "selector.h"
#include "utf8.h"
#include "util.h"

#define ACCEPTS_MAX 32 /* per call: others want the loop, too */
#define WHY_BYTES 512
#define FRAME_BYTES (32 * 1024)
#define FRAME_HEAD 8 /* digits of FRAME_BYTES and a newline */
#define LISTENER CONTROL_CLIENTS_MAX /* as the number of an event */

_Static_assert(FRAME_HEAD + FRAME_BYTES <= CONTROL_REQUEST_MAX, "an answer fits where requests do");

struct client {
	int fd; /* -1: a free slot */
	struct control_peer peer;
	uint64_t deadline_ns;
	bool answering; /* it is written to */
	const struct body_ops *ops;
	void *body; /* NULL: none, or at its end */
	size_t len,
		at; /* of the request: what has come; of the answer: what there is, what is sent */
	char *buffer; /* CONTROL_REQUEST_MAX bytes */
};

struct control {
	struct control_config config;
	struct listen_socket listener;
	int epoll_fd;
	bool deaf; /* accept() failed: not tried again before the next tick */
	uint64_t logged_ns; /* when a refusal was logged last */
	uint64_t unlogged; /* refusals since */
	struct client clients[CONTROL_CLIENTS_MAX];
};

/* ---- the socket ---- */

/* The directory of the path, if it is missing; not those above it. */
static int make_directory(const char *path, char *why, size_t why_size)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	int err = 0;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash == directory)
		return 0;
	*slash = '\0';
	/* the mode again: the umask has been at it */
	if (mkdir(directory, 0755) == 0)
		err = chmod(directory, 0755) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		err = -errno;
	if (err)
		snprintf(why, why_size, "cannot make the directory %s: %s", directory,
			 strerror(-err));
	return err;
}

/* Who may connect at all: one group, since a file has one. */
static int open_to_group(const struct control_config *config, char *why, size_t why_size)
{
	const struct control_access *a = &config->access;
	gid_t group = a->has_group ? a->group : a->admin_group;
	int err;

	if (!a->has_group && !a->has_admin_group)
		return 0;
	if (lchown(config->path, (uid_t)-1, group) == 0 && chmod(config->path, 0660) == 0)
		return 0;
	err = -errno;
	snprintf(why, why_size, "cannot give %s to group %u: %s", config->path, (unsigned int)group,
		 strerror(-err));
	return err;
}

static int open_socket(struct control *c, char *why, size_t why_size)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER};
	int err = make_directory(c->config.path, why, why_size);

	if (!err)
		err = listen_open_unix(&c->listener, c->config.path, 0600, why, why_size);
	if (!err)
		err = open_to_group(&c->config, why, why_size);
	if (err)
		return err;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd >= 0 && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->listener.fd, &event) == 0)
		return 0;
	err = -errno;
	snprintf(why, why_size, "cannot wait for clients of %s: %s", c->config.path,
		 strerror(-err));
	return err;
}

int control_open(struct control **ret, const struct control_config *config, char *why,
		 size_t why_size)
{
	struct control *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	c->config = *config;
	c->listener.fd = c->epoll_fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	err = open_socket(c, why, why_size);
	if (err) {
		control_close(c);
		return err;
	}
	*ret = c;
	return 0;
}

static void client_close(struct client *cl)
{
	if (cl->body)
		cl->ops->close(cl->body);
	close(cl->fd);
	free(cl->buffer);
	*cl = (struct client){.fd = -1};
}

void control_close(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd >= 0)
			client_close(&c->clients[i]);
	}
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	listen_close(&c->listener);
	free(c);
}

int control_fd(const struct control *c)
{
	return c->epoll_fd;
}

/* ---- answering ---- */

/* JSON takes valid UTF-8 only, and a message may show a process' name as it is. */
static void make_valid(char *text)
{
	while (*text) {
		size_t len = utf8_char(text);

		if (!len)
			*text = '?';
		text += len ? len : 1;
	}
}

/* `object` is taken; NULL: there was no memory for it. Returns the length, its newline included. */
static size_t render_line(json_t *object, char *out, size_t size)
{
	static const char fallback[] = "{\"ok\":false,\"code\":1,\"error\":\"out of memory\"}\n";
	size_t len = object ? json_dumpb(object, out, size - 1, JSON_COMPACT) : 0;

	json_decref(object);
	if (len && len < size) {
		out[len] = '\n';
		return len + 1;
	}
	memcpy(out, fallback, sizeof(fallback) - 1);
	return sizeof(fallback) - 1;
}

static size_t render_error(enum exit_code code, bool retry, char *why, char *out, size_t size)
{
	json_t *object;

	make_valid(why);
	object = json_pack("{s:b,s:i,s:s}", "ok", 0, "code", (int)code, "error", why);
	if (object && retry)
		json_object_set_new(object, "retry", json_true());
	return render_line(object, out, size);
}

/* From now on the client is written to and not read. */
static void begin_answer(struct control *c, struct client *cl)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)(cl - c->clients)};

	cl->answering = true;
	cl->at = 0;
	cl->deadline_ns = util_now_ns() + CONTROL_PATIENCE_NS;
	epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, cl->fd, &event);
}

static void answer_error(struct control *c, struct client *cl, enum exit_code code, bool retry,
			 char *why)
{
	cl->len = render_error(code, retry, why, cl->buffer, CONTROL_REQUEST_MAX);
	begin_answer(c, cl);
}

static void answer_ok(struct control *c, struct client *cl)
{
	cl->len = render_line(json_pack("{s:b}", "ok", 1), cl->buffer, CONTROL_REQUEST_MAX);
	begin_answer(c, cl);
}

/* A stranger may ask as often as he likes; the log gets a line a second. */
static void log_refusal(struct control *c, const struct client *cl, enum control_command command)
{
	uint64_t now_ns = util_now_ns();

	if (c->logged_ns && now_ns - c->logged_ns < NSEC_PER_SEC) {
		c->unlogged++;
		return;
	}
	log_warn(
		"control socket: refused '%s' to user %u, PID %d (%llu refusals before it were not "
		"logged)",
		control_command_text(command), (unsigned int)cl->peer.uid, (int)cl->peer.pid,
		(unsigned long long)c->unlogged);
	c->logged_ns = now_ns;
	c->unlogged = 0;
}

static void log_change(const struct client *cl, const struct control_request *r)
{
	char what[SELECTOR_SHOWN_MAX] = "";

	if (r->selects)
		selector_show(&r->selector, what);
	else if (r->pid)
		snprintf(what, sizeof(what), "PID %d", (int)r->pid);
	log_info("control socket: %s%s%s%s%s for user %u, PID %d", control_command_text(r->command),
		 what[0] ? " " : "", what, r->name[0] ? " name " : "", r->name,
		 (unsigned int)cl->peer.uid, (int)cl->peer.pid);
}

static void change(struct control *c, struct client *cl, const struct control_request *r)
{
	const struct control_actions *actions = c->config.actions;
	const char *name = r->name[0] ? r->name : NULL;
	enum exit_code code = EXIT_OK;
	char why[WHY_BYTES] = "";
	int err;

	log_change(cl, r);
	if (r->command == CONTROL_ATTACH) {
		code = actions->attach(c->config.arg, r, why, sizeof(why));
	} else {
		err = actions->detach(c->config.arg, r->pid, name, why, sizeof(why));
		if (err)
			code = err == -ESRCH ? EXIT_TARGET : EXIT_RUNTIME;
	}
	if (code)
		answer_error(c, cl, code, false, why);
	else
		answer_ok(c, cl);
}

static const struct body_ops *body_of(const struct control_actions *a,
				      const struct control_request *r)
{
	switch (r->command) {
	case CONTROL_LIST:
		return a->list;
	case CONTROL_CHECK:
		return a->check;
	case CONTROL_CONNECTIONS:
		return a->connections;
	default:
		return r->format == CONTROL_JSON ? a->snapshot : a->metrics;
	}
}

static void look(struct control *c, struct client *cl, const struct control_request *r)
{
	char why[WHY_BYTES], fault[BODY_WHY_BYTES] = "";
	const struct body_request request = {
		.format = r->format == CONTROL_OPENMETRICS ? NEGOTIATE_OPENMETRICS : NEGOTIATE_TEXT,
		.query = r->query,
		.why = fault};
	int err;

	cl->ops = body_of(c->config.actions, r);
	err = cl->ops->open(c->config.arg, &request, &cl->body);
	if (!err) {
		answer_ok(c, cl);
		return;
	}
	cl->body = NULL;
	if (err == -EBUSY)
		snprintf(why, sizeof(why), "one at a time, and one a second: try again");
	else
		snprintf(why, sizeof(why), "cannot make the answer to '%s': %s",
			 control_command_text(r->command), fault[0] ? fault : strerror(-err));
	answer_error(c, cl, err == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME, err == -EBUSY, why);
}

/* The line is in the client's buffer, which the answer takes over. */
static void answer(struct control *c, struct client *cl)
{
	struct control_request r;
	char why[WHY_BYTES];
	bool changes;

	if (control_request_parse(cl->buffer, cl->len, &r, why, sizeof(why))) {
		answer_error(c, cl, EXIT_USAGE, false, why);
		return;
	}
	changes = r.command == CONTROL_ATTACH || r.command == CONTROL_DETACH;
	if (changes ? !cl->peer.may_change : !cl->peer.may_look) {
		log_refusal(c, cl, r.command);
		snprintf(why, sizeof(why),
			 "user %u may not %s: be root, or in the group of --control.%sgroup",
			 (unsigned int)cl->peer.uid, control_command_text(r.command),
			 changes ? "admin-" : "");
		answer_error(c, cl, EXIT_PRIVILEGE, false, why);
	} else if (changes) {
		change(c, cl, &r);
	} else {
		look(c, cl, &r);
	}
}

/* The next frame of the body, or the end of frames. -errno: it cannot go on, and the answer must not look complete. */
static int next_frame(struct client *cl)
{
	char head[FRAME_HEAD + 1];
	ssize_t n = cl->ops->read(cl->body, cl->buffer + FRAME_HEAD, FRAME_BYTES);
	int digits;

	if (n < 0)
		return (int)n;
	digits = snprintf(head, sizeof(head), "%zd\n", n);
	cl->at = FRAME_HEAD - (size_t)digits;
	cl->len = FRAME_HEAD + (size_t)n;
	memcpy(cl->buffer + cl->at, head, (size_t)digits);
	if (n == 0) {
		cl->ops->close(cl->body);
		cl->body = NULL;
	}
	return 0;
}

static void client_write(struct client *cl)
{
	ssize_t n;

	if (cl->at == cl->len) {
		if (!cl->body || next_frame(cl) < 0) {
			client_close(cl);
			return;
		}
		cl->deadline_ns = util_now_ns() + CONTROL_PATIENCE_NS;
	}
	n = send(cl->fd, cl->buffer + cl->at, cl->len - cl->at, MSG_NOSIGNAL);
	if (n >= 0)
		cl->at += (size_t)n;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || (cl->at == cl->len && !cl->body))
		client_close(cl);
}

/* ---- clients ---- */

static void client_read(struct control *c, struct client *cl)
{
	ssize_t n = read(cl->fd, cl->buffer + cl->len, CONTROL_REQUEST_MAX - cl->len);
	char *newline, why[WHY_BYTES];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(cl);
		return;
	}
	newline = memchr(cl->buffer + cl->len, '\n', (size_t)n);
	cl->len += (size_t)n;
	if (newline) {
		cl->len = (size_t)(newline - cl->buffer);
		answer(c, cl);
	} else if (cl->len == CONTROL_REQUEST_MAX) {
		snprintf(why, sizeof(why), "a request has at most %d bytes", CONTROL_REQUEST_MAX);
		answer_error(c, cl, EXIT_USAGE, false, why);
	}
}

static struct client *free_slot(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	}
	return NULL;
}

static size_t count_lookers(const struct control *c)
{
	size_t count = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		count += c->clients[i].fd >= 0 && !c->clients[i].peer.may_change;
	return count;
}

/* It has no slot, so it is told at once or not at all. */
static void turn_away(int fd, const char *reason)
{
	char line[WHY_BYTES], why[WHY_BYTES / 2];
	size_t len;

	snprintf(why, sizeof(why), "%s", reason);
	len = render_error(EXIT_RUNTIME, true, why, line, sizeof(line));
	if (send(fd, line, len, MSG_NOSIGNAL) < 0)
		log_debug("control socket: a client that was turned away did not hear why: %s",
			  strerror(errno));
	close(fd);
}

static void client_open(struct control *c, int fd)
{
	struct client *cl = free_slot(c);
	struct epoll_event event = {.events = EPOLLIN};
	struct control_peer peer;
	char *buffer;

	if (!cl) {
		turn_away(fd, STRINGIFY(CONTROL_CLIENTS_MAX) " clients are connected already");
		return;
	}
	if (control_access_of(&c->config.access, fd, &peer)) {
		turn_away(fd, "the kernel does not tell who you are");
		return;
	}
	if (!peer.may_change && count_lookers(c) == CONTROL_LOOKERS_MAX) {
		turn_away(
			fd,
			STRINGIFY(
				CONTROL_LOOKERS_MAX) " clients that may not attach are connected already");
		return;
	}
	buffer = malloc(CONTROL_REQUEST_MAX);
	event.data.u32 = (uint32_t)(cl - c->clients);
	if (!buffer || epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(buffer);
		turn_away(fd, "the daemon has no room for a client");
		return;
	}
	*cl = (struct client){.fd = fd,
			      .peer = peer,
			      .buffer = buffer,
			      .deadline_ns = util_now_ns() + CONTROL_PATIENCE_NS};
}

/* While accept() fails, its readiness must not keep the loop awake. */
static void hear(struct control *c, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u32 = LISTENER};

	if (c->deaf != on)
		return;
	epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->listener.fd, &event);
	c->deaf = !on;
}

static void accept_clients(struct control *c)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(c->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				hear(c, false);
			return;
		}
		client_open(c, fd);
	}
}

void control_run(void *control)
{
	struct epoll_event events[CONTROL_CLIENTS_MAX + 1];
	struct control *c = control;
	int n = epoll_wait(c->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++) {
		struct client *cl = &c->clients[events[i].data.u32 % CONTROL_CLIENTS_MAX];

		if (events[i].data.u32 == LISTENER)
			accept_clients(c);
		else if (cl->fd >= 0 && cl->answering)
			client_write(cl);
		else if (cl->fd >= 0)
			client_read(c, cl);
	}
}

void control_tick(struct control *c, uint64_t now_ns)
{
	hear(c, true);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *cl = &c->clients[i];

		if (cl->fd < 0 || now_ns < cl->deadline_ns)
			continue;
		log_debug("control socket: user %u, PID %d was too slow",
			  (unsigned int)cl->peer.uid, (int)cl->peer.pid);
		client_close(cl);
	}
}
