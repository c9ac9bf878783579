// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Owns an engine for the time of one replay. A frame is one call of it, named by a table row that also says which sizes its payload may have.
 * The file is foreign: every frame is checked before it is fed, and what is refused is told with the offset at which it
 * begins. Invariant: memory is bounded by the bounds in the header, whatever its length. Knows no kernel, no clock and no file name.
 */
#include "replay.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "connections.h"
#include "gather.h"
#include "listeners.h"
#include "name.h"
#include "util.h"

#define ORPHANS_MAX 64
#define OUT_BYTES 65536

struct replay {
	FILE *in;
	struct pools *pools;
	struct connections *connections;
	struct listeners *listeners;
	uint64_t now_ns;
	struct gather_counters counters; /* of the last reading, as the next two */
	struct exposition_process processes[SERIES_NAMES_MAX];
	size_t process_count;
	bool ended;
	struct replay_result *result;
	uint64_t offset; /* where what is read now begins */
	const char *fault; /* why a frame was refused; static text */
	uint64_t payload[RECORDING_PAYLOAD_MAX / sizeof(uint64_t)]; /* aligned for anything */
};

/* ---- what frames do; false: r->fault says why not ---- */

static bool refuse(struct replay *r, const char *fault)
{
	r->fault = fault;
	return false;
}

static bool do_clock(struct replay *r, size_t size)
{
	(void)size;
	if (r->payload[0] < r->now_ns)
		return refuse(r, "the clock goes back");
	r->now_ns = r->payload[0];
	if (!r->result->begin_ns)
		r->result->begin_ns = r->now_ns;
	r->result->end_ns = r->now_ns;
	pools_clock(r->pools, r->now_ns);
	return true;
}

static bool do_message(struct replay *r, size_t size)
{
	r->result->records++;
	connections_message(r->connections, r->payload, size, r->now_ns);
	return true;
}

static bool do_drained(struct replay *r, size_t size)
{
	struct recording_ring ring;

	(void)size;
	memcpy(&ring, r->payload, sizeof(ring));
	connections_drained(r->connections, ring.consumed, ring.produced);
	return true;
}

static bool do_parked(struct replay *r, size_t size)
{
	struct ps_record record;

	(void)size;
	memcpy(&record, r->payload, sizeof(record));
	r->result->records++;
	connections_parked(r->connections, &record);
	return true;
}

static bool do_inventory_begin(struct replay *r, size_t size)
{
	(void)size;
	connections_inventory_begin(r->connections);
	return true;
}

static bool do_inventory_end(struct replay *r, size_t size)
{
	(void)size;
	connections_inventory_end(r->connections);
	return true;
}

static uint32_t payload_u32(const struct replay *r)
{
	uint32_t n;

	memcpy(&n, r->payload, sizeof(n));
	return n;
}

static bool do_orphans(struct replay *r, size_t size)
{
	uint32_t owners[ORPHANS_MAX];

	(void)size;
	if (payload_u32(r) > ORPHANS_MAX)
		return refuse(r, "too many orphans at once");
	connections_orphan_owners(r->connections, r->now_ns, owners, payload_u32(r));
	return true;
}

static bool do_expire(struct replay *r, size_t size)
{
	(void)size;
	pools_expire(r->pools, payload_u32(r));
	return true;
}

static bool do_owner(struct replay *r, size_t size)
{
	char name[SERIES_NAME_MAX + 1] = "";
	size_t len = size - sizeof(uint32_t);

	memcpy(name, (const char *)r->payload + sizeof(uint32_t), len);
	if (strlen(name) != len || name_fault(name))
		return refuse(r, "not a process name");
	if (pools_add_owner(r->pools, payload_u32(r), name))
		return refuse(r, "a target that cannot be");
	return true;
}

static bool do_owner_dropped(struct replay *r, size_t size)
{
	(void)size;
	if (pools_owner_name(r->pools, payload_u32(r)) < 0)
		return refuse(r, "the end of no target");
	pools_drop_owner(r->pools, payload_u32(r));
	return true;
}

static bool do_forget(struct replay *r, size_t size)
{
	size_t kept = 0;
	uint64_t names;

	(void)size;
	connections_forget(r->connections);
	names = pools_sweep(r->pools);
	listeners_forget(r->listeners, names);
	for (size_t i = 0; i < r->process_count; i++)
		if (!(names >> r->processes[i].name & 1))
			r->processes[kept++] = r->processes[i];
	r->process_count = kept;
	return true;
}

static bool do_listeners_begin(struct replay *r, size_t size)
{
	(void)size;
	listeners_begin(r->listeners);
	return true;
}

static bool do_listener(struct replay *r, size_t size)
{
	struct ps_listener_row row;
	int name;

	(void)size;
	memcpy(&row, r->payload, sizeof(row));
	name = pools_owner_name(r->pools, row.owner);
	if (name < 0)
		return refuse(r, "a listener of no target");
	listeners_add(r->listeners, &row, (uint16_t)name);
	return true;
}

static bool do_listeners_end(struct replay *r, size_t size)
{
	(void)size;
	listeners_end(r->listeners);
	return true;
}

