/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Recordings: all that the engine is fed, in order, so that the same can be fed to it again (docs/design.md, "Recordings"). The form of
 * the file, and its writer. A file is a header of text lines, an empty line, and frames, the last of which is RECORDING_END.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "gather.h"
#include "poolscope/listing.h"
#include "pools.h"

#define RECORDING_FORMAT 1 /* rises when a frame changes its meaning, or a kind is added */
#define RECORDING_HEADER_MAX 8192 /* bytes, the empty line included */
#define RECORDING_TEXT_MAX 64 /* of a version, NUL included */
#define RECORDING_PAYLOAD_MAX 32768
#define RECORDING_MESSAGE_MAX \
	256 /* the kernel half sends less; of what is longer only the beginning is kept */
#define RECORDING_BUFFER_BYTES (1024 * 1024)
/* A recording whose disk takes longer than this for one buffer is given up: the loop waits for it. */
#define RECORDING_PATIENCE_NS 1000000000ULL

/* What was done with the engine; in brackets the payload. Numbers are in the byte order that the header names. */
enum recording_kind {
	RECORDING_CLOCK = 1, /* pools_clock() [u64 ns]; also the time of what follows */
	RECORDING_MESSAGE, /* connections_message() [the message] */
	RECORDING_DRAINED, /* connections_drained() [struct recording_ring] */
	RECORDING_PARKED, /* connections_parked() [struct ps_record] */
	RECORDING_INVENTORY_BEGIN, /* connections_inventory_begin() */
	RECORDING_INVENTORY_END, /* connections_inventory_end() */
	RECORDING_ORPHANS, /* connections_orphan_owners() [u32: at most so many] */
	RECORDING_EXPIRE, /* pools_expire() [u32 slots] */
	RECORDING_OWNER, /* pools_add_owner() [u32 id, the name without NUL] */
	RECORDING_OWNER_DROPPED, /* pools_drop_owner() [u32 id] */
	RECORDING_FORGET, /* connections_forget(), pools_sweep(), and listeners_forget() with what that returned */
	RECORDING_LISTENERS_BEGIN, /* listeners_begin() */
	RECORDING_LISTENER, /* listeners_add() [struct ps_listener_row] */
	RECORDING_LISTENERS_END, /* listeners_end() */
	RECORDING_QUEUED_RESET, /* pools_queued_reset() */
	RECORDING_QUEUED, /* connections_queued(), for each [u64 cookies] */
	RECORDING_PROCESSES, /* per process name [struct recording_processes, for each] */
	RECORDING_COUNTERS, /* [struct gather_counters] */
	RECORDING_END, /* nothing follows [u64: frames before this one] */
	RECORDING_KINDS,
};

struct recording_frame {
	uint32_t kind; /* enum recording_kind */
	uint32_t size; /* of the payload behind it */
};

struct recording_ring {
	uint64_t consumed, produced;
};

struct recording_processes {
	uint32_t name; /* index of the series table */
	uint32_t processes;
};

/* What the engine was made with; the hash keys are not recorded. */
struct recording_header {
	uint64_t begun_realtime_ns; /* since 1970 */
	uint32_t tracked_max;
	struct pools_config config;
	/* of the daemon, and the kernel's release: for people */
	char version[RECORDING_TEXT_MAX], revision[RECORDING_TEXT_MAX], kernel[RECORDING_TEXT_MAX];
};

/* Writes the header's text and returns its length; 0: no memory. Versions must be printable. */
size_t recording_header_format(const struct recording_header *h, char ret[RECORDING_HEADER_MAX]);
/*
 * Reads one. Returns its length. -ENODATA: the `len` bytes are the beginning of a header; -EINVAL: they are not, `why` says from which
 * byte on (*ret_offset) and how so.
 */
int recording_header_parse(const char *text, size_t len, struct recording_header *ret,
			   size_t *ret_offset, char *why, size_t why_size);

struct recording;

/*
 * Makes the file, 0600, and writes the header. -EEXIST: there is something by that name, be it a symbolic link. `path` stays the caller's
 * and must outlive the recording.
 */
int recording_open(struct recording **ret, const char *path, const struct recording_header *h);
/* The same on an open descriptor, which it closes in the end, also if it fails. */
int recording_open_fd(struct recording **ret, int fd, const struct recording_header *h);
/*
 * Ends the file, so that it can be replayed. Returns a failure that recording_flush() has not. NULL is no recording, here and
 * below.
 */
int recording_close(struct recording *r);
/* Removes the file again. */
void recording_discard(struct recording *r);

/*
 * Hands to the kernel what was written so far, within one second after it was. A failure is returned once; it ends the recording, and
 * whatever is written after it goes nowhere. -ENOSPC, -EFBIG, -EIO …; -ETIME: a write took longer than RECORDING_PATIENCE_NS.
 */
int recording_flush(struct recording *r, uint64_t now_ns);

/* One frame each. Never fails visibly: see recording_flush(). */
void recording_clock(struct recording *r, uint64_t now_ns);
void recording_message(struct recording *r, const void *data, size_t size);
void recording_drained(struct recording *r, uint64_t consumed, uint64_t produced);
void recording_parked(struct recording *r, const struct ps_record *record);
void recording_orphans(struct recording *r, uint32_t max);
void recording_expire(struct recording *r, uint32_t slots);
void recording_owner(struct recording *r, uint32_t owner, const char *name);
void recording_owner_dropped(struct recording *r, uint32_t owner);
void recording_listener(struct recording *r, const struct ps_listener_row *row);
void recording_queued(struct recording *r, const uint64_t *cookies, size_t count);
void recording_processes(struct recording *r, const struct recording_processes *rows, size_t count);
void recording_counters(struct recording *r, const struct gather_counters *counters);
/* Of a kind without payload. */
void recording_mark(struct recording *r, enum recording_kind kind);

#endif
