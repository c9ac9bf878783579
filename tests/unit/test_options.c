/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The command line: what each flag takes, what it refuses and in which words, and that --help knows them all. */
#include "check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "options.h"
#include "util.h"

#define HINT "\ntry 'poolscoped --help'\n"

static const struct {
	const char *name, *arg; /* arg NULL: takes no value */
} flags[] = {
	{"--pid", "PID[=NAME]"},
	{"--unit", "UNIT[=NAME]"},
	{"--cgroup", "CGROUP[=NAME]"},
	{"--exe", "FILE[=NAME]"},
	{"--comm", "COMM[=NAME]"},
	{"--no-follow", NULL},
	{"--accept-probe", "auto|fexit|syscall|off"},
	{"--web.listen-address", "ADDRESS:PORT"},
	{"--web.systemd-socket", NULL},
	{"--web.telemetry-path", "PATH"},
	{"--web.auth.token-file", "FILE"},
	{"--web.tls.cert-file", "FILE"},
	{"--web.tls.key-file", "FILE"},
	{"--web.allow-unauthenticated", NULL},
	{"--control.socket", "PATH"},
	{"--control.group", "GROUP"},
	{"--control.admin-group", "GROUP"},
	{"--user", "USER"},
	{"--peers.max", "N"},
	{"--series.max", "N"},
	{"--peers.aggregate", "CIDR[,CIDR…]"},
	{"--peers.ttl", "DURATION"},
	{"--ring-size", "BYTES"},
	{"--reconcile-interval", "DURATION"},
	{"--probe-stats", NULL},
	{"--record", "FILE"},
	{"--buckets.handshake", "SECONDS[,…]"},
	{"--buckets.lifetime", "SECONDS[,…]"},
	{"--log.level", "error|warn|info|debug"},
	{"--log.format", "logfmt|json"},
	{"--check", NULL},
	{"--version", NULL},
	{"--help", NULL},
};

static char out_text[16384], err_text[4096];

static enum options_action parse(struct options *o, const char *const *args)
{
	FILE *out = fmemopen(out_text, sizeof(out_text), "w"),
	     *err = fmemopen(err_text, sizeof(err_text), "w");
	char *argv[OPTIONS_TARGETS_MAX + 3] = {(char *)"poolscoped"};
	enum options_action action;
	int argc = 1;

	for (; *args; args++)
		argv[argc++] = (char *)(uintptr_t)*args;
	out_text[0] = err_text[0] = '\0';
	action = options_parse(argc, argv, o, "poolscoped 1.2.3", out, err);
	fclose(out);
	fclose(err);
	return action;
}

static void accept_args(struct options *o, const char *const *args)
{
	enum options_action action = parse(o, args);

	assert_string_equal(err_text, "");
	assert_int_equal(action, OPTIONS_RUN);
	assert_string_equal(out_text, "");
}

#define ACCEPT(o, ...) accept_args(o, (const char *const[]){__VA_ARGS__, NULL})

/* `message`: the one line, without "poolscoped: ". */
static void refuse_args(const char *message, const char *const *args)
{
	struct options o, untouched;
	char expected[sizeof(err_text)];
	enum options_action action;

	memset(&o, 0x5a, sizeof(o));
	untouched = o;
	action = parse(&o, args);
	snprintf(expected, sizeof(expected), "poolscoped: %s" HINT, message);
	assert_string_equal(err_text, expected);
	assert_int_equal(action, OPTIONS_EXIT_USAGE);
	assert_string_equal(out_text, "");
	assert_memory_equal(&o, &untouched, sizeof(o));
}

#define REFUSE(message, ...) refuse_args(message, (const char *const[]){__VA_ARGS__, NULL})

struct bad_value {
	const char *flag, *value, *shown; /* NULL: as it is */
	const char *message;
};

static void check_refused(const struct bad_value *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *shown = rows[i].shown ? rows[i].shown : rows[i].value;
		char message[1024], joined[1024];

		snprintf(message, sizeof(message), "%s: '%s': %s", rows[i].flag, shown,
			 rows[i].message);
		snprintf(joined, sizeof(joined), "%s=%s", rows[i].flag, rows[i].value);
		REFUSE(message, rows[i].flag, rows[i].value);
		REFUSE(message, joined);
	}
}