static bool do_queued_reset(struct replay *r, size_t size)
{
	(void)size;
	pools_queued_reset(r->pools);
	return true;
}

static bool do_queued(struct replay *r, size_t size)
{
	for (size_t i = 0; i < size / sizeof(r->payload[0]); i++)
		connections_queued(r->connections, r->payload[i]);
	return true;
}

static bool do_processes(struct replay *r, size_t size)
{
	struct recording_processes rows[SERIES_NAMES_MAX];
	size_t count = size / sizeof(rows[0]);

	memcpy(rows, r->payload, size);
	for (size_t i = 0; i < count; i++)
		if (rows[i].name >= series_names(pools_series(r->pools)) ||
		    !series_name_text(pools_series(r->pools), (uint16_t)rows[i].name))
			return refuse(r, "processes of no target");
	for (size_t i = 0; i < count; i++)
		r->processes[i] = (struct exposition_process){.name = (uint16_t)rows[i].name,
							      .processes = rows[i].processes};
	r->process_count = count;
	return true;
}

static bool do_counters(struct replay *r, size_t size)
{
	memcpy(&r->counters, r->payload, size);
	return true;
}

static bool do_end(struct replay *r, size_t size)
{
	(void)size;
	if (r->payload[0] != r->result->frames)
		return refuse(r, "frames are missing before the end");
	r->ended = true;
	return true;
}

/* A payload has between min and max bytes, and is a multiple of `unit` above min. */
static const struct kind {
	bool (*run)(struct replay *r, size_t size);
	size_t min, max, unit;
} kinds[RECORDING_KINDS] = {
#define NONE 0, 0, 1
#define EXACTLY(type) sizeof(type), sizeof(type), 1
	[RECORDING_CLOCK] = {do_clock, EXACTLY(uint64_t)},
	[RECORDING_MESSAGE] = {do_message, 0, RECORDING_MESSAGE_MAX, 1},
	[RECORDING_DRAINED] = {do_drained, EXACTLY(struct recording_ring)},
	[RECORDING_PARKED] = {do_parked, EXACTLY(struct ps_record)},
	[RECORDING_INVENTORY_BEGIN] = {do_inventory_begin, NONE},
	[RECORDING_INVENTORY_END] = {do_inventory_end, NONE},
	[RECORDING_ORPHANS] = {do_orphans, EXACTLY(uint32_t)},
	[RECORDING_EXPIRE] = {do_expire, EXACTLY(uint32_t)},
	[RECORDING_OWNER] = {do_owner, sizeof(uint32_t), sizeof(uint32_t) + SERIES_NAME_MAX, 1},
	[RECORDING_OWNER_DROPPED] = {do_owner_dropped, EXACTLY(uint32_t)},
	[RECORDING_FORGET] = {do_forget, NONE},
	[RECORDING_LISTENERS_BEGIN] = {do_listeners_begin, NONE},
	[RECORDING_LISTENER] = {do_listener, EXACTLY(struct ps_listener_row)},
	[RECORDING_LISTENERS_END] = {do_listeners_end, NONE},
	[RECORDING_QUEUED_RESET] = {do_queued_reset, NONE},
	[RECORDING_QUEUED] = {do_queued, 0, RECORDING_PAYLOAD_MAX, sizeof(uint64_t)},
	[RECORDING_PROCESSES] = {do_processes, 0,
				 SERIES_NAMES_MAX * sizeof(struct recording_processes),
				 sizeof(struct recording_processes)},
	[RECORDING_COUNTERS] = {do_counters, EXACTLY(struct gather_counters)},
	[RECORDING_END] = {do_end, EXACTLY(uint64_t)},
#undef NONE
#undef EXACTLY
};

/* ---- reading ---- */

/* 0; -ENODATA: fewer bytes are left, *ret_read of them. */
static int read_bytes(struct replay *r, void *out, size_t size, size_t *ret_read)
{
	*ret_read = size ? fread(out, 1, size, r->in) : 0;
	if (*ret_read == size)
		return 0;
	return ferror(r->in) ? -EIO : -ENODATA;
}

/* A byte at a time, so that nothing behind it is taken. */
static int read_header(struct replay *r, char *why, size_t why_size)
{
	char text[RECORDING_HEADER_MAX];
	size_t len = 0, at;
	int n = -ENODATA;

	while (n == -ENODATA && len < sizeof(text)) {
		int c = getc(r->in);

		if (c == EOF && ferror(r->in))
			return -EIO;
		if (c == EOF && len)
			break;
		if (c == EOF) {
			snprintf(why, why_size, "the file is empty");
			return -EINVAL;
		}
		text[len++] = (char)c;
		if (c == '\n' || len == sizeof(text))
			n = recording_header_parse(text, len, &r->result->header, &at, why,
						   why_size);
	}
	if (n == -ENODATA)
		n = recording_header_parse(text, len, &r->result->header, &at, why, why_size);
	r->offset = n > 0 ? (uint64_t)n : n == -ENODATA ? len : at;
	return n > 0 ? 0 : n;
}

