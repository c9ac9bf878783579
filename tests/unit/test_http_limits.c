/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who may come in, how many, and for how long. Deadlines are judged at a time that the test names: nothing here waits for one.
 */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"
#include "routes.h"
#include "util.h"

#define SECOND NSEC_PER_SEC
/* A busy machine may take its time to carry bytes over loopback. */
#define STUCK_S 0.2

static uint64_t refused(const struct http *h, enum requests_cause cause)
{
	return http_requests(h)->refused[cause];
}

static uint64_t refused_in_all(const struct http *h)
{
	uint64_t sum = 0;

	for (int i = 0; i < REQUESTS_CAUSES; i++)
		sum += http_requests(h)->refused[i];
	return sum;
}

static bool answered(const struct client *c)
{
	return raw_body(c) && strstr(raw_body(c), "ok\n");
}

/* A kept connection whose request is answered; *ret_ns: a time after which its idling began. */
static struct client open_idle(struct http *h, uint64_t *ret_ns)
{
	struct client c = client_open(h);

	client_send(&c, "GET /-/ready" TAIL);
	TURN_UNTIL(h, &c, answered(&c));
	client_forget(&c);
	*ret_ns = util_now_ns();
	return c;
}

/* ---- deadlines ---- */

static void who_is_silent_goes_after_five_seconds(void **state)
{
	struct http *h = open_server();
	uint64_t before = util_now_ns();
	struct client c = client_open(h);

	(void)state;
	turn(h, &c);
	assert_in_range(http_timeout_ms(h), 4000, 5000);
	http_run_at(h, before + 5 * SECOND - 1);
	client_read(&c);
	assert_int_equal(c.end, END_OPEN);
	http_run_at(h, util_now_ns() + 5 * SECOND);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(c.end, END_CLOSED);
	assert_int_equal(c.len, 0);
	assert_int_equal(refused(h, REQUESTS_HEADER_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	assert_int_equal(http_timeout_ms(h), -1);
	client_close(&c);
	http_close(h);
}

static void who_trickles_goes_after_five_seconds(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);
	uint64_t start;

	(void)state;
	client_send(&c, "GET /metrics HTTP/1.1\r\nHost: h\r\n");
	turn(h, &c);
	start = util_now_ns();
	for (int i = 1; i <= 4; i++) {
		client_send(&c, "X: y\r\n");
		http_run_at(h, start + (uint64_t)i * SECOND);
		client_read(&c);
		assert_int_equal(c.end, END_OPEN);
	}
	http_run_at(h, start + 5 * SECOND);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(c.len, 0);
	assert_int_equal(refused(h, REQUESTS_HEADER_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	assert_int_equal(http_requests(h)->in_flight, 0);
	client_close(&c);
	http_close(h);
}

static void who_idles_goes_after_seventy_five(void **state)
{
	struct http *h = open_server();
	uint64_t start;
	struct client c = open_idle(h, &start);

	(void)state;
	http_run_at(h, start + 74 * SECOND);
	client_read(&c);
	assert_int_equal(c.end, END_OPEN);
	http_run_at(h, start + 75 * SECOND);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(c.end, END_CLOSED);
	assert_int_equal(refused(h, REQUESTS_IDLE_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	client_close(&c);
	http_close(h);
}

static void the_first_byte_of_the_next_request_starts_five_seconds(void **state)
{
	struct http *h = open_server();
	uint64_t start;
	struct client c = open_idle(h, &start);

	(void)state;
	client_send(&c, "G");
	http_run_at(h, start + 60 * SECOND);
	http_run_at(h, start + 65 * SECOND - 1);
	client_read(&c);
	assert_int_equal(c.end, END_OPEN);
	http_run_at(h, start + 65 * SECOND);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(refused(h, REQUESTS_HEADER_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	client_close(&c);
	http_close(h);
}

static void an_answer_that_is_not_taken_in_time_ends_with_a_reset(void **state)
{
	static const struct {
		const char *request;
		uint64_t ns;
	} rows[] = {
		{"GET /metrics" TAIL, 30 * SECOND},
		{"GET /metrics HTTP/1.0\r\n\r\n", 30 * SECOND},
		{"GET /metrics HTTP/1.0\r\nX-Prometheus-Scrape-Timeout-Seconds: 2.5\r\n\r\n",
		 5 * SECOND / 2},
		{"GET /metrics HTTP/1.1\r\nHost: h\r\nx-prometheus-scrape-timeout-seconds: 1e9\r\n\r\n",
		 60 * SECOND},
	};
	struct http *h = open_server();

	(void)state;
	fake.total = BIG_BYTES;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct client c = client_open(h);
		uint64_t before = util_now_ns();

		client_send(&c, rows[i].request);
		TURN_UNTIL(h, NULL, fake.opened == (int)i + 1 && http_timeout_ms(h) != 0);
		assert_int_equal(http_requests(h)->in_flight, 1);
		http_run_at(h, before + rows[i].ns - 1);
		assert_int_equal(fake.closed, i);
		http_run_at(h, util_now_ns() + rows[i].ns);
		assert_int_equal(fake.closed, i + 1);
		TURN_UNTIL(h, &c, c.end != END_OPEN);
		assert_int_equal(c.end, END_RESET);
		assert_null(memmem(c.data, c.len, "\r\n0\r\n\r\n", 7));
		assert_int_equal(refused(h, REQUESTS_WRITE_TIMEOUT), i + 1);
		assert_int_equal(refused_in_all(h), i + 1);
		assert_int_equal(http_requests(h)->in_flight, 0);
		client_close(&c);
	}
	http_close(h);
}

/* Asks and asks and reads nothing, until the server cannot go on. */
static void ask_until_stuck(struct http *h, const struct client *c)
{
	static const char request[] =
		"GET /none HTTP/1.1\r\nHost: h\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n";
	const uint64_t *answered_ones =
		&http_requests(h)->total[REQUESTS_OTHER][REQUESTS_GET][requests_code_of(404)];
	double progress = now_seconds(), deadline = progress + DEADLINE_S;
	char many[100 * sizeof(request)] = "";
	size_t len = 0, sent = 0;

	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%s", request);
	while (now_seconds() - progress < STUCK_S || http_requests(h)->in_flight != 1) {
		uint64_t before = *answered_ones;
		ssize_t n = send(c->fd, many + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent = (sent + (size_t)n) % len;
		turn(h, NULL);
		if (n > 0 || *answered_ones != before)
			progress = now_seconds();
		assert_true(now_seconds() < deadline);
	}
}

/* Of a daemon that was stopped, or a host that slept. */
static void what_came_while_nobody_looked_is_not_late(void **state)
{
	struct http *h = open_server();
	uint64_t before = util_now_ns();
	struct client asks = client_open(h), silent = client_open(h);

	(void)state;
	turn(h, NULL);
	client_send(&asks, "GET /-/ready" TAIL);
	http_run_at(h, before + 10 * SECOND);
	TURN_UNTIL(h, &asks, answered(&asks));
	TURN_UNTIL(h, &silent, silent.end != END_OPEN);
	assert_int_equal(refused(h, REQUESTS_HEADER_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	client_close(&asks);
	client_close(&silent);
	http_close(h);
}

/* Anybody gets those, and nobody may choose how long it keeps a place for one. */
static void a_short_answer_that_is_not_taken_ends_after_five_seconds(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);
	uint64_t stuck;

	(void)state;
	ask_until_stuck(h, &c);
	stuck = util_now_ns();
	http_run_at(h, stuck + 5 * SECOND);
	assert_int_equal(refused(h, REQUESTS_WRITE_TIMEOUT), 1);
	assert_int_equal(refused_in_all(h), 1);
	TURN_UNTIL(h, NULL, http_requests(h)->in_flight == 0);
	client_close(&c);
	http_close(h);
}

static void the_scrape_timeout_is_read_and_clamped(void **state)
{
	static const struct {
		const char *value;
		uint64_t ms;
	} rows[] = {
		{NULL, 30000},	 {"", 30000},	  {"x", 30000},	  {"5s", 30000},   {"nan", 30000},
		{"10", 10000},	 {"0.25", 250},	  {"1e1", 10000}, {"0", 100},	   {"-1", 100},
		{"0.0999", 100}, {"60.1", 60000}, {"inf", 60000}, {"1e99", 60000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(routes_answer_ns(rows[i].value) == rows[i].ms * NSEC_PER_MSEC);
}

/* ---- the table ---- */

static void a_full_table_gives_up_the_oldest_that_is_silent(void **state)
{
	struct client silent[CLIENTS_MAX], c;
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = client_open(h);
		turn(h, NULL);
	}
	assert_int_equal(refused_in_all(h), 0);
	c = ask_for(h, "GET", "/-/ready");
	assert_true(answered(&c));
	client_close(&c);
	assert_int_equal(refused(h, REQUESTS_EVICTED), 1);
	assert_int_equal(refused_in_all(h), 1);
	TURN_UNTIL(h, &silent[0], silent[0].end != END_OPEN);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		client_read(&silent[i]);
		assert_int_equal(silent[i].end, i ? END_OPEN : END_CLOSED);
		client_close(&silent[i]);
	}
	http_close(h);
}

static void before_it_gives_up_the_oldest_that_idles(void **state)
{
	struct client idle[CLIENTS_MAX - 1], trickling, c;
	struct http *h = open_server();
	uint64_t unused;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		idle[i] = open_idle(h, &unused);
	trickling = client_open(h);
	client_send(&trickling, "GET /metrics HT");
	turn(h, NULL);
	turn(h, NULL);
	c = open_idle(h, &unused);
	TURN_UNTIL(h, &trickling, trickling.end != END_OPEN);
	assert_int_equal(refused(h, REQUESTS_EVICTED), 1);
	client_close(&trickling);
	client_close(&c);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) > 0);
	c = open_idle(h, &unused);
	trickling = open_idle(h, &unused);
	assert_int_equal(refused(h, REQUESTS_EVICTED), 2);
	assert_int_equal(refused_in_all(h), 2);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++) {
		client_read(&idle[i]);
		assert_int_equal(idle[i].end, i ? END_OPEN : END_CLOSED);
		client_close(&idle[i]);
	}
	client_close(&trickling);
	client_close(&c);
	http_close(h);
}

/* The listener's queue is full of them, and so is the table, each time that the scraper comes. */
static void a_flood_of_silent_connections_does_not_keep_a_scraper_out(void **state)
{
	static struct client flood[400];
	struct http *h = open_server();
	size_t opened = 0;

	(void)state;
	for (int scrape = 0; scrape < 10; scrape++) {
		struct client c;

		for (int i = 0; i < 40; i++) {
			flood[opened++] = client_open(h);
			client_send(&flood[opened - 1], "GET /metrics HTTP/1.1\r\nX: ");
			if (i % 10 == 9)
				turn(h, NULL);
		}
		c = ask_for(h, "GET", "/metrics");
		assert_int_equal(status_of(&c), 200);
		assert_string_equal(raw_body(&c), "5\r\nabcde\r\n0\r\n\r\n");
		client_close(&c);
	}
	assert_int_equal(refused(h, REQUESTS_EVICTED), refused_in_all(h));
	assert_in_range(refused(h, REQUESTS_EVICTED), 400 - CLIENTS_MAX, 400 + 10 - CLIENTS_MAX);
	while (opened > 0)
		client_close(&flood[--opened]);
	http_close(h);
}

/* ---- bodies ---- */

static void at_most_four_bodies_are_under_way(void **state)
{
	struct client reading[RESPONSE_BODIES_MAX], c;
	struct http *h = open_server();

	(void)state;
	fake.total = BIG_BYTES;
	for (int i = 0; i < RESPONSE_BODIES_MAX; i++) {
		reading[i] = client_open(h);
		client_send(&reading[i], "GET /metrics" TAIL);
		TURN_UNTIL(h, NULL, fake.opened == i + 1);
	}
	for (int i = 0; i < 2; i++) {
		c = ask_for(h, "GET", i ? "/metadata" : "/metrics");
		assert_int_equal(status_of(&c), 503);
		assert_true(has_header(&c, "Retry-After: 1"));
		assert_true(has_header(&c, "Content-Type: text/plain; charset=utf-8"));
		assert_string_equal(raw_body(&c), "busy: ask again in a second\n");
		client_close(&c);
	}
	c = ask_for(h, "HEAD", "/metrics");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	assert_int_equal(http_requests(h)->in_flight, RESPONSE_BODIES_MAX);
	assert_int_equal(fake.opened, RESPONSE_BODIES_MAX);

	client_close(&reading[0]);
	TURN_UNTIL(h, NULL, fake.closed == 1);
	c = ask_for(h, "GET", "/metrics");
	assert_int_equal(status_of(&c), 200);
	assert_int_equal(dechunk(&c), BIG_BYTES);
	client_close(&c);
	for (int i = 1; i < RESPONSE_BODIES_MAX; i++)
		client_close(&reading[i]);
	TURN_UNTIL(h, NULL, http_requests(h)->in_flight == 0);
	assert_int_equal(fake.closed, fake.opened);
	http_close(h);
}

static void one_listing_of_connections_is_under_way(void **state)
{
	struct http *h = open_server();
	struct client listing = client_open(h), c;

	(void)state;
	fake.total = BIG_BYTES;
	client_send(&listing, "GET /connections" TAIL);
	TURN_UNTIL(h, NULL, fake.opened == 1);
	c = ask_for(h, "GET", "/connections");
	assert_int_equal(status_of(&c), 503);
	assert_true(has_header(&c, "Retry-After: 1"));
	client_close(&c);
	c = ask_for(h, "GET", "/metadata");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	TURN_UNTIL(h, &listing,
		   listing.len > 5 && strcmp(listing.data + listing.len - 5, "0\r\n\r\n") == 0);
	client_close(&listing);
	c = ask_for(h, "GET", "/connections");
	assert_int_equal(status_of(&c), 200);
	client_close(&c);
	http_close(h);
}

static void what_a_body_says_when_it_is_asked_is_told(void **state)
{
	static const struct {
		int error, status;
		const char *text, *why;
	} rows[] = {
		{-EINVAL, 400, "the query is not understood\n", ""},
		{-EINVAL, 400, "the query is not understood: limit: too high\n", "limit: too high"},
		{-EBUSY, 503, "busy: ask again in a second\n", ""},
		{-ENOMEM, 500, "the data cannot be read\n", ""},
	};
	struct http *h = open_server();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct client c;

		fake.open_error = rows[i].error;
		fake.open_why = rows[i].why;
		c = ask_for(h, "GET", "/connections?a=%zz&b");
		assert_int_equal(status_of(&c), rows[i].status);
		assert_string_equal(raw_body(&c), rows[i].text);
		assert_int_equal(has_header(&c, "Retry-After: 1"), rows[i].error == -EBUSY);
		assert_string_equal(fake.query, "a=%zz&b");
		client_close(&c);
	}
	assert_int_equal(fake.opened, 0);
	http_close(h);
}

static void a_query_comes_raw_and_is_bounded(void **state)
{
	struct http *h = open_server();
	char target[ROUTES_QUERY_MAX + 64] = "/connections?";
	size_t path_len = strlen(target);
	struct client c;

	(void)state;
	memset(target + path_len, 'q', ROUTES_QUERY_MAX - 1);
	c = ask_for(h, "GET", target);
	assert_int_equal(status_of(&c), 200);
	assert_string_equal(fake.query, target + path_len);
	client_close(&c);

	memset(target + path_len, 'q', ROUTES_QUERY_MAX);
	c = ask_for(h, "GET", target);
	assert_int_equal(status_of(&c), 400);
	client_close(&c);
	memcpy(target, "/metrics?qqqq", path_len);
	c = ask_for(h, "GET", target);
	assert_int_equal(status_of(&c), 200);
	assert_string_equal(fake.query, "");
	client_close(&c);
	http_close(h);
}

/* ---- what is counted ---- */

static uint64_t samples(const struct histogram *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(d->buckets); i++)
		sum += d->buckets[i];
	return sum;
}

static void requests_are_counted_by_what_they_are(void **state)
{
	struct http *h = open_server();
	const struct requests *r = http_requests(h);
	static const struct {
		const char *method, *target;
		enum requests_endpoint endpoint;
		enum requests_method class;
		unsigned int status;
	} rows[] = {
		{"GET", "/metrics", REQUESTS_METRICS, REQUESTS_GET, 200},
		{"HEAD", "/metrics", REQUESTS_METRICS, REQUESTS_HEAD, 200},
		{"POST", "/metrics", REQUESTS_METRICS, REQUESTS_METHOD_OTHER, 405},
		{"GET", "/connections", REQUESTS_CONNECTIONS, REQUESTS_GET, 200},
		{"GET", "/metadata", REQUESTS_METADATA, REQUESTS_GET, 200},
		{"GET", "/-/healthy", REQUESTS_HEALTH, REQUESTS_GET, 200},
		{"GET", "/-/ready", REQUESTS_READY, REQUESTS_GET, 200},
		{"HEAD", "/", REQUESTS_INDEX, REQUESTS_HEAD, 200},
		{"GET", "/x", REQUESTS_OTHER, REQUESTS_GET, 404},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct client c = ask_for(h, rows[i].method, rows[i].target);
		unsigned int code = requests_code_of(rows[i].status);

		assert_int_equal(status_of(&c), rows[i].status);
		assert_int_equal(r->total[rows[i].endpoint][rows[i].class][code], 1);
		client_close(&c);
	}
	assert_int_equal(samples(&r->duration[REQUESTS_METRICS]), 3);
	assert_int_equal(samples(&r->duration[REQUESTS_OTHER]), 1);
	assert_int_equal(r->in_flight, 0);
	assert_int_equal(refused_in_all(h), 0);
	http_close(h);
}

static void who_leaves_without_a_word_is_no_protocol_error(void **state)
{
	struct http *h = open_server();
	uint64_t unused;
	struct client c = client_open(h);

	(void)state;
	turn(h, NULL);
	client_close(&c);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	c = open_idle(h, &unused);
	client_close(&c);
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	assert_int_equal(refused_in_all(h), 0);
	http_close(h);
}

static void who_leaves_in_the_middle_of_a_header_is_one(void **state)
{
	static const char *const begins[] = {"G", "GET /metrics HTTP/1.1\r\nHost:"};
	struct http *h = open_server();
	uint64_t unused;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(begins); i++) {
		struct client c = i % 2 ? open_idle(h, &unused) : client_open(h);

		client_send(&c, begins[i / 2]);
		turn(h, NULL);
		client_close(&c);
		TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
		assert_int_equal(refused(h, REQUESTS_PROTOCOL), i + 1);
		assert_int_equal(refused_in_all(h), i + 1);
	}
	http_close(h);
}

/* As `nc -N` does. */
static void who_asks_and_ends_its_side_is_answered_and_does_not_stay(void **state)
{
	struct http *h = open_server();
	struct client c = client_open(h);

	(void)state;
	client_send(&c, "GET /nope" TAIL "GET /-/ready" TAIL);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	TURN_UNTIL(h, &c, c.end != END_OPEN);
	assert_int_equal(c.end, END_CLOSED);
	assert_int_equal(status_of(&c), 404);
	assert_non_null(strstr(c.data, "not found\nHTTP/1.1 200 "));
	TURN_UNTIL(h, NULL, http_timeout_ms(h) == -1);
	assert_int_equal(refused_in_all(h), 0);
	client_close(&c);
	http_close(h);
}

/* What a header leaves of the 8 KiB is what the answer is made in: just below them there may be no room for one. */
static void a_header_may_have_seven_kibibytes_and_not_eight(void **state)
{
	static char request[16 * 1024];
	struct http *h = open_server();
	uint64_t too_large = 0;

	(void)state;
	for (size_t bytes = 1024; bytes <= 12 * 1024; bytes += 512) {
		int len = snprintf(request, sizeof(request),
				   "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: ");
		struct client c;

		memset(request + len, 'x', bytes - (size_t)len - 4);
		strcpy(request + bytes - 4, "\r\n\r\n");
		c = ask(h, request);
		too_large += bytes >= 8 * 1024;
		if (bytes <= 7 * 1024)
			assert_int_equal(status_of(&c), 200);
		else if (bytes >= 8 * 1024)
			assert_int_equal(status_of(&c), 431);
		assert_int_equal(refused(h, REQUESTS_PROTOCOL), too_large);
		client_close(&c);
	}
	assert_int_equal(too_large, 9);
	assert_int_equal(fake.opened, fake.closed);
	http_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_silent_goes_after_five_seconds),
		cmocka_unit_test(who_trickles_goes_after_five_seconds),
		cmocka_unit_test(who_idles_goes_after_seventy_five),
		cmocka_unit_test(the_first_byte_of_the_next_request_starts_five_seconds),
		cmocka_unit_test(an_answer_that_is_not_taken_in_time_ends_with_a_reset),
		cmocka_unit_test(what_came_while_nobody_looked_is_not_late),
		cmocka_unit_test(a_short_answer_that_is_not_taken_ends_after_five_seconds),
		cmocka_unit_test(the_scrape_timeout_is_read_and_clamped),
		cmocka_unit_test(a_full_table_gives_up_the_oldest_that_is_silent),
		cmocka_unit_test(before_it_gives_up_the_oldest_that_idles),
		cmocka_unit_test(a_flood_of_silent_connections_does_not_keep_a_scraper_out),
		cmocka_unit_test(at_most_four_bodies_are_under_way),
		cmocka_unit_test(one_listing_of_connections_is_under_way),
		cmocka_unit_test(what_a_body_says_when_it_is_asked_is_told),
		cmocka_unit_test(a_query_comes_raw_and_is_bounded),
		cmocka_unit_test(requests_are_counted_by_what_they_are),
		cmocka_unit_test(who_leaves_without_a_word_is_no_protocol_error),
		cmocka_unit_test(who_leaves_in_the_middle_of_a_header_is_one),
		cmocka_unit_test(who_asks_and_ends_its_side_is_answered_and_does_not_stay),
		cmocka_unit_test(a_header_may_have_seven_kibibytes_and_not_eight),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
