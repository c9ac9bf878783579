// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Between options, control socket and daemon: names of groups, units and programs become numbers, and failures become exit codes. A default socket
 * that cannot be made is no failure, since nobody asked for it; one at which another daemon
 * listens always is.
 */
#include "operate.h"

#include <errno.h>

#include "log.h"
#include "privileges.h"
#include "selector.h"
#include "started.h"

static void warn_if_absent(const struct selector *s)
{
	char text[SELECTOR_SHOWN_MAX];

	selector_show(s, text);
	if (s->kind <= SELECTOR_CGROUP && !s->cgroup)
		log_warn("%s: there is no such cgroup yet; it is attached when it is made", text);
}

static enum exit_code resolve(struct selector *s, char *why, size_t why_size)
{
	char reason[512];
	int err = selector_resolve(s, s->kind, s->text, reason, sizeof(reason));

	if (!err) {
		warn_if_absent(s);
		return EXIT_OK;
	}
	snprintf(why, why_size, "--%s=%s: %s", selector_kind_text(s->kind), s->text, reason);
	if (err == -ENOMEM)
		return EXIT_RUNTIME;
	return err == -EINVAL ? EXIT_USAGE : EXIT_TARGET;
}

enum exit_code operate_resolve(struct options *options, char *why, size_t why_size)
{
	enum exit_code code = EXIT_OK;

	for (size_t i = 0; i < options->target_count && !code; i++) {
		struct option_target *t = &options->targets[i];

		if (t->pid)
			t->start_ticks = started_ticks(t->pid);
		else
			code = resolve(&t->selector, why, why_size);
	}
	return code;
}

static enum exit_code attach(void *arg, const struct control_request *r, char *why, size_t why_size)
{
	const struct target_spec spec = {.pid = r->pid,
					 .start_ticks = r->start_ticks,
					 .selector = r->selects ? &r->selector : NULL,
					 .name = r->name[0] ? r->name : NULL};
	enum exit_code code = daemon_attach(arg, &spec, r->follow, why, why_size);

	if (!code && r->selects)
		warn_if_absent(&r->selector);
	return code;
}

static int detach(void *arg, pid_t pid, const char *name, char *why, size_t why_size)
{
	return daemon_detach(arg, pid, name, why, why_size);
}

static const struct control_actions actions = {
	.attach = attach,
	.detach = detach,
	.list = &daemon_metadata,
	.check = &daemon_checks,
	.connections = &daemon_connections,
	.snapshot = &daemon_snapshot,
	.metrics = &daemon_metrics,
};

static enum exit_code find_group(const char *flag, const char *text, bool *ret_has, gid_t *ret,
				 char *why, size_t why_size)
{
	char reason[256];

	*ret_has = text != NULL;
	if (!text || !privileges_find_group(text, ret, reason, sizeof(reason)))
		return EXIT_OK;
	snprintf(why, why_size, "%s: %s", flag, reason);
	return EXIT_USAGE;
}

enum exit_code operate_open(struct control **ret, const struct options *options, struct daemon *d,
			    char *why, size_t why_size)
{
	struct control_config config = {
		.path = options->control_socket, .actions = &actions, .arg = d};
	struct control_access *access = &config.access;
	enum exit_code code;
	bool asked_for;
	int err;

	*ret = NULL;
	if (!options->control_socket) {
		snprintf(why, why_size, "--control.socket=off");
		return EXIT_OK;
	}
	code = find_group("--control.group", options->control_group, &access->has_group,
			  &access->group, why, why_size);
	if (!code)
		code = find_group("--control.admin-group", options->control_admin_group,
				  &access->has_admin_group, &access->admin_group, why, why_size);
	if (code)
		return code;
	asked_for = options->control_socket_given || access->has_group || access->has_admin_group;
	err = control_open(ret, &config, why, why_size);
	if (!err || (!asked_for && err != -EADDRINUSE && err != -ENOMEM))
		return EXIT_OK;
	return err == -ENOMEM ? EXIT_RUNTIME : EXIT_ADDRESS;
}
