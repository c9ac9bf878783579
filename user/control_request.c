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
#include "util.h"

#define PID_LIMIT 4194304 /* PID_MAX_LIMIT of 64-bit kernels, include/linux/threads.h */
#define FAULT_MAX 160

enum member { MEMBER_PID, MEMBER_NAME, MEMBER_FOLLOW, MEMBER_FORMAT, MEMBER_QUERY, MEMBERS };

#define HAS(member) (1U << (member))

static const struct {
	const char *text;
	unsigned int members;
} commands[CONTROL_COMMANDS] = {
	[CONTROL_ATTACH] = {"attach", HAS(MEMBER_PID) | HAS(MEMBER_NAME) | HAS(MEMBER_FOLLOW)},
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

/* A NUL inside would cut it without a word. */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
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
	[MEMBER_PID] = {"pid", read_pid},	   [MEMBER_NAME] = {"name", read_name},
	[MEMBER_FOLLOW] = {"follow", read_follow}, [MEMBER_FORMAT] = {"format", read_format},
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
	if (r->command == CONTROL_ATTACH && !r->pid)
		return "pid: it is missing";
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
