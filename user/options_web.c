/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * --web.*: where and to whom the endpoint answers. Refuses what would serve strangers without being told to: an address
 * beyond loopback wants a token, or a flag that says it is meant so. Opens no file.
 */
#include "options_web.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "util.h"

#define PATH_LENGTH_MAX 255

static void parse_unix(struct parser *p, const char *value)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = value + strlen("unix:");

	if (path[0] != '/' || !path[1] || strlen(path) >= sizeof(address.sun_path)) {
		bad(p, value, "expected unix:/PATH, the path of at most %zu bytes",
		    sizeof(address.sun_path) - 1);
		return;
	}
	strcpy(address.sun_path, path);
	memcpy(&p->o.listen[p->o.listen_count].address, &address, sizeof(address));
	p->o.listen[p->o.listen_count].len = sizeof(address);
}

static void parse_inet(struct parser *p, const char *value)
{
	int err = address_listen_parse(value, &p->o.listen[p->o.listen_count].address,
				       &p->o.listen[p->o.listen_count].len);

	if (err == -ERANGE)
		bad(p, value, "expected a port from 0 to 65535");
	else if (err)
		bad(p, value,
		    "expected a numeric address and a port: 127.0.0.1:PORT, [::1]:PORT, :PORT for all addresses, or unix:/PATH");
}

void options_web_listen(struct parser *p, const char *value)
{
	if (p->o.listen_count == OPTIONS_LISTEN_MAX) {
		bad(p, value, "more than %d addresses", OPTIONS_LISTEN_MAX);
		return;
	}
	if (strncmp(value, "unix:", strlen("unix:")) == 0)
		parse_unix(p, value);
	else
		parse_inet(p, value);
	if (p->action == OPTIONS_RUN)
		p->o.listen[p->o.listen_count++].text = value;
}

void options_web_systemd(struct parser *p, const char *value)
{
	(void)value;
	p->o.systemd_socket = true;
}

void options_web_path(struct parser *p, const char *value)
{
	static const char *const taken[] = {"/", "/-/healthy", "/-/ready", "/connections",
					    "/metadata"};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		if (strcmp(value, taken[i]) == 0) {
			bad(p, value, "this path serves something else");
			return;
		}
	}
	/* Compared with the raw request target: what cannot stand there would never match. */
	for (const char *c = value; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || *c == '?' || *c == '#') {
			bad(p, value, "expected visible ASCII without '?' and '#'");
			return;
		}
	}
	if (value[0] != '/' || strlen(value) > PATH_LENGTH_MAX)
		bad(p, value, "expected a path that begins with '/', at most %d bytes",
		    PATH_LENGTH_MAX);
	else
		p->o.telemetry_path = value;
}

static void parse_file(struct parser *p, const char *value, const char **ret)
{
	if (*value)
		*ret = value;
	else
		bad(p, value, "expected the name of a file");
}

void options_web_token(struct parser *p, const char *value)
{
	if (p->o.token_file_count == OPTIONS_TOKEN_FILES_MAX)
		bad(p, value, "more than %d files", OPTIONS_TOKEN_FILES_MAX);
	else
		parse_file(p, value, &p->o.token_files[p->o.token_file_count++]);
}

void options_web_cert(struct parser *p, const char *value)
{
	parse_file(p, value, &p->o.cert_file);
}

void options_web_key(struct parser *p, const char *value)
{
	parse_file(p, value, &p->o.key_file);
}

void options_web_unauthenticated(struct parser *p, const char *value)
{
	(void)value;
	p->o.allow_unauthenticated = true;
}

void options_web_config(struct parser *p, const char *value)
{
	bad(p, value,
	    "not supported: there are flags instead, --web.tls.cert-file, --web.tls.key-file and --web.auth.token-file");
}

/* The first address that strangers reach, NULL if there is none. */
static const char *exposed_address(const struct options *o)
{
	for (size_t i = 0; i < o->listen_count; i++) {
		if (address_is_remote(&o->listen[i].address))
			return o->listen[i].text;
	}
	return NULL;
}

void options_web_end(struct parser *p)
{
	struct options *o = &p->o;
	const char *exposed;

	if (!o->listen_count && !o->systemd_socket)
		options_web_listen(p, OPTIONS_LISTEN_DEFAULT);
	exposed = exposed_address(o);
	if (o->listen_count && o->systemd_socket)
		parser_refuse(p, "--web.systemd-socket", NULL,
			      "give either this or --web.listen-address, not both");
	else if (!o->cert_file != !o->key_file)
		parser_refuse(p, o->cert_file ? "--web.tls.cert-file" : "--web.tls.key-file",
			      o->cert_file ? o->cert_file : o->key_file,
			      "%s is missing: TLS takes a certificate and its key",
			      o->cert_file ? "--web.tls.key-file" : "--web.tls.cert-file");
	else if (exposed && !o->token_file_count && !o->allow_unauthenticated)
		parser_refuse(p, "--web.listen-address", exposed,
			      "reachable from other hosts: protect it by --web.auth.token-file"
			      " (and --web.tls.*), or say --web.allow-unauthenticated");
}
