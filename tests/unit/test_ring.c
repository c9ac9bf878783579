/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The reading end of the ring, on a file laid out as the kernel lays out a map: what is read, and how much of it is mapped meanwhile. */
#include "check.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ring.h"

#define RING_BYTES (1024 * 1024U)
#define SIZE 88U
#define SLOT (SIZE + BPF_RINGBUF_HDR_SZ)
#define WINDOW_BYTES (256 * 1024U)

/* The writing end: the data lies twice in the file, so it is written twice. */
struct writer {
	struct ring ring;
	int fd;
	uint8_t *file;
	size_t page, file_bytes;
	uint64_t produced, messages; /* each holds its number */
	uint64_t seen;
};

static int setup(void **state)
{
	struct writer *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->page = (size_t)sysconf(_SC_PAGESIZE);
	w->file_bytes = 2 * w->page + 2 * RING_BYTES;
	w->fd = memfd_create("ring", 0);
	assert_true(w->fd >= 0);
	assert_int_equal(ftruncate(w->fd, (off_t)w->file_bytes), 0);
	w->file = mmap(NULL, w->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	assert_true(w->file != MAP_FAILED);
	assert_int_equal(ring_open(&w->ring, w->fd, RING_BYTES), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct writer *w = *state;

	ring_close(&w->ring);
	munmap(w->file, w->file_bytes);
	close(w->fd);
	free(w);
	return 0;
}

static void put(struct writer *w, uint64_t position, const void *data, size_t size)
{
	uint8_t *at = w->file + 2 * w->page;

	for (size_t i = 0; i < size; i++) {
		size_t offset = (position + i) % RING_BYTES;

		at[offset] = at[offset + RING_BYTES] = ((const uint8_t *)data)[i];
	}
}

static void write_message(struct writer *w, uint32_t bits)
{
	uint64_t data[SIZE / 8] = {w->messages};
	uint32_t header[2] = {SIZE | bits};

	w->messages += !bits;
	put(w, w->produced, header, sizeof(header));
	put(w, w->produced + sizeof(header), data, sizeof(data));
	w->produced += SLOT;
	memcpy(w->file + w->page, &w->produced, sizeof(w->produced));
}

static void write_messages(struct writer *w, unsigned int count)
{
	while (count--)
		write_message(w, 0);
}

static void on_message(void *arg, const void *data, size_t size)
{
	struct writer *w = arg;

	assert_int_equal(size, SIZE);
	assert_memory_equal(data, &w->seen, sizeof(w->seen));
	w->seen++;
}

static void read_all(struct writer *w)
{
	assert_int_equal(ring_produced(&w->ring), w->produced);
	assert_int_equal(ring_read(&w->ring, w->produced, on_message, w), 0);
}

static void every_message_is_read_once_and_in_order(void **state)
{
	struct writer *w = *state;

	for (unsigned int i = 0; i < 2000; i++) {
		write_messages(w, i % 90);
		read_all(w);
		assert_int_equal(w->seen, w->messages);
		assert_int_equal(ring_consumed(&w->ring), w->produced);
	}
	assert_true(w->produced > 5ULL * RING_BYTES);
	assert_int_equal(w->ring.window_bytes, WINDOW_BYTES);
}

static void a_full_ring_is_read_in_one_go(void **state)
{
	struct writer *w = *state;

	for (int i = 0; i < 3; i++) {
		write_messages(w, RING_BYTES / SLOT);
		read_all(w);
		assert_int_equal(w->seen, w->messages);
		assert_int_equal(w->ring.window_bytes, RING_BYTES);
	}
}

static void what_was_mapped_for_a_full_ring_goes_when_it_is_calm(void **state)
{
	struct writer *w = *state;

	write_messages(w, RING_BYTES / SLOT);
	read_all(w);
	assert_int_equal(w->ring.window_bytes, RING_BYTES);
	for (int i = 0; i < 64; i++)
		read_all(w);
	assert_int_equal(w->ring.window_bytes, WINDOW_BYTES);
	write_messages(w, 3);
	read_all(w);
	assert_int_equal(w->seen, w->messages);
}

static void a_window_that_may_not_grow_serves_as_it_is(void **state)
{
	struct writer *w = *state;
	struct rlimit before, tight;
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	getrlimit(RLIMIT_AS, &before);
	tight = before;
	tight.rlim_cur = pages * w->page + WINDOW_BYTES;
	write_messages(w, RING_BYTES / SLOT);
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	read_all(w);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(w->seen, w->messages);
	assert_int_equal(w->ring.window_bytes, WINDOW_BYTES);
}

static void the_window_is_no_larger_than_needed(void **state)
{
	struct writer *w = *state;

	write_messages(w, WINDOW_BYTES / SLOT + 2);
	read_all(w);
	assert_int_equal(w->ring.window_bytes, 2 * WINDOW_BYTES);
	assert_int_equal(w->seen, w->messages);
}

static void a_slot_that_is_not_filled_stops_the_reader(void **state)
{
	struct writer *w = *state;
	uint32_t filled = SIZE;
	uint64_t number;

	write_messages(w, 2);
	number = w->messages++;
	write_message(w, BPF_RINGBUF_BUSY_BIT);
	write_messages(w, 2);
	read_all(w);
	assert_int_equal(w->seen, 2);
	assert_int_equal(ring_consumed(&w->ring), 2 * SLOT);
	put(w, 2 * SLOT + BPF_RINGBUF_HDR_SZ, &number, sizeof(number));
	put(w, 2 * SLOT, &filled, sizeof(filled));
	read_all(w);
	assert_int_equal(w->seen, 5);
}

static void a_discarded_one_is_passed_over(void **state)
{
	struct writer *w = *state;

	write_messages(w, 1);
	write_message(w, BPF_RINGBUF_DISCARD_BIT);
	write_messages(w, 1);
	read_all(w);
	assert_int_equal(w->seen, 2);
	assert_int_equal(ring_consumed(&w->ring), 3 * SLOT);
}

static void what_came_later_is_left(void **state)
{
	struct writer *w = *state;

	write_messages(w, 5);
	assert_int_equal(ring_read(&w->ring, 3 * SLOT, on_message, w), 0);
	assert_int_equal(w->seen, 3);
	assert_int_equal(ring_consumed(&w->ring), 3 * SLOT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_message_is_read_once_and_in_order),
		TEST(a_full_ring_is_read_in_one_go),
		TEST(what_was_mapped_for_a_full_ring_goes_when_it_is_calm),
		TEST(a_window_that_may_not_grow_serves_as_it_is),
		TEST(the_window_is_no_larger_than_needed),
		TEST(a_slot_that_is_not_filled_stops_the_reader),
		TEST(a_discarded_one_is_passed_over),
		TEST(what_came_later_is_left),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
