/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From the mirror's live connections and made-up rows of the kernel to the objects of /connections, byte for byte.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "util.h"

#define WEB 1 /* owners */
#define WORKER 2
#define STRANGER 9 /* no owner of ours */
#define T0 (100 * NSEC_PER_SEC)
#define NOW (T0 + 8 * NSEC_PER_SEC)
#define ALL                 \
	{                   \
		.limit = 10 \
	}

static const uint8_t hash_key[16] = "test_rows";

struct fixture {
	struct pools *pools;
	struct connections *connections;
	struct rows *rows;
};

static int setup(void **state)
{
	static struct fixture f;
	struct pools_config config = {.peers_max = 128, .series_max = 512};

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	f = (struct fixture){};
	assert_int_equal(pools_open(&f.pools, &config), 0);
	assert_int_equal(pools_add_owner(f.pools, WEB, "web \"1\" \xc3\xa9"), 0);
	assert_int_equal(pools_add_owner(f.pools, WORKER, "worker"), 0);
	assert_int_equal(connections_open(&f.connections, 100, f.pools, hash_key), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rows_close(f->rows);
	connections_close(f->connections);
	pools_close(f->pools);
	return 0;
}

/* An outbound one, established after 2 ms. */
static struct ps_record record(uint64_t id, uint32_t owner)
{
	return (struct ps_record){
		.id = id,
		.version = 2,
		.attempt_ns = T0 - 2 * NSEC_PER_MSEC,
		.established_ns = T0,
		.owner = owner,
		.birth_owner = owner,
		.peer = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 7},
		.peer_port = 5432,
		.local_port = 40001,
		.direction = PS_OUTBOUND,
		.phase = PS_PHASE_ESTABLISHED,
		.flags = PS_ATTEMPTED | PS_OPENED,
	};
}

static struct ps_record record_inbound(uint64_t id, uint32_t owner)
{
	struct ps_record r = record(id, owner);

	r.direction = PS_INBOUND;
	r.flags = PS_OPENED;
	r.attempt_ns = 0;
	r.handshake_us = 250;
	r.peer_port = 50123;
	r.local_port = 80;
	return r;
}

static void tell(struct fixture *f, const struct ps_record *r)
{
	struct ps_message_record m = {.kind = PS_MESSAGE_RECORD, .record = *r};

	connections_message(f->connections, &m, sizeof(m), T0);
}

static void tell_accept(struct fixture *f, uint64_t cookie, uint32_t owner)
{
	struct ps_message_accept m = {
		.kind = PS_MESSAGE_ACCEPT, .cookie = cookie, .owner = owner, .accepted_ns = T0 + 5};

	connections_message(f->connections, &m, sizeof(m), T0);
}

static void select_rows(struct fixture *f, struct query query)
{
	rows_close(f->rows);
	assert_int_equal(rows_open(&f->rows, &query, pools_series(f->pools), NOW), 0);
	connections_visit(f->connections, rows_select, f->rows);
	assert_int_equal(rows_selected(f->rows), 0);
}

static void join(struct fixture *f, const struct ps_record *r)
{
	struct ps_connection_row row = {.record = *r,
					.bytes_sent = 1ULL << 40,
					.bytes_received = 17,
					.retransmits = 3,
					.rtt_us = 1500};

	rows_join(f->rows, &row);
}

static void expect_object(struct fixture *f, size_t i, const char *expected)
{
	char text[ROWS_TEXT_MAX + 1];
	int len = rows_render(f->rows, i, text);

	assert_true(len > 0);
	text[len] = '\0';
	assert_string_equal(text, expected);
}

/* ---- rendering ---- */

static void a_joined_row_shows_all_that_is_known(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record(11, WEB);

	tell(f, &r);
	select_rows(f, (struct query)ALL);
	assert_int_equal(rows_unjoined(f->rows), 1);
	join(f, &r);
	assert_int_equal(rows_unjoined(f->rows), 0);
	rows_hold(f->rows, 11, 4242);
	expect_object(f, 0,
		      "{\"process\":\"web \\\"1\\\" \xc3\xa9\",\"pid\":4242,"
		      "\"direction\":\"outbound\",\"state\":\"active\","
		      "\"peer_address\":\"10.0.0.7\",\"peer_port\":5432,\"server_port\":5432,"
		      "\"local_port\":40001,\"adopted\":false,\"age_seconds\":8.0,"
		      "\"handshake_seconds\":0.002,\"accept_wait_seconds\":null,"
		      "\"stale_seconds\":null,\"bytes_sent\":1099511627776,"
		      "\"bytes_received\":17,\"retransmits\":3,\"rtt_seconds\":0.0015}");
}

