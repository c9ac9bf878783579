/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The table of series: label text, bounds, overflow, slots that stay. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "series.h"
#include "util.h"

static const uint8_t hash_key[16] = "test_series";

static struct series_table *table(uint32_t peers_max, uint32_t series_max)
{
	struct series_table *t;

	assert_int_equal(series_open(&t, peers_max, series_max, hash_key), 0);
	return t;
}

/* The key of 10.x.y.z:port, where x.y.z are the low 24 bits of `host`. */
static struct series_key key_of(int name, enum ps_direction direction, uint32_t host, uint16_t port)
{
	struct series_key k = {
		.peer = {[10] = 0xff,
			 0xff,
			 10,
			 (uint8_t)(host >> 16),
			 (uint8_t)(host >> 8),
			 (uint8_t)host},
		.server_port = port,
		.prefix_len = 128,
		.direction = (uint8_t)direction,
		.name = (uint8_t)name,
	};

	return k;
}

static uint32_t slot_of(struct series_table *t, struct series_key key)
{
	uint32_t slot = UINT32_MAX;

	assert_int_equal(series_get(t, &key, &slot), 0);
	assert_true(slot < series_count(t));
	return slot;
}

static void refuses_bad_bounds(void **state)
{
	struct series_table *t = NULL;

	(void)state;
	assert_int_equal(series_open(&t, 0, 1, hash_key), -EINVAL);
	assert_int_equal(series_open(&t, 1, 0, hash_key), -EINVAL);
	assert_int_equal(series_open(&t, 1, SERIES_MAX_LIMIT + 1, hash_key), -EINVAL);
	assert_null(t);
	assert_int_equal(series_open(&t, 1, SERIES_MAX_LIMIT, hash_key), 0);
	series_close(t);
	series_close(NULL);
}

static void a_key_finds_its_series_again(void **state)
{
	struct series_table *t = table(128, 512);
	int name = series_name(t, "nginx");
	uint32_t slot = slot_of(t, key_of(name, PS_OUTBOUND, 1, 5432));
	struct series *s = series_at(t, slot);

	(void)state;
	assert_int_equal(slot, 0);
	s->active = 7;
	assert_int_equal(slot_of(t, key_of(name, PS_OUTBOUND, 1, 5432)), slot);
	assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, 1, 5432)), 1);
	assert_int_equal(slot_of(t, key_of(name, PS_OUTBOUND, 2, 5432)), 2);
	assert_int_equal(slot_of(t, key_of(name, PS_OUTBOUND, 1, 5433)), 3);
	assert_int_equal(slot_of(t, key_of(series_name(t, "redis"), PS_OUTBOUND, 1, 5432)), 4);
	assert_int_equal(series_count(t), 5);
	assert_ptr_equal(series_at(t, slot), s);
	assert_int_equal(s->active, 7);
	series_close(t);
}

