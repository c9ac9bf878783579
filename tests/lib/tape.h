/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A recording of any length, generated: for tests and the bench, which know what it must come to.
 */
#ifndef TAPE_H
#define TAPE_H

#include <stdint.h>

#include "recording.h"

#define TAPE_RECORDS 3 /* of each connection: pending, established, ended */
#define TAPE_LIVE 500 /* connections at once, at most */
#define TAPE_NAME "tape"

/* The default bounds. */
struct recording_header tape_header(void);

/*
 * Target 1, TAPE_NAME, makes `count` outbound connections to port 443 of 1,000 peers, each with a handshake of 1 ms and a lifetime of 1 s, and closes
 * them all; every 10,000 connections an inventory and a reading, which shows one process and a listener at port 80 that has dropped as many as there were readings.
 */
void tape_write(struct recording *r, uint64_t count);

#endif
