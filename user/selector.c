// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Finds cgroups and files by their names. This needs a walk through directories and /proc, so it is done before a daemon gives its privileges
 * up, or by the client. What comes out are numbers that the kernel half compares. stat() does not tell a file's number: its device is
 * not that of the super block on btrfs and overlayfs. The kernel shows both elsewhere: the inode's number in fdinfo (since Linux 5.14), the
 * device in mountinfo; in a chroot, which hides the mount that it lies in, stat() must do.
 *
 * Refuses to know which processes there are.
 */
#include "selector.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "file.h"
#include "utf8.h"
#include "util.h"

#define WALK_MAX 4096 /* slices; a pod of Kubernetes is one */
#define LINE_BYTES \
	(PATH_MAX + 1024) /* of mountinfo: overlayfs lists its layers; what is longer is cut */

static const char *const kinds[SELECTOR_KINDS] = {[SELECTOR_UNIT] = "unit",
						  [SELECTOR_CGROUP] = "cgroup",
						  [SELECTOR_EXE] = "exe",
						  [SELECTOR_COMM] = "comm"};

const char *selector_kind_text(enum selector_kind kind)
{
	return kinds[kind];
}

void selector_show(const struct selector *s, char ret[SELECTOR_SHOWN_MAX])
{
	snprintf(ret, SELECTOR_SHOWN_MAX, "%s:%s", kinds[s->kind], s->text);
}

/* ---- texts ---- */

/* "." and "..", and nothing between two slashes. */
static bool has_odd_component(const char *path)
{
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (!len || (len <= 2 && strspn(path, ".") >= len))
			return true;
		path += len;
	}
	return false;
}

const char *selector_fault(enum selector_kind kind, const char *text)
{
	size_t len = strlen(text);

	if (len > SELECTOR_TEXT_MAX)
		return "longer than " STRINGIFY(SELECTOR_TEXT_MAX) " bytes";
	for (const char *c = text; *c; c += utf8_char(c)) {
		if (!utf8_char(c) || utf8_is_control(c))
			return "not valid UTF-8, or with a control character";
	}
	if (kind == SELECTOR_UNIT && (!len || strchr(text, '/')))
		return "expected the name of a unit, such as nginx.service";
	if (kind == SELECTOR_CGROUP && (*text != '/' || has_odd_component(text)))
		return "expected the path of a cgroup below the root of the tree, such as /system.slice/nginx.service";
	if (kind == SELECTOR_EXE && *text != '/')
		return "expected the absolute path of a program";
	if (kind == SELECTOR_COMM && (!len || len > SELECTOR_COMM_MAX))
		return "expected a command name of 1 to " STRINGIFY(SELECTOR_COMM_MAX) " bytes";
	return NULL;
}

static int set_text(struct selector *s, const char *text, size_t len, char *why, size_t why_size)
{
	const char *fault;
	int n = snprintf(s->text, sizeof(s->text), "%.*s", (int)len, text);

	fault = selector_fault(s->kind, (size_t)n < sizeof(s->text) ? s->text : text);
	if (!fault)
		return 0;
	snprintf(why, why_size, "%s", fault);
	return -EINVAL;
}

/* ---- mounts ---- */

struct mount {
	int id;
	uint32_t device;
	char root[PATH_MAX], point[PATH_MAX];
	bool is_cgroup2;
};

/* MKDEV() */
static uint32_t kernel_device(unsigned int major, unsigned int minor)
{
	return major << 20 | minor;
}

/* proc(5): "36 35 98:0 /root /point options [fields] - type source options" */
static bool parse_mount(const char *line, struct mount *ret)
{
	const char *type = strstr(line, " - ");
	unsigned int major, minor;

	if (!type || sscanf(line, "%d %*d %u:%u %4095s %4095s", &ret->id, &major, &minor, ret->root,
			    ret->point) != 5)
		return false;
	ret->device = kernel_device(major, minor);
	ret->is_cgroup2 = strncmp(type + 3, "cgroup2 ", strlen("cgroup2 ")) == 0;
	return true;
}

/* The mount of this id or, if it is 0, that of the whole cgroup2 tree. 0, or -ENOENT. */
static int find_mount(const char *mountinfo, int id, struct mount *ret)
{
	_cleanup_fclose_ FILE *f = fopen(mountinfo, "re");
	char line[LINE_BYTES];

	while (f && fgets(line, sizeof(line), f)) {
		if (!parse_mount(line, ret))
			continue;
		if (id ? ret->id == id : ret->is_cgroup2 && strcmp(ret->root, "/") == 0)
			return 0;
	}
	return -ENOENT;
}

/* ---- cgroups ---- */

/* Slices that have been met. */
struct walk {
	const char *name; /* of the one that is looked for */
	size_t count;
	char *paths[WALK_MAX];
};

/* A unit of the host's manager lies in slices only; those of users and containers have a service or scope above them. */
static bool is_slice(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && strcmp(end, ".slice") == 0;
}

/* 0, also of a cgroup that is gone; -errno */
static int read_directory(struct walk *w, const char *path, uint64_t *ret_id)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int err = 0;

	while (d && !err && !*ret_id && (entry = readdir(d))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (strcmp(entry->d_name, w->name) == 0)
			*ret_id = entry->d_ino;
		else if (!is_slice(entry->d_name))
			continue;
		else if (w->count == WALK_MAX)
			err = -E2BIG;
		else if (asprintf(&w->paths[w->count], "%s/%s", path, entry->d_name) < 0)
			err = -ENOMEM;
		else
			w->count++;
	}
	if (d)
		closedir(d);
	return err;
}