static void no_argument_gives_the_defaults(void **state)
{
	const char *const none[] = {NULL};
	struct histogram_bounds handshake, lifetime;
	struct options o;

	(void)state;
	histogram_bounds_handshake(&handshake);
	histogram_bounds_lifetime(&lifetime);
	accept_args(&o, none);
	assert_int_equal(o.target_count, 0);
	assert_true(o.follow);
	assert_false(o.check);
	assert_int_equal(o.accept_probe, ACCEPT_PROBE_AUTO);
	assert_int_equal(o.listen_count, 1);
	assert_string_equal(o.listen[0].text, "127.0.0.1:10935");
	assert_int_equal(o.listen[0].len, sizeof(struct sockaddr_in));
	assert_string_equal(o.telemetry_path, "/metrics");
	assert_int_equal(o.peers_max, 128);
	assert_int_equal(o.series_max, 512);
	assert_int_equal(o.aggregate_count, 0);
	assert_int_equal(o.ring_bytes, 4 << 20);
	assert_memory_equal(&o.handshake, &handshake, sizeof(handshake));
	assert_memory_equal(&o.lifetime, &lifetime, sizeof(lifetime));
	assert_int_equal(o.log_level, LOG_INFO);
	assert_int_equal(o.log_format, LOG_LOGFMT);
	assert_int_equal(o.peers_ttl_ns, 3600 * NSEC_PER_SEC);
	assert_int_equal(o.reconcile_interval_ns, 30 * NSEC_PER_SEC);
	assert_null(o.user);
	assert_false(o.probe_stats);
	assert_false(o.systemd_socket);
	assert_int_equal(o.token_file_count, 0);
	assert_string_equal(o.control_socket, "/run/poolscope/control.sock");
	assert_false(o.control_socket_given);
	assert_null(o.control_group);
	assert_null(o.control_admin_group);
}

static void takes_pids_with_and_without_a_name(void **state)
{
	const char *const longest =
		"63=012345678901234567890123456789012345678901234567890123456789012";
	struct options o;

	(void)state;
	ACCEPT(&o, "--pid", "1", "--pid=4194304", "--pid=17=pool=a b", "--pid", "18=h\xc3\xa9",
	       "--pid", longest);
	assert_int_equal(o.target_count, 5);
	assert_int_equal(o.targets[0].pid, 1);
	assert_null(o.targets[0].name);
	assert_int_equal(o.targets[1].pid, 4194304);
	assert_null(o.targets[1].name);
	assert_int_equal(o.targets[2].pid, 17);
	assert_string_equal(o.targets[2].name, "pool=a b");
	assert_string_equal(o.targets[3].name, "h\xc3\xa9");
	assert_int_equal(strlen(o.targets[4].name), 63);

	/* Several processes may share a name. */
	ACCEPT(&o, "--pid=5=pool", "--pid=6=pool");
	assert_string_equal(o.targets[0].name, "pool");
	assert_string_equal(o.targets[1].name, "pool");
}

static void refuses_what_is_no_pid(void **state)
{
	static const char *const garbage[] = {
		"",
		"0",
		"-1",
		"-5",
		"+5",
		"abc",
		"12a",
		"a12",
		"1.5",
		"0x10",
		" 12",
		"12 ",
		"4194305",
		"=web",
		"0=web",
		"12,13",
		"99999999999999999999999999",
		"12:web",
	};
	static const struct bad_value names[] = {
		{"--pid", "12=", NULL, "the name is empty"},
		{"--pid", "12=0123456789012345678901234567890123456789012345678901234567890123",
		 NULL, "the name is longer than 63 bytes (quotes and backslashes count twice)"},
		{"--pid", "12=\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"",
		 NULL, "the name is longer than 63 bytes (quotes and backslashes count twice)"},
		{"--pid", "12=a\nb", "12=a?b", "the name has a control character"},
		{"--pid", "12=a\x7f", "12=a?", "the name has a control character"},
		{"--pid", "12=\xc2\x85", "12=?", "the name has a control character"},
		{"--pid", "12=\xff", "12=?", "the name is not valid UTF-8"},
		{"--pid", "12=a\xc3", "12=a?", "the name is not valid UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		const struct bad_value row = {
			"--pid", garbage[i], NULL,
			"expected PID or PID=NAME, the PID from 1 to 4194304"};

		check_refused(&row, 1);
	}
	check_refused(names, ARRAY_SIZE(names));
	REFUSE("--pid: '12=web': process 12 is given twice", "--pid", "12", "--pid=13", "--pid",
	       "12=web");
	REFUSE("--pid: '012': process 12 is given twice", "--pid", "12", "--pid", "012");
}

