// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Reads a request of the control socket by two tables: which members a command may have, and how a member is read. What is not in
 * them is refused, so that a client which is newer than the daemon is told so instead of being half understood. Names and
 * queries follow the rules of the command line and of /connections. Refuses to know who asks.
 */
#include "control_request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "name.h"
#include "query.h"
#include "selector.h"
#include "util.h"

#define FAULT_MAX 160

enum member {
	MEMBER_PID,
	MEMBER_START,
	MEMBER_SELECTOR,
	MEMBER_NAME,
	MEMBER_FOLLOW,
	MEMBER_FORMAT,
	MEMBER_QUERY,
	MEMBERS,
};

#define HAS(member) (1U << (member))

static const struct {
	const char *text;
	unsigned int members;
} commands[CONTROL_COMMANDS] = {
	[CONTROL_ATTACH] = {"attach", HAS(MEMBER_PID) | HAS(MEMBER_START) | HAS(MEMBER_SELECTOR) |
					      HAS(MEMBER_NAME) | HAS(MEMBER_FOLLOW)},
	[CONTROL_DETACH] = {"detach", HAS(MEMBER_PID) | HAS(MEMBER_NAME)},
	[CONTROL_LIST] = {"list", 0},
	[CONTROL_CHECK] = {"check", 0},
	[CONTROL_SNAPSHOT] = {"snapshot", HAS(MEMBER_FORMAT)},
	[CONTROL_CONNECTIONS] = {"connections", HAS(MEMBER_QUERY)},
};

/* All return NULL, or what is wrong; what they say longer than that is written to `why`. */
typedef const char *read_fn(struct control_request *r, const json_t *value, char why[FAULT_MAX]);

static const char *read_pid(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	json_int_t pid = json_integer_value(value); /* 0 of anything else */

	(void)why;
	if (pid < 1 || pid > PID_LIMIT)
		return "expected a number from 1 to " STRINGIFY(PID_LIMIT);
	r->pid = (pid_t)pid;
	return NULL;
}

static const char *read_start(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	json_int_t ticks = json_integer_value(value);

	(void)why;
	if (ticks < 1)
		return "expected a number above 0";
	r->start_ticks = (uint64_t)ticks;
	return NULL;
}

/* A NUL inside would cut it without a word. */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* What its numbers are together. */
static const char *check_selector(const struct selector *s)
{
	if (s->cgroup && s->kind != SELECTOR_UNIT && s->kind != SELECTOR_CGROUP)
		return "only a unit or cgroup has a cgroup";
	if (s->kind == SELECTOR_EXE && (!s->device || !s->inode))
		return "expected device and inode of an exe";
	if (s->kind != SELECTOR_EXE && (s->device || s->inode))
		return "only an exe has device and inode";
	return selector_fault(s->kind, s->text);
}

static const char *read_selector(struct control_request *r, const json_t *value,
				 char why[FAULT_MAX])
{
	json_int_t cgroup = 0, device = 0, inode = 0;
	json_t *kind, *text;
	int i = 0;

	(void)why;
	if (json_unpack((json_t *)value, "{s:o,s:o,s?I,s?I,s?I!}", "kind", &kind, "text", &text,
			"cgroup", &cgroup, "device", &device, "inode", &inode))
		return "expected an object of kind, text and cgroup, device, inode";
	if (!text_of(kind) || !text_of(text) || strlen(text_of(text)) > SELECTOR_TEXT_MAX)
		return "expected texts of at most " STRINGIFY(SELECTOR_TEXT_MAX) " bytes";
	while (i < SELECTOR_KINDS && strcmp(text_of(kind), selector_kind_text(i)) != 0)
		i++;
	if (i == SELECTOR_KINDS)
		return "expected the kind unit, cgroup, exe or comm";
	if (device < 0 || device > UINT32_MAX)
		return "expected a device of 32 bits";
	r->selects = true;
	r->selector = (struct selector){.kind = (enum selector_kind)i,
					.cgroup = (uint64_t)cgroup,
					.device = (uint32_t)device,
					.inode = (uint64_t)inode};
	strcpy(r->selector.text, text_of(text));
	return check_selector(&r->selector);
}

static const char *read_name(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	const char *text = text_of(value), *fault;

	(void)why;
	if (!text)
		return "expected a text";
	fault = name_fault(text);
	if (!fault)
		snprintf(r->name, sizeof(r->name), "%s", text);
	return fault;
}

