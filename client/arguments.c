// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Two tables, commands and flags, drive parsing, defaults and --help: the help cannot tell another story than the program. Flags may stand
 * before and behind the command. The first error ends it. Whether a PID lives or a name is attached is not known here.
 */
#include "arguments.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "options_control.h"
#include "options_target.h"
#include "parser.h"
#include "query.h"
#include "util.h"

#define WATCH_SECONDS_MAX 3600
#define WATCH_SECONDS "2"
#define FOR_SECONDS_MAX (24 * 3600)
#define FOR_SECONDS 10

#define ON(command) (1U << (command))
#define ON_ALL (ON(COMMANDS) - 1)
#define REPEATABLE ON(COMMANDS)

struct line {
	struct arguments a;
	enum options_action action; /* other than OPTIONS_RUN ends the parsing */
	unsigned int given; /* ON(index of a flag in the table) */
	int words; /* that are no flags */
	const char *version;
	FILE *out, *err;
};

static void refuse(struct line *l, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct line *l, const char *what, const char *fmt, ...)
{
	va_list args;

	fprintf(l->err, "poolscope: %s%s", what ? what : "", what ? ": " : "");
	va_start(args, fmt);
	vfprintf(l->err, fmt, args);
	va_end(args);
	fputs("\ntry 'poolscope --help'\n", l->err);
	l->action = OPTIONS_EXIT_USAGE;
}

/* ---- commands ---- */

static void add_pid(struct line *l, const char *what, const char *word)
{
	const char *fault = options_target_add_pid(l->a.targets, &l->a.target_count, word);

	if (fault)
		refuse(l, what, "%s", fault);
}

static void read_attach(struct line *l, const char *word)
{
	add_pid(l, "attach", word);
}

/* Digits only are a PID. */
static void read_detach(struct line *l, const char *word)
{
	const char *end = word, *fault;
	uint64_t pid;

	if (parser_number(&end, PID_LIMIT, &pid) && pid && !*end) {
		l->a.pid = (pid_t)pid;
		return;
	}
	fault = name_fault(word);
	if (fault)
		refuse(l, "detach", "expected a PID or the name of attached processes: %s", fault);
	l->a.name = word;
}

static void read_replay(struct line *l, const char *word)
{
	if (*word)
		l->a.file = word;
	else
		refuse(l, "replay", "expected a file");
}

static const struct {
	const char *name, *arg, *help;
	void (*read)(struct line *l, const char *word); /* of `arg`; NULL: takes none */
} commands[COMMANDS] = {
	[COMMAND_ATTACH] =
		{"attach", "PID[=NAME]",
		 "count the connections of this process and its descendants, shown as NAME (else its command name); or of all that --unit, --cgroup, --exe or --comm selects",
		 read_attach},
	[COMMAND_DETACH] = {"detach", "PID|NAME",
			    "count this process, or all of this name, no longer; their numbers go",
			    read_detach},
	[COMMAND_LIST] = {"list", NULL, "show what is attached", NULL},
	[COMMAND_CHECK] = {"check", NULL,
			   "show what this machine can do and cannot, and what to do about it",
			   NULL},
	[COMMAND_SNAPSHOT] = {"snapshot", NULL, "show the numbers of all pools", NULL},
	[COMMAND_CONNECTIONS] = {"connections", NULL, "show single connections", NULL},
	[COMMAND_REPLAY] =
		{"replay", "FILE",
		 "show what a recording comes to (poolscoped --record); asks no daemon and needs no root",
		 read_replay},
};

const char *arguments_command_text(enum command command)
{
	return commands[command].name;
}

/* ---- flags ---- */

static void parse_socket(struct line *l, const char *value)
{
	if (*value)
		l->a.socket = value;
	else
		refuse(l, "--socket", "expected a path");
}

static void add_selector(struct line *l, const char *flag, enum selector_kind kind,
			 const char *value)
{
	const char *fault =
		options_target_add_selector(l->a.targets, &l->a.target_count, kind, value);

	if (fault)
		refuse(l, flag, "%s", fault);
}

static void parse_unit(struct line *l, const char *value)
{
	add_selector(l, "--unit", SELECTOR_UNIT, value);
}

static void parse_cgroup(struct line *l, const char *value)
{
	add_selector(l, "--cgroup", SELECTOR_CGROUP, value);
}

