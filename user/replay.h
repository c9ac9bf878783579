/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Feeds a recording to the engine again, and prints what the daemon's /metrics would have said at its end. Needs no kernel, no root and
 * no time to pass: the same file gives the same bytes on any machine of its byte order.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "exposition.h"
#include "recording.h"
#include "snapshot.h"

struct replay_result {
	struct recording_header header; /* what was recorded, by what */
	uint64_t bytes, frames, records; /* read; records: messages, parked ones among them */
	uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC of the recorded host; 0: no time was told */
	bool cut; /* it ended early; with `partial` only */
	uint64_t wrongs; /* what must not happen in the engine, as the daemon logs it */
};

struct replay;

/*
 * Feeds `in` to an engine up to its end, whatever it is (a pipe will do), in bounded memory. With `partial` a file that ends early
 * (the daemon was killed, its disk was full) counts up to its last whole frame. *result is written in any case, and stays the caller's.
 * Errors, told in `why`: -ENODATA the file ends early; -EINVAL no recording, of another version or byte order, or damaged (both
 * with the offset); -ENOMEM; -EIO.
 */
int replay_open(struct replay **ret, FILE *in, bool partial, struct replay_result *result,
		char *why, size_t why_size);
void replay_close(struct replay *r);

/*
 * The families of the engine: those that hang on series, names, listeners, events and inventories. To be released before the replay
 * is closed. -ENOMEM is the only error.
 */
int replay_snapshot(struct replay *r, struct snapshot **ret);
/* Writes them as text and flushes. -ENOMEM, or what writing said. */
int replay_print(struct replay *r, FILE *out, enum exposition_format format);

#endif
