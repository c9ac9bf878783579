/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bearer tokens: the files that hold them, and whether a request bears one of them.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stddef.h>

#define AUTH_FILES_MAX 8
#define AUTH_TOKENS_MAX 64 /* over all files */
#define AUTH_TOKEN_MIN 16 /* bytes, all visible ASCII */
#define AUTH_TOKEN_MAX 512

struct auth;

/*
 * Reads all files as the present user; what is wrong is told in `why`, naming the file. -EACCES: its mode lets others read or
 * write it; -EINVAL: a line is no token, or a file holds none; -E2BIG: too many; else what open() or read() said.
 * With no path *ret is NULL: everybody may ask.
 */
int auth_load(struct auth **ret, const char *const *paths, size_t count, char *why,
	      size_t why_size);
void auth_free(struct auth *a); /* wipes the tokens; takes NULL */

/*
 * Whether the value of an Authorization header (NULL: there was none) bears a token: "Bearer", in any case, blanks, the
 * token. Takes as long for a wrong token as for a right one, whatever they have in common.
 */
bool auth_accepts(const struct auth *a, const char *authorization);

#endif