static void bounds_the_number_of_pids(void **state)
{
	static char text[OPTIONS_TARGETS_MAX + 1][16];
	static const char *args[OPTIONS_TARGETS_MAX + 2];
	struct options o;

	(void)state;
	for (int i = 0; i <= OPTIONS_TARGETS_MAX; i++) {
		snprintf(text[i], sizeof(text[i]), "--pid=%d", i + 1);
		args[i] = text[i];
	}
	refuse_args("--pid: '257': more than 256 targets", args);
	args[OPTIONS_TARGETS_MAX] = NULL;
	accept_args(&o, args);
	assert_int_equal(o.target_count, OPTIONS_TARGETS_MAX);
}

static void check_selector(const struct option_target *t, enum selector_kind kind, const char *text,
			   const char *name)
{
	assert_int_equal(t->pid, 0);
	assert_int_equal(t->selector.kind, kind);
	assert_string_equal(t->selector.text, text);
	if (name)
		assert_string_equal(t->name, name);
	else
		assert_null(t->name);
}

static void takes_selectors_with_and_without_a_name(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--unit", "nginx", "--pid=7", "--unit=a@b.service=web", "--cgroup=/a/b", "--exe",
	       "/opt/a=b/c=d", "--exe=/opt/a=b=c", "--comm=redis-server=cache", "--comm=a=b=c d");
	assert_int_equal(o.target_count, 8);
	check_selector(&o.targets[0], SELECTOR_UNIT, "nginx", NULL);
	assert_int_equal(o.targets[1].pid, 7);
	check_selector(&o.targets[2], SELECTOR_UNIT, "a@b.service", "web");
	check_selector(&o.targets[3], SELECTOR_CGROUP, "/a/b", NULL);
	check_selector(&o.targets[4], SELECTOR_EXE, "/opt/a=b/c", "d");
	check_selector(&o.targets[5], SELECTOR_EXE, "/opt/a=b", "c");
	check_selector(&o.targets[6], SELECTOR_COMM, "redis-server", "cache");
	check_selector(&o.targets[7], SELECTOR_COMM, "a=b", "c d");
}

static void refuses_what_is_no_selector(void **state)
{
	char longest[SELECTOR_TEXT_MAX + 2], message[512];
	struct options o;

	(void)state;
	REFUSE("--exe: '/opt/a=': the name is empty", "--exe=/opt/a=");
	REFUSE("--unit: 'a=b?': the name has a control character", "--unit=a=b\n");
	REFUSE("--unit: 'a=b': given twice", "--unit=a", "--unit=a=b");
	REFUSE("--comm: a value is missing: --comm=COMM[=NAME]", "--comm", "--check");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	snprintf(message, sizeof(message), "--cgroup: '%.80s…': longer than 255 bytes", longest);
	REFUSE(message, "--cgroup", longest);
	/* the same text of two kinds is two selectors */
	ACCEPT(&o, "--cgroup", longest + 1, "--exe", longest + 1);
	assert_int_equal(o.target_count, 2);
}

static void takes_the_switches(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--no-follow", "--check");
	assert_false(o.follow);
	assert_true(o.check);
	REFUSE("--check: 'yes': this flag takes no value", "--check=yes");
	REFUSE("--no-follow: '': this flag takes no value", "--no-follow=");
}

static void takes_the_choices(void **state)
{
	static const char *const probes[] = {"auto", "fexit", "syscall", "off"};
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	static const char *const formats[] = {"logfmt", "json"};
	static const struct bad_value rows[] = {
		{"--accept-probe", "", NULL, "expected auto|fexit|syscall|off"},
		{"--accept-probe", "kprobe", NULL, "expected auto|fexit|syscall|off"},
		{"--accept-probe", "auto|fexit", NULL, "expected auto|fexit|syscall|off"},
		{"--accept-probe", "Auto", NULL, "expected auto|fexit|syscall|off"},
		{"--log.level", "warning", NULL, "expected error|warn|info|debug"},
		{"--log.level", "inf", NULL, "expected error|warn|info|debug"},
		{"--log.format", "text", NULL, "expected logfmt|json"},
	};
	struct options o;

	(void)state;
	for (int i = 0; i < (int)ARRAY_SIZE(probes); i++) {
		ACCEPT(&o, "--accept-probe", probes[i], "--log.level", levels[i], "--log.format",
		       formats[i % 2]);
		assert_int_equal(o.accept_probe, i);
		assert_int_equal(o.log_level, i);
		assert_int_equal(o.log_format, i % 2);
	}
	assert_int_equal(ACCEPT_PROBE_OFF, 3);
	assert_int_equal(LOG_DEBUG, 3);
	assert_int_equal(LOG_JSON, 1);
	check_refused(rows, ARRAY_SIZE(rows));
}

