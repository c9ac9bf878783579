/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A real Prometheus scrapes poolscoped for a minute: plain and over TLS, with and without a token, each in OpenMetrics and in text. What it
 * answers when it is asked must be the workload's own count; it may miss no scrape and complain of none. Four daemons are
 * attached to the same two processes at once, since each serves in one way. PROMETHEUS_SECONDS: how long (60, a multiple of 10).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "prometheus.h"

#define HOST "127.0.0.1"
#define TOKEN "a-token-for-Prometheus/0123456789"
#define PHASE_SECONDS 10
#define ROUNDS 5 /* in a phase */
#define ROUND_OPENS 40
#define ROUND_CLOSES 25
#define FIRST_SECONDS 20
#define SETTLE_SECONDS 5
#define BUCKETS 18 /* of a handshake, with +Inf */

static const struct way {
	const char *name;
	bool tls, token;
} ways[] = {
	{"plain", false, false},
	{"token", false, true},
	{"tls", true, false},
	{"tls-token", true, true},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define JOBS (2 * WAYS) /* even: OpenMetrics, odd: text */

struct judged {
	struct scene scene; /* first: the helpers take it */
	struct poolscoped daemons[WAYS];
	struct prometheus_job jobs[JOBS];
	struct server relays, prometheus;
	struct certificate_files files;
	char directory[64], token_file[96];
	struct actor *client, *server;
	int port, listener;
	long opened, closed; /* what the workload itself counts */
};

static int judged_setup(void **state)
{
	struct judged *j = calloc(1, sizeof(*j));

	*state = j;
	strcpy(j->directory, "/tmp/poolscope-test-XXXXXX");
	return mkdtemp(j->directory) ? 0 : -1;
}

static int judged_teardown(void **state)
{
	struct judged *j = *state;

	server_stop(&j->prometheus);
	server_stop(&j->relays);
	for (size_t i = 0; i < WAYS; i++)
		poolscoped_done(&j->daemons[i]);
	unlink(j->files.certificate);
	unlink(j->files.key);
	unlink(j->token_file);
	rmdir(j->directory);
	return scene_teardown(state);
}

/* ---- start ---- */

static void write_token(struct judged *j)
{
	FILE *f;

	snprintf(j->token_file, sizeof(j->token_file), "%s/token", j->directory);
	f = fopen(j->token_file, "wxe");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	fprintf(f, "%s\n", TOKEN);
	assert_int_equal(fclose(f), 0);
}

static void start_daemon(struct judged *j, size_t i)
{
	char client[96], server[96], certificate[128], key[128], token[128];
	const char *argv[8] = {client, server};
	struct poolscoped *d = &j->daemons[i], stranger;
	int count = 2;

	snprintf(client, sizeof(client), "--pid=%d=client", j->client->pid);
	snprintf(server, sizeof(server), "--pid=%d=server", j->server->pid);
	if (ways[i].tls) {
		snprintf(certificate, sizeof(certificate), "--web.tls.cert-file=%s",
			 j->files.certificate);
		snprintf(key, sizeof(key), "--web.tls.key-file=%s", j->files.key);
		argv[count++] = certificate;
		argv[count++] = key;
		d->ca_file = j->files.certificate;
	}
	if (ways[i].token) {
		snprintf(token, sizeof(token), "--web.auth.token-file=%s", j->token_file);
		argv[count++] = token;
		d->token = TOKEN;
	}
	if (poolscoped_start(d, argv) != 0) {
		poolscoped_print_log(d);
		fail_msg("poolscoped does not start: %s", ways[i].name);
	}
	stranger = *d;
	stranger.token = NULL;
	assert_int_equal(poolscoped_get(&stranger, "/metrics", NULL), ways[i].token ? 401 : 200);
}

/* Prometheus takes some seconds until it begins to scrape. */
static void expect_first_scrapes(const struct judged *j)
{
	double deadline = now_seconds() + FIRST_SECONDS;

	while (prometheus_query(&j->prometheus, "count(up)") != JOBS) {
		if (now_seconds() > deadline)
			fail_msg("Prometheus does not scrape");
		pause_ms(100);
	}
}

static void start_all(struct judged *j)
{
	struct relay relays[WAYS] = {{0}};

	certificate_make_files(j->directory, &j->files);
	write_token(j);
	j->client = scene_actor(&j->scene, "client");
	j->server = scene_actor(&j->scene, "server");
	j->port = scene_listen(j->server, SCENE_BACKLOG, &j->listener);
	for (size_t i = 0; i < WAYS; i++) {
		start_daemon(j, i);
		relays[i].target_port = j->daemons[i].port;
		relays[i].tls = ways[i].tls;
	}
	prometheus_start_relays(&j->relays, relays, WAYS, "text/plain;version=0.0.4");
	for (size_t i = 0; i < JOBS; i++) {
		const struct poolscoped *d = &j->daemons[i / 2];
		struct prometheus_job *job = &j->jobs[i];
		bool text = i % 2;

		snprintf(job->name, sizeof(job->name), "%s-%s", ways[i / 2].name,
			 text ? "text" : "openmetrics");
		job->port = text ? relays[i / 2].port : d->port;
		job->ca_file = text ? NULL : d->ca_file;
		job->token = d->token;
	}
	prometheus_start(&j->prometheus, j->jobs, JOBS);
	expect_first_scrapes(j);
}

/* ---- the workload, and what Prometheus says of it ---- */

static void work_round(struct judged *j)
{
	j->opened += act(j->client, step_hold, .host = HOST, .port = j->port, .count = ROUND_OPENS);
	act(j->server, step_hold_accepted, .fd = j->listener, .count = ROUND_OPENS);
	j->closed += act(j->client, step_release, .count = ROUND_CLOSES);
	act(j->server, step_release, .count = ROUND_CLOSES);
}

#define CLIENT "process=\"client\",direction=\"outbound\",peer_address=\"127.0.0.1\""
#define SERVER "process=\"server\",direction=\"inbound\",peer_address=\"127.0.0.1\""

static const struct row {
	const char *metric, *labels;
	int opened, closed; /* how often what the workload opened and closed goes into it */
} rows[] = {
	{"poolscope_connection_attempts_total", CLIENT, 1, 0},
	{"poolscope_connections_opened_total", CLIENT, 1, 0},
	{"poolscope_connections_opened_total", SERVER, 1, 0},
	{"poolscope_connections_closed_total", CLIENT ",reason=\"local\"", 0, 1},
	{"poolscope_connections_closed_total", SERVER ",reason=\"peer\"", 0, 1},
	{"poolscope_connections_active", CLIENT, 1, -1},
	{"poolscope_connections_active", SERVER, 1, -1},
	{"poolscope_connection_handshake_duration_seconds_count", CLIENT, 1, 0},
	{"poolscope_connection_handshake_duration_seconds_bucket", CLIENT ",le=\"+Inf\"", 1, 0},
	{"poolscope_connection_handshake_duration_seconds_count", SERVER, 1, 0},
	{"poolscope_connection_lifetime_seconds_count", CLIENT, 0, 1},
	{"poolscope_accept_wait_duration_seconds_count", SERVER, 1, 0},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* How many of all answers are not what the workload counts. */
static int differences(const struct judged *j, bool say)
{
	int count = 0;

	for (size_t i = 0; i < JOBS * ROWS; i++) {
		const struct row *row = &rows[i % ROWS];
		const char *job = j->jobs[i / ROWS].name;
		long wanted = row->opened * j->opened + row->closed * j->closed;
		double value = prometheus_query(&j->prometheus, "%s{job=\"%s\",%s}", row->metric,
						job, row->labels);

		if (value == (double)wanted)
			continue;
		count++;
		if (say)
			print_error("# %s: %s{%s} is %g, expected %ld\n", job, row->metric,
				    row->labels, value, wanted);
	}
	return count;
}

static void expect_counts(const struct judged *j)
{
	double deadline = now_seconds() + SETTLE_SECONDS;

	while (differences(j, false) && now_seconds() < deadline)
		pause_ms(200);
	assert_int_equal(differences(j, true), 0);
}

/* ---- what it says of its scrapes ---- */

static void expect_scrapes(const struct judged *j, const char *job, double seconds)
{
	const struct server *p = &j->prometheus;
	double scrapes = prometheus_query(p, "count_over_time(up{job=\"%s\"}[1m])", job);

	print_message("# %s: %g scrapes in the last minute, the longest took %g s\n", job, scrapes,
		      prometheus_query(p, "max_over_time(scrape_duration_seconds{job=\"%s\"}[1m])",
				       job));
	assert_true(prometheus_query(p, "min_over_time(up{job=\"%s\"}[1m])", job) == 1);
	assert_true(scrapes >= 0.9 * fmin(seconds, 60));
	assert_true(
		prometheus_query(
			p,
			"count(count by (le) (poolscope_connection_handshake_duration_seconds_bucket"
			"{job=\"%s\"}))",
			job) == BUCKETS);
}

/* Matching leaves out the name of a metric, unless it is a label. */
#define NAMED \
	"label_replace({__name__=~\"poolscope_.*\",job=\"%s\"}, \"name\", \"$1\", \"__name__\", \"(.*)\")"

/* Both formats say the same: so many samples, and no spelling of a label that the other does not have. */
static void expect_same_samples(const struct judged *j, const char *one, const char *other)
{
	const struct server *p = &j->prometheus;
	double deadline = now_seconds() + SETTLE_SECONDS, a, b;

	do {
		pause_ms(100);
		a = prometheus_query(p, "scrape_samples_scraped{job=\"%s\"}", one);
		b = prometheus_query(p, "scrape_samples_scraped{job=\"%s\"}", other);
	} while (a != b && now_seconds() < deadline);
	print_message("# %s: %g samples, %s: %g\n", one, a, other, b);
	assert_true(a > 100);
	assert_true(a == b);
	/* NAN: nothing is left */
	assert_true(isnan(prometheus_query(
		p, "count(" NAMED " unless ignoring (job, instance) " NAMED ")", one, other)));
}

static void expect_type(const struct judged *j, const char *job, const char *metric,
			const char *expected)
{
	char type[16];

	prometheus_type(&j->prometheus, job, metric, type);
	if (strcmp(type, expected) != 0)
		fail_msg("%s: %s is of type \"%s\", expected \"%s\"", job, metric, type, expected);
}

/* The name of a counter's family tells the formats apart, too: that is how we know which of them was spoken. */
static void expect_types(const struct judged *j, const char *job, bool text)
{
	expect_type(j, job, "poolscope_connections_opened_total", text ? "counter" : "");
	expect_type(j, job, "poolscope_connections_opened", text ? "" : "counter");
	expect_type(j, job, "poolscope_build_info", text ? "gauge" : "");
	expect_type(j, job, "poolscope_build", text ? "" : "info");
	expect_type(j, job, "poolscope_connections_active", "gauge");
	expect_type(j, job, "poolscope_connection_handshake_duration_seconds", "histogram");
}

/* ---- tests ---- */

static void prometheus_says_what_the_workload_counts(void **state)
{
	const char *text = getenv("PROMETHEUS_SECONDS");
	int phases = (text ? atoi(text) : 60) / PHASE_SECONDS;
	struct judged *j = *state;
	double begin;

	start_all(j);
	begin = now_seconds();
	for (int phase = 1; phase <= phases; phase++) {
		double end = begin + phase * PHASE_SECONDS;

		for (int i = 0; i < ROUNDS; i++) {
			work_round(j);
			pause_ms(1000);
		}
		expect_counts(j);
		if (end > now_seconds())
			pause_ms((long)((end - now_seconds()) * 1000));
	}
	print_message("# %d phases, %ld connections opened, %ld closed\n", phases, j->opened,
		      j->closed);
	for (size_t i = 0; i < JOBS; i++) {
		expect_scrapes(j, j->jobs[i].name, now_seconds() - begin);
		expect_types(j, j->jobs[i].name, i % 2);
	}
	for (size_t i = 0; i < JOBS; i += 2)
		expect_same_samples(j, j->jobs[i].name, j->jobs[i + 1].name);
	assert_int_equal(prometheus_complaints(&j->prometheus), 0);
	for (size_t i = 0; i < WAYS; i++)
		poolscoped_stop(&j->daemons[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(prometheus_says_what_the_workload_counts,
						judged_setup, judged_teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
