/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The text of /metrics: exact lines, what is left out, slices of any size, a snapshot that stays as it was. */
#include "check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "exposition_check.h"
#include "listeners.h"
#include "snapshot.h"
#include "util.h"

#define OUT "process=\"web\",direction=\"outbound\",peer_address=\"10.0.0.1\",server_port=\"5432\""
#define IN "process=\"web\",direction=\"inbound\",peer_address=\"10.0.0.1\",server_port=\"5432\""

static const uint8_t hash_key[16] = "test_exposition";

static const struct exposition_listener listeners[] = {{0, 80, 2, 3, 511, 7},
						       {1, 443, 1, 0, 128, 0}};
static const struct exposition_process processes[] = {{0, 4}, {1, 0}};
static const struct exposition_program programs[] = {{"inet_sock_set_state", "tp_btf", 5, 3000000,
						      2500000001},
						     {"inet_csk_accept", "fexit", 0, 0, 0}};
static const struct exposition_cause causes[] = {{"memory", 1}, {"mirror", 0}};

static struct exposition_self self_full(void)
{
	struct exposition_self self = {
		.listeners = listeners,
		.listener_count = ARRAY_SIZE(listeners),
		.processes = processes,
		.process_count = ARRAY_SIZE(processes),
		.programs = programs,
		.program_count = ARRAY_SIZE(programs),
		.records_refused = causes,
		.records_refused_count = ARRAY_SIZE(causes),
		.connections = {.events = {1, 2, 3, 4, 5}, .tracked = 9, .limit = 1000},
		.events_refused = {6, 7, 8, 9, 10},
		.events_lost = {0, 0, 0, 11, 0},
		.last_scrape_ns = 1234567,
		.reload_ok = true,
		.reload_realtime_ns = 1700000000500000000,
		.version = "0.1.0",
		.revision = "abc",
		.libbpf = "1.1",
	};

	return self;
}

static struct pools *pools_with_names(uint32_t series_max)
{
	struct pools_config config = {.peers_max = series_max, .series_max = series_max};
	struct pools *p;

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	assert_int_equal(pools_open(&p, &config), 0);
	assert_int_equal(pools_add_owner(p, 1, "web"), 0);
	assert_int_equal(pools_add_owner(p, 2, "a \"b\\c"), 0);
	return p;
}

static struct series *series_with(struct pools *p, enum ps_direction direction, uint8_t host)
{
	struct series_key key = {.peer = {[10] = 0xff, 0xff, 10, 0, 0, host},
				 .server_port = 5432,
				 .prefix_len = 128,
				 .direction = (uint8_t)direction};
	uint32_t slot;

	assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
	return series_at(pools_series(p), slot);
}

/* The rest of the body, read in pieces of `piece` bytes; the caller frees it. */
static char *body_read(struct exposition *x, size_t piece)
{
	size_t len = 0, cap = 1 << 20;
	char *text = malloc(cap);
	ssize_t n;

	assert_non_null(text);
	for (;; len += (size_t)n) {
		if (cap - len <= piece)
			text = realloc(text, cap *= 2);
		assert_non_null(text);
		n = exposition_read(x, text + len, piece);
		assert_true(n >= 0 && (size_t)n <= piece);
		if (!n)
			break;
	}
	text[len] = '\0';
	assert_int_equal(strlen(text), len);
	return text;
}

/* The body of a snapshot of its own. */
static struct exposition *open_as(enum exposition_format format, struct pools *p,
				  const struct exposition_self *self)
{
	struct snapshot *snapshot;
	struct exposition *x;

	assert_int_equal(snapshot_take(&snapshot, p, self), 0);
	assert_int_equal(exposition_open(&x, format, snapshot), 0);
	snapshot_release(snapshot);
	return x;
}

static char *render_as(enum exposition_format format, struct pools *p,
		       const struct exposition_self *self)
{
	struct exposition *x;
	char *text;

	x = open_as(format, p, self);
	text = body_read(x, 65536);
	exposition_close(x);
	return text;
}

/* Steps over comments; NULL at the end. */
static const char *next_sample(const char **cursor, size_t *ret_len)
{
	const char *line = *cursor;

	while (*line == '#')
		line = strchr(line, '\n') + 1;
	*ret_len = strcspn(line, "\n");
	*cursor = line + *ret_len + (*line ? 1 : 0);
	return *line ? line : NULL;
}

