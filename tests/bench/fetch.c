/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A client that only reads. The chunks' own lines are among those counted: some few of each 256 KiB.
 */
#include "fetch.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static int ask(int port, bool gzip)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = 30};
	char request[256];
	int n = snprintf(request, sizeof(request),
			 "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
			 gzip ? "Accept-Encoding: gzip\r\n" : "");

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
	return fd;
}

struct fetched fetch_metrics(int port, bool gzip)
{
	static char buffer[1 << 18];
	struct fetched f = {.bytes = 0};
	int fd = ask(port, gzip);
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (f.bytes == 0)
			assert_memory_equal(buffer, "HTTP/1.1 200", 12);
		f.bytes += n;
		for (const char *p = buffer; (p = memchr(p, '\n', (size_t)(buffer + n - p))); p++)
			f.lines++;
	}
	assert_int_equal(n, 0);
	close(fd);
	return f;
}
