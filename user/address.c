/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses as text and back. One space for both families: an IPv4 address is its v4-mapped form, so an IPv4
 * prefix /n is /(96 + n), and what goes in as v4-mapped text comes out as IPv4. Numeric only: no name is ever looked up,
 * no zone ("%eth0") is understood. Knows nothing of who listens or who the peers are.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define MAPPED_BITS 96

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool address_is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

size_t address_format(const uint8_t address[16], char ret[ADDRESS_TEXT_MAX])
{
	/* inet_ntop writes IPv6 as RFC 5952 asks; it cannot fail with a known family and room enough. */
	if (address_is_mapped(address))
		inet_ntop(AF_INET, address + sizeof(mapped_prefix), ret, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address, ret, ADDRESS_TEXT_MAX);
	return strlen(ret);
}

size_t address_prefix_format(const struct address_prefix *p, char ret[ADDRESS_TEXT_MAX])
{
	size_t len = address_format(p->address, ret);
	unsigned int bits = p->len;

	if (address_is_mapped(p->address) && bits >= MAPPED_BITS)
		bits -= MAPPED_BITS;
	return len + (size_t)snprintf(ret + len, ADDRESS_TEXT_MAX - len, "/%u", bits);
}

/* Decimal digits and nothing else, not empty. -EINVAL: not of that form; -ERANGE: above max. */
static int parse_number(const char *text, unsigned int max, unsigned int *ret)
{
	unsigned int n = 0;

	if (!*text)
		return -EINVAL;
	if (text[strspn(text, "0123456789")])
		return -EINVAL;
	for (; *text; text++) {
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > max)
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

/* The 16 bytes of a numeric address of either family; *ret_bits is the length of a prefix that holds it alone. */
static int parse_address(const char *text, uint8_t ret[16], unsigned int *ret_bits)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(ret, mapped_prefix, sizeof(mapped_prefix));
		memcpy(ret + sizeof(mapped_prefix), &v4, sizeof(v4));
		*ret_bits = 32;
		return 0;
	}
	if (inet_pton(AF_INET6, text, ret) == 1) {
		*ret_bits = 128;
		return 0;
	}
	return -EINVAL;
}

int address_parse(const char *text, uint8_t ret[16])
{
	unsigned int bits;

	return parse_address(text, ret, &bits);
}

/* Bits of byte i that belong to a prefix of len bits. */
static uint8_t prefix_mask(unsigned int len, unsigned int i)
{
	if (len >= (i + 1) * 8)
		return 0xff;
	if (len <= i * 8)
		return 0;
	return (uint8_t)(0xff << (8 - len % 8));
}

int address_prefix_parse(const char *text, struct address_prefix *ret)
{
	char host[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	struct address_prefix p;
	unsigned int bits, len;

	if (!slash || (size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (parse_address(host, p.address, &bits) || parse_number(slash + 1, bits, &len))
		return -EINVAL;
	p.len = (uint8_t)(128 - bits + len);
	for (unsigned int i = 0; i < sizeof(p.address); i++) {
		if (p.address[i] & ~prefix_mask(p.len, i))
			return -EINVAL;
	}
	*ret = p;
	return 0;
}

bool address_prefix_contains(const struct address_prefix *p, const uint8_t address[16])
{
	/* "::/0" means every IPv6 address: the mapped form is our way of writing IPv4, not a part of it. */
	if (address_is_mapped(address) && p->len < MAPPED_BITS)
		return false;
	for (unsigned int i = 0; i < sizeof(p->address); i++) {
		if ((p->address[i] ^ address[i]) & prefix_mask(p->len, i))
			return false;
	}
	return true;
}

/* The host part of a listen address: "", "127.0.0.1" or "[::1]". */
static int parse_listen_host(char *host, uint8_t ret[16])
{
	size_t len = strlen(host);
	unsigned int bits;

	if (len == 0) {
		memset(ret, 0, 16);
		return 0;
	}
	if (host[0] != '[')
		return strchr(host, ':') ? -EINVAL : parse_address(host, ret, &bits);
	if (host[len - 1] != ']')
		return -EINVAL;
	host[len - 1] = '\0';
	return strchr(host, ':') ? parse_address(host + 1, ret, &bits) : -EINVAL;
}

int address_listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_TEXT_MAX];
	unsigned int port;
	int err;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	err = parse_listen_host(host, v6.sin6_addr.s6_addr);
	if (!err)
		err = parse_number(colon + 1, UINT16_MAX, &port);
	if (err)
		return err;

	memset(ret, 0, sizeof(*ret));
	if (address_is_mapped(v6.sin6_addr.s6_addr)) {
		memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + sizeof(mapped_prefix),
		       sizeof(v4.sin_addr));
		v4.sin_port = htons((uint16_t)port);
		memcpy(ret, &v4, sizeof(v4));
		*ret_len = sizeof(v4);
	} else {
		v6.sin6_port = htons((uint16_t)port);
		memcpy(ret, &v6, sizeof(v6));
		*ret_len = sizeof(v6);
	}
	return 0;
}

bool address_is_loopback(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

	if (sa->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return sa->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool address_is_remote(const struct sockaddr_storage *sa)
{
	return sa->ss_family != AF_UNIX && !address_is_loopback(sa);
}