/* *ret_id stays 0 if there is none. */
static int find_unit(const char *root, const char *name, uint64_t *ret_id)
{
	_cleanup_free_ struct walk *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->name = name;
	err = read_directory(w, root, ret_id);
	for (size_t i = 0; i < w->count && !err && !*ret_id; i++)
		err = read_directory(w, w->paths[i], ret_id);
	for (size_t i = 0; i < w->count; i++)
		free(w->paths[i]);
	return err;
}

/* Of those that have processes of their own. */
static bool has_suffix(const char *unit)
{
	static const char *const suffixes[] = {".service", ".scope", ".slice",
					       ".socket",  ".mount", ".swap"};
	const char *end = strrchr(unit, '.');

	for (size_t i = 0; end && i < ARRAY_SIZE(suffixes); i++) {
		if (strcmp(end, suffixes[i]) == 0)
			return true;
	}
	return false;
}

static int resolve_unit(struct selector *s, const char *text, const char *root, char *why,
			size_t why_size)
{
	char name[SELECTOR_TEXT_MAX + sizeof(".service") + 1];
	int err;

	snprintf(name, sizeof(name), "%s%s", text, !*text || has_suffix(text) ? "" : ".service");
	err = set_text(s, name, strlen(name), why, why_size);
	if (err)
		return err;
	err = find_unit(root, s->text, &s->cgroup);
	if (err)
		snprintf(why, why_size, "cannot look through %s: %s", root,
			 err == -E2BIG ? "there are more than " STRINGIFY(
						 WALK_MAX) " slices; name the cgroup by its path"
				       : strerror(-err));
	return err;
}

static int resolve_cgroup(struct selector *s, const char *text, const char *root, char *why,
			  size_t why_size)
{
	size_t root_len = strlen(root), len;
	char path[PATH_MAX + sizeof(s->text)];
	struct stat st;
	int err;

	if (strncmp(text, root, root_len) == 0 && text[root_len] == '/')
		text += root_len;
	len = strlen(text);
	while (len && text[len - 1] == '/')
		len--;
	err = set_text(s, text, len, why, why_size);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s%s", root, s->text);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	s->cgroup = st.st_ino;
	return 0;
}

static int resolve_in_tree(struct selector *s, const char *text, const char *mountinfo, char *why,
			   size_t why_size)
{
	struct mount mount;

	if (find_mount(mountinfo, 0, &mount)) {
		snprintf(why, why_size,
			 "no cgroup2 file system is mounted here: mount it (mount -t cgroup2 none "
			 "DIRECTORY), or select by exe, comm or PID");
		return -ENOTSUP;
	}
	if (s->kind == SELECTOR_UNIT)
		return resolve_unit(s, text, mount.point, why, why_size);
	return resolve_cgroup(s, text, mount.point, why, why_size);
}

/* ---- programs ---- */

/* What fdinfo tells of the open file; false: it cannot be read. */
static bool read_fdinfo(int fd, int *ret_mount, uint64_t *ret_inode)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[48], line[256];
	unsigned int found = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "mnt_id: %d", ret_mount) == 1 ||
		    sscanf(line, "ino: %" SCNu64, ret_inode) == 1)
			found++;
	}
	return found == 2;
}

/* A path through /proc/PID/root or to /proc/PID/exe leads to the mounts of that process. */
static void mounts_of(const char *path, const char *mountinfo, char *ret, size_t size)
{
	int pid;

	if (sscanf(path, "/proc/%d/", &pid) == 1)
		snprintf(ret, size, "/proc/%d/mountinfo", pid);
	else
		snprintf(ret, size, "%s", mountinfo);
}

static int resolve_exe(struct selector *s, const char *text, const char *mountinfo, char *why,
		       size_t why_size)
{
	_cleanup_close_ int fd = -1;
	struct mount mount;
	struct stat st;
	char mounts[PATH_MAX], start[2];
	int id, err = set_text(s, text, strlen(text), why, why_size);

	if (!err)
		err = file_open(text, &fd, &st, why, why_size);
	if (err)
		return err;
	if (file_read(fd, start, sizeof(start)) == sizeof(start) && memcmp(start, "#!", 2) == 0) {
		snprintf(why, why_size,
			 "%s is a script, and its processes run the interpreter: select them by "
			 "comm or unit",
			 text);
		return -EINVAL;
	}
	mounts_of(text, mountinfo, mounts, sizeof(mounts));
	if (!read_fdinfo(fd, &id, &s->inode)) {
		snprintf(why, why_size, "cannot find out which file %s is (/proc/self/fdinfo)",
			 text);
		return -ENOTSUP;
	}
	/* A chroot hides the mount that it lies in. */
	if (find_mount(mounts, id, &mount))
		s->device = kernel_device(major(st.st_dev), minor(st.st_dev));
	else
		s->device = mount.device;
	return 0;
}

int selector_resolve_in(struct selector *ret, enum selector_kind kind, const char *text,
			const char *mountinfo, char *why, size_t why_size)
{
	struct selector s = {.kind = kind};
	int err;

	if (kind == SELECTOR_COMM)
		err = set_text(&s, text, strlen(text), why, why_size);
	else if (kind == SELECTOR_EXE)
		err = resolve_exe(&s, text, mountinfo, why, why_size);
	else
		err = resolve_in_tree(&s, text, mountinfo, why, why_size);
	if (!err)
		*ret = s;
	return err;
}

int selector_resolve(struct selector *ret, enum selector_kind kind, const char *text, char *why,
		     size_t why_size)
{
	return selector_resolve_in(ret, kind, text, "/proc/self/mountinfo", why, why_size);
}
