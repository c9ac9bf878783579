/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Token files, whom they must belong to, and what a header must say. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth.h"
#include "util.h"

#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define X512 X128 X128 X128 X128
#define FIRST "0123456789abcdef"
#define SECOND "s3cret-Token/of+32=bytes~or!more"
#define NOBODY 65534

static char directory[] = "/tmp/poolscope-auth.XXXXXX";
static char path[128], why[256];

static bool accepts(const struct auth *a, const char *token)
{
	char header[2048];

	snprintf(header, sizeof(header), "Bearer %s", token);
	return auth_accepts(a, header);
}

/* ---- the text -------------------------------------------------------------------------------------------------------- */

static struct auth *parse(const char *text)
{
	struct auth *a = NULL;

	why[0] = '\0';
	assert_int_equal(auth_parse(&a, "FILE", text, strlen(text), why, sizeof(why)), 0);
	assert_string_equal(why, "");
	return a;
}

static void every_token_of_a_file_is_accepted_and_nothing_else(void **state)
{
	static const char *const texts[] = {
		FIRST "\n" SECOND "\n" X512,
		FIRST "\n" SECOND "\n" X512 "\n",
		"\n\n# a comment\n" FIRST "\n \t\n  # " X16 "\n" SECOND "\n#\n\n" X512 "\n\n",
		"# " X16 "\r\n" FIRST "\r\n\r\n" SECOND "\r\n" X512 "\r",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct auth *a = parse(texts[i]);

		assert_true(accepts(a, FIRST));
		assert_true(accepts(a, SECOND));
		assert_true(accepts(a, X512));
		assert_false(accepts(a, X512 "x"));
		assert_false(accepts(a, X16));
		assert_false(accepts(a, "#"));
		assert_false(accepts(a, ""));
		auth_free(a);
	}
}

static void headers_are_read_as_rfc_6750_wants(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{"Bearer " FIRST, true},
		{"bearer " FIRST, true},
		{"BEARER " FIRST, true},
		{"bEaReR    " FIRST, true},
		{"Bearer " FIRST " ", true},
		{"Bearer " FIRST " \t ", true},
		{"Bearer " SECOND, true},
		{NULL, false},
		{"", false},
		{"Bearer", false},
		{"Bearer ", false},
		{"Bearer     ", false},
		{"Bearer" FIRST, false},
		{"Bearer\t" FIRST, false},
		{"Bearer \t" FIRST, false},
		{" Bearer " FIRST, false},
		{FIRST, false},
		{"Basic " FIRST, false},
		{"Bearers " FIRST, false},
		{"Bearer \"" FIRST "\"", false},
		{"Bearer " FIRST ",", false},
		{"Bearer 0123456789ABCDEF", false},
		{"Bearer 0123456789abcde", false},
		{"Bearer 0123456789abcdeg", false},
		{"Bearer 1123456789abcdef", false},
		{"Bearer " FIRST "0", false},
		{"Bearer " FIRST " " FIRST, false},
		{"Bearer " FIRST " " SECOND, false},
		{"Bearer x " FIRST, false},
		{"Bearer " FIRST SECOND, false},
		{"Bearer " X512, false},
		{"Bearer " X512 "x", false},
		{"Bearer " X512 X512 X512 X512 X512 X512 X512 X512, false},
		{"Bearer " FIRST "\n", false},
		{"Bearer 0123456789abcde\xff", false},
	};
	struct auth *a = parse(FIRST "\n" SECOND);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(auth_accepts(a, rows[i].value), rows[i].good);
	auth_free(a);
}

#define BLANK "a token is visible ASCII without blanks"

static void wrong_lines_are_named_by_number(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"",
		 "FILE holds no token: expected one a line, such as openssl rand -hex 32 makes"},
		{"\n# x\n\r\n",
		 "FILE holds no token: expected one a line, such as openssl rand -hex 32 makes"},
		{"0123456789abcde", "FILE, line 1: a token has at least 16 bytes"},
		{"# x\n\n" FIRST "\nshort\n", "FILE, line 4: a token has at least 16 bytes"},
		{FIRST "\n" X512 "x", "FILE, line 2: a token has at most 512 bytes"},
		{FIRST " ", "FILE, line 1: " BLANK},
		{" " FIRST, "FILE, line 1: " BLANK},
		{FIRST "\t# mine", "FILE, line 1: " BLANK},
		{FIRST "\r" FIRST, "FILE, line 1: " BLANK},
		{FIRST "\r\r\n", "FILE, line 1: " BLANK},
		{FIRST "\x7f", "FILE, line 1: " BLANK},
		{FIRST "\xc3\xa9", "FILE, line 1: " BLANK},
		{"\xef\xbb\xbf" FIRST, "FILE, line 1: " BLANK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct auth *a = NULL;

		assert_int_equal(auth_parse(&a, "FILE", rows[i].text, strlen(rows[i].text), why,
					    sizeof(why)),
				 -EINVAL);
		assert_string_equal(why, rows[i].why);
		assert_null(a);
	}
}

