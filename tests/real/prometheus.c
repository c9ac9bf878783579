/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Runs Prometheus, as nobody, on files in a directory of its own. Of its answers it reads what the questions here need, by their
 * text: one value, one type.
 */
#include "prometheus.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534
#define READY_SECONDS 30
#define QUESTION_MAX 1024
#define ANSWER_MAX (1 << 16)

/* ---- files ---- */

/* Opens a new file that nobody but nobody can read. path[128] */
static FILE *server_file(const struct server *server, const char *name, char path[128])
{
	FILE *f;

	snprintf(path, 128, "%s/%s", server->directory, name);
	f = fopen(path, "wxe");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(fchown(fileno(f), NOBODY, NOBODY), 0);
	return f;
}

static void copy_file(const char *from, FILE *to)
{
	FILE *f = fopen(from, "re");
	char text[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(text, 1, sizeof(text), f)) > 0)
		assert_int_equal(fwrite(text, 1, n, to), n);
	fclose(f);
}

static void write_job(const struct server *p, FILE *config, const struct prometheus_job *job)
{
	char path[128], name[64];
	FILE *f;

	fprintf(config, "- job_name: %s\n", job->name);
	fprintf(config, "  static_configs: [{targets: ['127.0.0.1:%d']}]\n", job->port);
	if (job->token) {
		snprintf(name, sizeof(name), "%s.token", job->name);
		f = server_file(p, name, path);
		fprintf(f, "%s\n", job->token);
		assert_int_equal(fclose(f), 0);
		fprintf(config, "  authorization: {credentials_file: %s}\n", path);
	}
	if (job->ca_file) {
		snprintf(name, sizeof(name), "%s.pem", job->name);
		f = server_file(p, name, path);
		copy_file(job->ca_file, f);
		assert_int_equal(fclose(f), 0);
		fprintf(config, "  scheme: https\n  tls_config: {ca_file: %s}\n", path);
	}
}

/* ---- its API ---- */

/* An HTTP/1.0 answer ends with the connection. Returns the status; the body is left at the beginning of `text`. */
static int prometheus_get(const struct server *p, const char *path, char text[ANSWER_MAX])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status, len;
	struct timeval patience = {.tv_sec = 10};
	size_t have = 0;
	const char *body;
	ssize_t n;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	len = snprintf(text, ANSWER_MAX, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
	assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
	while ((n = recv(fd, text + have, ANSWER_MAX - 1 - have, 0)) > 0)
		have += (size_t)n;
	assert_int_equal(n, 0);
	close(fd);
	text[have] = '\0';
	body = strstr(text, "\r\n\r\n");
	if (!body || sscanf(text, "HTTP/1.0 %d ", &status) != 1)
		fail_msg("Prometheus answers: %s", text);
	memmove(text, body + 4, strlen(body + 4) + 1);
	return status;
}

/* Appends `from` to a path, percent-encoded where it must be. */
static void append_encoded(char path[QUESTION_MAX], const char *from)
{
	size_t at = strlen(path);

	for (; *from; from++) {
		assert_true(at + 4 <= QUESTION_MAX);
		at += (size_t)sprintf(path + at, isalnum((unsigned char)*from) ? "%c" : "%%%02X",
				      (unsigned int)(unsigned char)*from);
	}
}

double prometheus_query(const struct server *p, const char *format, ...)
{
	static const char before[] = "\"value\":[";
	char path[QUESTION_MAX] = "/api/v1/query?query=", expression[QUESTION_MAX / 4];
	char text[ANSWER_MAX];
	const char *value;
	va_list args;

	va_start(args, format);
	assert_in_range(vsnprintf(expression, sizeof(expression), format, args), 1,
			sizeof(expression) - 1);
	va_end(args);
	append_encoded(path, expression);
	if (prometheus_get(p, path, text) != 200)
		fail_msg("%s: %s", expression, text);
	value = strstr(text, before);
	if (!value)
		return NAN;
	if (strstr(value + 1, before))
		fail_msg("%s: several values: %s", expression, text);
	value = strstr(value, ",\"");
	assert_non_null(value);
	return strtod(value + 2, NULL);
}

