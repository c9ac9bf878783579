/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of connections: who is in, what each one waits for, and until when. A slot number stands for a connection.
 * Pure: time is an argument, and what it decides is done by the caller.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define CLIENTS_MAX 64
/* From one address, while more than half of the table is taken. */
#define CLIENTS_PER_ADDRESS_MAX 16
/* All of them total: from the start of the phase, whatever the client does meanwhile. */
#define CLIENTS_HEADER_NS (5 * NSEC_PER_SEC)
#define CLIENTS_ANSWER_NS (5 * NSEC_PER_SEC)
#define CLIENTS_IDLE_NS (75 * NSEC_PER_SEC)
/* So long a new connection is not the first to go: a TLS client takes some milliseconds for each of its parts. */
#define CLIENTS_GRACE_NS (100 * NSEC_PER_MSEC)

enum client_phase {
	CLIENT_FREE,
	CLIENT_HEADER, /* it sends a header (and its part of a TLS handshake), or is to begin with it */
	CLIENT_ANSWER, /* it takes a short text: what anybody gets who asks */
	CLIENT_BODY, /* it takes a body */
	CLIENT_IDLE, /* kept, between two requests */
};

struct client_row {
	enum client_phase phase;
	bool ending; /* it was decided to end it; its slot is taken until clients_remove() */
	bool limited; /* its address counts */
	uint8_t address[16];
	uint64_t since_ns, deadline_ns; /* of the phase */
	uint64_t grace_ns; /* in CLIENT_HEADER and CLIENT_ANSWER: until then others go first */
};

/* Starts as {}. */
struct clients {
	struct client_row of[CLIENTS_MAX];
	unsigned int count;
};

/*
 * Whether one more may come in. 0: yes. -EUSERS: not from this address (NULL: its address does not count). -EAGAIN: when
 * *ret_victim is gone, which is the one that takes longest for its header or for a short answer, those after their grace first, else
 * the one that is idle longest. -ENOSPC: no, all take bodies.
 */
int clients_admit(const struct clients *t, const uint8_t *address, uint64_t now_ns,
		  int *ret_victim);

/* Takes a slot and returns it: clients_admit() has just said 0. Begins in CLIENT_HEADER. */
int clients_add(struct clients *t, const uint8_t *address, uint64_t now_ns);
void clients_remove(struct clients *t, int slot);

/* The first byte of the next request is here: CLIENT_IDLE to CLIENT_HEADER. In any other phase nothing changes. */
void clients_begin(struct clients *t, int slot, uint64_t now_ns);
/* It sent something, and not enough to go on with: its grace is over. */
void clients_dawdle(struct clients *t, int slot);
/* It did its part of a TLS handshake, as far as it can go without us: it has a new grace for what follows. */
void clients_greet(struct clients *t, int slot, uint64_t now_ns);
/* The header is complete. */
void clients_ask(struct clients *t, int slot, uint64_t now_ns);
/* The answer is a body, which must be gone in `answer_ns`. */
void clients_give(struct clients *t, int slot, uint64_t now_ns, uint64_t answer_ns);
void clients_answered(struct clients *t, int slot, uint64_t now_ns);
/* It has no deadline any more, and is nobody's victim. */
void clients_end(struct clients *t, int slot);

/* One whose deadline has come, or -1. */
int clients_overdue(const struct clients *t, uint64_t now_ns);
/* The next deadline; UINT64_MAX: there is none. */
uint64_t clients_deadline_ns(const struct clients *t);

#endif
