// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Listeners by (process name, port). The gauges are those of the last reading; `dropped` adds up the growth of each socket's
 * own count, so it never falls when a listener closes. What a socket dropped after the last reading before it closed
 * is not known. Knows no kernel and no label text.
 */
#include "listeners.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util.h"

struct socket {
	uint64_t cookie;
	uint32_t owner; /* whose tag it bears: another's counts from 0 */
	uint32_t dropped; /* the kernel's count at the last reading; wraps */
	bool seen;
};

struct listeners {
	struct listeners_row rows[LISTENERS_PORTS_MAX];
	size_t row_count;
	struct socket sockets[LISTENERS_SOCKETS_MAX];
	size_t socket_count;
	uint64_t over; /* sockets beyond the bound in the reading under way */
	uint64_t refused; /* the most of any reading */
};

int listeners_open(struct listeners **ret)
{
	struct listeners *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*ret = l;
	return 0;
}

void listeners_close(struct listeners *l)
{
	free(l);
}

void listeners_begin(struct listeners *l)
{
	for (size_t i = 0; i < l->row_count; i++) {
		struct listeners_row *row = &l->rows[i];

		row->listeners = row->half_open = row->queue_limit = 0;
	}
	for (size_t i = 0; i < l->socket_count; i++)
		l->sockets[i].seen = false;
	l->over = 0;
}

static struct listeners_row *find_row(struct listeners *l, uint16_t name, uint16_t port)
{
	for (size_t i = 0; i < l->row_count; i++)
		if (l->rows[i].name == name && l->rows[i].port == port)
			return &l->rows[i];
	return NULL;
}

/* The last places of the table are kept for port 0, one for each name at most. */
static struct listeners_row *get_row(struct listeners *l, uint16_t name, uint16_t port)
{
	struct listeners_row *row = find_row(l, name, port);

	if (row)
		return row;
	if (port && l->row_count >= LISTENERS_PORTS_MAX - 64)
		return get_row(l, name, 0);
	if (l->row_count == LISTENERS_PORTS_MAX)
		return NULL;
	row = &l->rows[l->row_count++];
	*row = (struct listeners_row){.name = name, .port = port};
	return row;
}

/* How many connections the socket has dropped since the last reading. */
static uint32_t growth(struct listeners *l, const struct ps_listener_row *row)
{
	struct socket *s;

	for (size_t i = 0; i < l->socket_count; i++) {
		s = &l->sockets[i];
		if (s->cookie == row->cookie) {
			uint32_t more = row->dropped - (s->owner == row->owner ? s->dropped : 0);

			s->owner = row->owner;
			s->dropped = row->dropped;
			s->seen = true;
			return more;
		}
	}
	if (l->socket_count == LISTENERS_SOCKETS_MAX) {
		l->over++;
		return 0;
	}
	s = &l->sockets[l->socket_count++];
	*s = (struct socket){
		.cookie = row->cookie, .owner = row->owner, .dropped = row->dropped, .seen = true};
	return row->dropped;
}

void listeners_add(struct listeners *l, const struct ps_listener_row *row, uint16_t name)
{
	struct listeners_row *sum = get_row(l, name, row->local_port);

	if (!sum)
		return;
	sum->listeners++;
	sum->half_open += row->half_open;
	sum->queue_limit += row->queue_limit;
	sum->dropped += growth(l, row);
}

void listeners_end(struct listeners *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->socket_count; i++)
		if (l->sockets[i].seen)
			l->sockets[kept++] = l->sockets[i];
	l->socket_count = kept;
	if (l->over > l->refused)
		l->refused = l->over;
	/* a port without listeners has nothing to say, unless something was dropped there */
	kept = 0;
	for (size_t i = 0; i < l->row_count; i++)
		if (l->rows[i].listeners || l->rows[i].dropped)
			l->rows[kept++] = l->rows[i];
	l->row_count = kept;
}

void listeners_forget(struct listeners *l, uint64_t names)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->row_count; i++)
		if (!(names >> l->rows[i].name & 1))
			l->rows[kept++] = l->rows[i];
	l->row_count = kept;
}

const struct listeners_row *listeners_rows(const struct listeners *l, size_t *ret_count)
{
	*ret_count = l->row_count;
	return l->rows;
}

uint64_t listeners_refused(const struct listeners *l)
{
	return l->refused;
}
