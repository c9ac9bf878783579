/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TLS at the endpoint: which versions, whose certificate, its replacement, and who never gets through the handshake. The clients are
 * GnuTLS's; the certificates are made here.
 */
#include "endpoint.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"
#include "util.h"

static struct certificate first, second;

static int make_certificates(void **state)
{
	(void)state;
	certificate_make("first", &first);
	certificate_make("second", &second);
	return 0;
}

static int set_certificate(struct http *h, const char *pem, const char *key, char why[256])
{
	why[0] = '\0';
	return http_set_tls(h, pem, strlen(pem), key, strlen(key), why, 256);
}

/* The name in the certificate that the server has shown. */
static void check_name(const struct client *c, const char *expected)
{
	const gnutls_datum_t *shown = gnutls_certificate_get_peers(c->tls, NULL);
	gnutls_x509_crt_t crt;
	char name[64] = "";
	size_t size = sizeof(name);

	assert_non_null(shown);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, shown, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
						       &size),
			 0);
	gnutls_x509_crt_deinit(crt);
	assert_string_equal(name, expected);
}

static uint64_t protocol_errors(const struct http *h)
{
	return http_requests(h)->refused[REQUESTS_PROTOCOL];
}

static void a_large_body_comes_whole(void **state)
{
	struct http *h = open_tls_server(&first);
	struct client c;

	(void)state;
	fake.total = BIG_BYTES;
	c = ask_over(h, true, "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	assert_int_equal(dechunk(&c), BIG_BYTES);
	check_letters(raw_body(&c), BIG_BYTES);
	assert_int_equal(c.end, END_CLOSED);
	client_close(&c);
	assert_int_equal(fake.closed, 1);
	http_close(h);
}

static void a_connection_carries_request_after_request(void **state)
{
	struct http *h = open_tls_server(&first);
	struct client c = client_open_tls(h);

	(void)state;
	for (int i = 0; i < 5; i++) {
		client_forget(&c);
		client_send(&c, "GET /metrics" TAIL);
		TURN_UNTIL(h, &c, raw_body(&c) && strstr(c.data, "0\r\n\r\n"));
		assert_string_equal(raw_body(&c), "5\r\nabcde\r\n0\r\n\r\n");
	}
	for (int i = 0; i < 3; i++)
		turn(h, NULL);
	assert_in_range(http_timeout_ms(h), 60001, 75000);
	/* Its end is no error: a client may end TLS and then the connection whenever it idles. */
	gnutls_bye(c.tls, GNUTLS_SHUT_WR);
	client_close(&c);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	assert_int_equal(protocol_errors(h), 0);
	assert_int_equal(http_requests(h)->total[REQUESTS_METRICS][REQUESTS_GET][0], 5);
	http_close(h);
}

static void a_cut_off_body_is_never_closed_as_complete(void **state)
{
	static const char *const requests[] = {"GET /metrics" TAIL,
					       "GET /metrics HTTP/1.0\r\n\r\n"};
	struct http *h = open_tls_server(&first);

	(void)state;
	fake.total = BIG_BYTES;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(requests); i++) {
		struct client c = client_open_tls(h);

		fake.fails = i % 2;
		fake.fail_at = 100000;
		client_send(&c, requests[i / 2]);
		if (!fake.fails) { /* ... but is not taken in time */
			TURN_UNTIL(h, NULL, fake.reads > 0 && http_timeout_ms(h) > 20000);
			http_run_at(h, util_now_ns() + 30 * NSEC_PER_SEC);
		}
		TURN_UNTIL(h, &c, c.end != END_OPEN);
		assert_int_equal(c.end, END_RESET);
		client_close(&c);
		assert_int_equal(fake.closed, i + 1);
		fake.reads = 0;
	}
	http_close(h);
}

