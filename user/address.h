/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses as text and back: peers, prefixes (CIDR), listen addresses. 16 bytes in network order throughout, IPv4
 * v4-mapped. Pure.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 64 /* a prefix with its length and the NUL */

struct address_prefix {
	uint8_t address[16]; /* host bits 0 */
	uint8_t len; /* 0 … 128; an IPv4 /n is 96 + n */
};

/* IPv4 dotted, IPv6 as RFC 5952, mapped ones as IPv4. Returns the length. */
size_t address_format(const uint8_t address[16], char ret[ADDRESS_TEXT_MAX]);
size_t address_prefix_format(const struct address_prefix *p, char ret[ADDRESS_TEXT_MAX]);

/* "10.0.0.1", "2001:db8::1"; numeric only. -EINVAL: not of that form. */
int address_parse(const char *text, uint8_t ret[16]);

/* "10.0.0.0/8", "2001:db8::/32"; -EINVAL also for host bits that are set or a missing length. */
int address_prefix_parse(const char *text, struct address_prefix *ret);
bool address_prefix_contains(const struct address_prefix *p, const uint8_t address[16]);

/*
 * "127.0.0.1:10935", "[::1]:10935", ":10935" (every address): numeric only. -EINVAL: not of that form; -ERANGE: port.
 */
int address_listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len);
bool address_is_loopback(const struct sockaddr_storage *sa);
/* Whether connections to this address may come from other hosts. */
bool address_is_remote(const struct sockaddr_storage *sa);

#endif
