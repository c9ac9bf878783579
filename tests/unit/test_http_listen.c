/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where the endpoint listens: TCP, unix sockets and their files, sockets handed over, and what other hosts may reach.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"
#include "util.h"

/* ---- TCP ---- */

static void a_port_in_use_is_named(void **state)
{
	struct http *first = open_server(), *second = NULL;
	struct sockaddr_storage taken = v4_address(INADDR_LOOPBACK, http_port(first, 0));
	struct http_config config = base_config();
	char why[256], expected[256];
	int before = process_own_descriptors();

	(void)state;
	add_listener(&config, &taken, "127.0.0.1:taken");
	assert_int_equal(http_open(&second, &config, why, sizeof(why)), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "cannot listen on 127.0.0.1:taken: %s",
		 strerror(EADDRINUSE));
	assert_string_equal(why, expected);
	assert_null(second);
	assert_int_equal(process_own_descriptors(), before);
	http_close(first);
}

static void an_address_of_another_host_is_named(void **state)
{
	struct sockaddr_storage good = v4_address(INADDR_LOOPBACK, 0),
				elsewhere = v4_address(0xc0000201, 0);
	struct http_config config = base_config();
	char why[256], expected[256];
	struct http *h = NULL;
	int before = process_own_descriptors();

	(void)state;
	config.allow_unauthenticated = true;
	add_listener(&config, &good, "127.0.0.1:0");
	add_listener(&config, &elsewhere, "192.0.2.1:0");
	assert_int_equal(http_open(&h, &config, why, sizeof(why)), -EADDRNOTAVAIL);
	snprintf(expected, sizeof(expected), "cannot listen on 192.0.2.1:0: %s",
		 strerror(EADDRNOTAVAIL));
	assert_string_equal(why, expected);
	assert_null(h);
	assert_int_equal(process_own_descriptors(), before);
}

static void a_port_can_be_taken_again_at_once(void **state)
{
	struct http *h = open_server();
	struct sockaddr_storage same = v4_address(INADDR_LOOPBACK, http_port(h, 0));
	struct http_config config = base_config();
	struct client c = ask_for(h, "GET", "/-/ready");

	(void)state;
	/* The server closed first: its side is in TIME_WAIT. */
	assert_int_equal(c.end, END_CLOSED);
	client_close(&c);
	http_close(h);
	add_listener(&config, &same, "same");
	h = open_config(&config);
	assert_int_equal(http_port(h, 0), ntohs(((struct sockaddr_in *)&same)->sin_port));
	http_close(h);
}

static bool have_ipv6(void)
{
	struct sockaddr_storage local = v6_address(&in6addr_loopback, 0);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool have = fd >= 0 &&
		    bind(fd, (struct sockaddr *)&local, sizeof(struct sockaddr_in6)) == 0;

	close(fd);
	return have;
}