/* The text of 0.0.4; on the way OpenMetrics is held to its own rules and to the very same samples. */
static char *render(struct pools *p, const struct exposition_self *self)
{
	char *text = render_as(EXPOSITION_TEXT, p, self),
	     *openmetrics = render_as(EXPOSITION_OPENMETRICS, p, self);
	const char *a = text, *b = openmetrics, *sample, *other;
	size_t a_len, b_len, samples = 0;
	char why[512];

	if (exposition_check_openmetrics(openmetrics, why, sizeof(why)))
		fail_msg("OpenMetrics: %s", why);
	for (; (sample = next_sample(&a, &a_len)); samples++) {
		other = next_sample(&b, &b_len);
		assert_non_null(other);
		assert_int_equal(a_len, b_len);
		assert_memory_equal(sample, other, a_len);
	}
	assert_null(next_sample(&b, &b_len));
	assert_true(samples > 0);
	free(openmetrics);
	return text;
}

static void assert_valid(const char *text)
{
	char why[512];

	if (exposition_check(text, why, sizeof(why)))
		fail_msg("%s", why);
}

static void assert_has(const char *text, const char *lines)
{
	if (!strstr(text, lines))
		fail_msg("not found: %.300s",
			 lines); /* cmocka cuts long messages and the TAP line with them */
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("must not be there: %s", part);
}

static void an_outbound_series_line_by_line(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	struct series *s = series_with(p, PS_OUTBOUND, 1);
	char *text;

	(void)state;
	s->active = 12;
	s->pending = 3;
	s->attempts = 18446744073709551615ULL;
	s->opened = 100;
	s->failed[PS_FAIL_TIMEOUT] = 5;
	s->closed[PS_CLOSE_RESET_BY_LOCAL] = 88;
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "# HELP poolscope_connections_active Established connections.\n"
			 "# TYPE poolscope_connections_active gauge\n"
			 "poolscope_connections_active{" OUT "} 12\n");
	assert_has(text, "\npoolscope_connections_pending{" OUT "} 3\n");
	assert_has(text, "\npoolscope_connections_stale{" OUT "} 0\n");
	assert_has(text, "# TYPE poolscope_connection_attempts_total counter\n"
			 "poolscope_connection_attempts_total{" OUT "} 18446744073709551615\n");
	assert_has(text, "poolscope_connection_failures_total{" OUT ",reason=\"refused\"} 0\n"
			 "poolscope_connection_failures_total{" OUT ",reason=\"timeout\"} 5\n"
			 "poolscope_connection_failures_total{" OUT ",reason=\"unreachable\"} 0\n"
			 "poolscope_connection_failures_total{" OUT ",reason=\"reset\"} 0\n"
			 "poolscope_connection_failures_total{" OUT ",reason=\"aborted\"} 0\n"
			 "poolscope_connection_failures_total{" OUT ",reason=\"other\"} 0\n");
	assert_has(text,
		   "poolscope_connections_closed_total{" OUT ",reason=\"local\"} 0\n"
		   "poolscope_connections_closed_total{" OUT ",reason=\"peer\"} 0\n"
		   "poolscope_connections_closed_total{" OUT ",reason=\"reset_by_peer\"} 0\n"
		   "poolscope_connections_closed_total{" OUT ",reason=\"reset_by_local\"} 88\n"
		   "poolscope_connections_closed_total{" OUT ",reason=\"timeout\"} 0\n"
		   "poolscope_connections_closed_total{" OUT ",reason=\"other\"} 0\n");
	assert_lacks(text, "poolscope_connections_queued");
	assert_lacks(text, "poolscope_accept_wait");
	free(text);
	pools_close(p);
}

static void an_inbound_series_has_its_own_families(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	struct series *s = series_with(p, PS_INBOUND, 1);
	char *text;

	(void)state;
	s->queued = 2;
	s->active = -1; /* a bug elsewhere is shown, not hidden */
	histogram_add(&s->accept_wait, &pools_config(p)->handshake, 250 * NSEC_PER_MSEC);
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_connections_queued{" IN "} 2\n");
	assert_has(text, "\npoolscope_connections_active{" IN "} -1\n");
	assert_has(text, "\npoolscope_accept_wait_duration_seconds_sum{" IN "} 0.25\n"
			 "poolscope_accept_wait_duration_seconds_count{" IN "} 1\n");
	assert_lacks(text, "poolscope_connections_pending");
	assert_lacks(text, "poolscope_connection_attempts");
	assert_lacks(text, "poolscope_connection_failures");
	free(text);
	pools_close(p);
}

