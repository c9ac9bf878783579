/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The endpoint under siege (siege.h): a thousand slow-loris connections and 500 requests of garbage a second come from the address that
 * the scrapes come from, while a workload is counted. Every scrape is answered, and soon; the daemon neither grows nor loses an event, and
 * it says of each attacker why it ended. SIEGE_SECONDS: how long (30).
 *
 * The time of a scrape is judged without what the daemon and the scraper waited for a processor, which is this machine's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificate.h"
#include "exposition_check.h"
#include "scene.h"
#include "siege.h"
#include "tls_client.h"

#define HOST "127.0.0.1"
#define SCRAPE_MS 250
#define SCRAPES_MAX 1024
#define PATIENCE_SECONDS 5
#define P99_MS_MAX 250
#define RSS_GROWTH_MAX (4 << 20)
#define WORK_PAUSE_MS 5
#define ANSWER_MAX (1 << 18)

/* What Prometheus 2.42 asks. */
static const char request[] =
	"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Prometheus/2.42.0\r\n"
	"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
	"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
	"Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 5\r\n\r\n";

struct work {
	struct actor *client, *server;
	struct traffic_shared *shared;
	int port;
};

struct besieged {
	struct scene scene; /* first: the helpers take it */
	struct work work;
	char directory[64];
	struct certificate_files files;
};

static int siege_setup(void **state)
{
	struct besieged *b = calloc(1, sizeof(*b));

	*state = b;
	strcpy(b->directory, "/tmp/poolscope-test-XXXXXX");
	return mkdtemp(b->directory) ? 0 : -1;
}

static int siege_teardown(void **state)
{
	struct besieged *b = *state;

	unlink(b->files.certificate);
	unlink(b->files.key);
	rmdir(b->directory);
	return scene_teardown(state);
}

/* ---- a scraper ---- */

struct scraper {
	const char *name;
	bool keeps; /* its connection */
	const struct poolscoped *daemon;
	int fd; /* -1: none */
	struct tls_client *tls;
	size_t count, failed;
	double ms[SCRAPES_MAX],
		running_ms[SCRAPES_MAX]; /* with and without waits for a processor */
};

/* How long a process (one thread) has run, and has waited to run. */
static void read_schedule(pid_t pid, double *ret_ran_ms, double *ret_waited_ms)
{
	uint64_t ran = 0, waited = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%" SCNu64 " %" SCNu64, &ran, &waited), 2);
	fclose(f);
	*ret_ran_ms = (double)ran / 1e6;
	*ret_waited_ms = (double)waited / 1e6;
}

static double waited_ms(const struct scraper *c)
{
	double ran, daemon, self;

	read_schedule(c->daemon->process.pid, &ran, &daemon);
	read_schedule(getpid(), &ran, &self);
	return daemon + self;
}

static void scraper_close(struct scraper *c)
{
	tls_client_close(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	c->tls = NULL;
	c->fd = -1;
}

static int scraper_connect(struct scraper *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)c->daemon->port)};
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* as Go does */
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	if (!c->daemon->ca_file)
		return 0;
	c->tls = tls_client_open(c->fd, c->daemon->ca_file);
	return tls_client_handshake(c->tls);
}

/* Whether a chunked answer has come to its last chunk. */
static bool answer_is_whole(const char *text, size_t size)
{
	const char *end = text + size, *at = memmem(text, size, "\r\n\r\n", 4);
	size_t chunk;

	if (!at)
		return false;
	at += 4;
	for (;;) {
		const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);

		if (!line)
			return false;
		chunk = strtoul(at, NULL, 16);
		if ((size_t)(end - line) < chunk + 4)
			return false;
		if (chunk == 0)
			return true;
		at = line + 2 + chunk + 2;
	}
}

static int scraper_exchange(struct scraper *c)
{
	static char text[ANSWER_MAX];
	const ssize_t asked = sizeof(request) - 1;
	size_t have = 0;
	ssize_t n = c->tls ? tls_client_write(c->tls, request, (size_t)asked)
			   : send(c->fd, request, (size_t)asked, MSG_NOSIGNAL);

	if (n != asked)
		return c->tls ? (int)n : -errno;
	while (!answer_is_whole(text, have)) {
		n = c->tls ? tls_client_read(c->tls, text + have, sizeof(text) - 1 - have)
			   : recv(c->fd, text + have, sizeof(text) - 1 - have, 0);
		if (n <= 0)
			return n == 0 ? -EPIPE : c->tls ? (int)n : -errno;
		have += (size_t)n;
		text[have] = '\0';
	}
	if (strncmp(text, "HTTP/1.1 200 ", 13) == 0 &&
	    strstr(text, "\r\nTransfer-Encoding: chunked\r\n"))
		return 0;
	print_error("# %.*s\n", (int)strcspn(text, "\r"), text);
	return -EPROTO;
}

