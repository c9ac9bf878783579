/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bearer tokens: the files that hold them, and whether a request bears one of them.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stddef.h>

#define AUTH_FILES_MAX 8
#define AUTH_FILE_MAX 65536 /* bytes of one */
#define AUTH_TOKENS_MAX 64 /* over all files */
#define AUTH_TOKEN_MIN 16 /* bytes, all visible ASCII: 0x21 … 0x7e */
#define AUTH_TOKEN_MAX 512

struct auth;

/*
 * Reads all files as the present user, so call it after the last change of user. What is wrong is told in `why`, naming the
 * file and the line, never what stands there. -EACCES: it belongs to another user than root and the present one, or its mode
 * lets others read or write it (a group may read what lies in $CREDENTIALS_DIRECTORY); -EINVAL: no regular file, a line is no
 * token, or a file holds none; -E2BIG: too many files, tokens or bytes; else what open() or read() said. Never blocks on a
 * FIFO. On failure *ret is untouched; with no path it is NULL: everybody may ask.
 */
int auth_load(struct auth **ret, const char *const *paths, size_t count, char *why,
	      size_t why_size);

/*
 * Adds the tokens of one file's text to *a, which is made if it is NULL: one a line, LF or CR LF; lines that are blank or
 * begin with '#' are skipped. `name` is what `why` calls the file. Errors as above, then *a is as it was. `text` needs no NUL,
 * and wiping it is left to the caller.
 */
int auth_parse(struct auth **a, const char *name, const char *text, size_t size, char *why,
	       size_t why_size);
void auth_free(struct auth *a); /* wipes the tokens; takes NULL */

/*
 * Whether the value of an Authorization header (NULL: there was none) bears a token: "Bearer", in any case, blanks, the
 * token, maybe blanks. Takes as long for a wrong token as for a right one, whatever they have in common; only the number of
 * tokens and the length of the value make a difference.
 */
bool auth_accepts(const struct auth *a, const char *authorization);

#endif