static const struct {
	const char *priorities;
	bool accepted;
} versions[] = {
	{"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},
	{"NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
	{"NORMAL:-VERS-ALL:+VERS-TLS1.1", false},
	{"NORMAL:-VERS-ALL:+VERS-TLS1.0", false},
};

static void versions_below_1_2_are_refused(void **state)
{
	struct http *h = open_tls_server(&first);
	unsigned int refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct client c = client_open(h);

		client_begin_tls(&c, versions[i].priorities);
		refused += !versions[i].accepted;
		assert_int_equal(client_shake_hands(&c, h) == GNUTLS_E_SUCCESS,
				 versions[i].accepted);
		if (versions[i].accepted) {
			client_send(&c, "GET /-/ready" TAIL);
			TURN_UNTIL(h, &c, raw_body(&c) && strcmp(raw_body(&c), "ok\n") == 0);
		}
		client_close(&c);
		TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
		assert_int_equal(protocol_errors(h), refused);
	}
	http_close(h);
}

static void what_is_no_tls_is_refused_and_counted(void **state)
{
	static const char *const texts[] = {"GET /metrics" TAIL, "\x16\x03\x01\x02\x01 is not one",
					    "x"};
	struct http *h = open_tls_server(&first);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct client c = client_open(h);

		client_send(&c, texts[i]);
		assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
		TURN_UNTIL(h, &c, c.end != END_OPEN);
		assert_null(strstr(c.data, "HTTP"));
		client_close(&c);
		TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
		assert_int_equal(protocol_errors(h), i + 1);
	}
	assert_int_equal(fake.opened, 0);
	http_close(h);
}

static void no_http_within_tls_is_counted(void **state)
{
	static const char *const texts[] = {"GET\r\n\r\n",
					    "GET /metrics HTTP/9.9\r\nHost: h\r\n\r\n",
					    "GET /metrics HTTP/1.1\r\n\r\n"};
	struct http *h = open_tls_server(&first);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct client c = ask_over(h, true, texts[i]);

		assert_int_equal(protocol_errors(h), i + 1);
		client_close(&c);
	}
	http_close(h);
}

/* A handshake that waits for its client must not keep the loop awake, and ends at the deadline of the header. */
static void a_handshake_that_stalls_costs_little_and_ends(void **state)
{
	struct http *h = open_tls_server(&first);
	uint64_t before = util_now_ns();
	struct client c = client_open(h);
	int turns = 0;

	(void)state;
	client_begin_tls(&c, "NORMAL");
	assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
	while (util_now_ns() < before + NSEC_PER_SEC / 2) {
		turn(h, NULL);
		turns++;
	}
	assert_in_range(turns, 1, 70);
	http_run_at(h, before + 5 * NSEC_PER_SEC - 1);
	assert_int_equal(http_requests(h)->refused[REQUESTS_HEADER_TIMEOUT], 0);
	http_run_at(h, util_now_ns() + 5 * NSEC_PER_SEC);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	assert_int_equal(http_requests(h)->refused[REQUESTS_HEADER_TIMEOUT], 1);
	assert_int_equal(protocol_errors(h), 0);
	client_close(&c);
	http_close(h);
}

/* Those who send the begin of something and then wait go first, however many they are. */
static void a_flood_does_not_end_a_handshake_that_goes_on(void **state)
{
	struct http *h = open_tls_server(&first);
	uint64_t now_ns = util_now_ns();
	struct client c = client_open(h);
	static struct client flood[200];

	(void)state;
	client_begin_tls(&c, "NORMAL");
	assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
	for (int i = 0; i < 3; i++)
		http_run_at(h, now_ns);
	for (size_t i = 0; i < ARRAY_SIZE(flood); i++) {
		flood[i] = client_open(h);
		client_send(&flood[i], "\x16\x03\x01");
		http_run_at(h, now_ns);
	}
	assert_int_equal(http_requests(h)->refused[REQUESTS_EVICTED],
			 1 + ARRAY_SIZE(flood) - CLIENTS_MAX);
	assert_int_equal(client_shake_hands(&c, h), GNUTLS_E_SUCCESS);
	client_send(&c, "GET /-/ready" TAIL);
	TURN_UNTIL(h, &c, raw_body(&c) && strcmp(raw_body(&c), "ok\n") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(flood); i++)
		client_close(&flood[i]);
	client_close(&c);
	http_close(h);
}