static void label_text_names_the_series(void **state)
{
	struct series_table *t = table(128, 512);
	int name = series_name(t, "nginx");
	struct series_key v6 = key_of(name, PS_INBOUND, 0, 443),
			  folded = key_of(name, PS_INBOUND, 0, 80);

	(void)state;
	memcpy(v6.peer, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	folded.prefix_len = 104;
	assert_string_equal(
		series_at(t, slot_of(t, key_of(name, PS_OUTBOUND, 1, 5432)))->labels,
		"process=\"nginx\",direction=\"outbound\",peer_address=\"10.0.0.1\",server_port=\"5432\"");
	assert_string_equal(
		series_at(t, slot_of(t, v6))->labels,
		"process=\"nginx\",direction=\"inbound\",peer_address=\"2001:db8::1\",server_port=\"443\"");
	assert_string_equal(
		series_at(t, slot_of(t, folded))->labels,
		"process=\"nginx\",direction=\"inbound\",peer_address=\"10.0.0.0/8\",server_port=\"80\"");
	assert_int_equal(series_at(t, 0)->labels_len, strlen(series_at(t, 0)->labels));
	series_close(t);
}

static const char *label_of(struct series_table *t, uint16_t name)
{
	const struct series_name *n = series_name_hold(t, name);

	assert_non_null(n);
	series_name_release(n); /* the table still holds it */
	return n->label;
}

static void names_are_escaped_and_found_again(void **state)
{
	struct series_table *t = table(128, 512);
	char longest[SERIES_NAME_MAX + 2], want[SERIES_NAME_MAX + 16] = "process=\"";
	int name = series_name(t, "a\"b\\c\nd");

	(void)state;
	assert_int_equal(name, 0);
	assert_string_equal(series_name_text(t, 0), "a\"b\\c\nd");
	assert_string_equal(label_of(t, 0), "process=\"a\\\"b\\\\c\\nd\"");
	memset(longest, '\\', SERIES_NAME_MAX / 2); /* each is two bytes of the label */
	strcpy(longest + SERIES_NAME_MAX / 2, "x");
	memset(want + 9, '\\', SERIES_NAME_MAX - 1);
	strcpy(want + 9 + SERIES_NAME_MAX - 1, "x\"");
	assert_int_equal(series_name(t, longest), 1);
	assert_string_equal(label_of(t, 1), want);
	assert_int_equal(series_name(t, "a\"b\\c\nd"), 0);
	assert_int_equal(series_names(t), 2);
	strcpy(longest + SERIES_NAME_MAX / 2, "\n");
	assert_int_equal(series_name(t, longest), -EINVAL);
	memset(longest, 'x', SERIES_NAME_MAX + 1);
	longest[SERIES_NAME_MAX + 1] = '\0';
	assert_int_equal(series_name(t, longest), -EINVAL);
	longest[SERIES_NAME_MAX] = '\0';
	assert_int_equal(series_name(t, longest), 2);
	assert_int_equal(series_name(t, ""), -EINVAL);
	series_close(t);
}

static void names_are_bounded(void **state)
{
	struct series_table *t = table(128, 512);
	char name[16];

	(void)state;
	for (int i = 0; i < SERIES_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(series_name(t, name), i);
	}
	assert_int_equal(series_name(t, "one more"), -ENOSPC);
	assert_int_equal(series_name(t, "n63"), 63);
	assert_int_equal(series_names(t), SERIES_NAMES_MAX);
	series_close(t);
}

static void peers_beyond_the_bound_share_one_series(void **state)
{
	struct series_table *t = table(2, 100);
	struct series_peers peers;
	int name = series_name(t, "nginx");
	uint32_t other;

	(void)state;
	slot_of(t, key_of(name, PS_INBOUND, 1, 80));
	slot_of(t, key_of(name, PS_INBOUND, 2, 80));
	other = slot_of(t, key_of(name, PS_INBOUND, 3, 80));
	assert_int_equal(other, 2);
	assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, 4, 81)), other);
	assert_string_equal(
		series_at(t, other)->labels,
		"process=\"nginx\",direction=\"inbound\",peer_address=\"other\",server_port=\"other\"");
	assert_true(series_at(t, other)->key.overflow);
	assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, 2, 80)), 1);
	series_peers(t, (uint16_t)name, PS_INBOUND, &peers);
	assert_int_equal(peers.peers, 2);
	assert_int_equal(peers.overflowed, 2);
	/* The other direction and the other names keep their room: strangers cannot push out the pools. */
	assert_int_equal(slot_of(t, key_of(name, PS_OUTBOUND, 1, 80)), 3);
	assert_int_equal(slot_of(t, key_of(series_name(t, "redis"), PS_INBOUND, 1, 80)), 4);
	series_peers(t, (uint16_t)name, PS_OUTBOUND, &peers);
	assert_int_equal(peers.peers, 1);
	assert_int_equal(peers.overflowed, 0);
	series_close(t);
}

