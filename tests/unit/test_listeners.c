// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listeners.h"

static int setup(void **state)
{
	struct listeners *l = NULL;

	assert_int_equal(listeners_open(&l), 0);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	listeners_close(*state);
	return 0;
}

static struct ps_listener_row row(uint64_t cookie, uint16_t port, uint32_t dropped)
{
	return (struct ps_listener_row){.cookie = cookie,
					.local_port = port,
					.dropped = dropped,
					.half_open = 2,
					.queue_limit = 128};
}

/* One reading of the given rows, all of name 0. */
static void read_rows(struct listeners *l, const struct ps_listener_row *rows, size_t count)
{
	listeners_begin(l);
	for (size_t i = 0; i < count; i++)
		listeners_add(l, &rows[i], 0);
	listeners_end(l);
}

static const struct listeners_row *only_row(const struct listeners *l)
{
	size_t count;
	const struct listeners_row *rows = listeners_rows(l, &count);

	assert_int_equal(count, 1);
	return rows;
}

static void sockets_of_one_port_are_summed(void **state)
{
	const struct ps_listener_row rows[] = {row(1, 80, 3), row(2, 80, 4)};
	struct listeners *l = *state;

	read_rows(l, rows, 2);
	assert_int_equal(only_row(l)->listeners, 2);
	assert_int_equal(only_row(l)->half_open, 4);
	assert_int_equal(only_row(l)->queue_limit, 256);
	assert_int_equal(only_row(l)->dropped, 7);
}

static void names_and_ports_are_kept_apart(void **state)
{
	struct ps_listener_row a = row(1, 80, 0), b = row(2, 81, 0);
	struct listeners *l = *state;
	size_t count;

	listeners_begin(l);
	listeners_add(l, &a, 0);
	listeners_add(l, &b, 0);
	listeners_add(l, &a, 1);
	listeners_end(l);
	listeners_rows(l, &count);
	assert_int_equal(count, 3);
}

static void drops_are_counted_by_their_growth(void **state)
{
	struct ps_listener_row r = row(1, 80, 10);
	struct listeners *l = *state;

	read_rows(l, &r, 1);
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, 10);
	r.dropped = 15;
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, 15);
}

static void drops_survive_the_kernel_counter_wrapping(void **state)
{
	struct ps_listener_row r = row(1, 80, UINT32_MAX);
	struct listeners *l = *state;

	read_rows(l, &r, 1);
	r.dropped = 4;
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, (uint64_t)UINT32_MAX + 5);
}

static void drops_never_fall_when_a_listener_closes(void **state)
{
	struct ps_listener_row r = row(1, 80, 10);
	struct listeners *l = *state;

	read_rows(l, &r, 1);
	read_rows(l, NULL, 0);
	assert_int_equal(only_row(l)->listeners, 0);
	assert_int_equal(only_row(l)->queue_limit, 0);
	assert_int_equal(only_row(l)->dropped, 10);
	r = row(2, 80, 1); /* another socket on that port */
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, 11);
}

static void a_port_that_dropped_nothing_leaves_with_its_last_listener(void **state)
{
	struct ps_listener_row r = row(1, 80, 0);
	struct listeners *l = *state;
	size_t count;

	read_rows(l, &r, 1);
	read_rows(l, NULL, 0);
	listeners_rows(l, &count);
	assert_int_equal(count, 0);
}

static void ports_beyond_the_bound_are_summed_as_port_0(void **state)
{
	struct listeners *l = *state;
	const struct listeners_row *rows;
	uint64_t sum = 0;
	size_t count;

	listeners_begin(l);
	for (uint16_t i = 1; i <= 1000; i++) {
		struct ps_listener_row r = row(i, i, 1);

		listeners_add(l, &r, 0);
	}
	listeners_end(l);
	rows = listeners_rows(l, &count);
	assert_int_equal(count, LISTENERS_PORTS_MAX - 64 + 1);
	assert_int_equal(rows[count - 1].port, 0);
	assert_int_equal(rows[count - 1].listeners, 1000 - (LISTENERS_PORTS_MAX - 64));
	for (size_t i = 0; i < count; i++)
		sum += rows[i].listeners;
	assert_int_equal(sum, 1000);
}

static void sockets_beyond_the_bound_are_shown_and_counted(void **state)
{
	struct listeners *l = *state;

	listeners_begin(l);
	for (uint32_t i = 1; i <= LISTENERS_SOCKETS_MAX + 5; i++) {
		struct ps_listener_row r = row(i, 80, 1);

		listeners_add(l, &r, 0);
	}
	listeners_end(l);
	assert_int_equal(only_row(l)->listeners, LISTENERS_SOCKETS_MAX + 5);
	assert_int_equal(only_row(l)->dropped, LISTENERS_SOCKETS_MAX);
	assert_int_equal(listeners_refused(l), 5);
	listeners_begin(l);
	listeners_end(l);
	assert_int_equal(listeners_refused(l), 5); /* counts sockets, not readings */
}

/* Detached and attached again, or taken over by another target: the kernel half counts anew. */
static void drops_of_another_owner_begin_at_0(void **state)
{
	struct ps_listener_row r = row(1, 80, 10);
	struct listeners *l = *state;

	r.owner = 1;
	read_rows(l, &r, 1);
	r.owner = 2;
	r.dropped = 3;
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, 13);
	r.dropped = 4;
	read_rows(l, &r, 1);
	assert_int_equal(only_row(l)->dropped, 14);
}

static void a_forgotten_name_leaves_no_row(void **state)
{
	struct ps_listener_row r = row(1, 80, 10), other = row(2, 80, 1);
	struct listeners *l = *state;

	listeners_begin(l);
	listeners_add(l, &r, 63);
	listeners_add(l, &other, 1);
	listeners_end(l);
	listeners_forget(l, 1ULL << 63);
	assert_int_equal(only_row(l)->name, 1);
	assert_int_equal(only_row(l)->dropped, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sockets_of_one_port_are_summed, setup, teardown),
		cmocka_unit_test_setup_teardown(names_and_ports_are_kept_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_are_counted_by_their_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_survive_the_kernel_counter_wrapping, setup,
						teardown),
		cmocka_unit_test_setup_teardown(drops_never_fall_when_a_listener_closes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_port_that_dropped_nothing_leaves_with_its_last_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_beyond_the_bound_are_summed_as_port_0, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sockets_beyond_the_bound_are_shown_and_counted,
						setup, teardown),
		cmocka_unit_test_setup_teardown(drops_of_another_owner_begin_at_0, setup, teardown),
		cmocka_unit_test_setup_teardown(a_forgotten_name_leaves_no_row, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