static void what_only_the_kernel_knows_is_null_without_it(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record(11, WORKER);

	tell(f, &r);
	select_rows(f, (struct query)ALL);
	expect_object(f, 0,
		      "{\"process\":\"worker\",\"pid\":null,"
		      "\"direction\":\"outbound\",\"state\":\"active\","
		      "\"peer_address\":\"10.0.0.7\",\"peer_port\":null,\"server_port\":null,"
		      "\"local_port\":40001,\"adopted\":false,\"age_seconds\":8.0,"
		      "\"handshake_seconds\":null,\"accept_wait_seconds\":null,"
		      "\"stale_seconds\":null,\"bytes_sent\":null,"
		      "\"bytes_received\":null,\"retransmits\":null,\"rtt_seconds\":null}");
}

static void a_stale_inbound_one_shows_since_when(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record_inbound(11, WORKER);

	r.phase = PS_PHASE_STALE;
	r.accepted_ns = T0 + NSEC_PER_SEC / 2;
	r.closed_ns = NOW - 3 * NSEC_PER_SEC;
	r.reason = PS_CLOSE_PEER;
	tell(f, &r);
	select_rows(f, (struct query)ALL);
	join(f, &r);
	expect_object(f, 0,
		      "{\"process\":\"worker\",\"pid\":null,"
		      "\"direction\":\"inbound\",\"state\":\"stale\","
		      "\"peer_address\":\"10.0.0.7\",\"peer_port\":50123,\"server_port\":80,"
		      "\"local_port\":80,\"adopted\":false,\"age_seconds\":8.0,"
		      "\"handshake_seconds\":0.00025,\"accept_wait_seconds\":0.5,"
		      "\"stale_seconds\":3.0,\"bytes_sent\":1099511627776,"
		      "\"bytes_received\":17,\"retransmits\":3,\"rtt_seconds\":0.0015}");
}