static bool served_at(struct http *h, const struct sockaddr_storage *address)
{
	struct client c;
	bool served;

	if (!client_try_connect(&c, address))
		return false;
	client_send(&c, "GET /-/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	served = status_of(&c) == 200;
	client_close(&c);
	return served;
}

static void listens_on_ipv6_and_ipv4_side_by_side(void **state)
{
	struct sockaddr_storage v4 = v4_address(INADDR_LOOPBACK, 0),
				v6 = v6_address(&in6addr_loopback, 0), other;
	struct http_config config = base_config();
	struct http *h;

	(void)state;
	if (!have_ipv6())
		skip_because("this machine has no ::1");
	fake.ready = true;
	add_listener(&config, &v4, "127.0.0.1:0");
	add_listener(&config, &v6, "[::1]:0");
	h = open_config(&config);
	assert_int_not_equal(http_port(h, 0), 0);
	assert_int_not_equal(http_port(h, 1), 0);
	assert_int_equal(http_port(h, 2), 0);
	v4 = v4_address(INADDR_LOOPBACK, http_port(h, 0));
	assert_true(served_at(h, &v4));
	v6 = v6_address(&in6addr_loopback, http_port(h, 1));
	assert_true(served_at(h, &v6));
	other = v4_address(INADDR_LOOPBACK, http_port(h, 1));
	assert_false(served_at(h, &other));
	http_close(h);
}

static void the_unspecified_address_is_every_address(void **state)
{
	struct sockaddr_storage any = v6_address(&in6addr_any, 0), v4, v6;
	struct http_config config = base_config();
	struct http *h;

	(void)state;
	if (!have_ipv6())
		skip_because("this machine has no ::1");
	fake.ready = true;
	config.allow_unauthenticated = true;
	add_listener(&config, &any, ":0");
	h = open_config(&config);
	v4 = v4_address(INADDR_LOOPBACK, http_port(h, 0));
	assert_true(served_at(h, &v4));
	v6 = v6_address(&in6addr_loopback, http_port(h, 0));
	assert_true(served_at(h, &v6));
	http_close(h);
}

/* ---- unix ---- */

static char directory[] = "/tmp/poolscope-http.XXXXXX";
static char path[sizeof(directory) + 8];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static struct sockaddr_storage unix_address(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_storage ret = {};

	strcpy(un.sun_path, path);
	memcpy(&ret, &un, sizeof(un));
	return ret;
}

static int open_unix(struct http **ret, char why[256])
{
	struct sockaddr_storage address = unix_address();
	struct http_config config = base_config();

	memset(&fake, 0, sizeof(fake));
	fake.total = 5;
	fake.healthy = fake.ready = true;
	add_listener(&config, &address, "unix:PATH");
	return http_open(ret, &config, why, 256);
}

static struct client ask_unix(struct http *h, const char *request)
{
	struct sockaddr_storage address = unix_address();
	struct client c;

	assert_true(client_try_connect(&c, &address));
	client_send(&c, request);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	return c;
}

static void a_unix_socket_serves_and_goes_with_the_endpoint(void **state)
{
	int before = process_own_descriptors();
	struct http *h = NULL;
	struct client c;
	struct stat st;
	char why[256];

	(void)state;
	assert_int_equal(open_unix(&h, why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(http_port(h, 0), 0);
	assert_false(http_exposed(h));
	c = ask_unix(h, "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	assert_string_equal(raw_body(&c), "5\r\nabcde\r\n0\r\n\r\n");
	client_close(&c);
	http_close(h);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(process_own_descriptors(), before);
}

/* A unix socket knows no reset, so without chunks a body that was cut off would look complete. */
static void http_1_0_over_a_unix_socket_gets_no_body(void **state)
{
	struct http *h = NULL;
	struct client c;
	char why[256];

	(void)state;
	assert_int_equal(open_unix(&h, why), 0);
	c = ask_unix(h, "GET /metrics HTTP/1.0\r\n\r\n");
	assert_int_equal(status_of(&c), 505);
	assert_string_equal(raw_body(&c), "only HTTP/1.1 on this socket\n");
	client_close(&c);
	c = ask_unix(h, "GET /-/ready HTTP/1.0\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	assert_int_equal(fake.opened, 0);

	fake.total = BIG_BYTES;
	fake.fails = true;
	fake.fail_at = 100000;
	c = ask_unix(h, "GET /metrics" TAIL);
	assert_null(memmem(c.data, c.len, "\r\n0\r\n\r\n", 7));
	assert_int_equal(fake.closed, 1);
	client_close(&c);
	http_close(h);
}

static void a_stale_socket_file_is_replaced(void **state)
{
	struct sockaddr_storage address = unix_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct http *h = NULL;
	struct client c;
	char why[256];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(struct sockaddr_un)), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(open_unix(&h, why), 0);
	c = ask_unix(h, "GET /-/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

static void a_socket_in_use_is_not(void **state)
{
	struct http *first = NULL, *second = NULL;
	struct client c;
	char why[256], expected[256];

	(void)state;
	assert_int_equal(open_unix(&first, why), 0);
	assert_int_equal(open_unix(&second, why), -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "cannot listen on unix:PATH: Address already in use (PID %d listens there)",
		 (int)getpid());
	assert_string_equal(why, expected);
	assert_null(second);
	c = ask_unix(first, "GET /-/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(first);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct http *h = NULL;
	struct stat st;
	char why[256];
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(open_unix(&h, why), -EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1);
	unlink(path);
}

static void a_file_that_is_not_ours_any_more_is_left_alone(void **state)
{
	struct http *h = NULL;
	char why[256];
	int fd;

	(void)state;
	assert_int_equal(open_unix(&h, why), 0);
	unlink(path);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	http_close(h);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

/* ---- handed over ---- */

static int listening(uint32_t host, int type, bool listens)
{
	struct sockaddr_storage address = v4_address(host, 0);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
	if (listens)
		assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static struct http_config inheriting(int fd)
{
	struct http_config config = base_config();

	fake.ready = true;
	config.inherited[config.inherited_count++] = fd;
	return config;
}

static void a_socket_that_is_handed_over_serves_beside_the_others(void **state)
{
	int before = process_own_descriptors();
	struct sockaddr_storage any_port = v4_address(INADDR_LOOPBACK, 0), address;
	struct http_config config = inheriting(listening(INADDR_LOOPBACK, SOCK_STREAM, true));
	struct http *h;

	(void)state;
	add_listener(&config, &any_port, "127.0.0.1:0");
	h = open_config(&config);
	assert_int_equal(fcntl(config.inherited[0], F_GETFD), FD_CLOEXEC);
	for (size_t i = 0; i < 2; i++) {
		assert_int_not_equal(http_port(h, i), 0);
		address = v4_address(INADDR_LOOPBACK, http_port(h, i));
		assert_true(served_at(h, &address));
	}
	http_close(h);
	assert_int_equal(process_own_descriptors(), before);
}

static void what_does_not_listen_is_refused(void **state)
{
	int before = process_own_descriptors();

	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd = i == 2 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
				: listening(INADDR_LOOPBACK, i ? SOCK_DGRAM : SOCK_STREAM, false);
		struct http_config config = inheriting(fd);
		char why[256], expected[256];
		struct http *h = NULL;

		assert_int_equal(http_open(&h, &config, why, sizeof(why)), -EINVAL);
		snprintf(expected, sizeof(expected),
			 "the socket handed over as descriptor %d is no stream socket that listens",
			 fd);
		assert_string_equal(why, expected);
		assert_int_equal(process_own_descriptors(), before);
	}
}

/* ---- other hosts ---- */

static const struct {
	uint32_t host;
	bool handed_over, tls, authenticated, allowed;
	bool opens, exposed;
} exposures[] = {
	{INADDR_LOOPBACK, false, false, false, false, true, false},
	{0x7f010203, false, false, false, false, true, false}, /* 127.1.2.3 */
	{INADDR_ANY, false, false, false, false, false, false},
	{INADDR_ANY, false, true, false, false, false, false},
	{INADDR_ANY, false, false, true, false, true, true},
	{INADDR_ANY, false, true, true, false, true, false},
	{INADDR_ANY, false, false, false, true, true, true},
	{INADDR_LOOPBACK, true, false, false, false, true, false},
	{INADDR_ANY, true, false, false, false, false, false},
	{INADDR_ANY, true, false, true, false, true, true},
};

static void what_other_hosts_reach_needs_a_token_or_a_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exposures); i++) {
		struct sockaddr_storage address = v4_address(exposures[i].host, 0);
		struct http_config config = base_config();
		struct http *h = NULL;
		char why[512] = "";

		if (exposures[i].handed_over)
			config = inheriting(listening(exposures[i].host, SOCK_STREAM, true));
		else
			add_listener(&config, &address, "ADDRESS");
		config.tls = exposures[i].tls;
		config.authenticated = exposures[i].authenticated;
		config.allow_unauthenticated = exposures[i].allowed;
		assert_int_equal(http_open(&h, &config, why, sizeof(why)),
				 exposures[i].opens ? 0 : -EPERM);
		if (!exposures[i].opens) {
			assert_non_null(
				strstr(why, exposures[i].handed_over ? "descriptor " : "ADDRESS"));
			assert_non_null(strstr(why, "--web.auth.token-file"));
			assert_non_null(strstr(why, "--web.allow-unauthenticated"));
			continue;
		}
		assert_int_equal(http_exposed(h), exposures[i].exposed);
		http_close(h);
	}
}

static void a_client_is_limited_by_its_address_unless_it_is_loopback(void **state)
{
	static const struct in6_addr mapped_loopback = {{{[10] = 0xff, 0xff, 127, 1, 2, 3}}},
				     mapped = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}},
				     global = {{{0x20, 0x01, 0x0d, 0xb8, [7] = 5, [15] = 1}}},
				     network = {{{0x20, 0x01, 0x0d, 0xb8, [7] = 5}}};
	const struct {
		struct sockaddr_storage address;
		const struct in6_addr *limited; /* NULL: not at all */
	} rows[] = {
		{v4_address(INADDR_LOOPBACK, 1), NULL},	 {v4_address(0x7f010203, 1), NULL},
		{v4_address(0xc0000201, 1), &mapped},	 {v6_address(&in6addr_loopback, 1), NULL},
		{v6_address(&mapped_loopback, 1), NULL}, {v6_address(&mapped, 1), &mapped},
		{v6_address(&global, 1), &network},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t bytes[16];
		const uint8_t *limited = listen_limited(&rows[i].address, bytes);

		assert_int_equal(limited != NULL, rows[i].limited != NULL);
		if (limited)
			assert_memory_equal(limited, rows[i].limited, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_in_use_is_named),
		cmocka_unit_test(an_address_of_another_host_is_named),
		cmocka_unit_test(a_port_can_be_taken_again_at_once),
		cmocka_unit_test(listens_on_ipv6_and_ipv4_side_by_side),
		cmocka_unit_test(the_unspecified_address_is_every_address),
		cmocka_unit_test(a_unix_socket_serves_and_goes_with_the_endpoint),
		cmocka_unit_test(http_1_0_over_a_unix_socket_gets_no_body),
		cmocka_unit_test(a_stale_socket_file_is_replaced),
		cmocka_unit_test(a_socket_in_use_is_not),
		cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(a_file_that_is_not_ours_any_more_is_left_alone),
		cmocka_unit_test(a_socket_that_is_handed_over_serves_beside_the_others),
		cmocka_unit_test(what_does_not_listen_is_refused),
		cmocka_unit_test(what_other_hosts_reach_needs_a_token_or_a_word),
		cmocka_unit_test(a_client_is_limited_by_its_address_unless_it_is_loopback),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
