/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses, prefixes and listen addresses: what text means and how it comes out again. */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "address.h"
#include "util.h"

/* The 16 bytes of an address written as IPv6. */
static void from_text(const char *text, uint8_t ret[16])
{
	assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

static void formats_addresses(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"::ffff:0.0.0.0", "0.0.0.0"},
		{"::ffff:255.255.255.255", "255.255.255.255"},
		{"::1", "::1"},
		{"::", "::"},
		{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0db8::0001", "2001:db8::1"},
		{"fe80:1111:2222:3333:4444:5555:6666:7777",
		 "fe80:1111:2222:3333:4444:5555:6666:7777"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[ADDRESS_TEXT_MAX];
		uint8_t bytes[16];

		from_text(rows[i].bytes, bytes);
		assert_int_equal(address_format(bytes, text), strlen(rows[i].text));
		assert_string_equal(text, rows[i].text);
	}
}

static void reads_prefixes_and_writes_them_back(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned int len;
		const char *written; /* NULL: as it was */
	} rows[] = {
		{"10.0.0.0/8", "::ffff:10.0.0.0", 104, NULL},
		{"0.0.0.0/0", "::ffff:0.0.0.0", 96, NULL},
		{"192.168.1.2/32", "::ffff:192.168.1.2", 128, NULL},
		{"192.168.1.128/25", "::ffff:192.168.1.128", 121, NULL},
		{"::/0", "::", 0, NULL},
		{"2001:db8::/32", "2001:db8::", 32, NULL},
		{"2001:db8::1/128", "2001:db8::1", 128, NULL},
		{"2001:db8:8000::/33", "2001:db8:8000::", 33, NULL},
		{"2001:DB8:0::/48", "2001:db8::", 48, "2001:db8::/48"},
		{"::ffff:10.0.0.0/104", "::ffff:10.0.0.0", 104, "10.0.0.0/8"},
		{"::ffff:0:0/96", "::ffff:0.0.0.0", 96, "0.0.0.0/0"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *written = rows[i].written ? rows[i].written : rows[i].text;
		char text[ADDRESS_TEXT_MAX];
		struct address_prefix p;
		uint8_t bytes[16];

		from_text(rows[i].address, bytes);
		assert_int_equal(address_prefix_parse(rows[i].text, &p), 0);
		assert_memory_equal(p.address, bytes, 16);
		assert_int_equal(p.len, rows[i].len);
		assert_int_equal(address_prefix_format(&p, text), strlen(written));
		assert_string_equal(text, written);
	}
}

static void refuses_what_is_no_prefix(void **state)
{
	static const char *const rows[] = {
		"",
		"/",
		"/8",
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		" 10.0.0.0/8",
		"10.0.0.0/8/8",
		"10.0.0.0/0x8",
		"10.0.0/8",
		"10.0.0.1/8",
		"10.0.0.0/7x",
		"010.0.0.0/8",
		"1.2.3.4/31x",
		"128.0.0.0/0",
		"192.168.1.1/31",
		"::1/127",
		"::1/0",
		"::/129",
		"2001:db8::",
		"2001:db8::1/64",
		"2001:db8:4000::/33",
		"::ffff:10.0.0.1/104",
		"fe80::%lo/10",
		"[::]/0",
		"localhost/8",
		"10.0.0.0/99999999999999999999",
		"1111111111111111111111111111111111111111111111111111111111111111111/8",
	};
	struct address_prefix p, untouched;

	(void)state;
	memset(&p, 0x5a, sizeof(p));
	untouched = p;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(address_prefix_parse(rows[i], &p), -EINVAL);
		assert_memory_equal(&p, &untouched, sizeof(p));
	}
}