static void a_new_certificate_is_for_new_connections(void **state)
{
	struct http *h = open_tls_server(&first);
	struct client running = client_open_tls(h), begun = client_open(h), c;
	char why[256];

	(void)state;
	client_begin_tls(&begun, "NORMAL");
	assert_int_equal(gnutls_handshake(begun.tls), GNUTLS_E_AGAIN);
	turn(h, NULL);
	turn(h, NULL);
	assert_int_equal(set_certificate(h, second.pem, second.key, why), 0);
	assert_int_equal(client_shake_hands(&begun, h), GNUTLS_E_SUCCESS);
	check_name(&begun, "first");
	client_close(&begun);
	c = client_open_tls(h);
	check_name(&c, "second");
	client_close(&c);
	client_send(&running, "GET /-/ready" TAIL);
	TURN_UNTIL(h, &running, raw_body(&running) && strcmp(raw_body(&running), "ok\n") == 0);
	check_name(&running, "first");
	client_close(&running);
	http_close(h);
}

static void a_bad_certificate_is_told_and_leaves_the_old_one(void **state)
{
	const struct {
		const char *pem, *key;
	} rows[] = {{first.pem, second.key}, {"", first.key},
		    {first.pem, ""},	     {first.key, first.pem},
		    {"junk", "junk"},	     {first.pem, "-----BEGIN PRIVATE KEY-----\n"}};
	struct http *h = open_tls_server(&first);
	struct client c;
	char why[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(set_certificate(h, rows[i].pem, rows[i].key, why), -EINVAL);
		assert_ptr_equal(strstr(why, "the certificate and its key cannot be used: "), why);
	}
	c = client_open_tls(h);
	check_name(&c, "first");
	client_close(&c);
	http_close(h);
}

static void without_a_certificate_no_handshake_succeeds(void **state)
{
	struct sockaddr_storage any_port = v4_address(INADDR_LOOPBACK, 0);
	struct http_config config = base_config();
	struct http *h;
	struct client c;
	char why[256];

	(void)state;
	config.tls = true;
	fake.ready = true;
	add_listener(&config, &any_port, "127.0.0.1:0");
	h = open_config(&config);
	c = client_open(h);
	client_begin_tls(&c, "NORMAL");
	assert_int_not_equal(client_shake_hands(&c, h), GNUTLS_E_SUCCESS);
	client_close(&c);
	assert_int_equal(set_certificate(h, first.pem, first.key, why), 0);
	c = ask_over(h, true, "GET /-/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

static void closing_the_endpoint_leaves_nothing_open(void **state)
{
	int before = process_own_descriptors();
	struct http *h = open_tls_server(&first);
	struct client idle = client_open_tls(h), sending = client_open_tls(h);

	(void)state;
	fake.total = BIG_BYTES;
	client_send(&sending, "GET /metrics HTTP/1.0\r\n\r\n");
	TURN_UNTIL(h, NULL, fake.reads > 0 && http_timeout_ms(h) != 0);
	http_close(h);
	assert_int_equal(fake.closed, 1);
	while (sending.end == END_OPEN)
		client_read(&sending);
	assert_int_equal(sending.end, END_RESET);
	client_close(&idle);
	client_close(&sending);
	assert_int_equal(process_own_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_body_comes_whole),
		cmocka_unit_test(a_connection_carries_request_after_request),
		cmocka_unit_test(a_cut_off_body_is_never_closed_as_complete),
		cmocka_unit_test(versions_below_1_2_are_refused),
		cmocka_unit_test(what_is_no_tls_is_refused_and_counted),
		cmocka_unit_test(no_http_within_tls_is_counted),
		cmocka_unit_test(a_handshake_that_stalls_costs_little_and_ends),
		cmocka_unit_test(a_flood_does_not_end_a_handshake_that_goes_on),
		cmocka_unit_test(a_new_certificate_is_for_new_connections),
		cmocka_unit_test(a_bad_certificate_is_told_and_leaves_the_old_one),
		cmocka_unit_test(without_a_certificate_no_handshake_succeeds),
		cmocka_unit_test(closing_the_endpoint_leaves_nothing_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_certificates, NULL);
}
