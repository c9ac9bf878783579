/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns listening sockets, and the file of a unix one. Invariant: no file is removed but a socket that nobody listens at when
 * ours is to be made, and our own at the end.
 *
 * What it refuses to know: what is spoken on the connections, and who may be reached.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "util.h"

/* A burst that finds it full is heard again only after a second, by the repeated SYN. */
#define LISTEN_BACKLOG 1024
/* Who is in the group of the daemon may ask, as with the sockets of most daemons. */
#define UNIX_MODE 0660

const uint8_t *listen_limited(const struct sockaddr_storage *address, uint8_t ret[16])
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

	memset(ret, 0, 16);
	if (address->ss_family == AF_INET6) {
		memcpy(ret, &v6->sin6_addr, 16);
	} else {
		ret[10] = ret[11] = 0xff;
		memcpy(ret + 12, &v4->sin_addr, 4);
	}
	if (!address_is_remote(address))
		return NULL;
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ret))
		return ret[12] == IN_LOOPBACKNET ? NULL : ret;
	/* a host has a network of 64 bits to itself, with all addresses in it */
	memset(ret + 8, 0, 8);
	return ret;
}

static int set_options(int fd, int family)
{
	int on = 1, off = 0;

	if (family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* So that ":PORT" is every address of both families, whatever net.ipv6.bindv6only says. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	return 0;
}

/* ---- unix ---- */

/* The process that listens at a socket file; 0: another namespace's, or not known. */
static pid_t listener_of(int fd)
{
	struct ucred ucred;
	socklen_t len = sizeof(ucred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len) < 0 ? 0 : ucred.pid;
}

/* A socket file whose listener is gone. If it is there: who it is. */
static bool is_stale(const struct sockaddr_un *address, socklen_t len, pid_t *ret_holder)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0 || lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	if (connect(fd, (const struct sockaddr *)address, len) < 0)
		return errno == ECONNREFUSED;
	*ret_holder = listener_of(fd);
	return false;
}

static int bind_unix(struct listen_socket *l, const struct sockaddr_un *un, socklen_t len,
		     mode_t mode, pid_t *ret_holder)
{
	mode_t before = umask(0777 & ~mode);
	struct stat st;
	int err = 0;

	if (bind(l->fd, (const struct sockaddr *)un, len) < 0)
		err = -errno;
	if (err == -EADDRINUSE && un->sun_path[0] && is_stale(un, len, ret_holder)) {
		err = 0;
		if (unlink(un->sun_path) < 0 || bind(l->fd, (const struct sockaddr *)un, len) < 0)
			err = -errno;
	}
	umask(before);
	if (!err && un->sun_path[0] && lstat(un->sun_path, &st) == 0) {
		memcpy(l->path, un->sun_path, sizeof(un->sun_path));
		l->device = st.st_dev;
		l->inode = st.st_ino;
	}
	return err;
}

/* ---- all ---- */

/* On failure the listener holds what is to be closed. */
static int open_listener(struct listen_socket *l, const struct sockaddr_storage *address,
			 socklen_t len, mode_t mode, pid_t *ret_holder)
{
	int err;

	l->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	err = set_options(l->fd, address->ss_family);
	if (err)
		return err;
	if (address->ss_family == AF_UNIX)
		err = bind_unix(l, (const struct sockaddr_un *)address, len, mode, ret_holder);
	else if (bind(l->fd, (const struct sockaddr *)address, len) < 0)
		err = -errno;
	if (!err && listen(l->fd, LISTEN_BACKLOG) < 0)
		err = -errno;
	return err;
}

/* Of a unix socket also who has it. */
static void explain(char *why, size_t why_size, const char *text, int err, int family, pid_t holder)
{
	const char *in_use = " (somebody listens there, or the file is no socket)";
	char named[48];

	if (holder) {
		snprintf(named, sizeof(named), " (PID %d listens there)", (int)holder);
		in_use = named;
	}
	snprintf(why, why_size, "cannot listen on %s: %s%s", text, strerror(-err),
		 err == -EADDRINUSE && family == AF_UNIX ? in_use : "");
}

static int open_as(struct listen_socket *ret, const struct sockaddr_storage *address, socklen_t len,
		   mode_t mode, const char *text, char *why, size_t why_size)
{
	struct listen_socket l = {
		.fd = -1, .family = address->ss_family, .remote = address_is_remote(address)};
	pid_t holder = 0;
	int err = open_listener(&l, address, len, mode, &holder);

	if (err) {
		explain(why, why_size, text, err, l.family, holder);
		listen_close(&l);
		return err;
	}
	*ret = l;
	return 0;
}

int listen_open(struct listen_socket *ret, const struct sockaddr_storage *address, socklen_t len,
		const char *text, char *why, size_t why_size)
{
	return open_as(ret, address, len, UNIX_MODE, text, why, why_size);
}

int listen_open_unix(struct listen_socket *ret, const char *path, mode_t mode, char *why,
		     size_t why_size)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_storage address = {};

	if (strlen(path) >= sizeof(un.sun_path)) {
		snprintf(why, why_size, "cannot listen on %s: the path is too long", path);
		return -ENAMETOOLONG;
	}
	strcpy(un.sun_path, path);
	memcpy(&address, &un, sizeof(un));
	return open_as(ret, &address, sizeof(un), mode, path, why, why_size);
}

static int option_of(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

int listen_adopt(struct listen_socket *ret, int fd, char *why, size_t why_size)
{
	struct sockaddr_storage address = {};
	socklen_t len = sizeof(address);
	int family;

	if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		snprintf(why, why_size,
			 "the socket handed over as descriptor %d is no stream socket that listens",
			 fd);
		return -EINVAL;
	}
	family = address.ss_family;
	if ((family != AF_INET && family != AF_INET6 && family != AF_UNIX) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		snprintf(why, why_size,
			 "the socket handed over as descriptor %d is neither TCP nor unix", fd);
		return -EINVAL;
	}
	*ret = (struct listen_socket){
		.fd = fd, .family = family, .remote = address_is_remote(&address)};
	return 0;
}

void listen_close(struct listen_socket *l)
{
	struct stat st;

	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	/* Where it may not be removed any more, as another user, the next start finds it stale. */
	if (l->path[0] && lstat(l->path, &st) == 0 && st.st_dev == l->device &&
	    st.st_ino == l->inode)
		unlink(l->path);
	l->path[0] = '\0';
}

uint16_t listen_port(const struct listen_socket *l)
{
	struct sockaddr_storage address = {};
	socklen_t len = sizeof(address);

	if (l->family == AF_UNIX || getsockname(l->fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (l->family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}
