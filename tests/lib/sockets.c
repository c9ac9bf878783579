/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rare treatment of sockets. Loses packets by a socket filter that takes none: it works in any namespace, without qdisc or
 * firewall, from one system call to another. Knows nothing of the daemon.
 */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in address_of(const struct step *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};

	inet_pton(AF_INET, s->host, &a.sin_addr);
	return a;
}

long step_option(const struct step *s)
{
	return setsockopt(s->fd, s->level, s->name, &s->value, sizeof(s->value)) < 0 ? -errno : 0;
}

long step_deaf(const struct step *s)
{
	struct sock_filter none = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog program = {.len = 1, .filter = &none};

	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
		       ? -errno
		       : 0;
}

long step_hears(const struct step *s)
{
	int unused = 0;

	return setsockopt(s->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 ? -errno
											    : 0;
}

static long tcp_info(int fd, struct tcp_info *ret)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len) < 0 ? -errno : 0;
}

long step_tcp_state(const struct step *s)
{
	struct tcp_info info;
	long r = tcp_info(s->fd, &info);

	return r < 0 ? r : info.tcpi_state;
}

long step_bind(const struct step *s)
{
	struct sockaddr_in a = address_of(s);
	int fd = socket(AF_INET, SOCK_STREAM | (s->flags & STEP_NONBLOCK ? SOCK_NONBLOCK : 0), 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : fd;
}

long step_connect_bound(const struct step *s)
{
	struct sockaddr_in a = address_of(s);

	if (connect(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	return errno == EINPROGRESS && s->flags & STEP_NONBLOCK ? 0 : -errno;
}

long step_connect_oddly(const struct step *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const void *at = s->value == STEP_ODD_POINTER ? (const void *)8 : &a;
	socklen_t len = s->value == STEP_ODD_LENGTH ? 8 : sizeof(a);
	long r;

	if (s->value == STEP_ODD_FAMILY)
		a.sin_family = AF_INET6;
	a.sin_addr.s_addr = htonl(s->value == STEP_ODD_MULTICAST   ? INADDR_ALLHOSTS_GROUP
				  : s->value == STEP_ODD_BROADCAST ? INADDR_BROADCAST
								   : INADDR_LOOPBACK);
	r = syscall(SYS_connect, fd, at, len) < 0 ? -errno : 0;
	close(fd);
	return r;
}

long step_fast_open(const struct step *s)
{
	static const char bytes[1024];
	struct sockaddr_in a = address_of(s);
	int fd = s->fd ? s->fd : socket(AF_INET, SOCK_STREAM, 0);

	if (sendto(fd, bytes, (size_t)s->count, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&a,
		   sizeof(a)) == s->count)
		return fd;
	return -errno;
}

long step_syn_data(const struct step *s)
{
	struct tcp_info info;
	long r = tcp_info(s->fd, &info);

	return r < 0 ? r : !!(info.tcpi_options & TCPI_OPT_SYN_DATA);
}

/* ---- descriptors in messages ---- */

union fd_message {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

long step_unix_pair(const struct step *s)
{
	int pair[2];

	(void)s;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return -errno;
	return pair[1] == pair[0] + 1 ? pair[0] : -EMFILE;
}

long step_send_fd(const struct step *s)
{
	union fd_message ancillary = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS}};
	char byte = 0;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ancillary,
			     .msg_controllen = sizeof(ancillary)};

	memcpy(CMSG_DATA(&ancillary.head), &s->to_fd, sizeof(int));
	return sendmsg(s->fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

long step_receive_fd(const struct step *s)
{
	union fd_message ancillary;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ancillary,
			     .msg_controllen = sizeof(ancillary)};
	int fd;

	if (recvmsg(s->fd, &msg, MSG_DONTWAIT) != 1 || !CMSG_FIRSTHDR(&msg))
		return -errno;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}