static const char *read_follow(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	(void)why;
	if (!json_is_boolean(value))
		return "expected true or false";
	r->follow = json_is_true(value);
	return NULL;
}

static const char *read_format(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	static const char *const formats[] = {[CONTROL_JSON] = "json",
					      [CONTROL_PROM] = "prom",
					      [CONTROL_OPENMETRICS] = "openmetrics"};
	const char *text = text_of(value);

	(void)why;
	for (size_t i = 0; text && i < ARRAY_SIZE(formats); i++) {
		if (strcmp(text, formats[i]) == 0) {
			r->format = (enum control_format)i;
			return NULL;
		}
	}
	return "expected json, prom or openmetrics";
}

static const char *read_query(struct control_request *r, const json_t *value, char why[FAULT_MAX])
{
	const char *text = text_of(value);
	struct query query;

	if (!text || strlen(text) > CONTROL_QUERY_MAX)
		return "expected a text of at most " STRINGIFY(CONTROL_QUERY_MAX) " bytes";
	if (query_parse(text, &query, why, FAULT_MAX))
		return why;
	snprintf(r->query, sizeof(r->query), "%s", text);
	return NULL;
}

static const struct {
	const char *key;
	read_fn *read;
} members[MEMBERS] = {
	[MEMBER_PID] = {"pid", read_pid},
	[MEMBER_START] = {"start_ticks", read_start},
	[MEMBER_SELECTOR] = {"selector", read_selector},
	[MEMBER_NAME] = {"name", read_name},
	[MEMBER_FOLLOW] = {"follow", read_follow},
	[MEMBER_FORMAT] = {"format", read_format},
	[MEMBER_QUERY] = {"query", read_query},
};

const char *control_command_text(enum control_command command)
{
	return commands[command].text;
}

static const char *find_command(const json_t *object, enum control_command *ret)
{
	const char *text = text_of(json_object_get(object, "command"));

	for (size_t i = 0; text && i < CONTROL_COMMANDS; i++) {
		if (strcmp(text, commands[i].text) == 0) {
			*ret = (enum control_command)i;
			return NULL;
		}
	}
	return "expected attach, detach, list, check, snapshot or connections";
}

/* The member of this key that the command may have; MEMBERS: none. */
static enum member find_member(enum control_command command, const char *key)
{
	size_t i = 0;

	while (i < MEMBERS &&
	       (strcmp(key, members[i].key) != 0 || !(commands[command].members & HAS(i))))
		i++;
	return (enum member)i;
}

/* What the members are together. */
static const char *check_whole(const struct control_request *r)
{
	if (r->command == CONTROL_ATTACH && !r->pid != r->selects)
		return "expected either pid or selector";
	if (r->start_ticks && !r->pid)
		return "start_ticks: only with pid";
	if (r->command == CONTROL_DETACH && !r->pid == !r->name[0])
		return "expected either pid or name";
	return NULL;
}

/* 0 or -EINVAL. */
static int read_object(json_t *object, struct control_request *r, char *why, size_t why_size)
{
	char own[FAULT_MAX];
	const char *key = "command", *fault = find_command(object, &r->command);
	json_t *value;

	if (fault) {
		snprintf(why, why_size, "%s: %s", key, fault);
		return -EINVAL;
	}
	json_object_foreach(object, key, value)
	{
		enum member member;

		if (strcmp(key, "command") == 0)
			continue;
		member = find_member(r->command, key);
		if (member == MEMBERS) {
			snprintf(why, why_size, "%s: unknown member", commands[r->command].text);
			return -EINVAL;
		}
		fault = members[member].read(r, value, own);
		if (fault) {
			snprintf(why, why_size, "%s: %s: %s", commands[r->command].text,
				 members[member].key, fault);
			return -EINVAL;
		}
	}
	fault = check_whole(r);
	if (fault)
		snprintf(why, why_size, "%s: %s", commands[r->command].text, fault);
	return fault ? -EINVAL : 0;
}

int control_request_parse(const char *text, size_t len, struct control_request *ret, char *why,
			  size_t why_size)
{
	struct control_request r = {.follow = true};
	json_error_t error;
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	int err = 0;

	if (!object && json_error_code(&error) == json_error_out_of_memory) {
		err = -ENOMEM;
		snprintf(why, why_size, "out of memory");
	} else if (!json_is_object(object)) {
		err = -EINVAL;
		snprintf(why, why_size, "expected one JSON object on a line");
	}
	if (!err)
		err = read_object(object, &r, why, why_size);
	json_decref(object);
	if (!err)
		*ret = r;
	return err;
}
