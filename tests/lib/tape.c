// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tape.h"

#include <string.h>

#include "util.h"

#define OWNER 1
#define PEERS 1000
#define DRAIN_EVERY 100 /* connections */
#define READ_EVERY 10000
#define BEGIN_NS (1000 * NSEC_PER_SEC)
#define STEP_NS (2 * NSEC_PER_MSEC) /* between the begins of two connections */

struct recording_header tape_header(void)
{
	struct recording_header h = {
		.tracked_max = 262144,
		.config = {.peers_max = 128, .series_max = 512, .ttl_ns = 3600 * NSEC_PER_SEC},
		.version = "0.0.0",
		.revision = "tape",
		.kernel = "none",
	};

	histogram_bounds_handshake(&h.config.handshake);
	histogram_bounds_lifetime(&h.config.lifetime);
	return h;
}

static void tell(struct recording *r, uint64_t i, enum ps_phase phase)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD};
	uint32_t peer = (uint32_t)(i % PEERS);

	m.record = (struct ps_record){
		.id = i + 1,
		.version = (uint32_t)phase,
		.phase = (uint8_t)phase,
		.direction = PS_OUTBOUND,
		.flags = phase == PS_PHASE_PENDING ? PS_ATTEMPTED : PS_ATTEMPTED | PS_OPENED,
		.owner = OWNER,
		.birth_owner = OWNER,
		.peer_port = 443,
		.reason = PS_CLOSE_LOCAL,
		.attempt_ns = BEGIN_NS + i * STEP_NS,
	};
	memcpy(m.record.peer, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a", 13);
	m.record.peer[14] = (uint8_t)(peer >> 8);
	m.record.peer[15] = (uint8_t)peer;
	if (phase >= PS_PHASE_ESTABLISHED)
		m.record.established_ns = m.record.attempt_ns + NSEC_PER_MSEC;
	if (phase == PS_PHASE_ENDED)
		m.record.closed_ns = m.record.established_ns + NSEC_PER_SEC;
	recording_message(r, &m, sizeof(m));
}

static void take_inventory(struct recording *r, uint64_t first, uint64_t end)
{
	recording_mark(r, RECORDING_INVENTORY_BEGIN);
	for (uint64_t i = first; i < end; i++) {
		struct ps_message_shown shown = {
			.kind = PS_MESSAGE_SHOWN, .generation = 1, .id = i + 1};

		recording_message(r, &shown, sizeof(shown));
	}
	recording_mark(r, RECORDING_INVENTORY_END);
}

static void read_all(struct recording *r, uint32_t readings)
{
	const struct ps_listener_row row = {.cookie = 1,
					    .owner = OWNER,
					    .local_port = 80,
					    .queue_limit = 128,
					    .dropped = readings};
	const struct recording_processes processes = {.name = 0, .processes = 1};
	struct gather_counters counters = {.reconciles = {readings, 0, 0}};

	recording_mark(r, RECORDING_LISTENERS_BEGIN);
	recording_listener(r, &row);
	recording_mark(r, RECORDING_LISTENERS_END);
	recording_mark(r, RECORDING_QUEUED_RESET);
	recording_processes(r, &processes, 1);
	recording_counters(r, &counters);
}

static void drain(struct recording *r, uint64_t i)
{
	recording_drained(r, i, i);
	recording_orphans(r, 16);
	recording_expire(r, 256);
	recording_clock(r, BEGIN_NS + i * STEP_NS);
}

void tape_write(struct recording *r, uint64_t count)
{
	uint64_t end = count + TAPE_LIVE;

	recording_clock(r, BEGIN_NS);
	recording_owner(r, OWNER, TAPE_NAME);
	for (uint64_t i = 0; i < end; i++) {
		if (i >= TAPE_LIVE)
			tell(r, i - TAPE_LIVE, PS_PHASE_ENDED);
		if (i < count) {
			tell(r, i, PS_PHASE_PENDING);
			tell(r, i, PS_PHASE_ESTABLISHED);
		}
		if (i % DRAIN_EVERY == DRAIN_EVERY - 1)
			drain(r, i);
		if (i < count && i % READ_EVERY == READ_EVERY - 1) {
			take_inventory(r, i < TAPE_LIVE ? 0 : i + 1 - TAPE_LIVE, i + 1);
			read_all(r, (uint32_t)(i / READ_EVERY + 1));
		}
	}
	drain(r, end);
}