static void parse_exe(struct line *l, const char *value)
{
	add_selector(l, "--exe", SELECTOR_EXE, value);
}

static void parse_comm(struct line *l, const char *value)
{
	add_selector(l, "--comm", SELECTOR_COMM, value);
}

static void parse_no_follow(struct line *l, const char *value)
{
	(void)value;
	l->a.follow = false;
}

static void parse_pid(struct line *l, const char *value)
{
	add_pid(l, "--pid", value);
}

static void parse_for(struct line *l, const char *value)
{
	if (!parser_duration(value, FOR_SECONDS_MAX, &l->a.for_s))
		refuse(l, "--for",
		       "expected a whole number of seconds (30s), minutes (5m) or hours (1h), 1s to 24h");
}

static void parse_partial(struct line *l, const char *value)
{
	(void)value;
	l->a.partial = true;
}

static void parse_format(struct line *l, const char *value)
{
	static const char *const words[] = {[FORMAT_TABLE] = "table",
					    [FORMAT_JSON] = "json",
					    [FORMAT_PROM] = "prom",
					    [FORMAT_OPENMETRICS] = "openmetrics"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(value, words[i]) == 0) {
			l->a.format = (enum format)i;
			return;
		}
	}
	refuse(l, "--format", "expected table, json, prom or openmetrics");
}

static void parse_watch(struct line *l, const char *value)
{
	const char *end = value ? value : WATCH_SECONDS;
	uint64_t seconds = 0;

	if (!parser_number(&end, WATCH_SECONDS_MAX, &seconds) || !seconds || *end)
		refuse(l, "--watch", "expected seconds from 1 to %d", WATCH_SECONDS_MAX);
	l->a.watch_s = (unsigned int)seconds;
}

/* Appends KEY=VALUE to the query, every byte that might mean something as %XX. */
static void add_query(struct line *l, const char *flag, const char *key, const char *value)
{
	size_t n = strlen(l->a.query);
	struct query query;
	char why[160];

	n += (size_t)snprintf(l->a.query + n, sizeof(l->a.query) - n, "%s%s=", n ? "&" : "", key);
	for (; *value && n + 4 < sizeof(l->a.query); value++)
		n += (size_t)snprintf(l->a.query + n, sizeof(l->a.query) - n, "%%%02x",
				      (unsigned char)*value);
	if (*value)
		refuse(l, flag, "the value is too long");
	else if (query_parse(l->a.query, &query, why, sizeof(why)))
		refuse(l, flag, "%s", why);
}

static void parse_process(struct line *l, const char *value)
{
	add_query(l, "--process", "process", value);
}

static void parse_peer(struct line *l, const char *value)
{
	add_query(l, "--peer", "peer", value);
}

static void parse_limit(struct line *l, const char *value)
{
	add_query(l, "--limit", "limit", value);
}

static void parse_version(struct line *l, const char *value)
{
	(void)value;
	fprintf(l->out, "%s\n", l->version);
	l->action = OPTIONS_EXIT_OK;
}

static void parse_help(struct line *l, const char *value);