static void all_series_are_bounded_overflow_ones_apart(void **state)
{
	struct series_table *t = table(SERIES_MAX_LIMIT, SERIES_MAX_LIMIT);
	char name[16];

	(void)state;
	for (int i = 0; i < SERIES_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		series_name(t, name);
	}
	for (uint32_t i = 0; i < 3 * SERIES_MAX_LIMIT; i++)
		slot_of(t, key_of((int)(i % SERIES_NAMES_MAX), i / SERIES_NAMES_MAX % 2, i, 80));
	assert_int_equal(series_count(t), SERIES_MAX_LIMIT + SERIES_NAMES_MAX * PS_DIRECTIONS);
	for (uint32_t i = 0; i < SERIES_MAX_LIMIT; i++)
		assert_int_equal(slot_of(t, key_of((int)(i % SERIES_NAMES_MAX),
						   i / SERIES_NAMES_MAX % 2, i, 80)),
				 i);
	series_close(t);
}

static void a_likely_series_is_the_one_that_is_got(void **state)
{
	struct series_table *t = table(128, 512);
	struct series_key key = key_of(series_name(t, "nginx"), PS_INBOUND, 1, 80);

	(void)state;
	assert_int_equal(series_likely(t, &key), 0);
	assert_int_equal(series_count(t), 0);
	slot_of(t, key);
	assert_int_equal(series_likely(t, &key), 1);
	series_close(t);
}

static void a_dropped_series_makes_room_for_another(void **state)
{
	struct series_table *t = table(2, 2);
	int name = series_name(t, "nginx");
	uint32_t slot = slot_of(t, key_of(name, PS_INBOUND, 1, 80)), other;
	struct series_peers peers;

	(void)state;
	series_at(t, slot)->opened = 7;
	slot_of(t, key_of(name, PS_INBOUND, 2, 80));
	other = slot_of(t, key_of(name, PS_INBOUND, 3, 80));
	assert_int_equal(other, 2);
	series_drop(t, slot);
	assert_null(series_at(t, slot)->labels);
	assert_int_equal(series_at(t, slot)->opened, 0);
	series_peers(t, (uint16_t)name, PS_INBOUND, &peers);
	assert_int_equal(peers.peers, 1);
	assert_int_equal(peers.overflowed, 1);
	assert_int_equal(slot_of(t, key_of(name, PS_OUTBOUND, 3, 443)), slot);
	assert_string_equal(
		series_at(t, slot)->labels,
		"process=\"nginx\",direction=\"outbound\",peer_address=\"10.0.0.3\",server_port=\"443\"");
	assert_int_equal(series_at(t, slot)->opened, 0);
	assert_int_equal(series_count(t), 3);
	/* The first one is a stranger now, and the table is full again. */
	assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, 1, 80)), other);
	series_drop(t, slot);
	assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, 1, 80)), slot);
	series_close(t);
}

/* Against a plain array of what must be there. */
static void drops_in_any_order_lose_no_other_series(void **state)
{
	enum { KEYS = 600 };
	struct series_table *t = table(300, 300);
	int name = series_name(t, "nginx");
	uint32_t slots[KEYS] = {}, live = 0;
	uint64_t seed = 1;

	(void)state;
	for (int step = 0; step < 100000; step++) {
		uint32_t host;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		host = (uint32_t)(seed >> 33) % KEYS;
		if (slots[host]) {
			assert_int_equal(slot_of(t, key_of(name, PS_INBOUND, host, 80)),
					 slots[host] - 1);
			series_drop(t, slots[host] - 1);
			slots[host] = 0;
			live--;
		} else if (live < 300) {
			slots[host] = slot_of(t, key_of(name, PS_INBOUND, host, 80)) + 1;
			live++;
		}
	}
	for (uint32_t host = 0; host < KEYS; host++) {
		struct series_key key = key_of(name, PS_INBOUND, host, 80);

		if (!slots[host])
			continue;
		assert_int_equal(slot_of(t, key), slots[host] - 1);
		assert_memory_equal(&series_at(t, slots[host] - 1)->key, &key, sizeof(key));
	}
	assert_int_equal(series_count(t), 300);
	series_close(t);
}

