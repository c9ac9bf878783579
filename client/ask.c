// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The protocol of docs/control.md, from the client's side. Invariant: success means that a body came to its end. Knows no command.
 */
#include "ask.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "util.h"

#define PATIENCE_S 60 /* an attach waits for the kernel */
#define RETRY_NS (3 * NSEC_PER_SEC)
#define LINE_BYTES 8192 /* the first line: an error of some hundred bytes */
#define PIECE_BYTES (32 * 1024)
#define RETRY_PAUSE_NS (100 * NSEC_PER_MSEC)

static enum exit_code explain_connect(const char *path, int err, char *why, size_t why_size)
{
	if (err == -EACCES || err == -EPERM) {
		snprintf(why, why_size,
			 "may not open %s: run as root, or be in the group of poolscoped's "
			 "--control.group",
			 path);
		return EXIT_PRIVILEGE;
	}
	if (err == -ENOENT)
		snprintf(why, why_size,
			 "there is no socket %s: is poolscoped running? (start it, or name its "
			 "--control.socket by --socket; 'poolscoped --check' tells what it lacks)",
			 path);
	else if (err == -ECONNREFUSED)
		snprintf(why, why_size, "nobody answers at %s any more: start poolscoped again",
			 path);
	else
		snprintf(why, why_size, "cannot connect to %s: %s", path, strerror(-err));
	return EXIT_ADDRESS;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* What cannot be written may have been answered all the same: a client too many is told so at once. */
static void send_request(int fd, const json_t *request)
{
	_cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, at = 0;
	ssize_t n = 0;

	if (!len)
		return;
	text[len++] = '\n'; /* in the place of the NUL */
	for (; at < len && n >= 0; at += n > 0 ? (size_t)n : 0)
		n = send(fd, text + at, len - at, MSG_NOSIGNAL);
}

/* Where a body goes. */
struct sink {
	FILE *copy; /* NULL: into memory */
	struct buf kept;
};

/* One frame of this length; -EPROTO: it broke off. What cannot be written is found by who flushes. */
static int read_frame(FILE *in, unsigned long length, struct sink *to)
{
	char piece[PIECE_BYTES];

	while (length) {
		size_t n = fread(piece, 1, length < sizeof(piece) ? length : sizeof(piece), in);

		if (!n)
			return -EPROTO;
		if (to->copy)
			fwrite(piece, 1, n, to->copy);
		else
			buf_add(&to->kept, piece, n);
		length -= n;
	}
	return 0;
}

/* The frames up to the empty one. */
static int read_frames(FILE *in, struct sink *to)
{
	char line[24];
	unsigned long length;
	int err;

	for (;;) {
		if (!fgets(line, sizeof(line), in) || !strchr(line, '\n'))
			return -EPROTO;
		length = strtoul(line, NULL, 10);
		if (!length)
			break;
		err = read_frame(in, length, to);
		if (err)
			return err;
	}
	if (!to->copy)
		buf_add(&to->kept, "", 1);
	return buf_failed(&to->kept) ? -ENOMEM : 0;
}

/* What {"ok":false …} says. */
static enum exit_code explain_refusal(const json_t *line, bool *ret_retry, char *why,
				      size_t why_size)
{
	const char *text = json_string_value(json_object_get(line, "error"));
	json_int_t code = json_integer_value(json_object_get(line, "code"));

	*ret_retry = json_is_true(json_object_get(line, "retry"));
	snprintf(why, why_size, "%s", text ? text : "poolscoped refuses, and does not say why");
	return code > EXIT_OK && code <= EXIT_ADDRESS ? (enum exit_code)code : EXIT_RUNTIME;
}

static enum exit_code read_body(FILE *in, struct sink *to, char *why, size_t why_size)
{
	int err = read_frames(in, to);

	if (err == -ENOMEM)
		snprintf(why, why_size, "the answer is too long for a table: try --format=json");
	else if (err)
		snprintf(why, why_size, "the answer broke off");
	return err ? EXIT_RUNTIME : EXIT_OK;
}

static enum exit_code read_answer(FILE *in, struct sink *to, bool *ret_retry, char *why,
				  size_t why_size)
{
	enum exit_code code = EXIT_OK;
	char text[LINE_BYTES];
	json_t *line;
	int next;

	*ret_retry = false;
	if (!fgets(text, sizeof(text), in)) {
		snprintf(why, why_size, "poolscoped closed the connection without an answer");
		return EXIT_RUNTIME;
	}
	line = json_loads(text, 0, NULL);
	if (!json_is_true(json_object_get(line, "ok"))) {
		code = explain_refusal(line, ret_retry, why, why_size);
	} else if ((next = fgetc(in)) != EOF) {
		ungetc(next, in);
		code = read_body(in, to, why, why_size);
	}
	json_decref(line);
	return code;
}

static enum exit_code ask_once(const char *path, const json_t *request, struct sink *to,
			       bool *ret_retry, char *why, size_t why_size)
{
	_cleanup_fclose_ FILE *in = NULL;
	int fd = connect_to(path);

	*ret_retry = false;
	if (fd < 0)
		return explain_connect(path, fd, why, why_size);
	in = fdopen(fd, "r");
	if (!in) {
		close(fd);
		snprintf(why, why_size, "out of memory");
		return EXIT_RUNTIME;
	}
	send_request(fd, request);
	return read_answer(in, to, ret_retry, why, why_size);
}

enum exit_code ask(const char *socket_path, const json_t *request, FILE *copy, char **ret_body,
		   char *why, size_t why_size)
{
	static const struct timespec pause = {.tv_nsec = RETRY_PAUSE_NS};
	uint64_t deadline_ns = util_now_ns() + RETRY_NS;
	struct sink to = {.copy = copy};
	enum exit_code code;
	bool retry;

	for (;;) {
		code = ask_once(socket_path, request, &to, &retry, why, why_size);
		if (!code || !retry || util_now_ns() >= deadline_ns)
			break;
		nanosleep(&pause, NULL);
	}
	if (code)
		buf_done(&to.kept);
	else
		*ret_body = to.kept.data;
	return code;
}
