/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A strict reader of text 0.0.4 and OpenMetrics 1.0.0, written from docs/metrics.md and the formats' descriptions, not from
 * user/families.c: the two share nothing, so that a mistake in one shows in the other. Stricter than Prometheus wherever the project
 * promises more: HELP, TYPE, (OpenMetrics) UNIT, samples in this order, no time stamps, no other comments, label sets exactly as
 * declared, label values from closed sets where there is one, buckets in the order of their bounds followed by sum and count.
 */
#include "exposition_check.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIES_LABELS "process,direction,peer_address,server_port"
#define OUTBOUND "direction=outbound"
#define INBOUND "direction=inbound"
#define KINDS "kind=pending|established|stale|ended|accept"
#define FAIL_REASONS "reason=refused|timeout|unreachable|reset|aborted|other"
#define CLOSE_REASONS "reason=local|peer|reset_by_peer|reset_by_local|timeout|other"
#define ENDPOINTS "endpoint=metrics|connections|metadata|health|ready|index|other"
#define REASONS 6 /* of either kind */
#define VALUES_MAX 3

/* Families that may appear, as text 0.0.4 names them: type, exactly these labels (`le` apart), and values of labels that are a closed set. */
struct rule {
	const char *name, *type, *labels;
	const char *values[VALUES_MAX]; /* "label=a|b" */
};

