// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * --control.*: where the control socket is and whose it is. Looks no group up and makes no file.
 */
#include "options_control.h"

#include <string.h>
#include <sys/un.h>

void options_control_socket(struct parser *p, const char *value)
{
	struct sockaddr_un address;

	p->o.control_socket_given = value != p->option->initial;
	if (!*value || strcmp(value, "off") == 0)
		p->o.control_socket = NULL;
	else if (value[0] != '/' || !value[1] || strlen(value) >= sizeof(address.sun_path))
		bad(p, value, "expected a /PATH of at most %zu bytes, or off",
		    sizeof(address.sun_path) - 1);
	else
		p->o.control_socket = value;
}

static void parse_group(struct parser *p, const char *value, const char **ret)
{
	if (*value)
		*ret = value;
	else
		bad(p, value, "expected a group's name or number");
}

void options_control_group(struct parser *p, const char *value)
{
	parse_group(p, value, &p->o.control_group);
}

void options_control_admin_group(struct parser *p, const char *value)
{
	parse_group(p, value, &p->o.control_admin_group);
}

void options_control_end(struct parser *p)
{
	const struct options *o = &p->o;

	if (!o->control_socket && (o->control_group || o->control_admin_group))
		parser_refuse(p, o->control_group ? "--control.group" : "--control.admin-group",
			      o->control_group ? o->control_group : o->control_admin_group,
			      "there is no control socket: --control.socket=off");
}