static void histograms_are_cumulative(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	struct series *s = series_with(p, PS_OUTBOUND, 1);
	char *text;

	(void)state;
	histogram_add(&s->lifetime, &pools_config(p)->lifetime, 1);
	histogram_add(&s->lifetime, &pools_config(p)->lifetime, NSEC_PER_SEC);
	histogram_add(&s->lifetime, &pools_config(p)->lifetime, 100000 * NSEC_PER_SEC);
	text = render(p, &self);
#define BUCKET(le, n) "poolscope_connection_lifetime_seconds_bucket{" OUT ",le=\"" le "\"} " n "\n"
	assert_has(
		text,
		"# TYPE poolscope_connection_lifetime_seconds histogram\n" BUCKET(
			"0.01", "1") BUCKET("0.05", "1") BUCKET("0.1", "1") BUCKET("0.5", "1")
			BUCKET("1.0", "2") BUCKET("5.0", "2") BUCKET("10.0", "2") BUCKET(
				"30.0", "2") BUCKET("60.0", "2") BUCKET("300.0", "2")
				BUCKET("600.0", "2") BUCKET("1800.0", "2") BUCKET(
					"3600.0", "2") BUCKET("14400.0", "2") BUCKET("86400.0", "2")
					BUCKET("+Inf",
					       "3") "poolscope_connection_lifetime_seconds_sum{" OUT
						    "} 100001.000000001\n"
						    "poolscope_connection_lifetime_seconds_count{" OUT
						    "} 3\n");
	assert_has(text, "\npoolscope_connection_handshake_duration_seconds_bucket{" OUT
			 ",le=\"0.00025\"} 0\n");
	assert_has(text, "\npoolscope_connection_handshake_duration_seconds_sum{" OUT "} 0\n");
	free(text);
	pools_close(p);
}

static void what_hangs_on_no_series(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(1);
	char *text;

	(void)state;
	series_with(p, PS_OUTBOUND, 1);
	series_with(p, PS_OUTBOUND, 2);
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_listeners{process=\"web\",server_port=\"80\"} 2\n"
			 "poolscope_listeners{process=\"a \\\"b\\\\c\",server_port=\"443\"} 1\n");
	assert_has(text, "\npoolscope_listener_half_open{process=\"web\",server_port=\"80\"} 3\n");
	assert_has(text,
		   "\npoolscope_listener_queue_limit{process=\"web\",server_port=\"80\"} 511\n");
	assert_has(text,
		   "\npoolscope_listener_dropped_total{process=\"web\",server_port=\"80\"} 7\n");
	assert_has(text, "\npoolscope_target_processes{process=\"web\"} 4\n"
			 "poolscope_target_processes{process=\"a \\\"b\\\\c\"} 0\n");
	assert_has(text, "\npoolscope_peers{process=\"web\",direction=\"outbound\"} 1\n"
			 "poolscope_peers{process=\"web\",direction=\"inbound\"} 0\n"
			 "poolscope_peers{process=\"a \\\"b\\\\c\",direction=\"outbound\"} 0\n");
	assert_has(text, "\npoolscope_peers_limit 1\n");
	assert_has(
		text,
		"\npoolscope_peers_overflowed_total{process=\"web\",direction=\"outbound\"} 1\n");
	assert_has(text, "\npoolscope_connections_tracked 9\n");
	assert_has(text, "\npoolscope_connections_tracked_limit 1000\n");
	assert_has(text, "\npoolscope_events_total{kind=\"pending\"} 1\n"
			 "poolscope_events_total{kind=\"established\"} 2\n"
			 "poolscope_events_total{kind=\"stale\"} 3\n"
			 "poolscope_events_total{kind=\"ended\"} 4\n"
			 "poolscope_events_total{kind=\"accept\"} 5\n");
	assert_has(text, "\npoolscope_events_refused_total{kind=\"established\"} 7\n");
	assert_has(text, "\npoolscope_events_lost_total{kind=\"ended\"} 11\n");
	assert_has(text, "\npoolscope_probe_missed_total{program=\"inet_sock_set_state\"} 5\n");
	assert_has(text,
		   "# TYPE poolscope_probe_info gauge\n"
		   "poolscope_probe_info{program=\"inet_sock_set_state\",attach=\"tp_btf\"} 1\n"
		   "poolscope_probe_info{program=\"inet_csk_accept\",attach=\"fexit\"} 1\n");
	assert_has(text, "\npoolscope_records_refused_total{cause=\"memory\"} 1\n"
			 "poolscope_records_refused_total{cause=\"mirror\"} 0\n");
	assert_has(text, "\npoolscope_scrape_duration_seconds 0.001234567\n");
	assert_has(text,
		   "\npoolscope_build_info{version=\"0.1.0\",revision=\"abc\",libbpf=\"1.1\"} 1\n");
	assert_has(text, "\npoolscope_config_last_reload_successful 1\n");
	assert_has(text, "\npoolscope_config_last_reload_success_timestamp_seconds 1700000000.5\n");
	free(text);
	pools_close(p);
}

