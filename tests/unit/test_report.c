/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The JSON snapshot: every byte of a small one, slices of any size, and that docs/snapshot.schema.json says what it is. */
#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "schema.h"
#include "util.h"
#include "version.h"

#define REALTIME_NS 1700000000500000000ULL

static struct pools *make_pools(uint32_t series_max)
{
	struct pools_config config = {
		.peers_max = series_max, .series_max = series_max, .hash_key = "test_report"};
	struct pools *p;
	char why[128];

	assert_int_equal(histogram_bounds_parse("0.001,1", &config.handshake, why, sizeof(why)), 0);
	assert_int_equal(histogram_bounds_parse("60", &config.lifetime, why, sizeof(why)), 0);
	assert_int_equal(pools_open(&p, &config), 0);
	assert_int_equal(pools_add_owner(p, 1, "a \"b\\c"), 0);
	return p;
}

static struct series *get_series(struct pools *p, struct series_key key)
{
	uint32_t slot;

	key.name = 0;
	assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
	return series_at(pools_series(p), slot);
}

#define PEER(...) .peer = {[10] = 0xff, 0xff, __VA_ARGS__}, .server_port = 5432

static void fill_outbound(struct series *s, const struct pools_config *config)
{
	s->active = 3;
	s->pending = 1;
	s->stale = 2;
	s->attempts = 100;
	s->opened = 90;
	s->adopted = 4;
	s->handed_over = 5;
	for (uint64_t i = 0; i < PS_CLOSES; i++)
		s->closed[i] = 10 + i;
	for (uint64_t i = 0; i < PS_FAILS; i++)
		s->failed[i] = 20 + i;
	histogram_add(&s->handshake, &config->handshake, 500000);
	histogram_add(&s->handshake, &config->handshake, 2000000);
	histogram_add(&s->handshake, &config->handshake, 2500000000);
	histogram_add(&s->lifetime, &config->lifetime, 1500000000);
}

static struct snapshot *take(struct pools *p)
{
	static const struct exposition_process processes[] = {{0, 4}};
	static const struct exposition_listener listeners[] = {{0, 80, 2, 3, 511, 7},
							       {0, 0, 1, 0, 128, 0}};
	const struct exposition_self self = {
		.processes = processes,
		.process_count = ARRAY_SIZE(processes),
		.listeners = listeners,
		.listener_count = ARRAY_SIZE(listeners),
		.connections = {.tracked = 9, .limit = 1000},
	};
	struct snapshot *snapshot;

	assert_int_equal(snapshot_take(&snapshot, p, &self), 0);
	return snapshot;
}

/* In pieces of `piece` bytes; the caller frees it. */
static char *render(struct pools *p, size_t piece)
{
	struct snapshot *snapshot = take(p);
	size_t len = 0, cap = 1 << 24;
	char *text = malloc(cap);
	struct report *r;
	ssize_t n;

	assert_non_null(text);
	assert_int_equal(report_open(&r, snapshot, REALTIME_NS), 0);
	snapshot_release(snapshot);
	while ((n = report_read(r, text + len, piece)) > 0) {
		assert_true((size_t)n <= piece);
		len += (size_t)n;
		assert_true(len + piece < cap);
	}
	assert_int_equal(n, 0);
	assert_int_equal(report_read(r, text + len, piece), 0);
	report_close(r);
	text[len] = '\0';
	return text;
}

static void check_schema(const char *text)
{
	json_error_t error;
	json_t *schema = json_load_file("docs/snapshot.schema.json", 0, &error),
	       *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	char why[512];

	assert_non_null(schema);
	assert_non_null(value);
	if (schema_check(schema, value, why, sizeof(why)))
		fail_msg("%s", why);
	json_decref(schema);
	json_decref(value);
}

