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
	uint64_t word = 0x0706050403020100ULL;
	uint8_t data[8] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_true(hash_bytes(&key, "", 0) == 0xabac0158050fc4dcULL);
	assert_true(hash_u64(&key, htole64(word)) == hash_bytes(&key, data, 8));
	assert_true(hash_bytes(&key, data, 8) == hash_sip(&key, data, 8, 1, 3));
	assert_true(hash_bytes(&key, data, 8) != hash_sip(&key, data, 8, 2, 4));
}

static void another_key_gives_another_hash(void **state)
{
	static const uint8_t zero[16], last_bit[16] = {[15] = 0x80};
	struct hash_key a = hash_key_make(zero), b = hash_key_make(last_bit);

	(void)state;
	assert_true(hash_u64(&a, 1) != hash_u64(&b, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_reference_vectors_of_2_4),
		cmocka_unit_test(tables_use_1_3),
		cmocka_unit_test(another_key_gives_another_hash),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
