/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The command line. One table drives parsing, defaults and --help: a default is the text of its row, read by the row's own
 * parser, so the help cannot tell another story than the program. The first error ends it, as one line that names the flag,
 * the value and what is accepted. A flag given again replaces what it said before, unless it is repeatable.
 * Opens nothing and resolves nothing: whether a PID lives or a port is free is not known here.
 */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "options_control.h"
#include "options_target.h"
#include "options_web.h"
#include "parser.h"
#include "util.h"

#define RECONCILE_SECONDS_MAX 3600
#define TTL_SECONDS_MAX (720 * 3600)
#define RING_BYTES_MIN (64ULL << 10)
#define RING_BYTES_MAX (1ULL << 30)

static void parse_no_follow(struct parser *p, const char *value)
{
	(void)value;
	p->o.follow = false;
}

static void parse_check(struct parser *p, const char *value)
{
	(void)value;
	p->o.check = true;
}

/* A row of the series table's bounds, 1 to SERIES_MAX_LIMIT. */
static void parse_series_bound(struct parser *p, const char *value, uint32_t *ret)
{
	const char *end = value;
	uint64_t n;

	if (!parser_number(&end, SERIES_MAX_LIMIT, &n) || n == 0 || *end)
		bad(p, value, "expected a number from 1 to %d", SERIES_MAX_LIMIT);
	else
		*ret = (uint32_t)n;
}

static void parse_peers_max(struct parser *p, const char *value)
{
	parse_series_bound(p, value, &p->o.peers_max);
}

static void parse_series_max(struct parser *p, const char *value)
{
	parse_series_bound(p, value, &p->o.series_max);
}

static void parse_aggregate(struct parser *p, const char *value)
{
	const char *rest = value;

	for (;;) {
		char item[ADDRESS_TEXT_MAX];
		size_t len = strcspn(rest, ",");
		struct address_prefix prefix;

		snprintf(item, sizeof(item), "%.*s", (int)(len < sizeof(item) ? len : sizeof(item)),
			 rest);
		if (len >= sizeof(item) || address_prefix_parse(item, &prefix)) {
			bad(p, item,
			    "expected CIDRs such as 10.0.0.0/8,2001:db8::/32, with no bit set behind the prefix");
			return;
		}
		if (p->o.aggregate_count == POOLS_AGGREGATES_MAX) {
			bad(p, value, "more than %d CIDRs", POOLS_AGGREGATES_MAX);
			return;
		}
		p->o.aggregate[p->o.aggregate_count++] = prefix;
		if (!rest[len])
			return;
		rest += len + 1;
	}
}

/* 1 for no suffix, 0 for one that is not known. */
static uint64_t suffix_factor(const char *suffix)
{
	static const struct {
		const char *text;
		uint64_t factor;
	} suffixes[] = {{"", 1},
			{"K", 1ULL << 10},
			{"KiB", 1ULL << 10},
			{"M", 1ULL << 20},
			{"MiB", 1ULL << 20},
			{"G", 1ULL << 30},
			{"GiB", 1ULL << 30}};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (strcmp(suffix, suffixes[i].text) == 0)
			return suffixes[i].factor;
	}
	return 0;
}

/* Whole seconds, 1 to max_s. `range` says so. */
static void parse_duration(struct parser *p, const char *value, uint64_t max_s, const char *range,
			   uint64_t *ret_ns)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
	const char *end = value;
	uint64_t n = 0, seconds = 0;

	if (parser_number(&end, max_s, &n)) {
		for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
			if (strcmp(end, units[i].text) == 0)
				seconds = n * units[i].seconds;
		}
	}
	if (seconds < 1 || seconds > max_s)
		bad(p, value,
		    "expected a whole number of seconds (30s), minutes (5m) or hours (1h), %s",
		    range);
	else
		*ret_ns = seconds * NSEC_PER_SEC;
}

static void parse_reconcile_interval(struct parser *p, const char *value)
{
	parse_duration(p, value, RECONCILE_SECONDS_MAX, "1s to 1h", &p->o.reconcile_interval_ns);
}

static void parse_peers_ttl(struct parser *p, const char *value)
{
	parse_duration(p, value, TTL_SECONDS_MAX, "1s to 720h", &p->o.peers_ttl_ns);
}

static void parse_probe_stats(struct parser *p, const char *value)
{
	(void)value;
	p->o.probe_stats = true;
}

static void parse_user(struct parser *p, const char *value)
{
	if (*value)
		p->o.user = value;
	else
		bad(p, value, "expected a user's name or number");
}

static void parse_record(struct parser *p, const char *value)
{
	if (*value)
		p->o.record = value;
	else
		bad(p, value, "expected the name of a file that does not exist yet");
}

static void parse_ring_size(struct parser *p, const char *value)
{
	const char *end = value;
	uint64_t n = 0;

	if (parser_number(&end, RING_BYTES_MAX, &n))
		n *= suffix_factor(end);
	if (n < RING_BYTES_MIN || n > RING_BYTES_MAX || (n & (n - 1)))
		bad(p, value, "expected a power of two from 64KiB to 1GiB");
	else
		p->o.ring_bytes = (uint32_t)n;
}