static void tells_what_a_prefix_contains(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool contains;
	} rows[] = {
		{"10.0.0.0/8", "::ffff:10.255.255.255", true},
		{"10.0.0.0/8", "::ffff:11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:9.255.255.255", false},
		{"192.168.1.128/25", "::ffff:192.168.1.128", true},
		{"192.168.1.128/25", "::ffff:192.168.1.127", false},
		{"192.168.1.2/32", "::ffff:192.168.1.2", true},
		{"192.168.1.2/32", "::ffff:192.168.1.3", false},
		{"0.0.0.0/0", "::ffff:203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "::1", true},
		{"::/0", "::ffff:203.0.113.9", false},
		{"::/64", "::ffff:203.0.113.9", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::1/128", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address_prefix p;
		uint8_t bytes[16];

		from_text(rows[i].address, bytes);
		assert_int_equal(address_prefix_parse(rows[i].prefix, &p), 0);
		if (address_prefix_contains(&p, bytes) != rows[i].contains)
			fail_msg("%s in %s", rows[i].address, rows[i].prefix);
	}
}

static void reads_listen_addresses(void **state)
{
	static const struct {
		const char *text;
		int family;
		const char *address; /* in the family's own form */
		unsigned int port;
		bool loopback;
	} rows[] = {
		{"127.0.0.1:10935", AF_INET, "127.0.0.1", 10935, true},
		{"127.255.255.254:1", AF_INET, "127.255.255.254", 1, true},
		{"126.255.255.255:1", AF_INET, "126.255.255.255", 1, false},
		{"128.0.0.1:1", AF_INET, "128.0.0.1", 1, false},
		{"127.0.0.1:0", AF_INET, "127.0.0.1", 0, true},
		{"0.0.0.0:65535", AF_INET, "0.0.0.0", 65535, false},
		{"[::1]:10935", AF_INET6, "::1", 10935, true},
		{"[::2]:10935", AF_INET6, "::2", 10935, false},
		{"[::]:80", AF_INET6, "::", 80, false},
		{":80", AF_INET6, "::", 80, false},
		{"[2001:db8::1]:80", AF_INET6, "2001:db8::1", 80, false},
		{"[::ffff:127.0.0.1]:80", AF_INET, "127.0.0.1", 80, true},
		{"[::ffff:192.0.2.1]:80", AF_INET, "192.0.2.1", 80, false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sockaddr_storage sa;
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&sa;
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&sa;
		bool is_v4 = rows[i].family == AF_INET;
		uint8_t expected[16];
		socklen_t len;

		assert_int_equal(address_listen_parse(rows[i].text, &sa, &len), 0);
		assert_int_equal(sa.ss_family, rows[i].family);
		assert_int_equal(len, is_v4 ? sizeof(*v4) : sizeof(*v6));
		assert_int_equal(ntohs(is_v4 ? v4->sin_port : v6->sin6_port), rows[i].port);
		assert_int_equal(inet_pton(rows[i].family, rows[i].address, expected), 1);
		assert_memory_equal(is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, expected,
				    is_v4 ? 4 : 16);
		if (address_is_loopback(&sa) != rows[i].loopback)
			fail_msg("loopback: %s", rows[i].text);
	}
}

static void refuses_what_is_no_listen_address(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"", -EINVAL},
		{":", -EINVAL},
		{"10935", -EINVAL},
		{"127.0.0.1", -EINVAL},
		{"127.0.0.1:", -EINVAL},
		{"127.0.0.1:http", -EINVAL},
		{"127.0.0.1:+80", -EINVAL},
		{"127.0.0.1:-1", -EINVAL},
		{"127.0.0.1: 80", -EINVAL},
		{"127.0.0.1:80 ", -EINVAL},
		{"127.0.0.1:65536", -ERANGE},
		{"127.0.0.1:99999999999999999999", -ERANGE},
		{"localhost:80", -EINVAL},
		{"127.1:80", -EINVAL},
		{"256.0.0.1:80", -EINVAL},
		{"::1:80", -EINVAL},
		{"::1", -EINVAL},
		{"[::1]", -EINVAL},
		{"[::1]80", -EINVAL},
		{"[::1:80", -EINVAL},
		{"[]:80", -EINVAL},
		{"[:80", -EINVAL},
		{"[127.0.0.1]:80", -EINVAL},
		{"[fe80::1%lo]:80", -EINVAL},
		{"unix:/run/poolscope", -EINVAL},
		{"1111111111111111111111111111111111111111111111111111111111111111111:80", -EINVAL},
	};
	struct sockaddr_storage sa, untouched;
	socklen_t len = 77;

	(void)state;
	memset(&sa, 0x5a, sizeof(sa));
	untouched = sa;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (address_listen_parse(rows[i].text, &sa, &len) != rows[i].err)
			fail_msg("'%s'", rows[i].text);
		assert_memory_equal(&sa, &untouched, sizeof(sa));
		assert_int_equal(len, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_addresses),
		cmocka_unit_test(reads_prefixes_and_writes_them_back),
		cmocka_unit_test(refuses_what_is_no_prefix),
		cmocka_unit_test(tells_what_a_prefix_contains),
		cmocka_unit_test(reads_listen_addresses),
		cmocka_unit_test(refuses_what_is_no_listen_address),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
