/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Selectors: what their texts may be, and what they resolve to in a tree of cgroups and a list of mounts that this test makes. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "selector.h"
#include "util.h"

static char directory[] = "/tmp/poolscope-selector.XXXXXX";
static char mounts[64]; /* of which "DIRECTORY/tree" is the cgroup2 tree */

static const char *in_directory(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_directory(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_directory(const char *name)
{
	assert_int_equal(mkdir(in_directory(name), 0755), 0);
}

static uint64_t inode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in_directory(name), &st), 0);
	return st.st_ino;
}

static int make_tree(void **state)
{
	char text[1024];

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(mounts, sizeof(mounts), "%s/mounts", directory);
	snprintf(text, sizeof(text),
		 "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		 "nonsense\n"
		 "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
		 "40 31 0:38 /a.service %s rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		 "41 31 0:38 / %s/tree rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw\n",
		 directory, directory);
	write_file("mounts", text);
	make_directory("tree");
	make_directory("tree/system.slice");
	make_directory("tree/system.slice/nginx.service");
	make_directory("tree/system.slice/nginx.service/worker");
	make_directory("tree/system.slice/org.x.service");
	make_directory("tree/system.slice/box.scope");
	make_directory("tree/system.slice/box.scope/inner.service");
	make_directory("tree/system.slice/system-a.slice");
	make_directory("tree/system.slice/system-a.slice/deep.service");
	make_directory("tree/init.scope");
	make_directory("tree/user.slice");
	make_directory("tree/user.slice/user@1000.service");
	make_directory("tree/user.slice/user@1000.service/own.service");
	write_file("tree/system.slice/file.service", "");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct selector resolve(enum selector_kind kind, const char *text)
{
	struct selector s;
	char why[512];

	memset(&s, 0x5a, sizeof(s));
	if (selector_resolve_in(&s, kind, text, mounts, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	assert_int_equal(s.kind, kind);
	return s;
}

static void refuse(int err, const char *expected, enum selector_kind kind, const char *text)
{
	struct selector s, untouched;
	char why[512];

	memset(&s, 0x5a, sizeof(s));
	untouched = s;
	assert_int_equal(selector_resolve_in(&s, kind, text, mounts, why, sizeof(why)), err);
	assert_string_equal(why, expected);
	assert_memory_equal(&s, &untouched, sizeof(s));
}

static void check_unit(const char *text, const char *unit, const char *path)
{
	struct selector s = resolve(SELECTOR_UNIT, text);

	assert_string_equal(s.text, unit);
	assert_int_equal(s.cgroup, path ? inode_of(path) : 0);
	assert_int_equal(s.device, 0);
	assert_int_equal(s.inode, 0);
}

static void a_unit_is_the_cgroup_of_that_name_in_slices_only(void **state)
{
	(void)state;
	check_unit("nginx", "nginx.service", "tree/system.slice/nginx.service");
	check_unit("nginx.service", "nginx.service", "tree/system.slice/nginx.service");
	check_unit("org.x", "org.x.service", "tree/system.slice/org.x.service");
	check_unit("box.scope", "box.scope", "tree/system.slice/box.scope");
	check_unit("deep", "deep.service", "tree/system.slice/system-a.slice/deep.service");
	check_unit("init.scope", "init.scope", "tree/init.scope");
	check_unit("user.slice", "user.slice", "tree/user.slice");
}

static void what_is_not_there_yet_has_no_id(void **state)
{
	struct selector s = resolve(SELECTOR_CGROUP, "/system.slice/none");

	(void)state;
	assert_string_equal(s.text, "/system.slice/none");
	assert_int_equal(s.cgroup, 0);
	check_unit("none", "none.service", NULL);
	check_unit("file", "file.service", NULL);
	/* units of a user's manager and of a container are none of the host's */
	check_unit("own", "own.service", NULL);
	check_unit("inner", "inner.service", NULL);
}

static void a_cgroup_is_named_by_its_path_with_or_without_the_mount_point(void **state)
{
	static const char *const paths[] = {
		"/system.slice/nginx.service/worker",
		"/system.slice/nginx.service/worker///",
	};
	uint64_t id = inode_of("tree/system.slice/nginx.service/worker");
	char below[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct selector s = resolve(SELECTOR_CGROUP, paths[i]);

		assert_string_equal(s.text, paths[0]);
		assert_int_equal(s.cgroup, id);
		snprintf(below, sizeof(below), "%s/tree%s", directory, paths[i]);
		s = resolve(SELECTOR_CGROUP, below);
		assert_string_equal(s.text, paths[0]);
		assert_int_equal(s.cgroup, id);
	}
}

static const struct {
	enum selector_kind kind;
	const char *text, *why;
} refusals[] = {
#define UNIT "expected the name of a unit, such as nginx.service"
#define CGROUP \
	"expected the path of a cgroup below the root of the tree, such as /system.slice/nginx.service"
#define BYTES "not valid UTF-8, or with a control character"
	{SELECTOR_UNIT, "", UNIT},
	{SELECTOR_UNIT, "a/b", UNIT},
	{SELECTOR_UNIT, "a\n", BYTES},
	{SELECTOR_UNIT, "\xff", BYTES},
	{SELECTOR_CGROUP, "", CGROUP},
	{SELECTOR_CGROUP, "/", CGROUP},
	{SELECTOR_CGROUP, "a", CGROUP},
	{SELECTOR_CGROUP, "//a", CGROUP},
	{SELECTOR_CGROUP, "/a//b", CGROUP},
	{SELECTOR_CGROUP, "/a/../b", CGROUP},
	{SELECTOR_CGROUP, "/a/.", CGROUP},
	{SELECTOR_CGROUP, "/a\x7f", BYTES},
	{SELECTOR_EXE, "", "expected the absolute path of a program"},
	{SELECTOR_EXE, "a", "expected the absolute path of a program"},
	{SELECTOR_EXE, "/tmp", "/tmp is not a regular file"},
	{SELECTOR_COMM, "", "expected a command name of 1 to 15 bytes"},
	{SELECTOR_COMM, "0123456789abcdef", "expected a command name of 1 to 15 bytes"},
	{SELECTOR_COMM, "a\tb", BYTES},
#undef UNIT
#undef CGROUP
#undef BYTES
};

static void texts_that_name_nothing_are_refused(void **state)
{
	char longest[SELECTOR_TEXT_MAX + 1], longer[SELECTOR_TEXT_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		refuse(-EINVAL, refusals[i].why, refusals[i].kind, refusals[i].text);
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	refuse(-EINVAL, "longer than 255 bytes", SELECTOR_CGROUP, longer);
	memcpy(longest, longer, sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(resolve(SELECTOR_CGROUP, longest).text, longest);
	/* the suffix counts */
	refuse(-EINVAL, "longer than 255 bytes", SELECTOR_UNIT, longest + 1);
}

static void a_command_name_is_taken_as_it_is(void **state)
{
	struct selector s = resolve(SELECTOR_COMM, "0123456789 /h\xc3\xa9");

	(void)state;
	assert_string_equal(s.text, "0123456789 /h\xc3\xa9");
	assert_int_equal(s.cgroup, 0);
}

/* As the kernel numbers the mount that the file stands on. */
static int mount_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), id = -1;
	char line[128], fdinfo[48];
	FILE *f;

	assert_true(fd >= 0);
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
	f = fopen(fdinfo, "r");
	assert_non_null(f);
	while (id < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	fclose(f);
	close(fd);
	return id;
}

static void a_program_is_its_inode_on_the_device_of_its_mount(void **state)
{
	char path[256], text[1024];
	struct selector s;
	struct stat st;

	(void)state;
	write_file("program", "");
	snprintf(path, sizeof(path), "%s", in_directory("program"));
	/* in a chroot, which does not show it: what stat() says */
	assert_int_equal(selector_resolve_in(&s, SELECTOR_EXE, path, mounts, text, sizeof(text)),
			 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(s.device, major(st.st_dev) << 20 | minor(st.st_dev));
	assert_int_equal(s.inode, st.st_ino);

	snprintf(text, sizeof(text), "%d 31 4095:1048575 / /x rw - btrfs /dev/x rw\n",
		 mount_of(path));
	write_file("others", text);
	assert_int_equal(selector_resolve_in(&s, SELECTOR_EXE, path, in_directory("others"), text,
					     sizeof(text)),
			 0);
	assert_string_equal(s.text, path);
	assert_int_equal(s.inode, inode_of("program"));
	assert_int_equal(s.device, 0xffffffff);
	assert_int_equal(s.cgroup, 0);
}

static void a_path_through_a_process_is_looked_up_in_its_mounts(void **state)
{
	struct selector own, through;
	char path[64], why[512];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)getpid());
	assert_int_equal(selector_resolve(&own, SELECTOR_EXE, "/proc/self/exe", why, sizeof(why)),
			 0);
	through = resolve(SELECTOR_EXE, path);
	assert_int_equal(through.inode, own.inode);
	assert_int_equal(through.device, own.device);
}

static void scripts_and_what_is_missing_are_refused(void **state)
{
	char expected[512];

	(void)state;
	write_file("script", "#!/bin/sh\n");
	snprintf(
		expected, sizeof(expected),
		"%s/script is a script, and its processes run the interpreter: select them by comm "
		"or unit",
		directory);
	refuse(-EINVAL, expected, SELECTOR_EXE, in_directory("script"));
	snprintf(expected, sizeof(expected), "cannot open %s/none as user %u: %s", directory,
		 (unsigned int)geteuid(), strerror(ENOENT));
	refuse(-ENOENT, expected, SELECTOR_EXE, in_directory("none"));
}

static void without_a_cgroup2_tree_there_is_a_refusal_that_helps(void **state)
{
	char why[512];
	struct selector s;

	(void)state;
	write_file("v1", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
	for (enum selector_kind kind = SELECTOR_UNIT; kind <= SELECTOR_CGROUP; kind++) {
		assert_int_equal(selector_resolve_in(&s, kind, "/a", in_directory("v1"), why,
						     sizeof(why)),
				 -ENOTSUP);
		assert_string_equal(
			why, "no cgroup2 file system is mounted here: mount it (mount -t cgroup2 "
			     "none DIRECTORY), or select by exe, comm or PID");
	}
}

static void kinds_have_names(void **state)
{
	static const char *const texts[] = {"unit", "cgroup", "exe", "comm"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_string_equal(selector_kind_text((enum selector_kind)i), texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_is_the_cgroup_of_that_name_in_slices_only),
		cmocka_unit_test(what_is_not_there_yet_has_no_id),
		cmocka_unit_test(a_cgroup_is_named_by_its_path_with_or_without_the_mount_point),
		cmocka_unit_test(texts_that_name_nothing_are_refused),
		cmocka_unit_test(a_command_name_is_taken_as_it_is),
		cmocka_unit_test(a_program_is_its_inode_on_the_device_of_its_mount),
		cmocka_unit_test(a_path_through_a_process_is_looked_up_in_its_mounts),
		cmocka_unit_test(scripts_and_what_is_missing_are_refused),
		cmocka_unit_test(without_a_cgroup2_tree_there_is_a_refusal_that_helps),
		cmocka_unit_test(kinds_have_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