static void every_byte_of_a_small_one(void **state)
{
	static const char expected[] =
		"\"time_seconds\":1700000000.5,"
		"\"bounds\":{\"handshake_seconds\":[0.001,1.0],\"lifetime_seconds\":[60.0]},"
		"\"connections_tracked\":9,\"connections_tracked_limit\":1000,"
		"\"processes\":[{\"process\":\"a \\\"b\\\\c\",\"processes\":4}],"
		"\"listeners\":["
		"{\"process\":\"a \\\"b\\\\c\",\"server_port\":80,\"listeners\":2,\"half_open\":3,"
		"\"queue_limit\":511,\"dropped\":7},"
		"{\"process\":\"a \\\"b\\\\c\",\"server_port\":null,\"listeners\":1,\"half_open\":0,"
		"\"queue_limit\":128,\"dropped\":0}],"
		"\"series\":["
		"{\"process\":\"a \\\"b\\\\c\",\"direction\":\"outbound\","
		"\"peer_address\":\"10.0.0.1\",\"server_port\":5432,"
		"\"active\":3,\"pending\":1,\"queued\":null,\"stale\":2,"
		"\"attempts\":100,\"opened\":90,\"adopted\":4,\"handed_over\":5,"
		"\"closed\":{\"local\":10,\"peer\":11,\"reset_by_peer\":12,\"reset_by_local\":13,"
		"\"timeout\":14,\"other\":15},"
		"\"failed\":{\"refused\":20,\"timeout\":21,\"unreachable\":22,\"reset\":23,"
		"\"aborted\":24,\"other\":25},"
		"\"handshake\":{\"count\":3,\"sum_seconds\":2.5025,\"buckets\":[1,1,1]},"
		"\"lifetime\":{\"count\":1,\"sum_seconds\":1.5,\"buckets\":[1,0]},"
		"\"accept_wait\":null},"
		"{\"process\":\"a \\\"b\\\\c\",\"direction\":\"inbound\","
		"\"peer_address\":\"10.1.0.0/16\",\"server_port\":5432,"
		"\"active\":0,\"pending\":null,\"queued\":7,\"stale\":0,"
		"\"attempts\":null,\"opened\":0,\"adopted\":0,\"handed_over\":0,"
		"\"closed\":{\"local\":0,\"peer\":0,\"reset_by_peer\":0,\"reset_by_local\":0,"
		"\"timeout\":0,\"other\":0},"
		"\"failed\":null,"
		"\"handshake\":{\"count\":0,\"sum_seconds\":0.0,\"buckets\":[0,0,0]},"
		"\"lifetime\":{\"count\":0,\"sum_seconds\":0.0,\"buckets\":[0,0]},"
		"\"accept_wait\":{\"count\":0,\"sum_seconds\":0.0,\"buckets\":[0,0,0]}}]}\n";
	struct pools *p = make_pools(8);
	char head[128], *text;

	(void)state;
	fill_outbound(get_series(p, (struct series_key){PEER(10, 0, 0, 1), .prefix_len = 128,
							.direction = PS_OUTBOUND}),
		      pools_config(p));
	get_series(p, (struct series_key){PEER(10, 1, 0, 0), .prefix_len = 112,
					  .direction = PS_INBOUND})
		->queued = 7;
	text = render(p, 65536);
	snprintf(head, sizeof(head), "{\"schema\":1,\"version\":\"%s\",\"revision\":\"%s\",",
		 version_text, version_revision);
	assert_int_equal(strncmp(text, head, strlen(head)), 0);
	assert_string_equal(text + strlen(head), expected);
	check_schema(text);
	free(text);
	pools_close(p);
}

static void without_a_series_it_is_whole(void **state)
{
	struct pools *p = make_pools(8);
	char *text = render(p, 7);

	(void)state;
	assert_non_null(strstr(text, ",\"series\":[]}\n"));
	check_schema(text);
	free(text);
	pools_close(p);
}

static void what_has_no_room_is_other_without_a_port(void **state)
{
	struct pools *p = make_pools(1);
	char *text;

	(void)state;
	for (uint8_t host = 1; host <= 2; host++)
		get_series(p, (struct series_key){PEER(10, 0, 0, host), .prefix_len = 128,
						  .direction = PS_INBOUND})
			->opened = host;
	text = render(p, 65536);
	assert_non_null(
		strstr(text, "\"peer_address\":\"other\",\"server_port\":null,\"active\":0,"));
	check_schema(text);
	free(text);
	pools_close(p);
}

/* The number of pieces does not show; 500 series are more than one call renders. */
static void slices_of_any_size_make_the_same_text(void **state)
{
	static const size_t pieces[] = {13, 1000, 32 * 1024, 1 << 20};
	struct pools *p = make_pools(1000);
	json_t *whole;
	char *first;

	(void)state;
	for (int i = 0; i < 500; i++)
		get_series(p, (struct series_key){PEER(10, 0, (uint8_t)(i >> 8), (uint8_t)i),
						  .prefix_len = 128, .direction = PS_OUTBOUND})
			->opened = (uint64_t)i;
	first = render(p, 65536);
	check_schema(first);
	whole = json_loads(first, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(whole, "series")), 500);
	json_decref(whole);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		char *text = render(p, pieces[i]);

		assert_string_equal(text, first);
		free(text);
	}
	free(first);
	pools_close(p);
}

static void the_schema_refuses_what_is_different(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} changes[] = {
		{"\"schema\":1", "\"schema\":2", "/schema: const: another value"},
		{"\"listeners\":2", "\"listeners\":-2",
		 "/listeners/0/listeners: minimum: below it"},
		{"\"half_open\":3", "\"half_full\":3", "/listeners/0: order: queue_limit"},
		{"\"processes\":4}", "\"processes\":4,\"x\":1}",
		 "/processes/0: additionalProperties: x"},
		{"\"connections_tracked\":9,\"connections_tracked_limit\":1000",
		 "\"connections_tracked_limit\":1000,\"connections_tracked\":9",
		 ": order: connections_tracked"},
		{"\"series\":[]", "\"series\":[{}]", "/series/0: required: process"},
		{"\"series\":[]", "\"series\":null", "/series: type: another one"},
	};
	struct pools *p = make_pools(8);
	char *text = render(p, 65536), changed[4096], why[512];
	json_t *schema = json_load_file("docs/snapshot.schema.json", 0, NULL), *value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const char *at = strstr(text, changes[i].from);

		assert_non_null(at);
		snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
			 changes[i].to, at + strlen(changes[i].from));
		value = json_loads(changed, 0, NULL);
		assert_non_null(value);
		assert_int_equal(schema_check(schema, value, why, sizeof(why)), -1);
		assert_string_equal(why, changes[i].why);
		json_decref(value);
	}
	json_decref(schema);
	free(text);
	pools_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_a_small_one),
		cmocka_unit_test(without_a_series_it_is_whole),
		cmocka_unit_test(what_has_no_room_is_other_without_a_port),
		cmocka_unit_test(slices_of_any_size_make_the_same_text),
		cmocka_unit_test(the_schema_refuses_what_is_different),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
