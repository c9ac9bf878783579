// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Between options, control socket and daemon: names of groups become numbers, and failures become exit codes. A default socket
 * that cannot be made is no failure, since nobody asked for it; one at which another daemon
 * listens always is.
 */
#include "operate.h"

#include <errno.h>

#include "privileges.h"

static enum exit_code attach(void *arg, pid_t pid, const char *name, bool follow, char *why,
			     size_t why_size)
{
	const struct target_spec spec = {.pid = pid, .name = name};

	return daemon_attach(arg, &spec, follow, why, why_size);
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
