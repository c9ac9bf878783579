/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The targets' listening sockets as they are read at a scrape, summed by process name and port. Keeps what the kernel counts per
 * socket (drops) when the socket is gone. Bounded. Pure.
 */
#ifndef LISTENERS_H
#define LISTENERS_H

#include <stddef.h>
#include <stdint.h>

#include "poolscope/listing.h"

#define LISTENERS_PORTS_MAX \
	256 /* (name, port) pairs; further ones are summed up under port 0 of their name */
#define LISTENERS_SOCKETS_MAX 1024 /* sockets whose drops are known one by one */

/* One (process name, server port). */
struct listeners_row {
	uint16_t name; /* index of the series table */
	uint16_t port;
	uint64_t listeners, half_open, queue_limit; /* as read */
	uint64_t dropped; /* since attach, also of sockets that are gone */
};

struct listeners;

int listeners_open(struct listeners **ret);
void listeners_close(struct listeners *l);

/* A reading: begin, one call per socket, end. */
void listeners_begin(struct listeners *l);
void listeners_add(struct listeners *l, const struct ps_listener_row *row, uint16_t name);
void listeners_end(struct listeners *l);

/* Forgets the rows of these names (bit by index): the targets are detached. */
void listeners_forget(struct listeners *l, uint64_t names);

const struct listeners_row *listeners_rows(const struct listeners *l, size_t *ret_count);
/* Sockets beyond LISTENERS_SOCKETS_MAX, the most of any reading: shown, but their drops are not counted. */
uint64_t listeners_refused(const struct listeners *l);

#endif
