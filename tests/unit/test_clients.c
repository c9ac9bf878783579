/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of connections: deadlines to the nanosecond, who goes when it is full, and the limit of an address.
 */
#include "check.h"

#include <errno.h>

#include "clients.h"

#define T0 (1000 * NSEC_PER_SEC)
#define ANSWER_NS (30 * NSEC_PER_SEC)
#define LATER (T0 + 1000 * NSEC_PER_SEC) /* nobody has a grace any more */

static const uint8_t one[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
static const uint8_t other[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 2};

/* Connections in CLIENT_HEADER, one second apart, beginning at T0. */
static struct clients filled(unsigned int n, const uint8_t *address)
{
	struct clients t = {};

	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(clients_add(&t, address, T0 + i * NSEC_PER_SEC), i);
	assert_int_equal(t.count, n);
	return t;
}

static void an_empty_table_has_no_deadline(void **state)
{
	struct clients t = {};

	(void)state;
	assert_true(clients_deadline_ns(&t) == UINT64_MAX);
	assert_int_equal(clients_overdue(&t, UINT64_MAX), -1);
}

static void each_phase_has_its_total_deadline(void **state)
{
	struct clients t = {};
	int slot = clients_add(&t, NULL, T0);

	(void)state;
	assert_int_equal(t.of[slot].phase, CLIENT_HEADER);
	assert_true(clients_deadline_ns(&t) == T0 + 5 * NSEC_PER_SEC);
	assert_int_equal(clients_overdue(&t, T0 + 5 * NSEC_PER_SEC - 1), -1);
	assert_int_equal(clients_overdue(&t, T0 + 5 * NSEC_PER_SEC), slot);

	clients_ask(&t, slot, T0 + 1);
	assert_int_equal(t.of[slot].phase, CLIENT_ANSWER);
	assert_true(clients_deadline_ns(&t) == T0 + 1 + 5 * NSEC_PER_SEC);

	clients_give(&t, slot, T0 + 1, ANSWER_NS);
	assert_int_equal(t.of[slot].phase, CLIENT_BODY);
	assert_true(clients_deadline_ns(&t) == T0 + 1 + ANSWER_NS);

	clients_answered(&t, slot, T0 + 2);
	assert_int_equal(t.of[slot].phase, CLIENT_IDLE);
	assert_true(clients_deadline_ns(&t) == T0 + 2 + 75 * NSEC_PER_SEC);

	clients_begin(&t, slot, T0 + 3);
	assert_int_equal(t.of[slot].phase, CLIENT_HEADER);
	assert_true(clients_deadline_ns(&t) == T0 + 3 + 5 * NSEC_PER_SEC);
}

static void who_trickles_gains_nothing(void **state)
{
	struct clients t = {};
	int slot = clients_add(&t, NULL, T0);

	(void)state;
	clients_begin(&t, slot, T0 + NSEC_PER_SEC);
	assert_true(clients_deadline_ns(&t) == T0 + 5 * NSEC_PER_SEC);
	clients_ask(&t, slot, T0);
	clients_begin(&t, slot, T0 + NSEC_PER_SEC);
	assert_int_equal(t.of[slot].phase, CLIENT_ANSWER);
	assert_true(clients_deadline_ns(&t) == T0 + 5 * NSEC_PER_SEC);
}

static void the_overdue_come_in_the_order_of_their_deadlines_and_once(void **state)
{
	struct clients t = filled(3, NULL);

	(void)state;
	clients_answered(&t, 0, T0);
	clients_give(&t, 1, T0, ANSWER_NS);
	assert_int_equal(clients_overdue(&t, T0 + 100 * NSEC_PER_SEC), 2);
	clients_end(&t, 2);
	assert_int_equal(clients_overdue(&t, T0 + 100 * NSEC_PER_SEC), 1);
	clients_end(&t, 1);
	assert_int_equal(clients_overdue(&t, T0 + 100 * NSEC_PER_SEC), 0);
	clients_end(&t, 0);
	assert_int_equal(clients_overdue(&t, T0 + 100 * NSEC_PER_SEC), -1);
	assert_true(clients_deadline_ns(&t) == UINT64_MAX);
	assert_int_equal(t.count, 3);
}

static void a_full_table_gives_up_who_makes_wait_longest(void **state)
{
	struct clients t = filled(CLIENTS_MAX - 1, NULL);
	int victim = -1;

	(void)state;
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), 0);
	assert_int_equal(clients_add(&t, NULL, T0 + 100 * NSEC_PER_SEC), CLIENTS_MAX - 1);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 0);

	/* Who is idle goes only after all that make their header wait, however long it is idle. */
	clients_answered(&t, 0, T0 - 1);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 1);
	clients_remove(&t, 1);
	assert_int_equal(clients_add(&t, NULL, T0 + 200 * NSEC_PER_SEC), 1);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 2);
	clients_end(&t, 2);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 3);
}

