// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Three small protocols of service managers, documented for being spoken without libsystemd, which would bring four compression
 * libraries and a cryptographic one into this process. One datagram socket, connected once: messages need no address, so the system call filter can
 * forbid them to have one. Refuses to know what the program does, and reads no clock.
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

/* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define LISTEN_FDS_START 3
#define USEC_MAX (UINT64_MAX / 1000)

struct notify {
	int fd; /* connected to the manager; -1: there is none */
	uint64_t watchdog_ns; /* it waits so long for a sign of life; 0: for ever */
	uint64_t alive_ns; /* of the last sign */
};

/* A whole decimal number of the environment, at most `max`. */
static bool read_variable(const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = getenv(name);
	unsigned long long value;

	if (!text || !*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	value = strtoull(text, NULL, 10);
	if (errno || value > max)
		return false;
	*ret = value;
	return true;
}

static bool is_for_us(const char *name)
{
	uint64_t pid;

	return read_variable(name, INT32_MAX, &pid) && (pid_t)pid == getpid();
}

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	_cleanup_close_ int fd = -1;
	int ret;

	/* '@': the abstract name space, whose names begin with a NUL byte and end where the address does */
	if ((path[0] != '/' && path[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		len++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	ret = fd;
	fd = -1;
	return ret;
}

static int open_manager(struct notify *n, char *why, size_t why_size)
{
	const char *path = getenv("NOTIFY_SOCKET");
	uint64_t usec;

	if (!path)
		return 0;
	n->fd = open_socket(path);
	if (n->fd < 0) {
		snprintf(why, why_size, "cannot reach the service manager at NOTIFY_SOCKET=%s: %s",
			 path, strerror(-n->fd));
		return n->fd;
	}
	if ((!getenv("WATCHDOG_PID") || is_for_us("WATCHDOG_PID")) &&
	    read_variable("WATCHDOG_USEC", USEC_MAX, &usec))
		n->watchdog_ns = usec * 1000;
	return 0;
}

int notify_open(struct notify **ret, char *why, size_t why_size)
{
	struct notify *n = calloc(1, sizeof(*n));
	int err;

	if (!n) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	n->fd = -1;
	err = open_manager(n, why, why_size);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (err) {
		notify_close(n);
		return err;
	}
	*ret = n;
	return 0;
}

void notify_close(struct notify *n)
{
	if (!n)
		return;
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

static int tell(const struct notify *n, const char *text)
{
	if (n->fd < 0)
		return 0;
	return send(n->fd, text, strlen(text), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int notify_ready(struct notify *n)
{
	return tell(n, "READY=1");
}

int notify_reloading(struct notify *n, uint64_t now_ns)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ns / 1000);
	return tell(n, text);
}

int notify_stopping(struct notify *n)
{
	return tell(n, "STOPPING=1");
}

int notify_watchdog(struct notify *n, uint64_t now_ns)
{
	int err;

	if (!n->watchdog_ns || now_ns - n->alive_ns < n->watchdog_ns / 2)
		return 0;
	err = tell(n, "WATCHDOG=1");
	if (!err)
		n->alive_ns = now_ns;
	return err;
}

size_t notify_listen_fds(int ret[], size_t max)
{
	uint64_t announced = 0;
	size_t count = 0;

	if (!is_for_us("LISTEN_PID") ||
	    !read_variable("LISTEN_FDS", INT32_MAX - LISTEN_FDS_START, &announced))
		announced = 0;
	for (; count < announced; count++) {
		int fd = LISTEN_FDS_START + (int)count, flags = fcntl(fd, F_GETFD);

		if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
			break;
		if (count < max)
			ret[count] = fd;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return count;
}