static void label_text_stays_for_who_holds_it(void **state)
{
	struct series_table *t = table(2, 2);
	uint32_t slot = slot_of(t, key_of(series_name(t, "nginx"), PS_INBOUND, 1, 80));
	const char *labels = series_labels_hold(series_at(t, slot)->labels);

	(void)state;
	series_drop(t, slot);
	slot_of(t, key_of(series_name(t, "redis"), PS_INBOUND, 1, 80));
	series_close(t);
	assert_string_equal(
		labels,
		"process=\"nginx\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\"");
	series_labels_release(labels);
	series_labels_release(NULL);
}

static void a_dropped_name_takes_its_series_along(void **state)
{
	struct series_table *t = table(1, 10);
	int nginx = series_name(t, "nginx"), redis = series_name(t, "redis");
	uint32_t other;
	struct series_peers peers;

	(void)state;
	slot_of(t, key_of(nginx, PS_INBOUND, 1, 80));
	slot_of(t, key_of(nginx, PS_INBOUND, 2, 80)); /* overflow */
	slot_of(t, key_of(nginx, PS_OUTBOUND, 1, 80));
	other = slot_of(t, key_of(redis, PS_INBOUND, 1, 80));
	series_name_drop(t, (uint16_t)nginx);
	for (uint32_t i = 0; i < series_count(t); i++)
		assert_true((series_at(t, i)->labels != NULL) == (i == other));
	assert_null(series_name_text(t, (uint16_t)nginx));
	assert_null(series_name_hold(t, (uint16_t)nginx));
	assert_int_equal(slot_of(t, key_of(redis, PS_INBOUND, 1, 80)), other);
	assert_int_equal(series_name(t, "haproxy"), nginx);
	assert_int_equal(series_names(t), 2);
	series_peers(t, (uint16_t)nginx, PS_INBOUND, &peers);
	assert_int_equal(peers.peers + peers.overflowed, 0);
	slot_of(t, key_of(nginx, PS_INBOUND, 1, 80));
	assert_int_equal(series_count(t), 4);
	series_close(t);
}

static void names_come_and_go_without_end(void **state)
{
	struct series_table *t = table(1, 3);
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(series_name(t, name), 0);
		for (uint32_t host = 0; host < 3; host++)
			for (int d = 0; d < PS_DIRECTIONS; d++)
				slot_of(t, key_of(0, (enum ps_direction)d, host, 80));
		assert_int_equal(series_count(t), 4);
		series_name_drop(t, 0);
	}
	series_close(t);
}

static void a_name_stays_for_who_holds_it(void **state)
{
	struct series_table *t = table(2, 2);
	const struct series_name *held = series_name_hold(t, (uint16_t)series_name(t, "a\"b"));

	(void)state;
	series_name_drop(t, 0);
	assert_int_equal(series_name(t, "other"), 0);
	series_close(t);
	assert_string_equal(held->text, "a\"b");
	assert_string_equal(held->label, "process=\"a\\\"b\"");
	series_name_release(held);
	series_name_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_bounds),
		cmocka_unit_test(a_key_finds_its_series_again),
		cmocka_unit_test(label_text_names_the_series),
		cmocka_unit_test(names_are_escaped_and_found_again),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(peers_beyond_the_bound_share_one_series),
		cmocka_unit_test(all_series_are_bounded_overflow_ones_apart),
		cmocka_unit_test(a_likely_series_is_the_one_that_is_got),
		cmocka_unit_test(a_dropped_series_makes_room_for_another),
		cmocka_unit_test(drops_in_any_order_lose_no_other_series),
		cmocka_unit_test(label_text_stays_for_who_holds_it),
		cmocka_unit_test(a_dropped_name_takes_its_series_along),
		cmocka_unit_test(names_come_and_go_without_end),
		cmocka_unit_test(a_name_stays_for_who_holds_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