static void listens_on_addresses_and_unix_sockets(void **state)
{
	static const char not_numeric[] =
		"expected a numeric address and a port: 127.0.0.1:PORT, [::1]:PORT, :PORT for all addresses, or unix:/PATH";
	static const char not_unix[] = "expected unix:/PATH, the path of at most 107 bytes";
	static const struct bad_value rows[] = {
		{"--web.listen-address", "localhost:10935", NULL, not_numeric},
		{"--web.listen-address", "127.0.0.1", NULL, not_numeric},
		{"--web.listen-address", "", NULL, not_numeric},
		{"--web.listen-address", "127.0.0.1:65536", NULL,
		 "expected a port from 0 to 65535"},
		{"--web.listen-address", "unix:", NULL, not_unix},
		{"--web.listen-address", "unix:/", NULL, not_unix},
		{"--web.listen-address", "unix:run/poolscope.sock", NULL, not_unix},
	};
	char longest[] = "unix:/ten.bytes.ten.bytes.ten.bytes.ten.bytes.ten.bytes.ten.bytes."
			 "ten.bytes.ten.bytes.ten.bytes.ten.bytes.123456x";
	struct options o;

	(void)state;
	ACCEPT(&o, "--web.listen-address", "127.0.0.2:80", "--web.listen-address=[::1]:0",
	       "--web.listen-address=unix:/run/poolscope.sock");
	assert_int_equal(o.listen_count, 3);
	assert_string_equal(o.listen[0].text, "127.0.0.2:80");
	assert_int_equal(o.listen[0].address.ss_family, AF_INET);
	assert_string_equal(o.listen[1].text, "[::1]:0");
	assert_int_equal(o.listen[1].address.ss_family, AF_INET6);
	assert_int_equal(o.listen[1].len, sizeof(struct sockaddr_in6));
	assert_int_equal(o.listen[2].address.ss_family, AF_UNIX);
	assert_int_equal(o.listen[2].len, sizeof(struct sockaddr_un));
	assert_string_equal(((struct sockaddr_un *)&o.listen[2].address)->sun_path,
			    "/run/poolscope.sock");
	check_refused(rows, ARRAY_SIZE(rows));
	assert_int_equal(strlen(longest), strlen("unix:") + 108);
	assert_int_equal(parse(&o, (const char *const[]){"--web.listen-address", longest, NULL}),
			 OPTIONS_EXIT_USAGE);
	longest[strlen(longest) - 1] = '\0';
	ACCEPT(&o, "--web.listen-address", longest);
	REFUSE("--web.listen-address: '127.0.0.1:9': more than 8 addresses",
	       "--web.listen-address=127.0.0.1:1", "--web.listen-address=127.0.0.1:2",
	       "--web.listen-address=127.0.0.1:3", "--web.listen-address=127.0.0.1:4",
	       "--web.listen-address=127.0.0.1:5", "--web.listen-address=127.0.0.1:6",
	       "--web.listen-address=127.0.0.1:7", "--web.listen-address=127.0.0.1:8",
	       "--web.listen-address=127.0.0.1:9");
}

static void serves_strangers_only_if_told_to(void **state)
{
	static const char *const exposed[] = {":10935", "0.0.0.0:10935", "[::]:10935",
					      "192.0.2.1:80", "[::ffff:192.0.2.1]:80"};
	struct options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(exposed); i++) {
		char message[256];

		snprintf(
			message, sizeof(message),
			"--web.listen-address: '%s': reachable from other hosts: protect it by"
			" --web.auth.token-file (and --web.tls.*), or say --web.allow-unauthenticated",
			exposed[i]);
		REFUSE(message, "--web.listen-address=127.0.0.1:1", "--web.listen-address",
		       exposed[i]);
		ACCEPT(&o, "--web.listen-address", exposed[i], "--web.auth.token-file=/t");
		assert_int_equal(o.token_file_count, 1);
		assert_string_equal(o.token_files[0], "/t");
		ACCEPT(&o, "--web.listen-address", exposed[i], "--web.allow-unauthenticated");
		assert_true(o.allow_unauthenticated);
	}
}