static void scraper_scrape(struct scraper *c)
{
	double waited = waited_ms(c), begin = now_seconds();
	int r = c->fd < 0 ? scraper_connect(c) : 0;

	if (r == 0)
		r = scraper_exchange(c);
	if (r < 0) {
		c->failed++;
		print_error("# %s: scrape %zu: %s\n", c->name, c->count + 1, strerror(-r));
	}
	if (r < 0 || !c->keeps)
		scraper_close(c);
	assert_true(c->count < SCRAPES_MAX);
	c->ms[c->count] = (now_seconds() - begin) * 1000;
	c->running_ms[c->count] = fmax(0, c->ms[c->count] - (waited_ms(c) - waited));
	c->count++;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* So many percent of the scrapes took at most this long. Sorts. */
static double percentile(double *ms, size_t count, size_t percent)
{
	qsort(ms, count, sizeof(ms[0]), by_size);
	return ms[(count * percent + 99) / 100 - 1];
}

static void scraper_print(struct scraper *c)
{
	print_message("# %s: %zu scrapes, %zu failed; median %.1f ms, p99 %.1f ms, longest %.1f ms;"
		      " without waits for a processor p99 %.1f ms\n",
		      c->name, c->count, c->failed, percentile(c->ms, c->count, 50),
		      percentile(c->ms, c->count, 99), percentile(c->ms, c->count, 100),
		      percentile(c->running_ms, c->count, 99));
}

/* ---- the workload beside ---- */

/* Connects and closes, without haste, until told to stop → how often */
static long step_work(const struct step *s)
{
	long connected = 0, fd;

	while (!atomic_load(&s->shared->stop)) {
		fd = step_connect(s);
		if (fd < 0)
			break;
		close((int)fd);
		connected++;
		atomic_fetch_add(&s->shared->connected, 1);
		pause_ms(WORK_PAUSE_MS);
	}
	atomic_fetch_sub(&s->shared->clients, 1);
	return connected;
}

static void work_begin(struct work *w)
{
	int listener;

	w->port = scene_listen(w->server, SCENE_BACKLOG, &listener);
	atomic_store(&w->shared->clients, 1);
	act_begin(w->server, step_storm_serve, .fd = listener, .shared = w->shared);
	act_begin(w->client, step_work, .host = HOST, .port = w->port, .shared = w->shared);
}

static void work_end(struct scene *s, struct work *w)
{
	long connected, accepted;

	atomic_store(&w->shared->stop, true);
	connected = actor_finish(w->client);
	accepted = actor_finish(w->server);
	print_message("# workload: %ld connections\n", connected);
	assert_true(connected > 0);
	assert_int_equal(accepted, connected);
	expect(s, "client", "outbound", HOST, w->port, .attempts = connected, .opened = connected,
	       .closed_local = connected, .handshakes = connected, .lifetimes = connected);
	expect(s, "server", "inbound", HOST, w->port, .opened = connected, .closed_peer = connected,
	       .handshakes = connected, .accept_waits = connected, .lifetimes = connected);
	assert_int_equal(poolscoped_sum(&s->daemon, "poolscope_events_refused_total", ""), 0);
	assert_int_equal(poolscoped_sum(&s->daemon, "poolscope_events_lost_total", ""), 0);
}

/* ---- the siege ---- */

static double siege_seconds(void)
{
	const char *text = getenv("SIEGE_SECONDS");

	return text ? atof(text) : 30;
}

/* Scrapes until the siege's time is over; returns the most that the daemon had resident. */
static long scrape_on(const struct poolscoped *d, struct scraper *scrapers, size_t count)
{
	double begin = now_seconds(), wait;
	long rss, most = 0;

	for (int turn = 1; now_seconds() - begin < siege_seconds(); turn++) {
		for (size_t i = 0; i < count; i++)
			scraper_scrape(&scrapers[i]);
		rss = process_rss_bytes(&d->process);
		most = rss > most ? rss : most;
		wait = begin + turn * SCRAPE_MS / 1000.0 - now_seconds();
		if (wait > 0)
			pause_ms((long)(wait * 1000));
	}
	return most;
}

static void warm_up(const struct poolscoped *d, struct scraper *scrapers, size_t count)
{
	poolscoped_wait_sum(d, "poolscope_http_connections_refused_total", "", 0);
	assert_int_equal(poolscoped_get(d, "/metrics", NULL), 200);
	for (size_t i = 0; i < count; i++) {
		scraper_scrape(&scrapers[i]);
		assert_int_equal(scrapers[i].failed, 0);
		scraper_close(&scrapers[i]);
	}
	pause_ms(100); /* until the daemon has closed, too */
}

static long refused(const char *text, const char *cause)
{
	char filter[64];
	double sum;

	snprintf(filter, sizeof(filter), "cause=%s", cause);
	assert_int_equal(exposition_value(text, "poolscope_http_connections_refused_total", filter,
					  &sum),
			 0);
	return (long)sum;
}

static void print_refused(const struct poolscoped *d, const struct siege *siege)
{
	char *text = poolscoped_scrape(d);

	print_message(
		"# attackers: %ld loris, %ld garbage (%ld late), %ld handshakes, %ld given up, %ld ms of CPU\n",
		siege->loris, siege->garbage, siege->late, siege->handshakes, siege->given_up,
		siege->cpu_ms);
	print_message("# refused: full %ld, evicted %ld, header_timeout %ld, protocol %ld\n",
		      refused(text, "full"), refused(text, "evicted"),
		      refused(text, "header_timeout"), refused(text, "protocol"));
	free(text);
}

/* Nobody but the daemon has closed an attacker: each is refused for one cause. */
static void expect_refused(const struct poolscoped *d, const struct siege *siege)
{
	long attackers = siege->loris + siege->garbage;
	char *text = poolscoped_scrape(d);

	assert_int_equal(siege->given_up, 0);
	assert_true((double)siege->garbage >= 0.9 * SIEGE_GARBAGE_PER_SECOND * siege_seconds());
	assert_true(siege->loris >= SIEGE_LORIS);
	assert_true(refused(text, "evicted") > 0);
	assert_true(refused(text, "header_timeout") > 0);
	assert_true(refused(text, "protocol") > 0);
	assert_int_equal(refused(text, "address"), 0);
	assert_int_equal(refused(text, "write_timeout"), 0);
	assert_int_equal(refused(text, "idle_timeout"), 0);
	free(text);
	poolscoped_wait_sum(d, "poolscope_http_connections_refused_total", "", (double)attackers);
}

static void expect_descriptors(const struct poolscoped *d, int before)
{
	double deadline = now_seconds() + 2;

	while (process_descriptors(&d->process) > before && now_seconds() < deadline)
		pause_ms(10);
	assert_int_equal(process_descriptors(&d->process), before);
}

static void observe(struct besieged *b, const char *certificate, const char *key)
{
	struct scene *s = &b->scene;

	b->work.shared = traffic_shared(); /* before its actors */
	b->work.client = scene_actor(s, "client");
	b->work.server = scene_actor(s, "server");
	scene_observe(s, certificate, key, NULL);
}

static void besiege(struct besieged *b)
{
	struct poolscoped *d = &b->scene.daemon;
	struct scraper scrapers[] = {
		{.name = "a connection for each scrape", .daemon = d, .fd = -1},
		{.name = "one connection kept", .daemon = d, .fd = -1, .keeps = true},
	};
	const size_t count = sizeof(scrapers) / sizeof(scrapers[0]);
	struct siege *siege = siege_new(d->port, d->ca_file != NULL);
	struct actor *attackers = scene_actor(&b->scene, NULL);
	double ran_before, ran, waited;
	int descriptors;
	long rss, most;

	warm_up(d, scrapers, count);
	rss = process_rss_bytes(&d->process);
	descriptors = process_descriptors(&d->process);
	read_schedule(d->process.pid, &ran_before, &waited);
	work_begin(&b->work);
	actor_begin(attackers, step_siege, &(struct step){0});
	most = scrape_on(d, scrapers, count);
	atomic_store(&siege->stop, true);
	assert_int_equal(actor_finish(attackers), 0);
	for (size_t i = 0; i < count; i++) {
		scraper_close(&scrapers[i]);
		scraper_print(&scrapers[i]);
	}
	read_schedule(d->process.pid, &ran, &waited);
	print_message("# the daemon ran for %.0f ms; resident memory %ld KiB, grew by %ld\n",
		      ran - ran_before, rss / 1024, (most - rss) / 1024);
	work_end(&b->scene, &b->work);
	print_refused(d, siege);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(scrapers[i].failed, 0);
		assert_true(percentile(scrapers[i].running_ms, scrapers[i].count, 99) <=
			    P99_MS_MAX);
	}
	expect_refused(d, siege);
	assert_true(most - rss <= RSS_GROWTH_MAX);
	expect_descriptors(d, descriptors);
	poolscoped_stop(d);
}

/* On a machine that is emulated the clock says nothing of the daemon. */
static void need_real_time(void)
{
	if (getenv("VOLUME_DIVISOR"))
		skip_because("too slow a machine to be judged by the clock (VOLUME_DIVISOR)");
}

static void scrapes_are_answered_under_siege(void **state)
{
	struct besieged *b = *state;

	need_real_time();
	observe(b, NULL, NULL);
	besiege(b);
}

static void scrapes_over_tls_are_answered_under_siege(void **state)
{
	struct besieged *b = *state;
	char certificate[128], key[128];

	need_real_time();
	certificate_make_files(b->directory, &b->files);
	snprintf(certificate, sizeof(certificate), "--web.tls.cert-file=%s", b->files.certificate);
	snprintf(key, sizeof(key), "--web.tls.key-file=%s", b->files.key);
	b->scene.daemon.ca_file = b->files.certificate;
	observe(b, certificate, key);
	besiege(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scrapes_are_answered_under_siege, siege_setup,
						siege_teardown),
		cmocka_unit_test_setup_teardown(scrapes_over_tls_are_answered_under_siege,
						siege_setup, siege_teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("siege", tests, NULL, NULL);
}
