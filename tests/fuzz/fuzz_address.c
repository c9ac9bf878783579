/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as an address, a CIDR and a listen address: what is read and written out again reads the same, and a prefix holds its
 * own first address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "address.h"
#include "fuzz.h"

static void check_address(const char *text)
{
	uint8_t address[16], again[16];
	char written[ADDRESS_TEXT_MAX];

	if (address_parse(text, address))
		return;
	check(address_format(address, written) == strlen(written));
	check(!address_parse(written, again) && memcmp(address, again, sizeof(again)) == 0);
	check(strcspn(written, "ABCDEF") == strlen(written));
}

static void check_prefix(const char *text)
{
	struct address_prefix p, again;
	char written[ADDRESS_TEXT_MAX];

	if (address_prefix_parse(text, &p))
		return;
	check(p.len <= 128 && address_prefix_contains(&p, p.address));
	check(address_prefix_format(&p, written) == strlen(written));
	check(!address_prefix_parse(written, &again));
	check(p.len == again.len && memcmp(p.address, again.address, sizeof(p.address)) == 0);
}

static void check_listen(const char *text)
{
	struct sockaddr_storage sa, again;
	char host[INET6_ADDRSTRLEN], written[INET6_ADDRSTRLEN + 16];
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&sa;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&sa;
	socklen_t len, again_len;
	bool is_v4;

	if (address_listen_parse(text, &sa, &len))
		return;
	is_v4 = sa.ss_family == AF_INET;
	check(is_v4 || sa.ss_family == AF_INET6);
	check(len == (is_v4 ? sizeof(*v4) : sizeof(*v6)));
	inet_ntop(sa.ss_family, is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, host,
		  sizeof(host));
	snprintf(written, sizeof(written), is_v4 ? "%s:%u" : "[%s]:%u", host,
		 ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
	check(!address_listen_parse(written, &again, &again_len));
	check(len == again_len && memcmp(&sa, &again, sizeof(sa)) == 0);
	check(address_is_loopback(&sa) == address_is_loopback(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	check_address(text);
	check_prefix(text);
	check_listen(text);
	free(text);
	return 0;
}