static void takes_sockets_of_systemd_instead_of_addresses(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--web.systemd-socket");
	assert_true(o.systemd_socket);
	assert_int_equal(o.listen_count, 0);
	REFUSE("--web.systemd-socket: give either this or --web.listen-address, not both",
	       "--web.systemd-socket", "--web.listen-address=127.0.0.1:1");
}

static void takes_a_certificate_with_its_key(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--web.tls.cert-file=/c", "--web.tls.key-file", "/k");
	assert_string_equal(o.cert_file, "/c");
	assert_string_equal(o.key_file, "/k");
	REFUSE("--web.tls.cert-file: '/c': --web.tls.key-file is missing: TLS takes a certificate and its key",
	       "--web.tls.cert-file=/c");
	REFUSE("--web.tls.key-file: '/k': --web.tls.cert-file is missing: TLS takes a certificate and its key",
	       "--web.tls.key-file=/k");
	REFUSE("--web.tls.key-file: '': expected the name of a file", "--web.tls.key-file=");
	REFUSE("--web.auth.token-file: '': expected the name of a file", "--web.auth.token-file=");
	REFUSE("--web.auth.token-file: '9': more than 8 files", "--web.auth.token-file=1",
	       "--web.auth.token-file=2", "--web.auth.token-file=3", "--web.auth.token-file=4",
	       "--web.auth.token-file=5", "--web.auth.token-file=6", "--web.auth.token-file=7",
	       "--web.auth.token-file=8", "--web.auth.token-file=9");
}

static void takes_a_telemetry_path(void **state)
{
	static const struct bad_value rows[] = {
		{"--web.telemetry-path", "/", NULL, "this path serves something else"},
		{"--web.telemetry-path", "/-/healthy", NULL, "this path serves something else"},
		{"--web.telemetry-path", "/-/ready", NULL, "this path serves something else"},
		{"--web.telemetry-path", "/connections", NULL, "this path serves something else"},
		{"--web.telemetry-path", "/metadata", NULL, "this path serves something else"},
		{"--web.telemetry-path", "", NULL,
		 "expected a path that begins with '/', at most 255 bytes"},
		{"--web.telemetry-path", "metrics", NULL,
		 "expected a path that begins with '/', at most 255 bytes"},
		{"--web.telemetry-path", "/m?x", NULL,
		 "expected visible ASCII without '?' and '#'"},
		{"--web.telemetry-path", "/m#x", NULL,
		 "expected visible ASCII without '?' and '#'"},
		{"--web.telemetry-path", "/m x", NULL,
		 "expected visible ASCII without '?' and '#'"},
		{"--web.telemetry-path", "/m\r", "/m?",
		 "expected visible ASCII without '?' and '#'"},
		{"--web.telemetry-path", "/\xc3\xa9", NULL,
		 "expected visible ASCII without '?' and '#'"},
	};
	char path[257] = "/";
	struct options o;

	(void)state;
	ACCEPT(&o, "--web.telemetry-path", "/-/metrics");
	assert_string_equal(o.telemetry_path, "/-/metrics");
	memset(path + 1, 'a', 254);
	ACCEPT(&o, "--web.telemetry-path", path);
	assert_int_equal(strlen(o.telemetry_path), 255);
	path[255] = 'a';
	assert_int_equal(parse(&o, (const char *const[]){"--web.telemetry-path", path, NULL}),
			 OPTIONS_EXIT_USAGE);
	check_refused(rows, ARRAY_SIZE(rows));
}

static void refuses_the_config_file_of_the_exporter_toolkit(void **state)
{
	(void)state;
	REFUSE("--web.config.file: 'web.yml': not supported: there are flags instead, --web.tls.cert-file,"
	       " --web.tls.key-file and --web.auth.token-file",
	       "--web.config.file=web.yml");
}

static void takes_bounds_of_the_series_table(void **state)
{
	static const char *const garbage[] = {"",    "0",   "-1", "10001",
					      "1e3", "12x", " 1", "99999999999999999999"};
	struct options o;

	(void)state;
	ACCEPT(&o, "--peers.max", "1", "--series.max", "10000");
	assert_int_equal(o.peers_max, 1);
	assert_int_equal(o.series_max, 10000);
	ACCEPT(&o, "--peers.max=10000", "--series.max=1", "--series.max=2");
	assert_int_equal(o.peers_max, 10000);
	assert_int_equal(o.series_max, 2);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		const struct bad_value rows[] = {
			{"--peers.max", garbage[i], NULL, "expected a number from 1 to 10000"},
			{"--series.max", garbage[i], NULL, "expected a number from 1 to 10000"},
		};

		check_refused(rows, ARRAY_SIZE(rows));
	}
}