static void runs_of_programs_are_shown_if_they_are_counted(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(1);
	char *text;

	(void)state;
	text = render(p, &self);
	assert_lacks(text, "poolscope_probe_run");
	free(text);
	self.probe_stats = true;
	self.reload_ok = false;
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_probe_runs_total{program=\"inet_sock_set_state\"} 3000000\n"
			 "poolscope_probe_runs_total{program=\"inet_csk_accept\"} 0\n");
	assert_has(
		text,
		"\npoolscope_probe_run_seconds_total{program=\"inet_sock_set_state\"} 2.500000001\n"
		"poolscope_probe_run_seconds_total{program=\"inet_csk_accept\"} 0\n");
	assert_has(text, "\npoolscope_config_last_reload_successful 0\n");
	free(text);
	text = render_as(EXPOSITION_OPENMETRICS, p, &self);
	assert_has(text, "# TYPE poolscope_probe_run_seconds counter\n"
			 "# UNIT poolscope_probe_run_seconds seconds\n");
	assert_has(text, "# UNIT poolscope_config_last_reload_success_timestamp_seconds seconds\n");
	free(text);
	pools_close(p);
}

/* Whatever will be counted is there at 0 before. */
static void an_endpoint_that_nobody_asked(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(1);
	struct requests requests = {};
	char *text;
	double sum;

	(void)state;
	text = render(p, &self);
	assert_lacks(text, "poolscope_http");
	free(text);
	self.requests = &requests;
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_http_requests_in_flight 0\n");
#define REQUEST(endpoint, method, code, count)                                     \
	"poolscope_http_requests_total{endpoint=\"" endpoint "\",method=\"" method \
	"\",code=\"" code "\"} " count "\n"
	assert_has(text,
		   "# TYPE poolscope_http_requests_total counter\n" REQUEST(
			   "metrics", "GET", "200", "0") REQUEST("connections", "GET", "200", "0")
			   REQUEST("metadata", "GET", "200", "0") REQUEST(
				   "health", "GET", "200", "0") REQUEST("ready", "GET", "200", "0")
				   REQUEST("index", "GET", "200", "0")
					   REQUEST("other", "GET", "200", "0") "# HELP");
	assert_int_equal(exposition_sum(text, "poolscope_http_request_duration_seconds_count", NULL,
					&sum),
			 REQUESTS_ENDPOINTS);
#define REFUSED(cause) "poolscope_http_connections_refused_total{cause=\"" cause "\"} 0\n"
	assert_has(text,
		   REFUSED("full") REFUSED("address") REFUSED("evicted") REFUSED("header_timeout")
			   REFUSED("write_timeout") REFUSED("idle_timeout") REFUSED("protocol"));
	free(text);
	pools_close(p);
}

static void an_endpoint_counts_what_it_answers(void **state)
{
	struct requests requests = {.in_flight = 2, .refused = {[REQUESTS_EVICTED] = 5}};
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(1);
	char *text;

	(void)state;
	self.requests = &requests;
	requests_done(&requests, REQUESTS_METRICS, REQUESTS_GET, 200, 30 * NSEC_PER_MSEC);
	requests_done(&requests, REQUESTS_METRICS, REQUESTS_GET, 200, NSEC_PER_SEC / 2);
	requests_done(&requests, REQUESTS_METRICS, REQUESTS_HEAD, 401, 1);
	requests_done(&requests, REQUESTS_OTHER, REQUESTS_METHOD_OTHER, 418, 60 * NSEC_PER_SEC);
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_http_requests_in_flight 2\n");
	assert_has(text,
		   "\n" REQUEST("metrics", "GET", "200", "2") REQUEST("metrics", "HEAD", "401", "1")
			   REQUEST("connections", "GET", "200", "0"));
	assert_has(text, "\n" REQUEST("other", "GET", "200", "0")
				 REQUEST("other", "other", "other", "1"));
#define DURATION(le, n) \
	"poolscope_http_request_duration_seconds_bucket{endpoint=\"metrics\",le=\"" le "\"} " n "\n"
	assert_has(
		text,
		"# TYPE poolscope_http_request_duration_seconds histogram\n" DURATION("0.001", "1") DURATION(
			"0.005",
			"1") DURATION("0.01",
				      "1") DURATION("0.025",
						    "1") DURATION("0.05",
								  "2") DURATION("0.1",
										"2") DURATION("0.5",
											      "3")
			DURATION("1.0", "3") DURATION("5.0", "3") DURATION("30.0", "3") DURATION(
				"+Inf",
				"3") "poolscope_http_request_duration_seconds_sum{endpoint=\"metrics\"} 0.530000001\n"
				     "poolscope_http_request_duration_seconds_count{endpoint=\"metrics\"} 3\n");
	assert_has(
		text,
		"\npoolscope_http_request_duration_seconds_bucket{endpoint=\"other\",le=\"30.0\"} 0\n"
		"poolscope_http_request_duration_seconds_bucket{endpoint=\"other\",le=\"+Inf\"} 1\n");
	assert_has(text, "\npoolscope_http_connections_refused_total{cause=\"evicted\"} 5\n");
	free(text);
	pools_close(p);
}

