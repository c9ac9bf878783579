/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Sockets that listen for the endpoint: TCP, unix, and those handed over by a service manager.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct listen_socket {
	int fd; /* -1: none */
	int family; /* AF_INET, AF_INET6, AF_UNIX */
	bool remote; /* TCP that other hosts may reach */
	/* The file of a unix socket that was made here: it goes with the listener. "": none. */
	char path[sizeof(struct sockaddr_storage)];
	dev_t device;
	ino_t inode;
};

/* The address of a TCP client by which it is limited, IPv4 as v4-mapped, of IPv6 the first 64 bits; NULL:
 * loopback, which is not. */
const uint8_t *listen_limited(const struct sockaddr_storage *address, uint8_t ret[16]);

/*
 * Binds and listens, without blocking. A unix socket is made with mode 0660, and takes the place of a socket file at which
 * nobody listens any more. A failure is told in `why` with `text`, the address as the operator
 * wrote it: -EADDRINUSE (of a unix socket with the PID that listens there), -EADDRNOTAVAIL, -EACCES …
 */
int listen_open(struct listen_socket *ret, const struct sockaddr_storage *address, socklen_t len,
		const char *text, char *why, size_t why_size);
/* The same for a unix socket of another mode. -ENAMETOOLONG. */
int listen_open_unix(struct listen_socket *ret, const char *path, mode_t mode, char *why,
		     size_t why_size);
/* Takes fd, which listens already. -EINVAL: it does not, or is no stream socket of a family we know; it stays the caller's. */
int listen_adopt(struct listen_socket *ret, int fd, char *why, size_t why_size);
/* Also removes the file of a unix socket, if it is still the one that was made and may be removed. */
void listen_close(struct listen_socket *l);

/* The port that is bound; 0: a unix socket. */
uint16_t listen_port(const struct listen_socket *l);

#endif
