/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), for tables whose keys strangers choose.
 * 1-3 is enough where only the position in a table depends on it and is never shown. For ids, which our kernel counts up, a
 * tenth of that is enough.
 */
#ifndef HASH_H
#define HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash_key {
	uint64_t k0, k1;
};

static inline struct hash_key hash_key_make(const uint8_t bytes[16])
{
	struct hash_key key;

	memcpy(&key, bytes, sizeof(key));
	key.k0 = le64toh(key.k0);
	key.k1 = le64toh(key.k1);
	return key;
}

static inline uint64_t hash_rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline __attribute__((always_inline)) void hash_rounds(uint64_t v[4], int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = hash_rotate(v[1], 13) ^ v[0];
		v[3] = hash_rotate(v[3], 16) ^ v[2];
		v[0] = hash_rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = hash_rotate(v[1], 17) ^ v[2];
		v[3] = hash_rotate(v[3], 21) ^ v[0];
		v[2] = hash_rotate(v[2], 32);
	}
}

static inline __attribute__((always_inline)) uint64_t
hash_sip(const struct hash_key *key, const void *data, size_t len, int each, int last)
{
	uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575ULL, key->k1 ^ 0x646f72616e646f6dULL,
			 key->k0 ^ 0x6c7967656e657261ULL, key->k1 ^ 0x7465646279746573ULL};
	const uint8_t *p = data;
	uint64_t word, tail = 0;
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		word = le64toh(word);
		v[3] ^= word;
		hash_rounds(v, each);
		v[0] ^= word;
	}
	memcpy(&tail, p, left);
	word = le64toh(tail) | (uint64_t)len << 56;
	v[3] ^= word;
	hash_rounds(v, each);
	v[0] ^= word;
	v[2] ^= 0xff;
	hash_rounds(v, last);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len)
{
	return hash_sip(key, data, len, 1, 3);
}

/* Of numbers that nobody chooses: the finalizer of MurmurHash3 (Austin Appleby), with a key. */
static inline uint64_t hash_u64(const struct hash_key *key, uint64_t value)
{
	value ^= key->k0;
	value = (value ^ value >> 33) * 0xff51afd7ed558ccdULL ^ key->k1;
	value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return value ^ value >> 33;
}

#endif
