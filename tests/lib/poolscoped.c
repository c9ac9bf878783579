/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Drives the daemon as an operator would: by flags, signals and HTTP, with TLS where it has a certificate. The HTTP client here knows
 * just enough (status line, Content-Length, chunks) to tell a whole answer from a torn one.
 */
#include "poolscoped.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "exposition_check.h"
#include "tls_client.h"

#define ARGV_MAX 300
#define READY_SECONDS 30 /* an emulated guest in a storm has little time for it */
#define STOP_MS 5000
/* A busy guest takes its time, and repeats a lost segment after a second or three; the inventory of the timer comes later than this. */
#define SETTLE_SECONDS 15
#define ANSWER_MAX (64 << 20)
#define REQUEST_MAX 2048

const char *poolscoped_path(void)
{
	const char *path = getenv("POOLSCOPED");

	return path ? path : "build/poolscoped";
}

static int poolscoped_connect(const struct poolscoped *d)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)d->port)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	assert_true(fd >= 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static ssize_t poolscoped_read(int fd, struct tls_client *tls, char *to, size_t size)
{
	ssize_t n = tls ? tls_client_read(tls, to, size) : read(fd, to, size);

	return n < 0 && !tls ? -errno : n;
}

/* NULL: the answer broke off, *ret_err is why. */
static char *poolscoped_read_all(int fd, struct tls_client *tls, int *ret_err)
{
	size_t have = 0, room = 1 << 16;
	char *text = malloc(room);
	ssize_t n;

	assert_non_null(text);
	while ((n = poolscoped_read(fd, tls, text + have, room - have - 1)) > 0) {
		have += (size_t)n;
		if (room - have > 1)
			continue;
		room *= 2;
		assert_true(room <= ANSWER_MAX);
		text = realloc(text, room);
		assert_non_null(text);
	}
	*ret_err = (int)n;
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[have] = '\0';
	return text;
}

static const char *poolscoped_header(const char *head, const char *name)
{
	const char *line = strstr(head, "\r\n");
	size_t len = strlen(name);

	for (; line && strncmp(line, "\r\n\r\n", 4) != 0; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
			return line + 2 + len + 1 + strspn(line + 3 + len, " ");
	return NULL;
}

/* Joins chunks in place. */
static void poolscoped_unchunk(char *body)
{
	char *from = body, *to = body;

	for (;;) {
		size_t size = strtoul(from, &from, 16);

		from = strstr(from, "\r\n");
		if (!from || strlen(from) < size + 4)
			fail_msg("a torn chunked body");
		from += 2;
		memmove(to, from, size);
		to += size;
		from += size + 2;
		if (size == 0)
			break;
	}
	*to = '\0';
}

static char *poolscoped_body(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");
	const char *encoding, *length;
	char *body;

	if (!end)
		fail_msg("an answer without end of head: %s", answer);
	encoding = poolscoped_header(answer, "Transfer-Encoding");
	length = poolscoped_header(answer, "Content-Length");
	body = strdup(end + 4);
	assert_non_null(body);
	if (encoding && strncasecmp(encoding, "chunked", 7) == 0)
		poolscoped_unchunk(body);
	else if (length && strtoul(length, NULL, 10) != strlen(body))
		fail_msg("a body of %zu bytes, announced: %.12s", strlen(body), length);
	return body;
}

static struct tls_client *poolscoped_tls(const struct poolscoped *d, int fd)
{
	struct tls_client *tls;

	if (!d->ca_file)
		return NULL;
	tls = tls_client_open(fd, d->ca_file);
	if (tls_client_handshake(tls) < 0) {
		poolscoped_print_log(d);
		fail_msg("no TLS at port %d: %s", d->port, tls_client_why(tls));
	}
	return tls;
}

static int poolscoped_ask(const struct poolscoped *d, int fd, struct tls_client *tls,
			  const char *path, const char *headers)
{
	char request[REQUEST_MAX];
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", path);

	if (d->token)
		n += snprintf(request + n, sizeof(request) - (size_t)n,
			      "Authorization: Bearer %s\r\n", d->token);
	n += snprintf(request + n, sizeof(request) - (size_t)n, "%s\r\n", headers);
	assert_in_range(n, 1, sizeof(request) - 1);
	if (!tls)
		return send(fd, request, (size_t)n, MSG_NOSIGNAL) < 0 ? -errno : 0;
	assert_int_equal(tls_client_write(tls, request, (size_t)n), n);
	return 0;
}

/* Returns the answer, or NULL if there is none: *ret_err is why. `headers`: whole lines. */
static char *poolscoped_request(const struct poolscoped *d, const char *path, const char *headers,
				int *ret_err)
{
	int fd = poolscoped_connect(d);
	struct tls_client *tls;
	char *answer = NULL;

	*ret_err = fd < 0 ? fd : 0;
	if (fd < 0)
		return NULL;
	tls = poolscoped_tls(d, fd);
	*ret_err = poolscoped_ask(d, fd, tls, path, headers);
	if (!*ret_err)
		answer = poolscoped_read_all(fd, tls, ret_err);
	tls_client_close(tls);
	close(fd);
	return answer;
}

static int poolscoped_status(const char *answer)
{
	int status;

	if (sscanf(answer, "HTTP/1.1 %d ", &status) != 1)
		fail_msg("no status line: %.80s", answer);
	return status;
}

int poolscoped_get_with(const struct poolscoped *d, const char *path, const char *headers,
			char **ret_body)
{
	int status, err;
	char *answer = poolscoped_request(d, path, headers, &err);
	siginfo_t end = {};

	if (!answer) {
		poolscoped_print_log(d);
		pause_ms(
			1000); /* it may be about to end: programs are freed then, which takes its time */
		waitid(P_PID, (id_t)d->process.pid, &end, WEXITED | WNOHANG | WNOWAIT);
		fail_msg("no answer at port %d: %s; the daemon %s %d", d->port, strerror(-err),
			 end.si_pid ? "has ended with" : "lives, not", end.si_status);
		return -1;
	}
	status = poolscoped_status(answer);
	if (ret_body)
		*ret_body = poolscoped_body(answer);
	free(answer);
	return status;
}

int poolscoped_get(const struct poolscoped *d, const char *path, char **ret_body)
{
	return poolscoped_get_with(d, path, "", ret_body);
}

/* One that finds a fault after it has begun to listen, and ends, breaks its answer off. */
static bool poolscoped_is_ready(const struct poolscoped *d)
{
	int err;
	char *answer = poolscoped_request(d, "/-/ready", "", &err);
	bool ready = answer && answer[0] && poolscoped_status(answer) == 200;

	free(answer);
	return ready;
}

int poolscoped_start(struct poolscoped *d, const char *const argv[])
{
	const char *all[ARGV_MAX] = {poolscoped_path()};
	const char *accept_probe = getenv("ACCEPT_PROBE");
	char address[64], probe[64];
	double deadline;
	int count = 3;

	d->port = process_free_port();
	snprintf(address, sizeof(address), "--web.listen-address=127.0.0.1:%d", d->port);
	all[1] = address;
	all[2] = "--control.socket=off"; /* there is one default, and several daemons */
	if (accept_probe) { /* first: a test that says otherwise means it */
		snprintf(probe, sizeof(probe), "--accept-probe=%s", accept_probe);
		all[count++] = probe;
	}
	for (; *argv; argv++) {
		assert_true(count < ARGV_MAX - 1);
		all[count++] = *argv;
	}
	process_start(&d->process, all, &(struct process_how){.prepare = d->prepare});
	deadline = now_seconds() + READY_SECONDS;
	while (!poolscoped_is_ready(d)) {
		int code = process_wait(&d->process, 20);

		if (code != -ETIMEDOUT)
			return code;
		if (now_seconds() > deadline) {
			poolscoped_print_log(d);
			fail_msg("not ready after %d s", READY_SECONDS);
		}
	}
	return 0;
}

void poolscoped_must_start(struct poolscoped *d, const char *const argv[])
{
	if (poolscoped_start(d, argv) == 0)
		return;
	poolscoped_print_log(d);
	fail_msg("poolscoped does not start");
}

void poolscoped_stop(struct poolscoped *d)
{
	int code;

	assert_int_equal(kill(d->process.pid, SIGTERM), 0);
	code = process_wait(&d->process, STOP_MS);
	if (code != 0)
		poolscoped_print_log(d);
	assert_int_equal(code, 0);
	process_done(&d->process);
}

void poolscoped_done(struct poolscoped *d)
{
	process_done(&d->process);
}

/* $EXACT, on a machine whose kernel counts every run that it skips: without a loss there is nothing to correct. */
static void poolscoped_check_exact(const char *text)
{
	double lost = 0, corrections = 0, sum;

	exposition_sum(text, "poolscope_events_refused_total", "", &sum);
	lost += sum;
	exposition_sum(text, "poolscope_probe_missed_total", "", &sum);
	lost += sum;
	exposition_sum(text, "poolscope_reconcile_corrections_total", "", &corrections);
	if (lost == 0 && corrections != 0)
		fail_msg("%g corrections, though nothing was refused or skipped", corrections);
}

char *poolscoped_scrape(const struct poolscoped *d)
{
	char why[512] = "";
	char *text;

	assert_int_equal(poolscoped_get(d, "/metrics", &text), 200);
	if (exposition_check(text, why, sizeof(why)) != 0)
		fail_msg("/metrics: %s", why);
	if (getenv("EXACT"))
		poolscoped_check_exact(text);
	return text;
}

double poolscoped_value(const struct poolscoped *d, const char *name, const char *filter)
{
	char *text = poolscoped_scrape(d);
	double value = 0;
	int r = exposition_value(text, name, filter, &value);

	free(text);
	if (r < 0)
		fail_msg("%s{%s}: %s", name, filter,
			 r == -ENOENT ? "no sample" : "several samples");
	return value;
}

double poolscoped_sum(const struct poolscoped *d, const char *name, const char *filter)
{
	char *text = poolscoped_scrape(d);
	double value = 0;
	size_t count = exposition_sum(text, name, filter, &value);

	free(text);
	if (count == 0)
		fail_msg("%s{%s}: no sample", name, filter);
	return value;
}

typedef double value_fn(const struct poolscoped *d, const char *name, const char *filter);

static void poolscoped_wait(const struct poolscoped *d, value_fn *fn, const char *name,
			    const char *filter, double expected)
{
	double deadline = now_seconds() + SETTLE_SECONDS;
	double value = fn(d, name, filter);

	while (value != expected && now_seconds() < deadline) {
		pause_ms(20);
		value = fn(d, name, filter);
	}
	if (value != expected)
		fail_msg("%s{%s} is %g, expected %g", name, filter, value, expected);
}

void poolscoped_wait_value(const struct poolscoped *d, const char *name, const char *filter,
			   double expected)
{
	poolscoped_wait(d, poolscoped_value, name, filter, expected);
}

void poolscoped_wait_sum(const struct poolscoped *d, const char *name, const char *filter,
			 double expected)
{
	poolscoped_wait(d, poolscoped_sum, name, filter, expected);
}

void poolscoped_print_log(const struct poolscoped *d)
{
	char *text = process_stderr(&d->process);

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		print_message("# poolscoped: %s\n", line);
	free(text);
}