static void parse_bounds(struct parser *p, const char *value, struct histogram_bounds *ret)
{
	char why[160] = "";

	if (histogram_bounds_parse(value, ret, why, sizeof(why)))
		bad(p, value, "%s", why);
}

static void parse_handshake(struct parser *p, const char *value)
{
	parse_bounds(p, value, &p->o.handshake);
}

static void parse_lifetime(struct parser *p, const char *value)
{
	parse_bounds(p, value, &p->o.lifetime);
}

static void parse_accept_probe(struct parser *p, const char *value)
{
	int i = parser_choice(p, value);

	if (i >= 0)
		p->o.accept_probe = (enum accept_probe)i;
}

static void parse_log_level(struct parser *p, const char *value)
{
	int i = parser_choice(p, value);

	if (i >= 0)
		p->o.log_level = (enum log_level)i;
}

static void parse_log_format(struct parser *p, const char *value)
{
	int i = parser_choice(p, value);

	if (i >= 0)
		p->o.log_format = (enum log_format)i;
}

static void parse_version(struct parser *p, const char *value)
{
	(void)value;
	fprintf(p->out, "%s\n", p->version);
	p->action = OPTIONS_EXIT_OK;
}

static void parse_help(struct parser *p, const char *value);

/* Words in `arg` stand in the order of the enum that they choose from. */
static const struct option table[] = {
	{"--pid", "PID[=NAME]", NULL,
	 "attach to this process and its descendants, shown as NAME (else its command name); repeatable",
	 options_target_pid},
	{"--unit", "UNIT[=NAME]", NULL,
	 "attach to the processes of this systemd unit, also to those that it starts later; repeatable",
	 options_target_unit},
	{"--cgroup", "CGROUP[=NAME]", NULL,
	 "the same of this cgroup, a path in the cgroup2 tree, and of those below it; repeatable",
	 options_target_cgroup},
	{"--exe", "FILE[=NAME]", NULL,
	 "attach to whatever runs this program, and to its descendants; repeatable",
	 options_target_exe},
	{"--comm", "COMM[=NAME]", NULL,
	 "attach to whatever has this command name, and to its descendants; repeatable",
	 options_target_comm},
	{"--no-follow", NULL, NULL, "attach to the processes themselves, not to their descendants",
	 parse_no_follow},
	{"--accept-probe", "auto|fexit|syscall|off", "auto",
	 "how accept() is seen; syscall slows every system call a little", parse_accept_probe},
	{"--web.listen-address", "ADDRESS:PORT", NULL,
	 "serve here, numeric (:PORT is all addresses), or unix:/PATH; repeatable (default " OPTIONS_LISTEN_DEFAULT
	 ")",
	 options_web_listen},
	{"--web.systemd-socket", NULL, NULL,
	 "serve on the sockets that systemd hands over instead (LISTEN_FDS)", options_web_systemd},
	{"--web.telemetry-path", "PATH", "/metrics", "where the metrics are", options_web_path},
	{"--web.auth.token-file", "FILE", NULL,
	 "answer only to who sends one of these tokens (Authorization: Bearer …), one a line; repeatable",
	 options_web_token},
	{"--web.tls.cert-file", "FILE", NULL,
	 "speak TLS with this certificate chain (PEM) on all TCP addresses", options_web_cert},
	{"--web.tls.key-file", "FILE", NULL, "its private key (PEM)", options_web_key},
	{"--web.allow-unauthenticated", NULL, NULL,
	 "serve beyond loopback without a token: whoever reaches the address sees your peers",
	 options_web_unauthenticated},
	{"--web.config.file", "FILE", NULL, NULL, options_web_config},
	{"--control.socket", "PATH", OPTIONS_CONTROL_DEFAULT,
	 "listen here for poolscope, the client; off: nowhere", options_control_socket},
	{"--control.group", "GROUP", NULL,
	 "let this group (name or number) look through the control socket; root and who it runs as always may",
	 options_control_group},
	{"--control.admin-group", "GROUP", NULL,
	 "let this group also attach and detach; with --control.group its members must be in both",
	 options_control_admin_group},
	{"--user", "USER", NULL,
	 "run as this user (name or number) once attached; needs CAP_SETUID and CAP_SETGID",
	 parse_user},
	{"--peers.max", "N", "128",
	 "series per process name and direction, the rest is \"other\"; 1 to " STRINGIFY(
		 SERIES_MAX_LIMIT),
	 parse_peers_max},
	{"--series.max", "N", "512",
	 "series in all, the rest is \"other\"; 1 to " STRINGIFY(SERIES_MAX_LIMIT),
	 parse_series_max},
	{"--peers.aggregate", "CIDR[,CIDR…]", NULL,
	 "count the inbound peers of each network as one; repeatable, at most " STRINGIFY(
		 POOLS_AGGREGATES_MAX),
	 parse_aggregate},
	{"--peers.ttl", "DURATION", "1h",
	 "forget a series this long after its last change, if it has no connection",
	 parse_peers_ttl},
	{"--ring-size", "BYTES", "4MiB", "kernel ring buffer, a power of two, 64KiB to 1GiB",
	 parse_ring_size},
	{"--reconcile-interval", "DURATION", "30s",
	 "compare with the kernel's records this often; also within a second after a loss",
	 parse_reconcile_interval},
	{"--probe-stats", NULL, NULL,
	 "measure what the kernel programs cost; needs CAP_SYS_ADMIN, and slows all BPF programs of the host a little",
	 parse_probe_stats},
	{"--record", "FILE", NULL,
	 "write all that is counted to a new file, for poolscope replay; it grows by about 100 bytes per event",
	 parse_record},
	{"--buckets.handshake", "SECONDS[,…]", NULL,
	 "upper bounds for handshakes and accept waits, rising, at most " STRINGIFY(
		 HISTOGRAM_BOUNDS_MAX) " (default 0.0001 to 31, see docs/metrics.md)",
	 parse_handshake},
	{"--buckets.lifetime", "SECONDS[,…]", NULL,
	 "upper bounds for lifetimes, rising, at most " STRINGIFY(
		 HISTOGRAM_BOUNDS_MAX) " (default 0.01 to 86400, see docs/metrics.md)",
	 parse_lifetime},
	{"--log.level", "error|warn|info|debug", "info", "least important lines to log",
	 parse_log_level},
	{"--log.format", "logfmt|json", "logfmt", "form of the lines, on stderr", parse_log_format},
	{"--check", NULL, NULL, "load and attach, report what works, exit", parse_check},
	{"--version", NULL, NULL, "show the version and exit", parse_version},
	{"--help", NULL, NULL, "show this and exit", parse_help},
};