static void takes_networks_to_aggregate(void **state)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{"", ""},
		{"10.0.0.0", "10.0.0.0"},
		{"10.0.0.1/8", "10.0.0.1/8"},
		{"10.0.0.0/8,", ""},
		{",10.0.0.0/8", ""},
		{"10.0.0.0/8,,::/0", ""},
		{"10.0.0.0/8, ::/0", " ::/0"},
		{"10.0.0.0/8;::/0", "10.0.0.0/8;::/0"},
		{"::/0,10.0.0.0/33", "10.0.0.0/33"},
	};
	char text[ADDRESS_TEXT_MAX];
	struct options o;

	(void)state;
	ACCEPT(&o, "--peers.aggregate", "0.0.0.0/0,::/0", "--peers.aggregate=2001:db8::/32");
	assert_int_equal(o.aggregate_count, 3);
	address_prefix_format(&o.aggregate[0], text);
	assert_string_equal(text, "0.0.0.0/0");
	address_prefix_format(&o.aggregate[1], text);
	assert_string_equal(text, "::/0");
	address_prefix_format(&o.aggregate[2], text);
	assert_string_equal(text, "2001:db8::/32");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct bad_value row = {
			"--peers.aggregate", rows[i].value, rows[i].shown,
			"expected CIDRs such as 10.0.0.0/8,2001:db8::/32, with no bit set behind the prefix"};

		check_refused(&row, 1);
	}
	ACCEPT(&o,
	       "--peers.aggregate=1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,7.0.0.0/8,8.0.0.0/8",
	       "--peers.aggregate=1.0.0.0/9,2.0.0.0/9,3.0.0.0/9,4.0.0.0/9,5.0.0.0/9,6.0.0.0/9,7.0.0.0/9,8.0.0.0/9");
	assert_int_equal(o.aggregate_count, 16);
	REFUSE("--peers.aggregate: '9.0.0.0/8': more than 16 CIDRs",
	       "--peers.aggregate=1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,7.0.0.0/8,8.0.0.0/8",
	       "--peers.aggregate=1.0.0.0/9,2.0.0.0/9,3.0.0.0/9,4.0.0.0/9,5.0.0.0/9,6.0.0.0/9,7.0.0.0/9,8.0.0.0/9",
	       "--peers.aggregate=9.0.0.0/8");
}