static void what_the_daemon_itself_uses(void **state)
{
	struct usage usage = {
		.cpu_ns = 1230000000,
		.virtual_max_bytes = UINT64_MAX,
		.max_fds = 1024,
		.has_memory = true,
		.has_fds = true,
		.has_start = true,
		.virtual_bytes = 40960000,
		.resident_bytes = 8192000,
		.open_fds = 17,
		.start_realtime_ns = 1700000000250000000,
	};
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(1);
	char *text;

	(void)state;
	self.usage = &usage;
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "# TYPE process_cpu_seconds_total counter\n"
			 "process_cpu_seconds_total 1.23\n");
	assert_has(text, "\nprocess_open_fds 17\n");
	assert_has(text, "\nprocess_max_fds 1024\n");
	assert_has(text, "\nprocess_virtual_memory_bytes 40960000\n");
	assert_has(text, "\nprocess_virtual_memory_max_bytes 18446744073709551615\n");
	assert_has(text, "\nprocess_resident_memory_bytes 8192000\n");
	assert_has(text, "\nprocess_start_time_seconds 1700000000.25\n");
	free(text);
	text = render_as(EXPOSITION_OPENMETRICS, p, &self);
	assert_has(text, "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"
			 "process_cpu_seconds_total 1.23\n");
	assert_has(text, "# UNIT process_resident_memory_bytes bytes\n");
	free(text);
	usage.has_memory = usage.has_fds = usage.has_start = false;
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\nprocess_cpu_seconds_total 1.23\n");
	assert_lacks(text, "process_open_fds");
	assert_lacks(text, "process_resident");
	assert_lacks(text, "process_virtual_memory_bytes");
	assert_lacks(text, "process_start");
	free(text);
	pools_close(p);
}

static void openmetrics_names_families_without_their_suffix(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	char *text;

	(void)state;
	series_with(p, PS_OUTBOUND, 1)->attempts = 7;
	text = render_as(EXPOSITION_OPENMETRICS, p, &self);
	assert_has(text, "# HELP poolscope_connections_active Established connections.\n"
			 "# TYPE poolscope_connections_active gauge\n"
			 "poolscope_connections_active{" OUT "} 0\n");
	assert_has(text,
		   "# HELP poolscope_connection_attempts Calls of connect() that sent a SYN.\n"
		   "# TYPE poolscope_connection_attempts counter\n"
		   "poolscope_connection_attempts_total{" OUT "} 7\n");
	assert_has(text, "# TYPE poolscope_connection_lifetime_seconds histogram\n"
			 "# UNIT poolscope_connection_lifetime_seconds seconds\n"
			 "poolscope_connection_lifetime_seconds_bucket{" OUT ",le=\"0.01\"} 0\n");
	assert_has(text, "# TYPE poolscope_probe info\n"
			 "poolscope_probe_info{program=\"inet_sock_set_state\"");
	assert_has(text, "# TYPE poolscope_scrape_duration_seconds gauge\n"
			 "# UNIT poolscope_scrape_duration_seconds seconds\n"
			 "poolscope_scrape_duration_seconds 0.001234567\n");
	assert_has(text,
		   "# TYPE poolscope_build info\n"
		   "poolscope_build_info{version=\"0.1.0\",revision=\"abc\",libbpf=\"1.1\"} 1\n"
		   "# EOF\n");
	assert_string_equal(strstr(text, "# EOF"), "# EOF\n");
	free(text);
	pools_close(p);
}

static void nothing_to_show_leaves_families_out(void **state)
{
	struct pools_config config = {.peers_max = 1, .series_max = 1};
	struct exposition_self self = {.revision = ""};
	struct pools *p;
	char *text;

	(void)state;
	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	assert_int_equal(pools_open(&p, &config), 0);
	text = render(p, &self);
	assert_valid(text);
	assert_has(
		text,
		"poolscope_build_info{version=\"unknown\",revision=\"unknown\",libbpf=\"unknown\"} 1\n");
	assert_lacks(text, "poolscope_connections_active");
	assert_lacks(text, "poolscope_listeners");
	assert_lacks(text, "poolscope_target_processes");
	assert_lacks(text, "poolscope_probe");
	free(text);
	pools_close(p);
}