/* The next frame's size; what is wrong with its head is r->fault. */
static int check_frame(struct replay *r, const struct recording_frame *frame)
{
	const struct kind *kind = &kinds[frame->kind < RECORDING_KINDS ? frame->kind : 0];

	if (r->ended)
		refuse(r, "something follows the end");
	else if (!kind->run)
		refuse(r, "no kind of frame");
	else if (frame->size < kind->min || frame->size > kind->max ||
		 (frame->size - kind->min) % kind->unit)
		refuse(r, "a frame of the wrong size");
	return r->fault ? -EINVAL : 0;
}

/* One frame. 1: the file has ended where it should. */
static int read_frame(struct replay *r)
{
	struct recording_frame frame;
	size_t n;
	int err = read_bytes(r, &frame, sizeof(frame), &n);

	if (err == -ENODATA && !n && r->ended)
		return 1;
	if (!err)
		err = check_frame(r, &frame);
	if (!err)
		err = read_bytes(r, r->payload, frame.size, &n);
	if (err)
		return err;
	if (!kinds[frame.kind].run(r, frame.size))
		return -EINVAL;
	r->result->frames++;
	r->offset += sizeof(frame) + frame.size;
	return 0;
}

static int open_engine(struct replay *r)
{
	struct pools_config *config = &r->result->header.config;
	uint8_t key[16];
	int err;

	/* order and numbers do not depend on the keys; but a stranger who knows them can make a table slow */
	if (getrandom(config->hash_key, sizeof(config->hash_key), 0) != sizeof(config->hash_key) ||
	    getrandom(key, sizeof(key), 0) != sizeof(key))
		return -errno;
	err = pools_open(&r->pools, config);
	if (!err)
		err = connections_open(&r->connections, r->result->header.tracked_max, r->pools,
				       key);
	if (!err)
		err = listeners_open(&r->listeners);
	if (err == -EINVAL)
		r->fault = "the header's bounds cannot be";
	return err;
}

static int read_all(struct replay *r, bool partial)
{
	int err = open_engine(r);

	while (!err)
		err = read_frame(r);
	r->result->bytes = r->offset;
	r->result->cut = err == -ENODATA && partial;
	return err == 1 || r->result->cut ? 0 : err;
}

/* ---- what it came to ---- */

static uint64_t count_wrongs(struct replay *r)
{
	struct connections_stats c;
	struct pools_stats p;

	connections_stats(r->connections, &c);
	pools_stats(r->pools, &p);
	return p.negative + p.unaccounted + c.invalid + c.tombstones_dropped;
}

static void explain(const struct replay *r, int err, char *why, size_t why_size)
{
	unsigned long long offset = r->offset;
	char fault[256];

	snprintf(fault, sizeof(fault), "%s", r->fault ? r->fault : why);
	if (err == -ENODATA)
		snprintf(why, why_size, "offset %llu: the file ends before the recording does",
			 offset);
	else if (err == -EINVAL)
		snprintf(why, why_size, "offset %llu: %s", offset, fault);
	else
		snprintf(why, why_size, "offset %llu: %s", offset, strerror(-err));
}

int replay_open(struct replay **ret, FILE *in, bool partial, struct replay_result *result,
		char *why, size_t why_size)
{
	struct replay *r = calloc(1, sizeof(*r));
	int err;

	*result = (struct replay_result){};
	snprintf(why, why_size, "%s", strerror(ENOMEM));
	if (!r)
		return -ENOMEM;
	r->in = in;
	r->result = result;
	err = read_header(r, why, why_size);
	if (!err)
		err = read_all(r, partial);
	if (err) {
		explain(r, err, why, why_size);
		replay_close(r);
		return err;
	}
	result->wrongs = count_wrongs(r);
	*ret = r;
	return 0;
}

void replay_close(struct replay *r)
{
	if (!r)
		return;
	listeners_close(r->listeners);
	connections_close(r->connections);
	pools_close(r->pools);
	free(r);
}

int replay_snapshot(struct replay *r, struct snapshot **ret)
{
	struct exposition_self self = {
		.processes = r->processes, .process_count = r->process_count, .replayed = true};
	struct gather rows;

	gather_engine(&rows, &self, r->connections, r->listeners, &r->counters);
	return snapshot_take(ret, r->pools, &self);
}

static int print(struct exposition *x, FILE *out)
{
	_cleanup_free_ char *text = malloc(OUT_BYTES);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	while ((n = exposition_read(x, text, OUT_BYTES)) > 0)
		if (fwrite(text, 1, (size_t)n, out) != (size_t)n)
			return -errno;
	return fflush(out) ? -errno : 0;
}

int replay_print(struct replay *r, FILE *out, enum exposition_format format)
{
	struct snapshot *snapshot;
	struct exposition *x;
	int err = replay_snapshot(r, &snapshot);

	if (err)
		return err;
	err = exposition_open(&x, format, snapshot);
	snapshot_release(snapshot);
	if (err)
		return err;
	err = print(x, out);
	exposition_close(x);
	return err;
}
