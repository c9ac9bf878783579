/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Each rule of the checker can fail, and says where. */
#include "check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "exposition_check.h"
#include "util.h"

#define SERIES "process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\""
#define OUT "process=\"web\",direction=\"outbound\",peer_address=\"10.0.0.1\",server_port=\"80\""
#define HEAD(name, type) "# HELP " name " Text.\n# TYPE " name " " type "\n"
#define LIFETIME "poolscope_connection_lifetime_seconds"
#define BUCKETS                                                                  \
	LIFETIME "_bucket{" SERIES ",le=\"0.5\"} 1\n" LIFETIME "_bucket{" SERIES \
		 ",le=\"1.0\"} 3\n" LIFETIME "_bucket{" SERIES ",le=\"+Inf\"} 4\n"
#define SUM LIFETIME "_sum{" SERIES "} 12.5\n"
#define COUNT LIFETIME "_count{" SERIES "} 4\n"

static const char good[] = HEAD(
	"poolscope_connections_active",
	"gauge") "poolscope_connections_active{" SERIES "} 3\n"
		 "poolscope_connections_active{" OUT "} -1\n" HEAD(
			 "poolscope_events_total",
			 "counter") "poolscope_events_total{kind=\"pending\"} 0\n"
				    "poolscope_events_total{kind=\"accept\"} 12\n" HEAD(
					    LIFETIME, "histogram") BUCKETS SUM COUNT
					    HEAD("poolscope_listeners", "gauge") "poolscope_listeners{server_port=\"80\",process=\"a\\\"b\\\\c\\nd\"} 1\n" HEAD(
						    "poolscope_peers_limit",
						    "gauge") "poolscope_peers_limit 128\n" HEAD("process_open_fds",
												"gauge") "process_open_fds 1.5e+2\n";

static void accepts_any_utf8(void **state)
{
	static const char text[] = HEAD(
		"poolscope_listeners",
		"gauge") "poolscope_listeners{process=\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
			 "\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\",server_port=\"1\"} 1\n";
	char why[256] = "";

	(void)state;
	if (exposition_check(text, why, sizeof(why)))
		fail_msg("%s", why);
}

static void accepts_what_the_contract_allows(void **state)
{
	char why[256] = "";

	(void)state;
	if (exposition_check(good, why, sizeof(why)))
		fail_msg("%s", why);
	assert_string_equal(why, "");
}