static void then_the_longest_idle_then_nobody(void **state)
{
	struct clients t = filled(CLIENTS_MAX, NULL);
	int victim = -1;

	(void)state;
	for (int i = 0; i < CLIENTS_MAX; i++)
		clients_give(&t, i, T0, ANSWER_NS);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -ENOSPC);
	assert_int_equal(victim, -1);
	clients_answered(&t, 40, T0 + 2);
	clients_answered(&t, 50, T0 + 1);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 50);
	clients_end(&t, 50);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 40);
	clients_end(&t, 40);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -ENOSPC);
}

/* Anybody gets a short answer: who does not take it is no better than who does not send a header. */
static void who_leaves_a_short_answer_goes_as_well(void **state)
{
	struct clients t = filled(CLIENTS_MAX, NULL);
	int victim = -1;

	(void)state;
	for (int i = 0; i < CLIENTS_MAX; i++)
		clients_give(&t, i, T0, ANSWER_NS);
	clients_ask(&t, 30, T0 + 2);
	clients_ask(&t, 31, T0 + 1);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 31);
	clients_give(&t, 31, T0 + 3, ANSWER_NS);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 30);
	clients_end(&t, 30);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -ENOSPC);
}

static void a_grace_keeps_from_being_the_first_to_go(void **state)
{
	struct clients t = {};
	uint64_t now_ns = T0 + 63;
	int victim = -1;

	(void)state;
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		clients_add(&t, NULL, T0 + i);
	/* All have one: the oldest. */
	assert_int_equal(clients_admit(&t, NULL, now_ns, &victim), -EAGAIN);
	assert_int_equal(victim, 0);
	clients_dawdle(&t, 10);
	clients_dawdle(&t, 20);
	assert_int_equal(clients_admit(&t, NULL, now_ns, &victim), -EAGAIN);
	assert_int_equal(victim, 10);

	/* It ends by itself, and a greeting begins a new one. */
	clients_remove(&t, 10);
	clients_remove(&t, 20);
	assert_int_equal(clients_add(&t, NULL, now_ns), 10);
	assert_int_equal(clients_add(&t, NULL, now_ns), 20);
	clients_greet(&t, 0, T0 + CLIENTS_GRACE_NS);
	assert_int_equal(clients_admit(&t, NULL, T0 + CLIENTS_GRACE_NS, &victim), -EAGAIN);
	assert_int_equal(victim, 0);
	assert_int_equal(clients_admit(&t, NULL, T0 + CLIENTS_GRACE_NS + 1, &victim), -EAGAIN);
	assert_int_equal(victim, 1);
	assert_int_equal(clients_admit(&t, NULL, T0 + 2 * CLIENTS_GRACE_NS, &victim), -EAGAIN);
	assert_int_equal(victim, 0);

	/* Who is idle goes after them all the same. */
	clients_answered(&t, 5, T0);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (i != 5 && i != 7)
			clients_give(&t, i, T0, ANSWER_NS);
	}
	clients_greet(&t, 7, LATER);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 7);
}

static void an_address_is_limited_above_half(void **state)
{
	struct clients t = filled(CLIENTS_MAX / 2, one);
	int victim = -1;

	(void)state;
	assert_int_equal(clients_admit(&t, one, LATER, &victim), 0);
	clients_add(&t, other, T0);
	assert_int_equal(clients_admit(&t, one, LATER, &victim), -EUSERS);
	assert_int_equal(clients_admit(&t, other, LATER, &victim), 0);
	assert_int_equal(clients_admit(&t, NULL, LATER, &victim), 0);

	/* 15 of it are below the limit, 16 are not. */
	for (int i = 0; i < 17; i++) {
		clients_remove(&t, i);
		clients_add(&t, NULL, T0);
	}
	assert_int_equal(clients_admit(&t, one, LATER, &victim), 0);
	clients_add(&t, one, T0);
	assert_int_equal(clients_admit(&t, one, LATER, &victim), -EUSERS);
	clients_remove(&t, 20);
	assert_int_equal(clients_admit(&t, one, LATER, &victim), 0);
}

static void an_address_that_has_its_share_evicts_nobody(void **state)
{
	struct clients t = filled(CLIENTS_MAX, one);
	int victim = -1;

	(void)state;
	assert_int_equal(clients_admit(&t, one, LATER, &victim), -EUSERS);
	assert_int_equal(victim, -1);
	assert_int_equal(clients_admit(&t, other, LATER, &victim), -EAGAIN);
	assert_int_equal(victim, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_table_has_no_deadline),
		cmocka_unit_test(each_phase_has_its_total_deadline),
		cmocka_unit_test(who_trickles_gains_nothing),
		cmocka_unit_test(the_overdue_come_in_the_order_of_their_deadlines_and_once),
		cmocka_unit_test(a_full_table_gives_up_who_makes_wait_longest),
		cmocka_unit_test(then_the_longest_idle_then_nobody),
		cmocka_unit_test(who_leaves_a_short_answer_goes_as_well),
		cmocka_unit_test(a_grace_keeps_from_being_the_first_to_go),
		cmocka_unit_test(an_address_is_limited_above_half),
		cmocka_unit_test(an_address_that_has_its_share_evicts_nobody),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