static void a_nul_is_no_end(void **state)
{
	static const char text[] = FIRST "\0\n" SECOND;
	struct auth *a = NULL;

	(void)state;
	assert_int_equal(auth_parse(&a, "FILE", text, sizeof(text) - 1, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "FILE, line 1: " BLANK);
}

/* "tokenNN-01234567" lines. */
static size_t many_tokens(char *ret, int from, int to)
{
	size_t len = 0;

	for (int i = from; i < to; i++)
		len += (size_t)sprintf(ret + len, "token%02d-01234567\n", i);
	return len;
}

static void at_most_64_tokens_over_all_files(void **state)
{
	struct auth *a = NULL;
	char text[2048];

	(void)state;
	assert_int_equal(auth_parse(&a, "A", text, many_tokens(text, 0, 63), why, sizeof(why)), 0);
	assert_int_equal(auth_parse(&a, "B", text, many_tokens(text, 63, 65), why, sizeof(why)),
			 -E2BIG);
	assert_string_equal(why, "B, line 2: more than 64 tokens, with those of the files before");
	assert_true(accepts(a, "token62-01234567"));
	assert_false(accepts(a, "token63-01234567")); /* the file was refused as a whole */
	assert_int_equal(auth_parse(&a, "C", text, many_tokens(text, 64, 65), why, sizeof(why)), 0);
	assert_true(accepts(a, "token64-01234567"));
	assert_true(accepts(a, "token00-01234567"));
	auth_free(a);
}

/* ---- the files ------------------------------------------------------------------------------------------------------- */

/* A file in the test's directory with exactly this mode; its path is in `path`. */
static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int load(struct auth **ret)
{
	const char *paths[] = {path};

	why[0] = '\0';
	return auth_load(ret, paths, 1, why, sizeof(why));
}

static void assert_loads(void)
{
	struct auth *a = NULL;

	assert_int_equal(load(&a), 0);
	assert_string_equal(why, "");
	assert_true(accepts(a, FIRST));
	assert_false(accepts(a, SECOND));
	auth_free(a);
}

/* `expected`: behind the path. */
static void assert_refused(int err, const char *expected)
{
	struct auth *a = NULL;
	char text[256];

	assert_int_equal(load(&a), err);
	snprintf(text, sizeof(text), "%s%s", path, expected);
	assert_string_equal(why, text);
	assert_null(a);
}

static void only_private_files_are_read(void **state)
{
	static const struct {
		mode_t mode;
		const char *fault; /* NULL: fine */
	} rows[] = {
		{0400, NULL},
		{0600, NULL},
		{0700, NULL},
		{0604, " may be read or written by every user: chmod 600 it"},
		{0602, " may be read or written by every user: chmod 600 it"},
		{0644, " may be read or written by every user: chmod 600 it"},
		{0666, " may be read or written by every user: chmod 600 it"},
		{0620, " may be written by its group: chmod 600 it"},
		{0660, " may be written by its group: chmod 600 it"},
		{0640, " may be read by its group: chmod 600 it"},
		{0440, " may be read by its group: chmod 600 it"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_file("token", FIRST "\n", rows[i].mode);
		if (rows[i].fault)
			assert_refused(-EACCES, rows[i].fault);
		else
			assert_loads();
	}
}

static void another_users_file_is_refused(void **state)
{
	struct auth *a = NULL;
	char expected[256];

	(void)state;
	if (geteuid() != 0)
		skip_because("only root can give a file away");
	write_file("token", FIRST "\n", 0600);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	assert_refused(-EACCES, " belongs to another user, who may change it: chown it");

	assert_int_equal(chmod(directory, 0711), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_loads();
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(load(&a), -EACCES);
	assert_int_equal(seteuid(0), 0);
	snprintf(expected, sizeof(expected), "cannot open %s as user 65534: Permission denied",
		 path);
	assert_string_equal(why, expected);
}

static void symbolic_links_are_followed_and_their_end_is_judged(void **state)
{
	char link[160];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", directory);
	write_file("token", FIRST "\n", 0600);
	assert_int_equal(symlink(path, link), 0);
	snprintf(path, sizeof(path), "%s/link", directory);
	assert_loads();
	write_file("token", FIRST "\n", 0644);
	snprintf(path, sizeof(path), "%s/link", directory);
	assert_refused(-EACCES, " may be read or written by every user: chmod 600 it");
	unlink(link);
}

static void a_group_may_read_credentials_of_systemd(void **state)
{
	char credentials[160], link[160];

	(void)state;
	snprintf(credentials, sizeof(credentials), "%s/credentials", directory);
	snprintf(link, sizeof(link), "%s/token", directory);
	unlink(link);
	assert_int_equal(mkdir(credentials, 0700), 0);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", credentials, 1), 0);
	write_file("credentials/token", FIRST "\n", 0440);
	assert_loads();
	assert_int_equal(symlink(path, link), 0);
	snprintf(path, sizeof(path), "%s/token", directory);
	assert_loads();
	unlink(link);

	write_file("credentials/token", FIRST "\n", 0460);
	assert_refused(-EACCES, " may be written by its group: chmod 600 it");
	write_file("credentials/token", FIRST "\n", 0444);
	assert_refused(-EACCES, " may be read or written by every user: chmod 600 it");
	/* nothing but the directory's own files: neither one beside it nor one that a link in it names */
	write_file("token", FIRST "\n", 0440);
	assert_refused(-EACCES, " may be read by its group: chmod 600 it");
	snprintf(path, sizeof(path), "%s/credentials/token", directory);
	unlink(path);
	assert_int_equal(symlink(link, path), 0);
	assert_refused(-EACCES, " may be read by its group: chmod 600 it");
	unlink(path);

	write_file("credentials/token", FIRST "\n", 0440);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "", 1), 0);
	assert_refused(-EACCES, " may be read by its group: chmod 600 it");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_refused(-EACCES, " may be read by its group: chmod 600 it");
	unlink(path);
	rmdir(credentials);
}

static void what_is_no_regular_file_is_refused_and_not_waited_for(void **state)
{
	struct auth *a = NULL;
	char expected[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(-EINVAL, " is not a regular file");
	unlink(path);
	snprintf(path, sizeof(path), "%s", directory);
	assert_refused(-EINVAL, " is not a regular file");
	snprintf(path, sizeof(path), "/dev/null");
	assert_refused(-EINVAL, " is not a regular file");
	snprintf(path, sizeof(path), "%s/absent", directory);
	assert_int_equal(load(&a), -ENOENT);
	snprintf(expected, sizeof(expected), "cannot open %s as user %u: No such file or directory",
		 path, (unsigned int)geteuid());
	assert_string_equal(why, expected);
}

static void a_file_has_at_most_64_kib(void **state)
{
	char *text = malloc(AUTH_FILE_MAX + 2);

	(void)state;
	assert_non_null(text);
	memset(text, '#', AUTH_FILE_MAX);
	strcpy(text + AUTH_FILE_MAX - 17, "\n" FIRST);
	write_file("token", text, 0600);
	assert_loads();
	strcpy(text + AUTH_FILE_MAX - 17, "\n" FIRST "\n");
	write_file("token", text, 0600);
	assert_refused(-E2BIG, " is longer than 65536 bytes");
	free(text);
}

static void all_files_count_and_one_wrong_one_spoils_them(void **state)
{
	char first[128], second[128];
	const char *paths[AUTH_FILES_MAX + 1];
	struct auth *a = NULL;

	(void)state;
	write_file("first", FIRST "\n", 0600);
	strcpy(first, path);
	write_file("second", SECOND "\n", 0600);
	strcpy(second, path);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		paths[i] = i ? second : first;
	assert_int_equal(auth_load(&a, paths, AUTH_FILES_MAX, why, sizeof(why)), 0);
	assert_true(accepts(a, FIRST));
	assert_true(accepts(a, SECOND));
	auth_free(a);

	a = NULL;
	assert_int_equal(auth_load(&a, paths, AUTH_FILES_MAX + 1, why, sizeof(why)), -E2BIG);
	assert_string_equal(why, "more than 8 token files");
	write_file("second", "short\n", 0600);
	assert_int_equal(auth_load(&a, paths, 2, why, sizeof(why)), -EINVAL);
	assert_null(a);
	write_file("first", "# none here\n", 0600);
	write_file("second", SECOND "\n", 0600);
	assert_int_equal(auth_load(&a, paths, 2, why, sizeof(why)), -EINVAL);
	assert_null(a);
}

static void without_a_path_there_is_no_authentication(void **state)
{
	struct auth *a = parse(FIRST), *none = a;

	(void)state;
	assert_int_equal(auth_load(&none, NULL, 0, why, sizeof(why)), 0);
	assert_null(none);
	auth_free(a);
	auth_free(NULL);
}

static int make_directory(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"token", "first", "second"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_token_of_a_file_is_accepted_and_nothing_else),
		cmocka_unit_test(headers_are_read_as_rfc_6750_wants),
		cmocka_unit_test(wrong_lines_are_named_by_number),
		cmocka_unit_test(a_nul_is_no_end),
		cmocka_unit_test(at_most_64_tokens_over_all_files),
		cmocka_unit_test(only_private_files_are_read),
		cmocka_unit_test(another_users_file_is_refused),
		cmocka_unit_test(symbolic_links_are_followed_and_their_end_is_judged),
		cmocka_unit_test(a_group_may_read_credentials_of_systemd),
		cmocka_unit_test(what_is_no_regular_file_is_refused_and_not_waited_for),
		cmocka_unit_test(a_file_has_at_most_64_kib),
		cmocka_unit_test(all_files_count_and_one_wrong_one_spoils_them),
		cmocka_unit_test(without_a_path_there_is_no_authentication),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
