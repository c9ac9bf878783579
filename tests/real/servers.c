/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Runs the real servers. They are the judges: what they count of themselves is read over one connection that stays open, so that
 * asking changes nothing between two readings.
 */
#include "servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534
#define START_SECONDS 10
#define ANSWER_BYTES 16384

/* Paths are below the directory given by -p. */
static const char nginx_configuration[] = "daemon off;\n"
					  "worker_processes 2;\n"
					  "pid pid;\n"
					  "events { worker_connections 1024; }\n"
					  "http {\n"
					  "	access_log off;\n"
					  "	client_body_temp_path body;\n"
					  "	proxy_temp_path proxy;\n"
					  "	fastcgi_temp_path fastcgi;\n"
					  "	uwsgi_temp_path uwsgi;\n"
					  "	scgi_temp_path scgi;\n"
					  "	keepalive_timeout 60;\n"
					  "	keepalive_requests 100000;\n"
					  "	server {\n"
					  "		listen 127.0.0.1:%d;\n"
					  "		location / { return 200 \"ok\\n\"; }\n"
					  "		location = /status { stub_status; }\n"
					  "	}\n"
					  "}\n";

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(99);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of user has cleared it */
}

const struct process_how server_unprivileged = {.prepare = become_nobody};

void server_prepare(struct server *server)
{
	server->port = process_free_port();
	server->asking = -1;
	snprintf(server->directory, sizeof(server->directory), "/tmp/poolscope-test-XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	assert_int_equal(chown(server->directory, NOBODY, NOBODY), 0);
}

void server_connect(struct server *server)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
	double deadline = now_seconds() + START_SECONDS;
	struct timeval patience = {.tv_sec = 10};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (;;) {
		server->asking = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(server->asking, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
		close(server->asking);
		if (now_seconds() > deadline || process_wait(&server->process, 20) != -ETIMEDOUT)
			fail_msg("the server does not start: %s", process_stderr(&server->process));
	}
	setsockopt(server->asking, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void server_stop(struct server *server)
{
	if (server->process.pid) {
		kill(server->process.pid, SIGTERM);
		process_wait(&server->process, 5000);
	}
	process_done(&server->process);
	if (server->asking > 0)
		close(server->asking);
	if (server->directory[0])
		nftw(server->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	memset(server, 0, sizeof(*server));
}

/* ---- HTTP ---- */

static bool answer_is_whole(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");

	return end && length && length < end && strlen(end + 4) >= strtoul(length + 16, NULL, 10);
}

/* One GET; with `close`, also waits until the server has closed. */
static long http_exchange(int fd, const char *path, bool close, char text[ANSWER_BYTES])
{
	size_t have = 0;
	ssize_t n;
	int len = snprintf(text, ANSWER_BYTES,
			   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n", path,
			   close ? "close" : "keep-alive");

	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return -errno;
	text[0] = '\0';
	while (close || !answer_is_whole(text)) {
		n = recv(fd, text + have, ANSWER_BYTES - 1 - have, 0);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
		text[have] = '\0';
	}
	return strncmp(text, "HTTP/1.1 200 ", 13) == 0 ? 0 : -EPROTO;
}

long step_get(const struct step *s)
{
	char text[ANSWER_BYTES];

	return http_exchange(s->fd, "/", s->flags & STEP_RESET, text);
}

long step_get_once(const struct step *s)
{
	for (int i = 0; i < s->count; i++) {
		long fd = step_connect(s);
		long r = fd < 0 ? fd : step_get(&(struct step){.fd = (int)fd, .flags = STEP_RESET});

		if (r < 0)
			return r;
		close((int)fd);
	}
	return s->count;
}

long step_get_hold(const struct step *s)
{
	for (int i = 0; i < s->count; i++) {
		long fd = step_connect(s);
		long r = fd < 0 ? fd : step_get(&(struct step){.fd = (int)fd});

		if (r == 0)
			r = traffic_hold(fd);
		if (r < 0)
			return r;
	}
	return s->count;
}

/* ---- nginx ---- */

static void nginx_numbers(const struct server *server, struct server_numbers *ret)
{
	char text[ANSWER_BYTES];
	const char *body;

	assert_int_equal(http_exchange(server->asking, "/status", false, text), 0);
	body = strstr(text, "\r\n\r\n");
	if (sscanf(body, " Active connections: %ld server accepts handled requests %ld",
		   &ret->active, &ret->accepted) != 2)
		fail_msg("stub_status says: %s", body);
}

void server_start_nginx(struct server *server)
{
	const char *nginx = process_external("usr/sbin/nginx");
	char path[96];
	FILE *f;

	if (!nginx)
		skip_because("nginx is not unpacked (make ext)");
	server_prepare(server);
	snprintf(path, sizeof(path), "%s/nginx.conf", server->directory);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, nginx_configuration, server->port);
	assert_int_equal(fclose(f), 0);
	process_start(&server->process,
		      (const char *[]){nginx, "-p", server->directory, "-e", "stderr", "-c", path,
				       NULL},
		      &server_unprivileged);
	server->read = nginx_numbers;
	server_connect(server);
}

/* ---- redis ---- */

static long redis_info(const struct server *server, const char *section, const char *key)
{
	char text[ANSWER_BYTES] = "";
	size_t have = 0, whole = sizeof(text);
	const char *at;
	ssize_t n;
	int len = snprintf(text, sizeof(text), "INFO %s\r\n", section);

	assert_int_equal(send(server->asking, text, (size_t)len, MSG_NOSIGNAL), len);
	/* "$BYTES\r\n" the bytes "\r\n" */
	while (have < whole) {
		n = recv(server->asking, text + have, sizeof(text) - 1 - have, 0);
		assert_true(n > 0);
		have += (size_t)n;
		text[have] = '\0';
		at = strstr(text, "\r\n");
		if (text[0] == '$' && at)
			whole = (size_t)(at + 4 - text) + strtoul(text + 1, NULL, 10);
	}
	at = strstr(text, key);
	if (!at)
		fail_msg("INFO %s has no %s", section, key);
	return strtol(at + strlen(key), NULL, 10);
}

static void redis_numbers(const struct server *server, struct server_numbers *ret)
{
	ret->accepted = redis_info(server, "stats", "total_connections_received:");
	ret->active = redis_info(server, "clients", "connected_clients:");
}

void server_start_redis(struct server *server)
{
	const char *redis = process_external("usr/bin/redis-server");
	char port[16];

	if (!redis)
		skip_because("redis-server is not unpacked (make ext)");
	server_prepare(server);
	snprintf(port, sizeof(port), "%d", server->port);
	process_start(&server->process,
		      (const char *[]){redis, "--port", port, "--bind", "127.0.0.1", "--save", "",
				       "--appendonly", "no", "--dir", server->directory, NULL},
		      &server_unprivileged);
	server->read = redis_numbers;
	server_connect(server);
}

/* ---- both ---- */

struct server_numbers server_settled(const struct server *server, long active)
{
	double deadline = now_seconds() + 5;
	struct server_numbers numbers;

	server->read(server, &numbers);
	while (numbers.active != active && now_seconds() < deadline) {
		pause_ms(10);
		server->read(server, &numbers);
	}
	assert_int_equal(numbers.active, active);
	return numbers;
}

const char *server_target(const struct process *p, const char *name, char text[96])
{
	snprintf(text, 96, "--pid=%d=%s", p->pid, name);
	return text;
}
