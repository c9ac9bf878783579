/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The connections of the endpoint, from accept4() to close(): their table, their deadlines, their life in libmicrohttpd.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "routes.h"

struct tls;
struct sessions;

/* `routes` outlives it. With `tls` what comes over TCP must speak it. */
int sessions_open(struct sessions **ret, struct routes *routes, bool tls);
/* Ends all of them; an answer that is cut off ends with a reset. Takes NULL. */
void sessions_close(struct sessions *s);

/* The certificate of those that come from now on; it is taken, and the one before given back. */
void sessions_set_tls(struct sessions *s, struct tls *certificate);

/* One epoll fd for all of them, and for each listener that is added; its owner does the accepting. */
int sessions_fd(const struct sessions *s);
int sessions_add_listener(struct sessions *s, int fd);
/* Whether a listener that was added makes sessions_fd() readable. */
void sessions_hear(struct sessions *s, int listener, bool on);

/* One turn: reads, answers, ends what is overdue at `now_ns`, never blocks. */
void sessions_run(struct sessions *s, uint64_t now_ns);
/* Takes an accepted fd, which does not block, after sessions_run(). `local`: over a unix socket. */
void sessions_take(struct sessions *s, int fd, const struct sockaddr_storage *from, bool local);
/* Milliseconds until the next turn at the latest; -1: no need. */
int sessions_timeout_ms(const struct sessions *s);

#endif