static const struct {
	const char *text, *why;
} breaches[] = {
	{"", "line 1: empty"},
	{HEAD("poolscope_peers_limit", "gauge") "poolscope_peers_limit 1",
	 "line 3: the last line has no end"},
	{"\n", "line 1: invalid metric name"},
	{HEAD("poolscope_peers_limit", "gauge") "\n", "line 3: invalid metric name"},
	{HEAD("poolscope_peers_limit", "gauge") "poolscope_peers_limit\t1\n",
	 "line 3: control character 0x09"},
	{HEAD("poolscope_peers_limit", "gauge") "poolscope_peers_limit 1\r\n",
	 "line 3: control character 0x0d"},
	{"# EOF\n", "line 1: a comment that is neither HELP nor TYPE"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\xff\",server_port=\"1\"} 1\n",
	 "line 3: 0xff is no UTF-8"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\xc0\x80\",server_port=\"1\"} 1\n",
	 "line 3: 0xc0 is no UTF-8"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\xe2\x82\",server_port=\"1\"} 1\n",
	 "line 3: 0xe2 is no UTF-8"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\xed\xa0\x80\",server_port=\"1\"} 1\n",
	 "line 3: 0xed is no UTF-8"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\xf4\x90\x80\x80\",server_port=\"1\"} 1\n",
	 "line 3: 0xf4 is no UTF-8"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\x80\",server_port=\"1\"} 1\n",
	 "line 3: 0x80 is no UTF-8"},
	{HEAD("poolscope_http_requests_total",
	      "counter") "poolscope_http_requests_total{endpoint=\"metrics\",method=\"GET\",code=\"418\"} 1\n",
	 "line 3: poolscope_http_requests_total must not have code=\"418\""},
	{HEAD("poolscope_records_refused_total",
	      "counter") "poolscope_records_refused_total{cause=\"x\"} 1\n",
	 "line 3: poolscope_records_refused_total must not have cause=\"x\""},
	{HEAD("process_start_time_seconds", "gauge") "# UNIT process_start_time_seconds seconds\n",
	 "line 3: a comment that is neither HELP nor TYPE"},
	{"# HELP poolscope_peers_limit \"Text\".\n",
	 "line 1: HELP of poolscope_peers_limit has to be escaped"},
	{"#\n", "line 1: a comment that is neither HELP nor TYPE"},
	{"# HELP poolscope_new Text.\n", "line 1: unknown family poolscope_new"},
	{"# HELP go_threads Text.\n", "line 1: unknown family go_threads"},
	{"# HELP poolscope_peers_limit\n", "line 1: poolscope_peers_limit has an empty HELP"},
	{"# HELP poolscope_peers_limit \n", "line 1: poolscope_peers_limit has an empty HELP"},
	{"# HELP poolscope_peers_limit Text.\n",
	 "line 1: HELP of poolscope_peers_limit without TYPE"},
	{"# HELP poolscope_peers_limit Text.\npoolscope_peers_limit 1\n",
	 "line 2: poolscope_peers_limit stands outside of its family (HELP, TYPE, samples)"},
	{"# TYPE poolscope_peers_limit gauge\n",
	 "line 1: TYPE does not follow the HELP of its family"},
	{HEAD("poolscope_peers_limit", "gauge") "# TYPE poolscope_peers_limit gauge\n",
	 "line 3: TYPE does not follow the HELP of its family"},
	{HEAD("poolscope_peers_limit", "counter"), "line 2: poolscope_peers_limit must be a gauge"},
	{HEAD("poolscope_peers_limit", "gauges"), "line 2: poolscope_peers_limit must be a gauge"},
	{"poolscope_peers_limit 1\n",
	 "line 1: poolscope_peers_limit stands outside of its family (HELP, TYPE, samples)"},
	{HEAD("poolscope_peers_limit", "gauge")
		 HEAD("process_open_fds", "gauge") "poolscope_peers_limit 1\n",
	 "line 5: poolscope_peers_limit stands outside of its family (HELP, TYPE, samples)"},
	{HEAD("poolscope_peers_limit", "gauge") HEAD("process_open_fds", "gauge")
		 HEAD("poolscope_peers_limit", "gauge"),
	 "line 5: poolscope_peers_limit has a second HELP: not contiguous"},
	{HEAD("process_open_fds", "gauge") "process_open_fds 1\nprocess_open_fds 1\n",
	 "line 4: the same sample as in line 3"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"a\",server_port=\"1\"} 1\n"
		       "poolscope_listeners{server_port=\"1\",process=\"a\"} 2\n",
	 "line 4: the same sample as in line 3"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\",server_port=\"1\"} 1\n",
	 "line 3: empty label value"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{process=\"a} 1\n",
	 "line 3: label value is not closed"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"\\t\",server_port=\"1\"} 1\n",
	 "line 3: unknown escape in a label value"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"a\",process=\"b\"} 1\n",
	 "line 3: the same label twice"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{process=\"a\",} 1\n",
	 "line 3: invalid label name"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{} 1\n",
	 "line 3: invalid label name"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{__name=\"a\"} 1\n",
	 "line 3: invalid label name"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{process=a} 1\n",
	 "line 3: no =\" behind a label name"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{process=\"a\" } 1\n",
	 "line 3: no } behind the labels"},
	{HEAD("poolscope_listeners", "gauge") "poolscope_listeners{process=\"a\"} 1\n",
	 "line 3: poolscope_listeners lacks a label: it must have {process,server_port}"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"a\",server_port=\"1\",pid=\"7\"} 1\n",
	 "line 3: poolscope_listeners must not have the label pid"},
	{HEAD("poolscope_listeners",
	      "gauge") "poolscope_listeners{process=\"a\",server_port=\"1\",le=\"1.0\"} 1\n",
	 "line 3: poolscope_listeners must not have the label le"},
	{HEAD("poolscope_connections_pending", "gauge") "poolscope_connections_pending{" SERIES
							"} 1\n",
	 "line 3: poolscope_connections_pending must not have direction=\"inbound\""},
	{HEAD("poolscope_connections_queued", "gauge") "poolscope_connections_queued{" OUT "} 1\n",
	 "line 3: poolscope_connections_queued must not have direction=\"outbound\""},
	{HEAD("poolscope_peers", "gauge") "poolscope_peers{process=\"a\",direction=\"up\"} 1\n",
	 "line 3: unknown direction"},
	{HEAD("poolscope_events_total", "counter") "poolscope_events_total{kind=\"acc\"} 1\n",
	 "line 3: poolscope_events_total must not have kind=\"acc\""},
	{HEAD("poolscope_connections_closed_total",
	      "counter") "poolscope_connections_closed_total{" SERIES ",reason=\"refused\"} 1\n",
	 "line 3: poolscope_connections_closed_total must not have reason=\"refused\""},
	{HEAD("poolscope_events_total", "counter") "poolscope_events_total{kind=\"stale\"} -1\n",
	 "line 3: poolscope_events_total is negative"},
	{HEAD("process_open_fds", "gauge") "process_open_fds 1e999\n",
	 "line 3: process_open_fds is not finite"},
	{HEAD("process_open_fds", "gauge") "process_open_fds NaN\n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("process_open_fds", "gauge") "process_open_fds 0x10\n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("process_open_fds", "gauge") "process_open_fds \n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("process_open_fds", "gauge") "process_open_fds  1\n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("process_open_fds", "gauge") "process_open_fds 1 1700000000\n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("process_open_fds", "gauge") "process_open_fds\n",
	 "line 3: no space behind the name and labels"},
	{HEAD("process_open_fds", "gauge") "9lives 1\n", "line 3: invalid metric name"},
	{HEAD(LIFETIME, "histogram") LIFETIME "{" SERIES "} 1\n",
	 "line 3: " LIFETIME " stands outside of its family (HELP, TYPE, samples)"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES "} 1\n",
	 "line 3: " LIFETIME
	 "_bucket lacks a label: it must have {process,direction,peer_address,server_port}"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"1\"} 1\n",
	 "line 3: le=\"1\" is not spelled as promised"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"Inf\"} 1\n",
	 "line 3: le=\"Inf\" is not spelled as promised"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"1.0\"} 1\n" LIFETIME
					      "_bucket{" SERIES ",le=\"0.5\"} 1\n",
	 "line 4: buckets are not in rising order of le"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"0.5\"} 2\n" LIFETIME
					      "_bucket{" SERIES ",le=\"1.0\"} 1\n",
	 "line 4: buckets are not cumulative"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"0.5\"} 1.5\n",
	 "line 3: buckets are not cumulative"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"0.5\"} 1\n" LIFETIME
					      "_bucket{" OUT ",le=\"1.0\"} 1\n",
	 "line 4: a histogram is not complete before the next one"},
	{HEAD(LIFETIME, "histogram") LIFETIME "_bucket{" SERIES ",le=\"0.5\"} 1\n" SUM,
	 "line 4: expected the buckets up to +Inf, then _sum, then _count"},
	{HEAD(LIFETIME, "histogram") BUCKETS COUNT,
	 "line 6: expected the buckets up to +Inf, then _sum, then _count"},
	{HEAD(LIFETIME, "histogram") BUCKETS LIFETIME "_sum{" OUT "} 1\n",
	 "line 6: expected the buckets up to +Inf, then _sum, then _count"},
	{HEAD(LIFETIME, "histogram") BUCKETS SUM LIFETIME "_count{" SERIES "} 5\n",
	 "line 7: _count differs from the +Inf bucket"},
	{HEAD(LIFETIME, "histogram") BUCKETS SUM,
	 "line 6: a histogram of " LIFETIME " is not complete"},
	{HEAD(LIFETIME, "histogram") BUCKETS SUM HEAD("process_open_fds", "gauge"),
	 "line 7: a histogram of " LIFETIME " is not complete"},
	{HEAD(LIFETIME, "histogram") BUCKETS LIFETIME "_sum{" SERIES "} -1\n",
	 "line 6: " LIFETIME "_sum is negative"},
};

static void refuses_every_breach_and_names_the_line(void **state)
{
	char why[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		snprintf(why, sizeof(why), "nothing");
		if (exposition_check(breaches[i].text, why, sizeof(why)) != -EINVAL ||
		    strcmp(why, breaches[i].why))
			fail_msg("row %zu: expected '%s', got '%s'", i, breaches[i].why, why);
	}
}

#define UNIT(name, unit) "# UNIT " name " " unit "\n"
#define START "process_start_time_seconds"
#define CPU "process_cpu_seconds"
#define MEMORY "process_virtual_memory_bytes"
#define KIND "poolscope_events_total{kind=\"accept\"} "
#define BUILD "poolscope_build_info{version=\"1\",revision=\"2\",libbpf=\"3\"} 1\n"

static const char good_openmetrics[] =
	HEAD("poolscope_peers_limit", "gauge") "poolscope_peers_limit 3\n" /**/
	HEAD("poolscope_events", "counter") KIND "12\n" /**/
	HEAD(LIFETIME, "histogram") UNIT(LIFETIME, "seconds") BUCKETS SUM COUNT /**/
		HEAD("poolscope_build", "info") BUILD /**/
			HEAD(CPU, "counter") UNIT(CPU, "seconds") CPU "_total 1.5\n" /**/
	HEAD(MEMORY, "gauge") UNIT(MEMORY, "bytes") MEMORY " 1\n# EOF\n";

static const struct {
	const char *text, *why;
} openmetrics_breaches[] = {
	{HEAD("poolscope_peers_limit", "gauge") "poolscope_peers_limit 1\n", "line 3: no # EOF"},
	{"# EOF", "line 1: the last line has no end"},
	{"# EOF\n# EOF\n", "line 2: something follows # EOF"},
	{"# EOF\n\n", "line 2: something follows # EOF"},
	{"# EOF \n", "line 1: a comment that is neither HELP nor TYPE"},
	{HEAD("poolscope_events_total", "counter"),
	 "line 1: unknown family poolscope_events_total"},
	{HEAD("poolscope_events", "counter") "poolscope_events{kind=\"accept\"} 1\n",
	 "line 3: poolscope_events stands outside of its family (HELP, TYPE, samples)"},
	{HEAD("poolscope_events", "counter") "poolscope_events_created{kind=\"accept\"} 1\n",
	 "line 3: poolscope_events_created stands outside of its family (HELP, TYPE, samples)"},
	{HEAD("poolscope_events", "counter") KIND "1 # {} 1\n",
	 "line 3: the value is not a decimal number, or something follows it"},
	{HEAD("poolscope_build_info", "info"), "line 1: unknown family poolscope_build_info"},
	{HEAD("poolscope_build", "gauge"), "line 2: poolscope_build_info must be a info"},
	{"# HELP poolscope_peers_limit a\\b\n",
	 "line 1: HELP of poolscope_peers_limit has to be escaped"},
	{HEAD(START, "gauge") START " 1\n# EOF\n", "line 4: " START " has no UNIT"},
	{HEAD(START, "gauge") START " 1\n" HEAD("process_open_fds", "gauge"),
	 "line 4: " START " has no UNIT"},
	{HEAD(START, "gauge") START " 1\n" UNIT(START, "seconds"),
	 "line 4: UNIT does not follow the TYPE of its family"},
	{HEAD(START, "gauge") UNIT(START, "seconds") UNIT(START, "seconds"),
	 "line 4: UNIT does not follow the TYPE of its family"},
	{"# HELP " START " Text.\n" UNIT(START, "seconds"),
	 "line 2: UNIT does not follow the TYPE of its family"},
	{HEAD(START, "gauge") UNIT("process_open_fds", "seconds"),
	 "line 3: UNIT does not follow the TYPE of its family"},
	{HEAD(START, "gauge") UNIT(START, "bytes"), "line 3: " START " must have another UNIT"},
	{HEAD(START, "gauge") UNIT(START, "second"), "line 3: " START " must have another UNIT"},
	{HEAD("process_open_fds", "gauge") UNIT("process_open_fds", "fds"),
	 "line 3: process_open_fds must have no UNIT"},
	{HEAD(CPU, "counter") CPU "_total 1\n# EOF\n", "line 4: " CPU "_total has no UNIT"},
};

static void openmetrics_is_read_as_strictly(void **state)
{
	char why[256] = "";

	(void)state;
	if (exposition_check_openmetrics(good_openmetrics, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(exposition_check(good_openmetrics, why, sizeof(why)), -EINVAL);
	assert_int_equal(exposition_check_openmetrics(good, why, sizeof(why)), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(openmetrics_breaches); i++) {
		snprintf(why, sizeof(why), "nothing");
		if (exposition_check_openmetrics(openmetrics_breaches[i].text, why, sizeof(why)) !=
			    -EINVAL ||
		    strcmp(why, openmetrics_breaches[i].why))
			fail_msg("row %zu: expected '%s', got '%s'", i, openmetrics_breaches[i].why,
				 why);
	}
}

static void finds_samples_by_name_and_labels(void **state)
{
	double v = -7;

	(void)state;
	assert_int_equal(exposition_value(good, "poolscope_peers_limit", NULL, &v), 0);
	assert_true(v == 128);
	assert_int_equal(
		exposition_value(good, "poolscope_connections_active", "direction=inbound", &v), 0);
	assert_true(v == 3);
	assert_int_equal(
		exposition_value(
			good, "poolscope_connections_active",
			"server_port=80,peer_address=10.0.0.1,direction=outbound,process=web", &v),
		0);
	assert_true(v == -1);
	assert_int_equal(exposition_value(good, LIFETIME "_bucket", "le=1.0", &v), 0);
	assert_true(v == 3);
	assert_int_equal(exposition_value(good, "poolscope_listeners", "process=a\"b\\c\nd", &v),
			 0);
	v = -7;
	assert_int_equal(exposition_value(good, "poolscope_connections_active", "process=web", &v),
			 -EEXIST);
	assert_int_equal(exposition_value(good, "poolscope_connections_active", "process=we", &v),
			 -ENOENT);
	assert_int_equal(exposition_value(good, "poolscope_connections_active", "process=webb", &v),
			 -ENOENT);
	assert_int_equal(exposition_value(good, "poolscope_connections_active", "proces=web", &v),
			 -ENOENT);
	assert_int_equal(exposition_value(good, "poolscope_connections_active", "process", &v),
			 -ENOENT);
	assert_int_equal(exposition_value(good, "poolscope_connections", "", &v), -ENOENT);
	assert_true(v == -7);
}

static void sums_over_matching_samples(void **state)
{
	double v;

	(void)state;
	assert_int_equal(exposition_sum(good, "poolscope_connections_active", "", &v), 2);
	assert_true(v == 2);
	assert_int_equal(exposition_sum(good, "poolscope_events_total", "kind=accept", &v), 1);
	assert_true(v == 12);
	assert_int_equal(exposition_sum(good, "poolscope_events_total", "kind=none", &v), 0);
	assert_true(v == 0);
}

static void steps_through_all_samples(void **state)
{
	struct exposition_sample s;
	const char *at = good;
	int count = 0;

	(void)state;
	while (exposition_next(&at, &s) == 1)
		count++;
	assert_int_equal(count, 12);
	assert_int_equal(exposition_next(&at, &s), 0);
	at = "# no end";
	assert_int_equal(exposition_next(&at, &s), -EINVAL);
	at = "not a sample\n";
	assert_int_equal(exposition_next(&at, &s), -EINVAL);
}

/* One outbound series that adds up, with one number changed. */
static const char *outbound_series(const char *change, const char *value)
{
	static const struct {
		const char *name, *labels, *value;
	} rows[] = {
		{"poolscope_connections_active", OUT, "2"},
		{"poolscope_connections_pending", OUT, "1"},
		{"poolscope_connections_stale", OUT, "1"},
		{"poolscope_connection_attempts_total", OUT, "9"},
		{"poolscope_connection_failures_total", OUT ",reason=\"refused\"", "2"},
		{"poolscope_connection_failures_total", OUT ",reason=\"timeout\"", "1"},
		{"poolscope_connection_failures_total", OUT ",reason=\"unreachable\"", "0"},
		{"poolscope_connection_failures_total", OUT ",reason=\"reset\"", "0"},
		{"poolscope_connection_failures_total", OUT ",reason=\"aborted\"", "0"},
		{"poolscope_connection_failures_total", OUT ",reason=\"other\"", "0"},
		{"poolscope_connections_opened_total", OUT, "5"},
		{"poolscope_connections_adopted_total", OUT, "1"},
		{"poolscope_connections_handed_over_total", OUT, "0"},
		{"poolscope_connections_closed_total", OUT ",reason=\"local\"", "3"},
		{"poolscope_connections_closed_total", OUT ",reason=\"peer\"", "1"},
		{"poolscope_connections_closed_total", OUT ",reason=\"reset_by_peer\"", "0"},
		{"poolscope_connections_closed_total", OUT ",reason=\"reset_by_local\"", "0"},
		{"poolscope_connections_closed_total", OUT ",reason=\"timeout\"", "0"},
		{"poolscope_connections_closed_total", OUT ",reason=\"other\"", "0"},
		{"poolscope_connection_handshake_duration_seconds_count", OUT, "5"},
		{"poolscope_connection_lifetime_seconds_count", OUT, "3"},
	};
	static char text[8192];
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool changed = strstr(rows[i].name, change) || strstr(rows[i].labels, change);

		if (!changed || value)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s{%s} %s\n",
						rows[i].name, rows[i].labels,
						changed ? value : rows[i].value);
	}
	return text;
}

static void invariants_hold_or_name_the_series(void **state)
{
	static const struct {
		const char *change, *value, *why;
	} rows[] = {
		{"connections_active", "1", "opened + adopted != active + closed + handed_over"},
		{"connections_active", "-1", "a gauge is negative"},
		{"connections_stale", "-1", "a gauge is negative"},
		{"handed_over", "1", "opened + adopted != active + closed + handed_over"},
		{"connections_pending", "0", "attempts != opened + pending + failures"},
		{"attempts_total", "10", "attempts != opened + pending + failures"},
		{"reason=\"refused\"", "3", "attempts != opened + pending + failures"},
		{"handshake", "6", "more handshakes than opened"},
		{"lifetime", "5", "more lifetimes than closed"},
		{"reason=\"aborted\"", NULL, "not every reason has a sample"},
		{"reason=\"reset_by_peer\"", NULL, "not every reason has a sample"},
	};
	char why[1024] = "", want[256];

	(void)state;
	if (exposition_check_invariants(outbound_series("nothing", "0"), why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(exposition_check_invariants("", why, sizeof(why)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			exposition_check_invariants(outbound_series(rows[i].change, rows[i].value),
						    why, sizeof(why)),
			-EINVAL);
		snprintf(
			want, sizeof(want),
			"{process=web,direction=outbound,peer_address=10.0.0.1,server_port=80}: %s (",
			rows[i].why);
		if (strncmp(why, want, strlen(want)))
			fail_msg("row %zu: '%s'", i, why);
	}
}

static void invariants_are_per_series(void **state)
{
	/* Two inbound series that only add up together. */
	static const char text[] =
		"poolscope_connections_active{" SERIES "} 1\n"
		"poolscope_connections_opened_total{process=\"w\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"80\"} 1\n";
	char why[1024];

	(void)state;
	assert_int_equal(exposition_check_invariants(text, why, sizeof(why)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_the_contract_allows),
		cmocka_unit_test(accepts_any_utf8),
		cmocka_unit_test(refuses_every_breach_and_names_the_line),
		cmocka_unit_test(openmetrics_is_read_as_strictly),
		cmocka_unit_test(finds_samples_by_name_and_labels),
		cmocka_unit_test(sums_over_matching_samples),
		cmocka_unit_test(steps_through_all_samples),
		cmocka_unit_test(invariants_hold_or_name_the_series),
		cmocka_unit_test(invariants_are_per_series),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
