// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What the daemon cannot look up itself any more is looked up here: which cgroup or file a selector names, and when the process of a PID was
 * started, so that the daemon attaches that one and no other that has its PID by then.
 */
#include "request.h"

#include <errno.h>

#include "selector.h"
#include "started.h"

/* What the daemon calls the formats; a table is made here. */
static const char *const formats[] = {[FORMAT_TABLE] = "json",
				      [FORMAT_JSON] = "json",
				      [FORMAT_PROM] = "prom",
				      [FORMAT_OPENMETRICS] = "openmetrics"};

static enum exit_code resolve(json_t **ret, const struct selector *given, char *why,
			      size_t why_size)
{
	struct selector s;
	int err = selector_resolve(&s, given->kind, given->text, why, why_size);

	if (err == -ENOMEM)
		return EXIT_RUNTIME;
	if (err)
		return err == -EINVAL ? EXIT_USAGE : EXIT_TARGET;
	*ret = json_pack("{s:s,s:s}", "kind", selector_kind_text(s.kind), "text", s.text);
	if (s.kind == SELECTOR_EXE) {
		json_object_set_new(*ret, "device", json_integer(s.device));
		json_object_set_new(*ret, "inode", json_integer((json_int_t)s.inode));
	} else if (s.kind != SELECTOR_COMM) {
		json_object_set_new(*ret, "cgroup", json_integer((json_int_t)s.cgroup));
	}
	return EXIT_OK;
}

static enum exit_code add_target(json_t *r, const struct arguments *a, char *why, size_t why_size)
{
	uint64_t ticks = a->pid ? started_ticks(a->pid) : 0;
	enum exit_code code = EXIT_OK;
	json_t *selector;

	if (a->selects)
		code = resolve(&selector, &a->selector, why, why_size);
	if (code)
		return code;
	if (a->selects)
		json_object_set_new(r, "selector", selector);
	if (ticks)
		json_object_set_new(r, "start_ticks", json_integer((json_int_t)ticks));
	json_object_set_new(r, "follow", json_boolean(a->follow));
	return EXIT_OK;
}

enum exit_code request_make(json_t **ret, const struct arguments *a, char *why, size_t why_size)
{
	json_t *r = json_pack("{s:s}", "command", arguments_command_text(a->command));
	enum exit_code code = EXIT_OK;

	if (a->pid)
		json_object_set_new(r, "pid", json_integer(a->pid));
	if (a->name)
		json_object_set_new(r, "name", json_string(a->name));
	if (a->command == COMMAND_ATTACH)
		code = add_target(r, a, why, why_size);
	if (a->command == COMMAND_SNAPSHOT)
		json_object_set_new(r, "format", json_string(formats[a->format]));
	if (a->command == COMMAND_CONNECTIONS)
		json_object_set_new(r, "query", json_string(a->query));
	if (code)
		json_decref(r);
	else
		*ret = r;
	return code;
}

bool request_waits(const json_t *request)
{
	const json_t *cgroup = json_object_get(json_object_get(request, "selector"), "cgroup");

	return json_is_integer(cgroup) && json_integer_value(cgroup) == 0;
}