static const struct flag {
	const char *name;
	const char *arg; /* NULL: takes no value; "[=" first: need not have one */
	const char *initial; /* the default, for --help */
	const char *help;
	unsigned int commands; /* that know it */
	void (*parse)(struct line *l, const char *value);
} flags[] = {
	{"--socket", "PATH", OPTIONS_CONTROL_DEFAULT,
	 "where poolscoped listens (its --control.socket)", ON_ALL, parse_socket},
	{"--pid", "PID[=NAME]", NULL,
	 "snapshot: attach to this process by ourselves, as root and without a daemon, and leave; this and the next four are repeatable there",
	 ON(COMMAND_SNAPSHOT) | REPEATABLE, parse_pid},
	{"--unit", "UNIT[=NAME]", NULL,
	 "attach, snapshot: to the processes of this systemd unit, also to those that it starts later",
	 ON(COMMAND_ATTACH) | ON(COMMAND_SNAPSHOT) | REPEATABLE, parse_unit},
	{"--cgroup", "CGROUP[=NAME]", NULL,
	 "attach, snapshot: the same of this cgroup, a path in the cgroup2 tree, and of those below it",
	 ON(COMMAND_ATTACH) | ON(COMMAND_SNAPSHOT) | REPEATABLE, parse_cgroup},
	{"--exe", "FILE[=NAME]", NULL,
	 "attach, snapshot: to whatever runs this program, and to its descendants",
	 ON(COMMAND_ATTACH) | ON(COMMAND_SNAPSHOT) | REPEATABLE, parse_exe},
	{"--comm", "COMM[=NAME]", NULL,
	 "attach, snapshot: to whatever has this command name, and to its descendants",
	 ON(COMMAND_ATTACH) | ON(COMMAND_SNAPSHOT) | REPEATABLE, parse_comm},
	{"--no-follow", NULL, NULL,
	 "attach, snapshot --pid: to the process itself, not to its descendants",
	 ON(COMMAND_ATTACH) | ON(COMMAND_SNAPSHOT), parse_no_follow},
	{"--for", "DURATION", STRINGIFY(FOR_SECONDS) "s",
	 "snapshot --pid, --unit and so on: watch so long, 1s to 24h; ^C ends it earlier",
	 ON(COMMAND_SNAPSHOT), parse_for},
	{"--format", "table|json|prom|openmetrics", "table",
	 "for people, or for programs; the last two are for snapshot and replay only",
	 ON(COMMAND_LIST) | ON(COMMAND_CHECK) | ON(COMMAND_SNAPSHOT) | ON(COMMAND_CONNECTIONS) |
		 ON(COMMAND_REPLAY),
	 parse_format},
	{"--watch", "[=SECONDS]", NULL,
	 "snapshot: again every " WATCH_SECONDS
	 " or so many seconds; with --format=json one object a line",
	 ON(COMMAND_SNAPSHOT), parse_watch},
	{"--process", "NAME", NULL, "connections: only of processes of this name",
	 ON(COMMAND_CONNECTIONS), parse_process},
	{"--peer", "ADDRESS|CIDR", NULL, "connections: only with this peer or network",
	 ON(COMMAND_CONNECTIONS), parse_peer},
	{"--limit", "N", NULL,
	 "connections: at most so many, 1 to " STRINGIFY(QUERY_LIMIT_MAX) " (default " STRINGIFY(
		 QUERY_LIMIT_DEFAULT) ")",
	 ON(COMMAND_CONNECTIONS), parse_limit},
	{"--partial", NULL, NULL,
	 "replay: also a recording that ends early (the daemon was killed, its disk was full)",
	 ON(COMMAND_REPLAY), parse_partial},
	{"--version", NULL, NULL, "show the version and exit", ON_ALL, parse_version},
	{"--help", NULL, NULL, "show this and exit", ON_ALL, parse_help},
};

static bool is_optional(const struct flag *f)
{
	return f->arg && f->arg[0] == '[';
}

static void print_flags(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const struct flag *f = &flags[i];

		fprintf(out, "  %s%s%s\n        %s", f->name, f->arg && !is_optional(f) ? "=" : "",
			f->arg ? f->arg : "", f->help);
		if (f->initial)
			fprintf(out, " (default %s)", f->initial);
		fputc('\n', out);
	}
}

static void parse_help(struct line *l, const char *value)
{
	(void)value;
	fputs("usage: poolscope [flags] COMMAND [ARGUMENT]\n\n"
	      "Asks a running poolscoped, through its control socket; replay and snapshot --pid work without one.\n\n"
	      "commands:\n",
	      l->out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(l->out, "  %s%s%s\n        %s\n", commands[i].name,
			commands[i].arg ? " " : "", commands[i].arg ? commands[i].arg : "",
			commands[i].help);
	fputs("\nflags:\n", l->out);
	print_flags(l->out);
	fprintf(l->out,
		"\nexit codes:\n"
		"  %d  done\n"
		"  %d  failure while asking or answering\n"
		"  %d  usage\n"
		"  %d  the kernel lacks something\n"
		"  %d  not allowed\n"
		"  %d  there is no such process, or it cannot be attached\n"
		"  %d  poolscoped is not reachable\n",
		EXIT_OK, EXIT_RUNTIME, EXIT_USAGE, EXIT_KERNEL, EXIT_PRIVILEGE, EXIT_TARGET,
		EXIT_ADDRESS);
	l->action = OPTIONS_EXIT_OK;
}

/* ---- the line ---- */

static const struct flag *find_flag(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strlen(flags[i].name) == len && strncmp(flags[i].name, arg, len) == 0)
			return &flags[i];
	}
	return NULL;
}

