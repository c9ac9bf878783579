/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* SipHash against published values: 2-4 from the paper's reference vectors, 1-3 from the same inputs. */
#include "check.h"

#include "hash.h"
#include "util.h"

static struct hash_key reference_key(void)
{
	uint8_t bytes[16];

	for (uint8_t i = 0; i < 16; i++)
		bytes[i] = i;
	return hash_key_make(bytes);
}

static void equals_the_reference_vectors_of_2_4(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
		{0, 0x726fdb47dd0e0e31ULL}, {1, 0x74f839c593dc67fdULL},	 {7, 0xab0200f58b01d137ULL},
		{8, 0x93f5f5799a932462ULL}, {15, 0xa129ca6149be45e5ULL},
	};
	struct hash_key key = reference_key();
	uint8_t data[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		data[i] = i;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(hash_sip(&key, data, rows[i].len, 2, 4) == rows[i].hash);
}

static void tables_use_1_3(void **state)
{
	struct hash_key key = reference_key();
	uint8_t data[8] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_true(hash_bytes(&key, "", 0) == 0xabac0158050fc4dcULL);
	assert_true(hash_bytes(&key, data, 8) == hash_sip(&key, data, 8, 1, 3));
	assert_true(hash_bytes(&key, data, 8) != hash_sip(&key, data, 8, 2, 4));
}

static void another_key_gives_another_hash(void **state)
{
	static const uint8_t zero[16], last_bit[16] = {[15] = 0x80};
	struct hash_key a = hash_key_make(zero), b = hash_key_make(last_bit);

	(void)state;
	assert_true(hash_bytes(&a, "", 0) != hash_bytes(&b, "", 0));
	assert_true(hash_u64(&a, 1) != hash_u64(&b, 1));
}

/* Ids count up, some at every 64th only, or from the top down: whichever bits of them move, a table of 2^16 places is filled as by chance. */
static void numbers_that_count_up_are_spread(void **state)
{
	static const uint64_t steps[] = {1, 64, 4096, 1ULL << 48, UINT64_MAX};
	static uint8_t taken[1 << 16];
	struct hash_key key = reference_key();

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		unsigned int used = 0;

		memset(taken, 0, sizeof(taken));
		for (uint64_t i = 0; i < sizeof(taken); i++) {
			uint8_t *place = &taken[hash_u64(&key, i * steps[s]) % sizeof(taken)];

			used += !*place;
			*place = 1;
		}
		/* by chance 1 - 1/e of 65,536: 41,427, give or take 102 */
		assert_in_range(used, 41000, 41900);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_reference_vectors_of_2_4),
		cmocka_unit_test(tables_use_1_3),
		cmocka_unit_test(another_key_gives_another_hash),
		cmocka_unit_test(numbers_that_count_up_are_spread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