static const struct rule rules[] = {
	{"poolscope_connections_active", "gauge", SERIES_LABELS, {NULL}},
	{"poolscope_connections_pending", "gauge", SERIES_LABELS, {OUTBOUND}},
	{"poolscope_connections_queued", "gauge", SERIES_LABELS, {INBOUND}},
	{"poolscope_connections_stale", "gauge", SERIES_LABELS, {NULL}},
	{"poolscope_connection_attempts_total", "counter", SERIES_LABELS, {OUTBOUND}},
	{"poolscope_connection_failures_total",
	 "counter",
	 SERIES_LABELS ",reason",
	 {OUTBOUND, FAIL_REASONS}},
	{"poolscope_connections_opened_total", "counter", SERIES_LABELS, {NULL}},
	{"poolscope_connections_adopted_total", "counter", SERIES_LABELS, {NULL}},
	{"poolscope_connections_handed_over_total", "counter", SERIES_LABELS, {NULL}},
	{"poolscope_connections_closed_total", "counter", SERIES_LABELS ",reason", {CLOSE_REASONS}},
	{"poolscope_connection_handshake_duration_seconds", "histogram", SERIES_LABELS, {NULL}},
	{"poolscope_connection_lifetime_seconds", "histogram", SERIES_LABELS, {NULL}},
	{"poolscope_accept_wait_duration_seconds", "histogram", SERIES_LABELS, {INBOUND}},
	{"poolscope_listeners", "gauge", "process,server_port", {NULL}},
	{"poolscope_listener_half_open", "gauge", "process,server_port", {NULL}},
	{"poolscope_listener_queue_limit", "gauge", "process,server_port", {NULL}},
	{"poolscope_listener_dropped_total", "counter", "process,server_port", {NULL}},
	{"poolscope_target_processes", "gauge", "process", {NULL}},
	{"poolscope_peers", "gauge", "process,direction", {NULL}},
	{"poolscope_peers_limit", "gauge", "", {NULL}},
	{"poolscope_peers_overflowed_total", "counter", "process,direction", {NULL}},
	{"poolscope_connections_tracked", "gauge", "", {NULL}},
	{"poolscope_connections_tracked_limit", "gauge", "", {NULL}},
	{"poolscope_events_total", "counter", "kind", {KINDS}},
	{"poolscope_events_refused_total", "counter", "kind", {KINDS}},
	{"poolscope_events_lost_total", "counter", "kind", {KINDS}},
	{"poolscope_probe_missed_total", "counter", "program", {NULL}},
	{"poolscope_records_refused_total",
	 "counter",
	 "cause",
	 {"cause=memory|optmem|processes|mirror|listeners|accepts"}},
	{"poolscope_reconcile_total", "counter", "cause", {"cause=attach|loss|timer"}},
	{"poolscope_reconcile_corrections_total", "counter", "", {NULL}},
	{"poolscope_probe_info", "gauge", "program,attach", {NULL}},
	{"poolscope_probe_runs_total", "counter", "program", {NULL}},
	{"poolscope_probe_run_seconds_total", "counter", "program", {NULL}},
	{"poolscope_http_requests_in_flight", "gauge", "", {NULL}},
	{"poolscope_http_requests_total",
	 "counter",
	 "endpoint,method,code",
	 {ENDPOINTS, "method=GET|HEAD|other", "code=200|400|401|404|405|408|500|503|other"}},
	{"poolscope_http_request_duration_seconds", "histogram", "endpoint", {ENDPOINTS}},
	{"poolscope_http_connections_refused_total",
	 "counter",
	 "cause",
	 {"cause=full|address|evicted|header_timeout|write_timeout|idle_timeout|protocol"}},
	{"poolscope_config_last_reload_successful", "gauge", "", {NULL}},
	{"poolscope_config_last_reload_success_timestamp_seconds", "gauge", "", {NULL}},
	{"poolscope_scrape_duration_seconds", "gauge", "", {NULL}},
	{"poolscope_build_info", "gauge", "version,revision,libbpf", {NULL}},
	{"process_cpu_seconds_total", "counter", "", {NULL}},
	{"process_open_fds", "gauge", "", {NULL}},
	{"process_max_fds", "gauge", "", {NULL}},
	{"process_virtual_memory_bytes", "gauge", "", {NULL}},
	{"process_virtual_memory_max_bytes", "gauge", "", {NULL}},
	{"process_resident_memory_bytes", "gauge", "", {NULL}},
	{"process_start_time_seconds", "gauge", "", {NULL}},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

enum histogram_stage { NO_HISTOGRAM, BUCKETS, AFTER_INF, AFTER_SUM };

struct seen {
	char *key;
	size_t line;
};

struct checker {
	bool openmetrics;
	size_t line;
	char *why;
	size_t why_size;
	const struct rule *family; /* the one under way */
	bool typed, unit, sampled, ended;
	bool families_seen[RULES];
	struct seen *seen;
	size_t seen_count, seen_cap;
	enum histogram_stage stage;
	char group[4096]; /* labels of the histogram under way, le apart */
	double last_le, last_count;
};

static int fail(struct checker *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct checker *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(c->why, c->why_size, "line %zu: %s", c->line, text);
	return -EINVAL;
}

static size_t name_length(const char *s, bool colons)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' || (colons && s[n] == ':') ||
	       (n && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

/* Copies the unescaped value at *p, just behind its opening quote; leaves *p behind the closing one. */
static const char *label_value_parse(const char **p, char *ret, size_t size)
{
	const char *s = *p;
	size_t n = 0;

	for (; *s != '"'; s++) {
		char ch = *s;

		if (ch == '\0' || ch == '\n')
			return "label value is not closed";
		if (ch == '\\') {
			ch = *++s;
			if (ch != '\\' && ch != '"' && ch != 'n')
				return "unknown escape in a label value";
			ch = ch == 'n' ? '\n' : ch;
		}
		if (n + 1 == size)
			return "label value is too long";
		ret[n++] = ch;
	}
	ret[n] = '\0';
	*p = s + 1;
	return n ? NULL : "empty label value";
}

static const char *labels_parse(const char **p, struct exposition_sample *ret)
{
	const char *s = *p, *wrong;

	for (;;) {
		struct exposition_label *l = &ret->labels[ret->label_count];
		size_t n = name_length(s, false);

		if (!n || n >= sizeof(l->name) || !strncmp(s, "__", 2))
			return "invalid label name";
		if (ret->label_count == EXPOSITION_LABELS_MAX)
			return "too many labels";
		memcpy(l->name, s, n);
		l->name[n] = '\0';
		if (exposition_label_value(ret, l->name))
			return "the same label twice";
		if (s[n] != '=' || s[n + 1] != '"')
			return "no =\" behind a label name";
		s += n + 2;
		wrong = label_value_parse(&s, l->value, sizeof(l->value));
		if (wrong)
			return wrong;
		ret->label_count++;
		if (*s != ',')
			break;
		s++;
	}
	if (*s != '}')
		return "no } behind the labels";
	*p = s + 1;
	return NULL;
}

/* The sample at *p, up to and with its newline; NULL or what is wrong. */
static const char *sample_parse(const char **p, struct exposition_sample *ret)
{
	const char *s = *p, *wrong;
	size_t n = name_length(s, true);
	char *end;

	ret->label_count = 0;
	if (!n || n >= sizeof(ret->name))
		return "invalid metric name";
	memcpy(ret->name, s, n);
	ret->name[n] = '\0';
	s += n;
	if (*s == '{') {
		s++;
		wrong = labels_parse(&s, ret);
		if (wrong)
			return wrong;
	}
	if (*s++ != ' ')
		return "no space behind the name and labels";
	ret->value = strtod(s, &end);
	if (end == s || *end != '\n' || strspn(s, "0123456789+-.e") != (size_t)(end - s))
		return "the value is not a decimal number, or something follows it";
	*p = end + 1;
	return NULL;
}

const char *exposition_label_value(const struct exposition_sample *s, const char *label)
{
	for (size_t i = 0; i < s->label_count; i++) {
		if (!strcmp(s->labels[i].name, label))
			return s->labels[i].value;
	}
	return NULL;
}

static int label_compare(const void *a, const void *b)
{
	const struct exposition_label *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The labels in one order, so that two spellings of a set compare equal; `le` can be left out. */
static void labels_key(const struct exposition_sample *s, bool with_le, char *ret, size_t size)
{
	const struct exposition_label *sorted[EXPOSITION_LABELS_MAX];
	size_t n = 0, len = 0;

	for (size_t i = 0; i < s->label_count; i++) {
		if (with_le || strcmp(s->labels[i].name, "le"))
			sorted[n++] = &s->labels[i];
	}
	qsort(sorted, n, sizeof(sorted[0]), label_compare);
	ret[0] = '\0';
	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s=%s\n", sorted[i]->name,
					sorted[i]->value);
}

/* Is `word` one of `list`, separated by `separator`? */
static bool in_list(const char *word, const char *list, char separator)
{
	size_t n = strlen(word);

	for (const char *p = list; p && *p; p = strchr(p, separator)) {
		if (*p == separator)
			p++;
		if (!strncmp(p, word, n) && (p[n] == separator || p[n] == '\0'))
			return true;
	}
	return false;
}

static size_t list_length(const char *list)
{
	size_t n = *list ? 1 : 0;

	for (const char *p = list; *p; p++)
		n += *p == ',';
	return n;
}

static int check_labels(struct checker *c, const struct exposition_sample *s, bool bucket)
{
	const struct rule *r = c->family;

	for (size_t i = 0; i < s->label_count; i++) {
		bool le = !strcmp(s->labels[i].name, "le");

		if (le ? !bucket : !in_list(s->labels[i].name, r->labels, ','))
			return fail(c, "%s must not have the label %s", s->name, s->labels[i].name);
	}
	if (s->label_count != list_length(r->labels) + (bucket ? 1 : 0))
		return fail(c, "%s lacks a label: it must have {%s}", s->name, r->labels);
	for (size_t i = 0; i < VALUES_MAX && r->values[i]; i++) {
		char label[32];
		const char *equals = strchr(r->values[i], '='), *value;

		snprintf(label, sizeof(label), "%.*s", (int)(equals - r->values[i]), r->values[i]);
		value = exposition_label_value(s, label);
		if (!in_list(value, equals + 1, '|'))
			return fail(c, "%s must not have %s=\"%s\"", s->name, label, value);
	}
	if (in_list("direction", r->labels, ',') &&
	    !in_list(exposition_label_value(s, "direction"), "inbound|outbound", '|'))
		return fail(c, "unknown direction");
	return 0;
}

static int check_bucket(struct checker *c, const struct exposition_sample *s, const char *group)
{
	const char *le = exposition_label_value(s, "le");
	double bound;
	char *end;

	if (!le)
		return fail(c, "a bucket without le");
	bound = strtod(le, &end);
	if (*end || isnan(bound) || (isinf(bound) ? strcmp(le, "+Inf") : !strpbrk(le, ".e")))
		return fail(c, "le=\"%s\" is not spelled as promised", le);
	if (c->stage == NO_HISTOGRAM) {
		snprintf(c->group, sizeof(c->group), "%s", group);
		c->last_le = -INFINITY;
		c->last_count = 0;
		c->stage = BUCKETS;
	}
	if (c->stage != BUCKETS || strcmp(c->group, group))
		return fail(c, "a histogram is not complete before the next one");
	if (bound <= c->last_le)
		return fail(c, "buckets are not in rising order of le");
	if (s->value < c->last_count || s->value != floor(s->value))
		return fail(c, "buckets are not cumulative");
	c->last_le = bound;
	c->last_count = s->value;
	c->stage = isinf(bound) ? AFTER_INF : BUCKETS;
	return 0;
}

static int check_histogram(struct checker *c, const struct exposition_sample *s)
{
	const char *suffix = s->name + strlen(c->family->name);
	char group[4096];

	labels_key(s, false, group, sizeof(group));
	if (!strcmp(suffix, "_bucket"))
		return check_bucket(c, s, group);
	if (strcmp(c->group, group) || c->stage != (strcmp(suffix, "_sum") ? AFTER_SUM : AFTER_INF))
		return fail(c, "expected the buckets up to +Inf, then _sum, then _count");
	if (!strcmp(suffix, "_sum")) {
		c->stage = AFTER_SUM;
		return 0;
	}
	c->stage = NO_HISTOGRAM;
	if (s->value != c->last_count)
		return fail(c, "_count differs from the +Inf bucket");
	return 0;
}

static int remember(struct checker *c, const struct exposition_sample *s)
{
	char labels[4096], *key;
	struct seen *grown;
	size_t size;

	labels_key(s, true, labels, sizeof(labels));
	size = strlen(s->name) + strlen(labels) + 2;
	key = malloc(size);
	if (c->seen_count == c->seen_cap) {
		c->seen_cap = c->seen_cap ? 2 * c->seen_cap : 256;
		grown = realloc(c->seen, c->seen_cap * sizeof(*c->seen));
		if (!grown)
			abort();
		c->seen = grown;
	}
	if (!key)
		abort();
	snprintf(key, size, "%s\n%s", s->name, labels);
	c->seen[c->seen_count].key = key;
	c->seen[c->seen_count++].line = c->line;
	return 0;
}

/* Does a sample of this name belong to the family under way? */
static bool name_belongs(const struct rule *r, const char *name)
{
	size_t n = strlen(r->name);

	if (strncmp(name, r->name, n))
		return false;
	if (strcmp(r->type, "histogram"))
		return !name[n];
	return !strcmp(name + n, "_bucket") || !strcmp(name + n, "_sum") ||
	       !strcmp(name + n, "_count");
}

static int check_sample(struct checker *c, const char **p)
{
	struct exposition_sample s;
	const char *wrong = sample_parse(p, &s);
	bool histogram, bucket;

	if (wrong)
		return fail(c, "%s", wrong);
	if (!c->family || !c->typed || !name_belongs(c->family, s.name))
		return fail(c, "%s stands outside of its family (HELP, TYPE, samples)", s.name);
	if (!isfinite(s.value))
		return fail(c, "%s is not finite", s.name);
	c->sampled = true;
	histogram = !strcmp(c->family->type, "histogram");
	bucket = histogram && !strcmp(s.name + strlen(c->family->name), "_bucket");
	if (s.value < 0 && strcmp(c->family->type, "gauge"))
		return fail(c, "%s is negative", s.name);
	if (check_labels(c, &s, bucket) || (histogram && check_histogram(c, &s)))
		return -EINVAL;
	return remember(c, &s);
}

static bool ends_in(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && !strncmp(s + len - n, end, n);
}

static bool is_info(const struct rule *r)
{
	return ends_in(r->name, strlen(r->name), "_info");
}

static const char *family_type(const struct checker *c, const struct rule *r)
{
	return c->openmetrics && is_info(r) ? "info" : r->type;
}

/* Of the name in the comments: OpenMetrics leaves out what the type adds to the samples' names. */
static size_t family_length(const struct checker *c, const struct rule *r)
{
	size_t len = strlen(r->name);

	if (c->openmetrics && is_info(r))
		return len - strlen("_info");
	if (c->openmetrics && !strcmp(r->type, "counter"))
		return len - strlen("_total");
	return len;
}

static bool is_family(const struct checker *c, const struct rule *r, const char *name, size_t len)
{
	return r && family_length(c, r) == len && !strncmp(r->name, name, len);
}

/* NULL: it must not have one. */
static const char *family_unit(const struct checker *c, const struct rule *r)
{
	if (!c->openmetrics || is_info(r))
		return NULL;
	if (ends_in(r->name, family_length(c, r), "_seconds"))
		return "seconds";
	return ends_in(r->name, family_length(c, r), "_bytes") ? "bytes" : NULL;
}

static int family_end(struct checker *c)
{
	if (c->family && !c->typed)
		return fail(c, "HELP of %s without TYPE", c->family->name);
	if (c->family && !c->unit && family_unit(c, c->family))
		return fail(c, "%s has no UNIT", c->family->name);
	if (c->stage != NO_HISTOGRAM)
		return fail(c, "a histogram of %s is not complete", c->family->name);
	return 0;
}

static int check_help(struct checker *c, const char *name, size_t len, const char *rest)
{
	if (family_end(c))
		return -EINVAL;
	for (size_t i = 0; i < RULES; i++) {
		if (!is_family(c, &rules[i], name, len))
			continue;
		if (c->families_seen[i])
			return fail(c, "%s has a second HELP: not contiguous", rules[i].name);
		if (*rest != ' ' || rest[1] == '\n' || rest[1] == ' ')
			return fail(c, "%s has an empty HELP", rules[i].name);
		if (strcspn(rest, "\"\\") < strcspn(rest, "\n"))
			return fail(c, "HELP of %s has to be escaped", rules[i].name);
		c->families_seen[i] = true;
		c->family = &rules[i];
		c->typed = c->unit = c->sampled = false;
		return 0;
	}
	return fail(c, "unknown family %.*s", (int)len, name);
}

/* Is `rest`, up to the end of the line, a space and this word? */
static bool rest_is(const char *rest, const char *word)
{
	size_t len = strlen(word);

	return *rest == ' ' && !strncmp(rest + 1, word, len) && rest[1 + len] == '\n';
}

static int check_type(struct checker *c, const char *name, size_t len, const char *rest)
{
	if (c->typed || !is_family(c, c->family, name, len))
		return fail(c, "TYPE does not follow the HELP of its family");
	if (!rest_is(rest, family_type(c, c->family)))
		return fail(c, "%s must be a %s", c->family->name, family_type(c, c->family));
	c->typed = true;
	return 0;
}

static int check_unit(struct checker *c, const char *name, size_t len, const char *rest)
{
	const char *unit;

	if (!c->typed || c->unit || c->sampled || !is_family(c, c->family, name, len))
		return fail(c, "UNIT does not follow the TYPE of its family");
	unit = family_unit(c, c->family);
	if (!unit || !rest_is(rest, unit))
		return fail(c, "%s must have %s UNIT", c->family->name, unit ? "another" : "no");
	c->unit = true;
	return 0;
}

static int check_comment(struct checker *c, const char **p)
{
	static const struct {
		const char *begin;
		int (*check)(struct checker *c, const char *name, size_t len, const char *rest);
		bool openmetrics;
	} comments[] = {
		{"# HELP ", check_help, false},
		{"# TYPE ", check_type, false},
		{"# UNIT ", check_unit, true},
	};
	const char *line = *p;

	*p = strchr(line, '\n') + 1;
	if (c->openmetrics && !strncmp(line, "# EOF\n", 6)) {
		c->ended = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(comments) / sizeof(comments[0]); i++) {
		const char *name = line + strlen(comments[i].begin);
		size_t len;

		if (strncmp(line, comments[i].begin, strlen(comments[i].begin)) ||
		    (comments[i].openmetrics && !c->openmetrics))
			continue;
		len = name_length(name, true);
		return comments[i].check(c, name, len, name + len);
	}
	return fail(c, "a comment that is neither HELP nor TYPE");
}

/* How many bytes the character at s has; 0: it is no UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
static size_t character_length(const unsigned char *s)
{
	static const struct {
		unsigned char from, to, second_from, second_to;
		size_t length;
	} forms[] = {{0x00, 0x7f, 0, 0, 1},	  {0xc2, 0xdf, 0x80, 0xbf, 2},
		     {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		     {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		     {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		     {0xf4, 0xf4, 0x80, 0x8f, 4}};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t length = forms[i].length, n;

		if (*s < forms[i].from || *s > forms[i].to)
			continue;
		if (length > 1 && (s[1] < forms[i].second_from || s[1] > forms[i].second_to))
			return 0;
		for (n = 2; n < length && s[n] >= 0x80 && s[n] <= 0xbf; n++)
			;
		return n < length ? 0 : length;
	}
	return 0;
}

static int check_bytes(struct checker *c, const char *text)
{
	const char *p;
	size_t n;

	for (p = text, c->line = 1; *p; p += n) {
		n = character_length((const unsigned char *)p);
		if (!n)
			return fail(c, "0x%02x is no UTF-8", (unsigned char)*p);
		if (*p != '\n' && ((unsigned char)*p < 0x20 || *p == 0x7f))
			return fail(c, "control character 0x%02x", (unsigned char)*p);
		c->line += *p == '\n';
	}
	if (p == text)
		return fail(c, "empty");
	if (p[-1] != '\n')
		return fail(c, "the last line has no end");
	return 0;
}

static int seen_compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int check_unique(struct checker *c)
{
	if (c->seen_count)
		qsort(c->seen, c->seen_count, sizeof(c->seen[0]), seen_compare);
	for (size_t i = 1; i < c->seen_count; i++) {
		if (strcmp(c->seen[i - 1].key, c->seen[i].key))
			continue;
		c->line = c->seen[i].line;
		return fail(c, "the same sample as in line %zu", c->seen[i - 1].line);
	}
	return 0;
}

static int check_lines(struct checker *c, const char *text)
{
	const char *p = text;
	int err = check_bytes(c, text);

	for (c->line = err ? c->line : 1; !err && *p; c->line++) {
		if (c->ended)
			return fail(c, "something follows # EOF");
		err = *p == '#' ? check_comment(c, &p) : check_sample(c, &p);
	}
	if (err)
		return err;
	c->line--;
	if (c->openmetrics && !c->ended)
		return fail(c, "no # EOF");
	return family_end(c) ? -EINVAL : check_unique(c);
}

static int check_format(bool openmetrics, const char *text, char *why, size_t why_size)
{
	struct checker c = {.openmetrics = openmetrics, .why = why, .why_size = why_size};
	int err = check_lines(&c, text);

	for (size_t i = 0; i < c.seen_count; i++)
		free(c.seen[i].key);
	free(c.seen);
	return err;
}

int exposition_check(const char *text, char *why, size_t why_size)
{
	return check_format(false, text, why, why_size);
}

int exposition_check_openmetrics(const char *text, char *why, size_t why_size)
{
	return check_format(true, text, why, why_size);
}

int exposition_next(const char **cursor, struct exposition_sample *ret)
{
	const char *p = *cursor;

	while (*p == '#') {
		p = strchr(p, '\n');
		if (!p)
			return -EINVAL;
		p++;
	}
	if (!*p) {
		*cursor = p;
		return 0;
	}
	if (sample_parse(&p, ret))
		return -EINVAL;
	*cursor = p;
	return 1;
}

int exposition_matches(const struct exposition_sample *s, const char *filter)
{
	while (filter && *filter) {
		size_t len = strcspn(filter, ","), name_len = strcspn(filter, "=");
		bool found = false;

		for (size_t i = 0; i < s->label_count && name_len < len; i++) {
			const struct exposition_label *l = &s->labels[i];

			found |= strlen(l->name) == name_len &&
				 !strncmp(l->name, filter, name_len) &&
				 strlen(l->value) == len - name_len - 1 &&
				 !strncmp(l->value, filter + name_len + 1, len - name_len - 1);
		}
		if (!found)
			return false;
		filter += len + (filter[len] == ',');
	}
	return true;
}

size_t exposition_sum(const char *text, const char *name, const char *filter, double *ret)
{
	struct exposition_sample s;
	size_t count = 0;
	double sum = 0;

	while (exposition_next(&text, &s) > 0) {
		if (strcmp(s.name, name) || !exposition_matches(&s, filter))
			continue;
		sum += s.value;
		count++;
	}
	*ret = sum;
	return count;
}

int exposition_value(const char *text, const char *name, const char *filter, double *ret)
{
	double sum;
	size_t count = exposition_sum(text, name, filter, &sum);

	if (count != 1)
		return count ? -EEXIST : -ENOENT;
	*ret = sum;
	return 0;
}

/* What the invariants speak of, in the order of series_families[]. */
enum term {
	ACTIVE,
	PENDING,
	QUEUED,
	STALE,
	ATTEMPTS,
	FAILURES,
	OPENED,
	ADOPTED,
	HANDED_OVER,
	CLOSED,
	HANDSHAKES,
	LIFETIMES,
	TERMS
};

static const char *const series_samples[TERMS] = {
	[ACTIVE] = "poolscope_connections_active",
	[PENDING] = "poolscope_connections_pending",
	[QUEUED] = "poolscope_connections_queued",
	[STALE] = "poolscope_connections_stale",
	[ATTEMPTS] = "poolscope_connection_attempts_total",
	[FAILURES] = "poolscope_connection_failures_total",
	[OPENED] = "poolscope_connections_opened_total",
	[ADOPTED] = "poolscope_connections_adopted_total",
	[HANDED_OVER] = "poolscope_connections_handed_over_total",
	[CLOSED] = "poolscope_connections_closed_total",
	[HANDSHAKES] = "poolscope_connection_handshake_duration_seconds_count",
	[LIFETIMES] = "poolscope_connection_lifetime_seconds_count",
};

struct value {
	char *series;
	enum term term;
	double value;
};

static int value_compare(const void *a, const void *b)
{
	return strcmp(((const struct value *)a)->series, ((const struct value *)b)->series);
}

static size_t values_collect(const char *text, struct value **ret)
{
	struct exposition_sample s;
	struct value *values = NULL;
	size_t count = 0, cap = 0;

	while (exposition_next(&text, &s) > 0) {
		for (int term = 0; term < TERMS; term++) {
			char key[2048];

			if (strcmp(s.name, series_samples[term]))
				continue;
			if (count == cap) {
				cap = cap ? 2 * cap : 256;
				values = realloc(values, cap * sizeof(*values));
			}
			snprintf(key, sizeof(key),
				 "process=%s,direction=%s,peer_address=%s,server_port=%s",
				 exposition_label_value(&s, "process"),
				 exposition_label_value(&s, "direction"),
				 exposition_label_value(&s, "peer_address"),
				 exposition_label_value(&s, "server_port"));
			values[count].series = strdup(key);
			values[count].term = (enum term)term;
			values[count++].value = s.value;
		}
	}
	*ret = values;
	return count;
}

/* Of one series: sums over the reasons, and how many samples each term had. */
static const char *series_wrong(const double v[TERMS], const size_t n[TERMS], bool outbound)
{
	if (v[ACTIVE] < 0 || v[PENDING] < 0 || v[QUEUED] < 0 || v[STALE] < 0)
		return "a gauge is negative";
	if (v[OPENED] + v[ADOPTED] != v[ACTIVE] + v[CLOSED] + v[HANDED_OVER])
		return "opened + adopted != active + closed + handed_over";
	if (outbound && v[ATTEMPTS] != v[OPENED] + v[PENDING] + v[FAILURES])
		return "attempts != opened + pending + failures";
	if (v[HANDSHAKES] > v[OPENED])
		return "more handshakes than opened";
	if (v[LIFETIMES] > v[CLOSED])
		return "more lifetimes than closed";
	if (n[CLOSED] != REASONS || n[FAILURES] != (outbound ? REASONS : 0))
		return "not every reason has a sample";
	return NULL;
}

static int series_check(const struct value *values, size_t count, char *why, size_t why_size)
{
	const char *series = values->series, *wrong;
	double v[TERMS] = {};
	size_t n[TERMS] = {};

	for (size_t i = 0; i < count; i++) {
		v[values[i].term] += values[i].value;
		n[values[i].term]++;
	}
	wrong = series_wrong(v, n, strstr(series, ",direction=outbound,"));
	if (!wrong)
		return 0;
	snprintf(
		why, why_size,
		"{%s}: %s (active %.0f pending %.0f queued %.0f stale %.0f attempts %.0f failures %.0f opened %.0f "
		"adopted %.0f handed_over %.0f closed %.0f handshakes %.0f lifetimes %.0f)",
		series, wrong, v[ACTIVE], v[PENDING], v[QUEUED], v[STALE], v[ATTEMPTS], v[FAILURES],
		v[OPENED], v[ADOPTED], v[HANDED_OVER], v[CLOSED], v[HANDSHAKES], v[LIFETIMES]);
	return -EINVAL;
}

int exposition_check_invariants(const char *text, char *why, size_t why_size)
{
	struct value *values;
	size_t count = values_collect(text, &values), first, next;
	int err = 0;

	if (count)
		qsort(values, count, sizeof(*values), value_compare);
	for (first = 0; !err && first < count; first = next) {
		for (next = first + 1;
		     next < count && !strcmp(values[first].series, values[next].series); next++)
			;
		err = series_check(values + first, next - first, why, why_size);
	}
	for (size_t i = 0; i < count; i++)
		free(values[i].series);
	free(values);
	return err;
}
