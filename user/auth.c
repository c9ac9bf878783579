/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns the tokens. Invariants: a token stands padded with zeros to the longest length, and all that are there are compared
 * whole, so the time tells nothing about what they hold or how long they are; they lie in one block that is never moved, so
 * wiping it leaves no copy. A file that somebody else could have read or written holds no secret, and is refused rather than
 * used. Refuses to know HTTP: what a request must bear a token for is decided elsewhere.
 */
#include "auth.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"
#include "util.h"

#define WORDS (AUTH_TOKEN_MAX / sizeof(uint64_t))

/* Zeros behind the token. */
struct token {
	union {
		char bytes[AUTH_TOKEN_MAX];
		uint64_t words[WORDS];
	};
	uint64_t len;
};

struct auth {
	size_t count;
	struct token tokens[AUTH_TOKENS_MAX];
};

void auth_free(struct auth *a)
{
	if (!a)
		return;
	explicit_bzero(a, sizeof(*a));
	free(a);
}

static bool line_is_skipped(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	return i == len || line[i] == '#';
}

/* What keeps a line from being a token; NULL: it is one. */
static const char *line_fault(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (line[i] < 0x21 || line[i] > 0x7e)
			return "a token is visible ASCII without blanks";
	}
	if (len < AUTH_TOKEN_MIN)
		return "a token has at least " STRINGIFY(AUTH_TOKEN_MIN) " bytes";
	if (len > AUTH_TOKEN_MAX)
		return "a token has at most " STRINGIFY(AUTH_TOKEN_MAX) " bytes";
	return NULL;
}

/* Adds a line's token to `a`, if it has one. */
static int line_read(struct auth *a, const char *line, size_t len, const char **ret_fault)
{
	struct token *t = &a->tokens[a->count];

	if (len && line[len - 1] == '\r')
		len--;
	if (line_is_skipped(line, len))
		return 0;
	*ret_fault = line_fault(line, len);
	if (*ret_fault)
		return -EINVAL;
	if (a->count == AUTH_TOKENS_MAX) {
		*ret_fault = "more than " STRINGIFY(
			AUTH_TOKENS_MAX) " tokens, with those of the files before";
		return -E2BIG;
	}
	memcpy(t->bytes, line, len);
	t->len = len;
	a->count++;
	return 0;
}

static int text_read(struct auth *a, const char *name, const char *text, size_t size, char *why,
		     size_t why_size)
{
	const char *end = text + size, *fault = NULL;
	size_t before = a->count, line = 1;

	for (; text < end; line++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);
		int err = line_read(a, text, len, &fault);

		if (err) {
			snprintf(why, why_size, "%s, line %zu: %s", name, line, fault);
			return err;
		}
		text = newline ? newline + 1 : end;
	}
	if (a->count == before) {
		snprintf(
			why, why_size,
			"%s holds no token: expected one a line, such as openssl rand -hex 32 makes",
			name);
		return -EINVAL;
	}
	return 0;
}

int auth_parse(struct auth **a, const char *name, const char *text, size_t size, char *why,
	       size_t why_size)
{
	struct auth *at = *a ? *a : calloc(1, sizeof(*at));
	size_t before;
	int err;

	if (!at) {
		snprintf(why, why_size, "no memory for the tokens of %s", name);
		return -ENOMEM;
	}
	before = at->count;
	err = text_read(at, name, text, size, why, why_size);
	if (err) {
		explicit_bzero(&at->tokens[before],
			       (AUTH_TOKENS_MAX - before) * sizeof(at->tokens[0]));
		at->count = before;
		if (!*a)
			auth_free(at);
		return err;
	}
	*a = at;
	return 0;
}

/* systemd's credentials are a flat directory, so it is enough to look there for a file of the same name: is it this one? */
static bool is_credential(const char *path, const struct stat *st)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY"), *slash = strrchr(path, '/');
	struct stat credential;
	char there[4096]; /* PATH_MAX: no longer one can be opened */

	if (!directory || directory[0] != '/')
		return false;
	if ((size_t)snprintf(there, sizeof(there), "%s/%s", directory, slash ? slash + 1 : path) >=
	    sizeof(there))
		return false;
	return lstat(there, &credential) == 0 && credential.st_dev == st->st_dev &&
	       credential.st_ino == st->st_ino;
}