static void parse_help(struct parser *p, const char *value)
{
	(void)value;
	fputs("usage: poolscoped [--pid PID[=NAME]]... [--unit UNIT[=NAME]]... [flags]\n\n"
	      "Watches every TCP connection of running processes and serves pool metrics for Prometheus.\n\n"
	      "flags:\n",
	      p->out);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct option *o = &table[i];

		if (!o->help)
			continue;
		fprintf(p->out, "  %s%s%s\n        %s", o->name, o->arg ? "=" : "",
			o->arg ? o->arg : "", o->help);
		if (o->initial)
			fprintf(p->out, " (default %s)", o->initial);
		fputc('\n', p->out);
	}
	fprintf(p->out,
		"\nexit codes:\n"
		"  %d  ended as asked\n"
		"  %d  failure while running\n"
		"  %d  usage or configuration\n"
		"  %d  the kernel lacks something\n"
		"  %d  missing privilege\n"
		"  %d  a target cannot be attached\n"
		"  %d  address in use or not bindable\n",
		EXIT_OK, EXIT_RUNTIME, EXIT_USAGE, EXIT_KERNEL, EXIT_PRIVILEGE, EXIT_TARGET,
		EXIT_ADDRESS);
	p->action = OPTIONS_EXIT_OK;
}

/* The row of "--name" or "--name=value". */
static const struct option *find_option(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strlen(table[i].name) == len && strncmp(table[i].name, arg, len) == 0)
			return &table[i];
	}
	return NULL;
}

/* One flag with its value; returns how many arguments it took. */
static int parse_argument(struct parser *p, char **args)
{
	const char *value = strchr(args[0], '=');
	int taken = 1;

	if (args[0][0] != '-') {
		parser_refuse(p, NULL, args[0], "unexpected argument");
		return taken;
	}
	p->option = find_option(args[0]);
	if (!p->option) {
		parser_refuse(p, NULL, args[0], "unknown flag");
		return taken;
	}
	if (!p->option->arg && value) {
		bad(p, value + 1, "this flag takes no value");
		return taken;
	}
	if (p->option->arg && value) {
		value++;
	} else if (p->option->arg) {
		/* A forgotten value must not swallow the next flag. */
		value = args[1] && strncmp(args[1], "--", 2) != 0 ? args[1] : NULL;
		taken = 2;
	}
	if (p->option->arg && !value)
		bad(p, NULL, "a value is missing: %s=%s", p->option->name, p->option->arg);
	else
		p->option->parse(p, value);
	return taken;
}

static void set_defaults(struct parser *p)
{
	p->o.follow = true;
	histogram_bounds_handshake(&p->o.handshake);
	histogram_bounds_lifetime(&p->o.lifetime);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		p->option = &table[i];
		if (table[i].initial)
			table[i].parse(p, table[i].initial);
	}
}

enum options_action options_parse(int argc, char **argv, struct options *ret, const char *version,
				  FILE *out, FILE *err)
{
	struct parser p = {.action = OPTIONS_RUN, .version = version, .out = out, .err = err};

	set_defaults(&p);
	for (int i = 1; i < argc && p.action == OPTIONS_RUN;)
		i += parse_argument(&p, argv + i);
	if (p.action == OPTIONS_RUN)
		options_web_end(&p);
	if (p.action == OPTIONS_RUN)
		options_control_end(&p);
	if (p.action == OPTIONS_RUN)
		*ret = p.o;
	return p.action;
}