static void the_longest_names_fit(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	char name[SERIES_NAME_MAX / 2 + 1], version[300];
	struct series_key key = {.server_port = 65535, .prefix_len = 127, .direction = PS_OUTBOUND};
	uint32_t slot;
	char *text;

	(void)state;
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(version, 'v', sizeof(version) - 1);
	version[sizeof(version) - 1] = '\0';
	self.version = self.revision = self.libbpf = version;
	assert_int_equal(pools_add_owner(p, 3, name), 0);
	key.name = 2;
	memset(key.peer, 0xfe, sizeof(key.peer));
	assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
	series_at(pools_series(p), slot)->lifetime.sum_ns = UINT64_MAX;
	for (int i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
		series_at(pools_series(p), slot)->lifetime.buckets[i] = UINT64_MAX / 32;
	assert_true(series_at(pools_series(p), slot)->labels_len < SERIES_LABELS_MAX);
	text = render(p, &self);
	assert_valid(text);
	for (char *line = text; *line; line = strchr(line, '\n') + 1)
		assert_true(strncmp(line, "poolscope_", 10) ||
			    strcspn(line, "{ ") < 64); /* of the family's name */
	free(text);
	pools_close(p);
}

enum { DEFAULT_PEERS = 128, DEFAULT_SERIES = 512 };

/*
 * The bounds by default, all reached: as many names as there may be, each as long as it may be, inbound peers (which have the more lines) of
 * the longest addresses, and all overflow series. The numbers have seven digits.
 */
static struct pools *pools_full_of_long_labels(void)
{
	struct pools_config config = {.peers_max = DEFAULT_PEERS, .series_max = DEFAULT_SERIES};
	char name[SERIES_NAME_MAX + 1] = "";
	struct pools *p;

	histogram_bounds_handshake(&config.handshake);
	histogram_bounds_lifetime(&config.lifetime);
	memcpy(config.hash_key, hash_key, sizeof(hash_key));
	assert_int_equal(pools_open(&p, &config), 0);
	memset(name, '"', SERIES_NAME_MAX / 2);
	for (uint32_t i = 0; i < SERIES_NAMES_MAX; i++) {
		snprintf(name + SERIES_NAME_MAX / 2 - 1, 4, "n%02u", i);
		assert_int_equal(pools_add_owner(p, i + 1, name), 0);
	}
	for (uint32_t i = 0; i < DEFAULT_SERIES + SERIES_NAMES_MAX * PS_DIRECTIONS; i++) {
		struct series_key key = {.server_port = (uint16_t)(65535 - i / 256),
					 .prefix_len = 127,
					 .direction = i < DEFAULT_SERIES ? PS_INBOUND : i % 2,
					 .name = i < DEFAULT_SERIES
							 ? (uint8_t)(i % SERIES_NAMES_MAX)
							 : (uint8_t)((i - DEFAULT_SERIES) / 2)};
		struct series *s;
		uint32_t slot;

		memset(key.peer, 0xfe, sizeof(key.peer));
		key.peer[15] = (uint8_t)i & 0xfe;
		key.peer[13] = (uint8_t)(0x10 + i / 128);
		assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
		assert_int_equal(slot, i);
		s = series_at(pools_series(p), slot);
		s->active = s->pending = s->stale = s->queued = 1000000;
		for (uint64_t *number = &s->attempts; number < (uint64_t *)(s + 1); number++)
			*number = 1000000;
	}
	return p;
}

/* All rows that do not hang on series, as many as there may be of each. */
static struct exposition_self self_worst(void)
{
	static struct exposition_listener rows[LISTENERS_PORTS_MAX];
	static struct exposition_process names[SERIES_NAMES_MAX];
	static struct requests requests;
	static struct usage usage = {.has_memory = true, .has_fds = true, .has_start = true};
	struct exposition_self self = self_full();

	for (uint16_t i = 0; i < LISTENERS_PORTS_MAX; i++)
		rows[i] = (struct exposition_listener){
			i % SERIES_NAMES_MAX, (uint16_t)(65535 - i), 1000, 1000, 1000000, 1000000};
	for (uint16_t i = 0; i < SERIES_NAMES_MAX; i++)
		names[i] = (struct exposition_process){i, 1000000};
	memset(&requests.total, 1, sizeof(requests.total));
	self.listeners = rows;
	self.listener_count = ARRAY_SIZE(rows);
	self.processes = names;
	self.process_count = ARRAY_SIZE(names);
	self.requests = &requests;
	self.usage = &usage;
	self.probe_stats = true;
	return self;
}

static void the_worst_body_is_below_ten_mebibytes(void **state)
{
	struct pools *p = pools_full_of_long_labels();
	struct exposition_self self = self_worst();
	char *text = render(p, &self), *openmetrics = render_as(EXPOSITION_OPENMETRICS, p, &self);
	size_t lines = 0;

	(void)state;
	assert_valid(text);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		lines += line[0] != '#';
	print_message("# %zu samples: %zu bytes, as OpenMetrics %zu\n", lines, strlen(text),
		      strlen(openmetrics));
	assert_true(strlen(text) < 10 << 20);
	assert_true(strlen(openmetrics) < 10 << 20);
	free(text);
	free(openmetrics);
	pools_close(p);
}

/* Escaped, so that the lines stay lines. What no UTF-8 is, never comes so far (targets). */
static void a_name_that_looks_like_a_sample_is_a_label(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	struct series_key key = {
		.server_port = 80, .prefix_len = 128, .direction = PS_INBOUND, .name = 2};
	uint32_t slot;
	char *text;

	(void)state;
	assert_int_equal(pools_add_owner(p, 3, "\"}\n evil 1"), 0);
	assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
	text = render(p, &self);
	assert_valid(text);
	assert_has(text, "\npoolscope_connections_active{process=\"\\\"}\\n evil 1\",direction=");
	assert_lacks(text, "\n evil");
	free(text);
	pools_close(p);
}

/* 1,000 series with random numbers: more than one slice. */
static struct pools *pools_with_many(void)
{
	struct pools *p = pools_with_names(1000);
	uint64_t seed = 1;

	for (uint32_t i = 0; i < 1000; i++) {
		struct series_key key = {
			.peer = {[10] = 0xff, 0xff, 10, 0, (uint8_t)(i >> 8), (uint8_t)i},
			.server_port = 443,
			.prefix_len = 128,
			.direction = i % 2,
			.name = i % 4 / 2,
		};
		struct series *s;
		uint32_t slot;

		assert_int_equal(series_get(pools_series(p), &key, &slot), 0);
		s = series_at(pools_series(p), slot);
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		s->active = (int64_t)(seed >> 40);
		s->opened = s->attempts = (uint64_t)s->active;
		for (int j = 0; j < 8; j++)
			histogram_add(&s->lifetime, &pools_config(p)->lifetime,
				      seed >> (20 + 3 * j));
	}
	return p;
}

static void any_piece_size_gives_the_same_body(void **state)
{
	static const size_t pieces[] = {EXPOSITION_SLICE_BYTES, EXPOSITION_SLICE_BYTES - 1, 4096,
					100, 7};
	struct exposition_self self = self_full();
	struct pools *p = pools_with_many();
	char *valid = render(p, &self);

	(void)state;
	assert_valid(valid);
	assert_true(strlen(valid) > 10 * EXPOSITION_SLICE_BYTES);
	free(valid);
	for (size_t i = 0; i < ARRAY_SIZE(pieces) * EXPOSITION_FORMATS; i++) {
		enum exposition_format format = i % EXPOSITION_FORMATS;
		char *whole = render_as(format, p, &self), *text;
		struct exposition *x;

		x = open_as(format, p, &self);
		text = body_read(x, pieces[i / EXPOSITION_FORMATS]);
		assert_int_equal(exposition_read(x, text, 1), 0); /* the end stays the end */
		exposition_close(x);
		assert_string_equal(text, whole);
		free(text);
		free(whole);
	}
	pools_close(p);
}

static void order_is_stable_and_that_of_the_slots(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	char *text;

	(void)state;
	series_with(p, PS_INBOUND, 9);
	series_with(p, PS_OUTBOUND, 5);
	series_with(p, PS_INBOUND, 1);
	text = render(p, &self);
	assert_true(strstr(text, "10.0.0.9") < strstr(text, "10.0.0.5"));
	assert_true(strstr(text, "10.0.0.5") < strstr(text, "10.0.0.1"));
	assert_true(strstr(text, "# HELP poolscope_connections_stale") <
		    strstr(text, "# HELP poolscope_connections_opened"));
	free(text);
	pools_close(p);
}

static void later_changes_do_not_show(void **state)
{
	struct exposition_self self = self_full();
	struct exposition_listener rows[2] = {listeners[0], listeners[1]};
	struct pools *p = pools_with_many();
	char *before = render(p, &self), *text, first[100];
	struct exposition *x;

	(void)state;
	self.listeners = rows;
	x = open_as(EXPOSITION_TEXT, p, &self);
	assert_int_equal(exposition_read(x, first, sizeof(first)), sizeof(first));
	for (uint32_t i = 0; i < series_count(pools_series(p)); i++)
		series_at(pools_series(p), i)->active = 77;
	rows[0].half_open = 99;
	self.connections.tracked = 0;
	text = body_read(x, 4096);
	assert_memory_equal(first, before, sizeof(first));
	assert_string_equal(text, before + sizeof(first));
	exposition_close(x);
	free(text);
	free(before);
	pools_close(p);
}

static void bodies_of_one_snapshot_have_the_same_numbers(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_many();
	char *text = render_as(EXPOSITION_TEXT, p, &self),
	     *openmetrics = render_as(EXPOSITION_OPENMETRICS, p, &self), *first, *second;
	struct exposition *x, *y;
	struct snapshot *snapshot;
	char byte;

	(void)state;
	assert_int_equal(snapshot_take(&snapshot, p, &self), 0);
	assert_int_equal(exposition_open(&x, EXPOSITION_TEXT, snapshot), 0);
	assert_int_equal(exposition_read(x, &byte, 1), 1);
	series_at(pools_series(p), 0)->active = 77;
	assert_int_equal(exposition_open(&y, EXPOSITION_OPENMETRICS, snapshot), 0);
	snapshot_release(snapshot);
	first = body_read(x, 5000);
	exposition_close(x);
	second = body_read(y, 6000);
	exposition_close(y);
	assert_string_equal(first, text + 1);
	assert_string_equal(second, openmetrics);
	free(first);
	free(second);
	free(text);
	free(openmetrics);
	pools_close(p);
}

static void a_dropped_series_is_left_out_of_later_snapshots_only(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_names(10);
	struct exposition *x;
	char *text;

	(void)state;
	series_with(p, PS_INBOUND, 9);
	series_with(p, PS_OUTBOUND, 5);
	series_with(p, PS_INBOUND, 1);
	x = open_as(EXPOSITION_TEXT, p, &self);
	series_drop(pools_series(p), 1);
	text = render(p, &self);
	assert_valid(text);
	assert_lacks(text, "10.0.0.5");
	assert_true(strstr(text, "10.0.0.9") < strstr(text, "10.0.0.1\""));
	free(text);
	series_with(p, PS_INBOUND, 7); /* in the slot of the dropped one */
	text = body_read(x, 4096);
	assert_valid(text);
	assert_has(text, "10.0.0.5");
	assert_lacks(text, "10.0.0.7");
	exposition_close(x);
	free(text);
	text = render(p, &self);
	assert_true(strstr(text, "10.0.0.9") < strstr(text, "10.0.0.7"));
	assert_true(strstr(text, "10.0.0.7") < strstr(text, "10.0.0.1\""));
	free(text);
	pools_close(p);
}

static void closing_early_leaks_nothing(void **state)
{
	struct exposition_self self = self_full();
	struct pools *p = pools_with_many();
	struct exposition *x;
	char byte;

	(void)state;
	x = open_as(EXPOSITION_TEXT, p, &self);
	assert_int_equal(exposition_read(x, &byte, 1), 1);
	assert_int_equal(byte, '#');
	exposition_close(x);
	exposition_close(NULL);
	snapshot_release(NULL);
	pools_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_outbound_series_line_by_line),
		cmocka_unit_test(an_inbound_series_has_its_own_families),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(what_hangs_on_no_series),
		cmocka_unit_test(runs_of_programs_are_shown_if_they_are_counted),
		cmocka_unit_test(an_endpoint_that_nobody_asked),
		cmocka_unit_test(an_endpoint_counts_what_it_answers),
		cmocka_unit_test(what_the_daemon_itself_uses),
		cmocka_unit_test(openmetrics_names_families_without_their_suffix),
		cmocka_unit_test(nothing_to_show_leaves_families_out),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(the_worst_body_is_below_ten_mebibytes),
		cmocka_unit_test(a_name_that_looks_like_a_sample_is_a_label),
		cmocka_unit_test(any_piece_size_gives_the_same_body),
		cmocka_unit_test(order_is_stable_and_that_of_the_slots),
		cmocka_unit_test(later_changes_do_not_show),
		cmocka_unit_test(bodies_of_one_snapshot_have_the_same_numbers),
		cmocka_unit_test(a_dropped_series_is_left_out_of_later_snapshots_only),
		cmocka_unit_test(closing_early_leaks_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