static void expect_part(struct fixture *f, size_t i, const char *part)
{
	char text[ROWS_TEXT_MAX + 1];
	int len = rows_render(f->rows, i, text);

	assert_true(len > 0);
	text[len] = '\0';
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static void a_pending_one_is_as_old_as_its_attempt(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record(11, WORKER);

	r.phase = PS_PHASE_PENDING;
	r.flags = PS_ATTEMPTED;
	r.established_ns = 0;
	r.attempt_ns = NOW - NSEC_PER_SEC / 4;
	tell(f, &r);
	select_rows(f, (struct query)ALL);
	join(f, &r);
	expect_part(f, 0, "\"state\":\"pending\"");
	expect_part(f, 0, "\"age_seconds\":0.25,\"handshake_seconds\":null");
}

static void an_adopted_one_has_no_age(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record(11, WORKER);

	r.flags = PS_ADOPTED;
	r.attempt_ns = r.established_ns = 0;
	tell(f, &r);
	select_rows(f, (struct query)ALL);
	join(f, &r);
	expect_part(f, 0, "\"adopted\":true,\"age_seconds\":null,\"handshake_seconds\":null");
}

/* ---- who decides ---- */

static void a_queued_one_waits_until_either_side_has_seen_the_accept(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record_inbound(11, WEB);
	struct ps_connection_row row = {.record = r, .unaccepted = 1};

	tell(f, &r);
	select_rows(f, (struct query)ALL);
	rows_join(f->rows, &row);
	expect_part(f, 0, "\"state\":\"queued\"");
	tell_accept(f, 11, WORKER); /* the fallback: the record does not know */
	select_rows(f, (struct query)ALL);
	rows_join(f->rows, &row);
	expect_part(f, 0, "\"process\":\"worker\"");
	expect_part(f, 0, "\"state\":\"active\"");
	expect_part(f, 0, "\"adopted\":true,\"age_seconds\":8.0");
}

static void what_has_ended_or_left_is_not_listed(void **state)
{
	struct fixture *f = *state;
	struct ps_record ended = record(11, WEB), left = record_inbound(12, WEB),
			 stays = record(13, WEB);

	tell(f, &ended);
	ended.version = 3;
	ended.phase = PS_PHASE_ENDED;
	tell(f, &ended);
	tell(f, &left);
	left.version = 3;
	left.owner = STRANGER;
	left.flags |= PS_HANDED;
	left.accepted_ns = T0 + 1;
	tell(f, &left);
	tell(f, &stays);
	select_rows(f, (struct query)ALL);
	assert_int_equal(rows_total(f->rows), 1);
	join(f, &ended); /* the kernel may show it still */
	join(f, &left);
	assert_int_equal(rows_unjoined(f->rows), 1);
	join(f, &stays);
	join(f, &stays); /* a walk may repeat itself */
	assert_int_equal(rows_unjoined(f->rows), 0);
}

static void of_several_holders_the_lowest_pid_is_shown(void **state)
{
	struct fixture *f = *state;
	struct ps_record r = record(11, WEB);

	tell(f, &r);
	select_rows(f, (struct query)ALL);
	assert_int_equal(rows_unheld(f->rows), 1);
	rows_hold(f->rows, 11, 70);
	assert_int_equal(rows_unheld(f->rows), 0);
	rows_hold(f->rows, 11, 50);
	rows_hold(f->rows, 11, 60);
	rows_hold(f->rows, 12, 1);
	assert_int_equal(rows_unheld(f->rows), 0);
	expect_part(f, 0, "\"pid\":50,");
}

/* ---- what is asked for ---- */

static void the_limit_bounds_the_rows_and_not_the_total(void **state)
{
	struct query query = {.limit = 65};
	struct fixture *f = *state;

	for (uint64_t id = 100; id > 0; id--) {
		struct ps_record r = record(id, id % 2 ? WEB : WORKER);

		r.peer[15] = (uint8_t)id;
		tell(f, &r);
	}
	select_rows(f, query);
	assert_int_equal(rows_total(f->rows), 100);
	assert_int_equal(rows_count(f->rows), 65);
	query.has_process = true;
	snprintf(query.process, sizeof(query.process), "worker");
	select_rows(f, query);
	assert_int_equal(rows_total(f->rows), 50);
	assert_int_equal(rows_count(f->rows), 50);
	expect_part(f, 0, "\"peer_address\":\"10.0.0.2\""); /* in the order of their ids */
	expect_part(f, 49, "\"peer_address\":\"10.0.0.100\"");
	query.has_peer = true;
	assert_int_equal(address_prefix_parse("10.0.0.64/26", &query.peer), 0);
	select_rows(f, query);
	assert_int_equal(rows_total(f->rows), 19); /* 64, 66 … 100 */
	snprintf(query.process, sizeof(query.process), "nobody");
	select_rows(f, query);
	assert_int_equal(rows_total(f->rows), 0);
	assert_int_equal(rows_count(f->rows), 0);
	rows_hold(f->rows, 2, 1); /* nothing to find is no error */
}

/* The longest that can be: every number at its widest, a name that escaping doubles. */
static void the_longest_object_fits(void **state)
{
	struct fixture *f = *state;
	char name[SERIES_NAME_MAX + 1];
	struct ps_record r = record_inbound(11, 3);
	struct ps_connection_row row;

	memset(name, '"', SERIES_NAME_MAX / 2);
	name[SERIES_NAME_MAX / 2] = 'x'; /* 63 bytes in a label */
	name[SERIES_NAME_MAX / 2 + 1] = '\0';
	assert_int_equal(pools_add_owner(f->pools, 3, name), 0);
	memset(r.peer, 0xab, sizeof(r.peer));
	r.established_ns = 1;
	r.accepted_ns = UINT64_MAX;
	r.closed_ns = 1;
	r.handshake_us = UINT32_MAX;
	r.peer_port = r.local_port = UINT16_MAX;
	r.phase = PS_PHASE_STALE;
	tell(f, &r);
	select_rows(f, (struct query)ALL);
	row = (struct ps_connection_row){.record = r,
					 .bytes_sent = INT64_MAX,
					 .bytes_received = INT64_MAX,
					 .retransmits = UINT32_MAX,
					 .rtt_us = UINT32_MAX};
	rows_join(f->rows, &row);
	rows_hold(f->rows, 11, UINT32_MAX);
	expect_part(f, 0, "\"rtt_seconds\":4294.967295}");
}

#define rows_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rows_test(a_joined_row_shows_all_that_is_known),
		rows_test(what_only_the_kernel_knows_is_null_without_it),
		rows_test(a_stale_inbound_one_shows_since_when),
		rows_test(a_pending_one_is_as_old_as_its_attempt),
		rows_test(an_adopted_one_has_no_age),
		rows_test(a_queued_one_waits_until_either_side_has_seen_the_accept),
		rows_test(what_has_ended_or_left_is_not_listed),
		rows_test(of_several_holders_the_lowest_pid_is_shown),
		rows_test(the_limit_bounds_the_rows_and_not_the_total),
		rows_test(the_longest_object_fits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