static void takes_a_ring_size(void **state)
{
	static const struct {
		const char *value;
		uint32_t bytes;
	} rows[] = {
		{"65536", 65536}, {"64K", 65536},      {"64KiB", 65536},
		{"1M", 1 << 20},  {"16MiB", 16 << 20}, {"1024M", 1 << 30},
		{"1G", 1 << 30},  {"1GiB", 1 << 30},   {"1073741824", 1 << 30},
	};
	static const char *const garbage[] = {
		"",
		"0",
		"3000",
		"32K",
		"65535",
		"65537",
		"96KiB",
		"2G",
		"2GiB",
		"2048MiB",
		"1T",
		"64k",
		"64KB",
		"64 KiB",
		"-1M",
		"1.5M",
		"KiB",
		"0x10000",
		"18446744073709551616",
		"17592186044416M",
		"1073741824G",
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ACCEPT(&o, "--ring-size", rows[i].value);
		assert_int_equal(o.ring_bytes, rows[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		const struct bad_value row = {"--ring-size", garbage[i], NULL,
					      "expected a power of two from 64KiB to 1GiB"};

		check_refused(&row, 1);
	}
}

static void takes_durations(void **state)
{
	static const char *const garbage[] = {"",  "0",	 "0s",	"-1s", "1.5s",
					      "s", "1d", "1 s", "1ms", "99999999999999999999s"};
	static const char expected[] =
		"expected a whole number of seconds (30s), minutes (5m) or hours (1h), ";
	struct options o;

	(void)state;
	ACCEPT(&o, "--reconcile-interval=1h", "--peers.ttl=720h");
	assert_int_equal(o.reconcile_interval_ns, 3600 * NSEC_PER_SEC);
	assert_int_equal(o.peers_ttl_ns, 720 * 3600 * NSEC_PER_SEC);
	ACCEPT(&o, "--reconcile-interval=5m", "--peers.ttl", "1");
	assert_int_equal(o.reconcile_interval_ns, 300 * NSEC_PER_SEC);
	assert_int_equal(o.peers_ttl_ns, NSEC_PER_SEC);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		char interval[128], ttl[128];
		const struct bad_value rows[] = {
			{"--reconcile-interval", garbage[i], NULL, interval},
			{"--peers.ttl", garbage[i], NULL, ttl},
		};

		snprintf(interval, sizeof(interval), "%s1s to 1h", expected);
		snprintf(ttl, sizeof(ttl), "%s1s to 720h", expected);
		check_refused(rows, ARRAY_SIZE(rows));
	}
	assert_int_equal(parse(&o, (const char *const[]){"--reconcile-interval=61m", NULL}),
			 OPTIONS_EXIT_USAGE);
	assert_int_equal(parse(&o, (const char *const[]){"--peers.ttl=721h", NULL}),
			 OPTIONS_EXIT_USAGE);
}

static void takes_user_and_probe_stats(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--user=nobody", "--probe-stats");
	assert_string_equal(o.user, "nobody");
	assert_true(o.probe_stats);
	REFUSE("--user: '': expected a user's name or number", "--user=");
}

static void takes_a_file_to_record_to(void **state)
{
	struct options o;

	(void)state;
	ACCEPT(&o, "--pid=1");
	assert_null(o.record);
	ACCEPT(&o, "--record=/tmp/a", "--record", "b");
	assert_string_equal(o.record, "b");
	REFUSE("--record: '': expected the name of a file that does not exist yet", "--record=");
}

static void takes_bucket_bounds(void **state)
{
	static const char *const garbage[] = {"",  "0",	   "-1",  "1,1", "2,1",
					      "x", "1,,2", "inf", "nan"};
	struct options o;

	(void)state;
	ACCEPT(&o, "--buckets.handshake=.001,0.5,1e1", "--buckets.lifetime", "60");
	assert_int_equal(o.handshake.count, 3);
	assert_int_equal(o.handshake.upper_ns[0], 1000000);
	assert_int_equal(o.handshake.upper_ns[2], 10 * NSEC_PER_SEC);
	assert_int_equal(o.lifetime.count, 1);
	assert_int_equal(o.lifetime.upper_ns[0], 60 * NSEC_PER_SEC);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		static const char *const bucket_flags[] = {"--buckets.handshake",
							   "--buckets.lifetime"};
		struct histogram_bounds b;
		char why[160], message[300];

		/* The words are histogram's; here: that they are told with the flag and the value. */
		assert_int_not_equal(histogram_bounds_parse(garbage[i], &b, why, sizeof(why)), 0);
		assert_null(strchr(why, '\n'));
		for (size_t f = 0; f < ARRAY_SIZE(bucket_flags); f++) {
			snprintf(message, sizeof(message), "%s: '%s': %s", bucket_flags[f],
				 garbage[i], why);
			REFUSE(message, bucket_flags[f], garbage[i]);
		}
	}
}

static void takes_a_control_socket_and_its_groups(void **state)
{
	static const char not_path[] = "expected a /PATH of at most 107 bytes, or off";
	char long_path[120];
	struct options o;

	(void)state;
	ACCEPT(&o, "--control.socket=/x", "--control.group", "ops", "--control.admin-group=0");
	assert_string_equal(o.control_socket, "/x");
	assert_true(o.control_socket_given);
	assert_string_equal(o.control_group, "ops");
	assert_string_equal(o.control_admin_group, "0");
	ACCEPT(&o, "--control.socket=/run/poolscope/control.sock");
	assert_true(o.control_socket_given);
	ACCEPT(&o, "--control.socket=off");
	assert_null(o.control_socket);
	ACCEPT(&o, "--control.socket=");
	assert_null(o.control_socket);
	snprintf(long_path, sizeof(long_path), "/%0107d", 0);
	check_refused((const struct bad_value[]){{"--control.socket", "x", NULL, not_path},
						 {"--control.socket", "/", NULL, not_path}},
		      2);
	REFUSE("--control.group: '': expected a group's name or number", "--control.group=");
	REFUSE("--control.group: 'ops': there is no control socket: --control.socket=off",
	       "--control.group=ops", "--control.socket=off");
	REFUSE("--control.admin-group: 'ops': there is no control socket: --control.socket=off",
	       "--control.socket=off", "--control.admin-group=ops");
	assert_int_equal(parse(&o, (const char *const[]){"--control.socket", long_path, NULL}),
			 OPTIONS_EXIT_USAGE);
	long_path[107] = '\0';
	ACCEPT(&o, "--control.socket", long_path);
}

