/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flags of the endpoint, a parser each, and what they must be together.
 */
#ifndef OPTIONS_WEB_H
#define OPTIONS_WEB_H

#include "parser.h"

#define OPTIONS_LISTEN_DEFAULT "127.0.0.1:10935"

void options_web_listen(struct parser *p, const char *value);
void options_web_systemd(struct parser *p, const char *value);
void options_web_path(struct parser *p, const char *value);
void options_web_token(struct parser *p, const char *value);
void options_web_cert(struct parser *p, const char *value);
void options_web_key(struct parser *p, const char *value);
void options_web_unauthenticated(struct parser *p, const char *value);
void options_web_config(struct parser *p, const char *value);

/* After the last flag: the default address, and what does not go together. */
void options_web_end(struct parser *p);

#endif