/* What makes it no secret of ours, and what helps; NULL: it is one. */
static const char *secret_fault(const char *path, const struct stat *st)
{
	if (st->st_uid && st->st_uid != geteuid())
		return "belongs to another user, who may change it: chown it";
	if (st->st_mode & (S_IROTH | S_IWOTH))
		return "may be read or written by every user: chmod 600 it";
	if (st->st_mode & S_IWGRP)
		return "may be written by its group: chmod 600 it";
	if (st->st_mode & S_IRGRP && !is_credential(path, st))
		return "may be read by its group: chmod 600 it";
	return NULL;
}

static int tokens_load(struct auth **a, const char *path, char *text, size_t size, char *why,
		       size_t why_size)
{
	_cleanup_close_ int fd = -1;
	const char *fault;
	struct stat st;
	ssize_t len;
	int err = file_open(path, &fd, &st, why, why_size);

	if (err)
		return err;
	fault = secret_fault(path, &st);
	if (fault) {
		snprintf(why, why_size, "%s %s", path, fault);
		return -EACCES;
	}
	len = file_read(fd, text, size);
	if (len < 0) {
		snprintf(why, why_size, "cannot read %s: %s", path, strerror((int)-len));
		return (int)len;
	}
	if ((size_t)len == size) {
		snprintf(why, why_size, "%s is longer than %d bytes", path, AUTH_FILE_MAX);
		return -E2BIG;
	}
	return auth_parse(a, path, text, (size_t)len, why, why_size);
}

int auth_load(struct auth **ret, const char *const *paths, size_t count, char *why, size_t why_size)
{
	size_t size = AUTH_FILE_MAX + 1; /* one more shows that there is more */
	struct auth *a = NULL;
	char *text;
	int err = 0;

	if (count > AUTH_FILES_MAX) {
		snprintf(why, why_size, "more than %d token files", AUTH_FILES_MAX);
		return -E2BIG;
	}
	text = malloc(size);
	if (!text) {
		snprintf(why, why_size, "no memory to read the token files");
		return -ENOMEM;
	}
	for (size_t i = 0; i < count && !err; i++)
		err = tokens_load(&a, paths[i], text, size, why, why_size);
	explicit_bzero(text, size);
	free(text);
	if (err) {
		auth_free(a);
		return err;
	}
	*ret = a;
	return 0;
}

/* The token that a header's value bears; false: none, or what no token can be. */
static bool bearer_read(const char *value, struct token *ret)
{
	static const char scheme[] = "Bearer ";
	size_t len;

	if (!value || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
		return false;
	value += sizeof(scheme) - 1;
	value += strspn(value, " ");
	len = strcspn(value, " \t");
	if (len > AUTH_TOKEN_MAX || value[len + strspn(value + len, " \t")])
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->bytes, value, len);
	ret->len = len;
	return true;
}

/* 1 if both are the same, else 0, in the same time. The empty asm hides the sum from the compiler, which must not stop early. */
static uint64_t token_equals(const struct token *a, const struct token *b)
{
	uint64_t differs = a->len ^ b->len;

	for (size_t i = 0; i < WORDS; i++) {
		differs |= a->words[i] ^ b->words[i];
		__asm__ volatile("" : "+r"(differs));
	}
	return ((differs | -differs) >> 63) ^ 1;
}

bool auth_accepts(const struct auth *a, const char *authorization)
{
	struct token candidate;
	uint64_t found = 0;

	if (!bearer_read(authorization, &candidate))
		return false;
	for (size_t i = 0; i < a->count; i++)
		found |= token_equals(&a->tokens[i], &candidate);
	explicit_bzero(&candidate, sizeof(candidate));
	return found;
}