/* One flag with its value; returns how many arguments it took. */
static int parse_flag(struct line *l, char **args)
{
	const struct flag *f = find_flag(args[0]);
	const char *value = strchr(args[0], '=');
	int taken = 1;

	if (!f) {
		refuse(l, NULL, "unknown flag %.40s", args[0]);
		return taken;
	}
	if (value) {
		value++;
	} else if (f->arg && !is_optional(f)) {
		/* A forgotten value must not swallow the next flag. */
		value = args[1] && strncmp(args[1], "--", 2) != 0 ? args[1] : NULL;
		taken = 2;
	}
	if (l->given & 1U << (f - flags) && !(f->commands & REPEATABLE))
		refuse(l, f->name, "given twice");
	else if (!f->arg && value)
		refuse(l, f->name, "this flag takes no value");
	else if (f->arg && !value && !is_optional(f))
		refuse(l, f->name, "a value is missing: %s=%s", f->name, f->arg);
	else
		f->parse(l, value);
	l->given |= 1U << (f - flags);
	return taken;
}

static void parse_word(struct line *l, const char *word)
{
	size_t i = 0;

	if (l->words++ == 0) {
		while (i < COMMANDS && strcmp(word, commands[i].name) != 0)
			i++;
		if (i == COMMANDS)
			refuse(l, NULL,
			       "unknown command, expected attach, detach, list, check, snapshot, connections or replay");
		l->a.command = (enum command)i;
	} else if (l->words == 2 && commands[l->a.command].read) {
		commands[l->a.command].read(l, word);
	} else {
		refuse(l, commands[l->a.command].name, "unexpected argument");
	}
}

static bool is_given(const struct line *l, const char *flag)
{
	return l->given & 1U << (find_flag(flag) - flags);
}

/* Who asks a daemon does not attach, and the other way round. */
static void check_snapshot(struct line *l)
{
	static const char missing[] = "only with --pid, --unit, --cgroup, --exe or --comm";

	l->a.alone = l->a.target_count > 0;
	if (l->a.alone && is_given(l, "--socket"))
		refuse(l, "--socket", "not with what is to be attached, which asks no daemon");
	else if (!l->a.alone && is_given(l, "--for"))
		refuse(l, "--for", missing);
	else if (!l->a.alone && is_given(l, "--no-follow"))
		refuse(l, "--no-follow", missing);
}

/* What does not go together. */
static void check_whole(struct line *l)
{
	const struct arguments *a = &l->a;

	if (!l->words) {
		refuse(l, NULL, "a command is missing");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (l->given & 1U << i && !(flags[i].commands & ON(a->command))) {
			refuse(l, flags[i].name, "not for %s", commands[a->command].name);
			return;
		}
	}
	if (commands[a->command].read && l->words < 2 && !a->target_count)
		refuse(l, commands[a->command].name, "expected %s", commands[a->command].arg);
	else if (a->command == COMMAND_ATTACH && a->target_count > 1)
		refuse(l, "attach", "expected one process or one selector at a time");
	else if (a->command != COMMAND_SNAPSHOT && a->command != COMMAND_REPLAY &&
		 a->format > FORMAT_JSON)
		refuse(l, "--format", "%s is shown as table or json", commands[a->command].name);
	else if (a->watch_s && a->format > FORMAT_JSON)
		refuse(l, "--watch",
		       "let Prometheus scrape instead; expected --format=table or json");
	else if (a->command == COMMAND_SNAPSHOT)
		check_snapshot(l);
}

enum options_action arguments_parse(int argc, char **argv, struct arguments *ret,
				    const char *version, FILE *out, FILE *err)
{
	struct line l = {.action = OPTIONS_RUN, .version = version, .out = out, .err = err};

	l.a.socket = OPTIONS_CONTROL_DEFAULT;
	l.a.follow = true;
	l.a.for_s = FOR_SECONDS;
	for (int i = 1; i < argc && l.action == OPTIONS_RUN;) {
		if (argv[i][0] == '-') {
			i += parse_flag(&l, argv + i);
		} else {
			parse_word(&l, argv[i]);
			i++;
		}
	}
	if (l.action == OPTIONS_RUN)
		check_whole(&l);
	if (l.action == OPTIONS_RUN)
		*ret = l.a;
	return l.action;
}