const char *prometheus_type(const struct server *p, const char *job, const char *metric,
			    char text[16])
{
	static const char before[] = "\"type\":\"";
	char path[QUESTION_MAX] = "/api/v1/targets/metadata?match_target=", selector[64];
	char answer[ANSWER_MAX];
	const char *type;

	snprintf(selector, sizeof(selector), "{job=\"%s\"}", job);
	append_encoded(path, selector);
	strcat(path, "&metric=");
	append_encoded(path, metric);
	prometheus_get(p, path, answer); /* 404 where there is none */
	type = strstr(answer, before);
	text[0] = '\0';
	if (type)
		snprintf(text, 16, "%.*s", (int)strcspn(type + sizeof(before) - 1, "\""),
			 type + sizeof(before) - 1);
	return text;
}

int prometheus_complaints(const struct server *p)
{
	char *text = process_stderr(&p->process);
	int count = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strstr(line, "level=warn") && !strstr(line, "level=error"))
			continue;
		print_error("# Prometheus: %s\n", line);
		count++;
	}
	free(text);
	return count;
}

/* ---- start ---- */

void prometheus_start(struct server *p, const struct prometheus_job *jobs, size_t count)
{
	const char *prometheus = process_external("usr/bin/prometheus");
	char path[128], config[160], data[128], listen[64], text[ANSWER_MAX];
	double deadline;
	FILE *f;

	if (!prometheus)
		skip_because("prometheus is not unpacked (make ext)");
	server_prepare(p);
	f = server_file(p, "prometheus.yml", path);
	fprintf(f, "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n");
	for (size_t i = 0; i < count; i++)
		write_job(p, f, &jobs[i]);
	assert_int_equal(fclose(f), 0);
	snprintf(config, sizeof(config), "--config.file=%s", path);
	snprintf(data, sizeof(data), "--storage.tsdb.path=%s/data", p->directory);
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", p->port);
	process_start(&p->process, (const char *[]){prometheus, config, data, listen, NULL},
		      &server_unprivileged);
	server_connect(p);
	deadline = now_seconds() + READY_SECONDS;
	while (prometheus_get(p, "/-/ready", text) != 200) {
		if (now_seconds() > deadline)
			fail_msg("Prometheus is not ready: %s", process_stderr(&p->process));
		pause_ms(20);
	}
}

void prometheus_start_relays(struct server *nginx, struct relay *relays, size_t count,
			     const char *accept)
{
	const char *program = process_external("usr/sbin/nginx");
	char path[128];
	FILE *f;

	if (!program)
		skip_because("nginx is not unpacked (make ext)");
	server_prepare(nginx);
	f = server_file(nginx, "nginx.conf", path);
	fprintf(f,
		"daemon off;\npid pid;\nevents {}\nhttp {\n\taccess_log off;\n"
		"\tclient_body_temp_path body;\n\tproxy_temp_path proxy;\n"
		"\tfastcgi_temp_path fastcgi;\n\tuwsgi_temp_path uwsgi;\n\tscgi_temp_path scgi;\n"
		"\tproxy_http_version 1.1;\n\tproxy_set_header Accept '%s';\n",
		accept);
	for (size_t i = 0; i < count; i++) {
		relays[i].port = i == 0 ? nginx->port : process_free_port();
		fprintf(f,
			"\tserver { listen 127.0.0.1:%d; location / { proxy_pass %s://127.0.0.1:%d; } }\n",
			relays[i].port, relays[i].tls ? "https" : "http", relays[i].target_port);
	}
	fprintf(f, "}\n");
	assert_int_equal(fclose(f), 0);
	process_start(&nginx->process,
		      (const char *[]){program, "-p", nginx->directory, "-e", "stderr", "-c", path,
				       NULL},
		      &server_unprivileged);
	server_connect(nginx);
}