static void refuses_what_it_does_not_know(void **state)
{
	char longest[200], message[200];

	(void)state;
	REFUSE("'--pids=1': unknown flag", "--pids=1");
	REFUSE("'--pi': unknown flag", "--pi", "1");
	REFUSE("'-p': unknown flag", "-p", "1");
	REFUSE("'-': unknown flag", "-");
	REFUSE("'--': unknown flag", "--");
	REFUSE("'--web.tls.cert=x': unknown flag", "--web.tls.cert=x");
	REFUSE("'1234': unexpected argument", "1234");
	REFUSE("'': unexpected argument", "");
	REFUSE("'stray': unexpected argument", "--pid", "1", "stray", "--bogus");
	REFUSE("'a?[31m?b': unexpected argument", "a\x1b[31m\nb");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	snprintf(message, sizeof(message), "'%.80s\xe2\x80\xa6': unexpected argument", longest);
	REFUSE(message, longest);
}

static void a_value_is_needed_and_no_flag_is_swallowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char message[128];

		if (!flags[i].arg)
			continue;
		snprintf(message, sizeof(message), "%s: a value is missing: %s=%s", flags[i].name,
			 flags[i].name, flags[i].arg);
		REFUSE(message, flags[i].name);
		REFUSE(message, flags[i].name, "--check");
	}
}

static void help_knows_each_flag_its_default_and_the_exit_codes(void **state)
{
	static const char *const words[] = {
		"(default 128)",
		"(default 512)",
		"(default 4MiB)",
		"(default /metrics)",
		"(default 127.0.0.1:10935)",
		"(default auto)",
		"(default info)",
		"(default logfmt)",
		"64KiB to 1GiB",
		"1 to 10000",
		"auto|fexit|syscall|off",
	};
	const char *codes = "\nexit codes:\n"
			    "  0  ended as asked\n"
			    "  1  failure while running\n"
			    "  2  usage or configuration\n"
			    "  3  the kernel lacks something\n"
			    "  4  missing privilege\n"
			    "  5  a target cannot be attached\n"
			    "  6  address in use or not bindable\n";
	struct options o;
	const char *tail;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){"--help", "--bogus", NULL}),
			 OPTIONS_EXIT_OK);
	assert_string_equal(err_text, "");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char line[128];

		snprintf(line, sizeof(line), "\n  %s%s%s\n", flags[i].name, flags[i].arg ? "=" : "",
			 flags[i].arg ? flags[i].arg : "");
		assert_non_null(strstr(out_text, line));
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_non_null(strstr(out_text, words[i]));
	tail = strstr(out_text, "\nexit codes:");
	assert_non_null(tail);
	assert_string_equal(tail, codes);
	assert_null(strstr(out_text, "config.file"));
}

static void version_is_told_as_given(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){"--version", NULL}), OPTIONS_EXIT_OK);
	assert_string_equal(out_text, "poolscoped 1.2.3\n");
	assert_string_equal(err_text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_argument_gives_the_defaults),
		cmocka_unit_test(takes_pids_with_and_without_a_name),
		cmocka_unit_test(refuses_what_is_no_pid),
		cmocka_unit_test(bounds_the_number_of_pids),
		cmocka_unit_test(takes_selectors_with_and_without_a_name),
		cmocka_unit_test(refuses_what_is_no_selector),
		cmocka_unit_test(takes_the_switches),
		cmocka_unit_test(takes_the_choices),
		cmocka_unit_test(listens_on_addresses_and_unix_sockets),
		cmocka_unit_test(serves_strangers_only_if_told_to),
		cmocka_unit_test(takes_sockets_of_systemd_instead_of_addresses),
		cmocka_unit_test(takes_a_certificate_with_its_key),
		cmocka_unit_test(takes_a_telemetry_path),
		cmocka_unit_test(refuses_the_config_file_of_the_exporter_toolkit),
		cmocka_unit_test(takes_bounds_of_the_series_table),
		cmocka_unit_test(takes_networks_to_aggregate),
		cmocka_unit_test(takes_a_ring_size),
		cmocka_unit_test(takes_durations),
		cmocka_unit_test(takes_user_and_probe_stats),
		cmocka_unit_test(takes_a_file_to_record_to),
		cmocka_unit_test(takes_bucket_bounds),
		cmocka_unit_test(takes_a_control_socket_and_its_groups),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(a_value_is_needed_and_no_flag_is_swallowed),
		cmocka_unit_test(help_knows_each_flag_its_default_and_the_exit_codes),
		cmocka_unit_test(version_is_told_as_given),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
