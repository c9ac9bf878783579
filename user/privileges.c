// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The way down: there is none up again. The order is the only one that works: the bounding set while CAP_SETPCAP is there, then
 * the groups and the user, then the capabilities, then what a change of user would undo (dumpable). Refuses to know what the privileges
 * were used for.
 */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int refused(const char *what, int err, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot give up privileges: %s: %s", what, strerror(-err));
	return err;
}

static int read_number(const char *text, uid_t *ret)
{
	unsigned long long value;

	if (!*text || text[strspn(text, "0123456789")])
		return -EINVAL;
	errno = 0;
	value = strtoull(text, NULL, 10);
	/* (uid_t)-1 means "leave it" to setresuid(2) */
	if (errno || value >= UINT32_MAX)
		return -ERANGE;
	*ret = (uid_t)value;
	return 0;
}

/* Of a lookup. Which of these means "there is none" depends on the source: getpwnam(3). */
static bool is_failure(int err)
{
	return err && err != ENOENT && err != ESRCH && err != EBADF && err != EPERM;
}

int privileges_find_user(const char *text, uid_t *ret_uid, gid_t *ret_gid, char *why,
			 size_t why_size)
{
	const struct passwd *user;
	uid_t uid = 0;
	int err = read_number(text, &uid);

	if (err == -ERANGE) {
		snprintf(why, why_size, "user %s: no user has such a number", text);
		return -ENOENT;
	}
	errno = 0;
	user = err ? getpwnam(text) : getpwuid(uid);
	if (user) {
		*ret_uid = user->pw_uid;
		*ret_gid = user->pw_gid;
		return 0;
	}
	if (is_failure(errno)) {
		err = -errno;
		snprintf(why, why_size, "cannot look up user %s: %s", text, strerror(-err));
		return err;
	}
	if (err) {
		snprintf(why, why_size, "there is no user %s", text);
		return -ENOENT;
	}
	*ret_uid = uid;
	*ret_gid = uid;
	return 0;
}

int privileges_find_group(const char *text, gid_t *ret, char *why, size_t why_size)
{
	const struct group *group;
	gid_t gid;
	int err = read_number(text, &gid);

	if (!err) {
		*ret = gid;
		return 0;
	}
	errno = 0;
	group = err == -ERANGE ? NULL : getgrnam(text);
	if (group) {
		*ret = group->gr_gid;
		return 0;
	}
	if (is_failure(errno)) {
		err = -errno;
		snprintf(why, why_size, "cannot look up group %s: %s", text, strerror(-err));
		return err;
	}
	snprintf(why, why_size, "there is no group %s", text);
	return -ENOENT;
}

/* What capng knows is still what the process has. */
static int check_change(const struct privileges_config *config, char *why, size_t why_size)
{
	bool gid = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID);
	bool uid = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID);

	if (gid && uid)
		return 0;
	snprintf(why, why_size, "cannot become user %u: missing%s%s", (unsigned int)config->uid,
		 gid ? "" : " CAP_SETGID", uid ? "" : " CAP_SETUID");
	return -EPERM;
}

static int change_user(const struct privileges_config *config, char *why, size_t why_size)
{
	if (setgroups(0, NULL))
		return refused("setgroups", -errno, why, why_size);
	if (setresgid(config->gid, config->gid, config->gid))
		return refused("setresgid", -errno, why, why_size);
	if (setresuid(config->uid, config->uid, config->uid))
		return refused("setresuid", -errno, why, why_size);
	return 0;
}

static int apply(capng_select_t sets, char *why, size_t why_size)
{
	errno = 0;
	if (capng_apply(sets))
		return refused("capset", errno ? -errno : -EPERM, why, why_size);
	return 0;
}

int privileges_drop(const struct privileges_config *config, struct privileges_left *ret, char *why,
		    size_t why_size)
{
	bool bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	int err = config->change_user ? check_change(config, why, why_size) : 0;

	if (err)
		return err;
	capng_clear(CAPNG_SELECT_ALL);
	if (bounded)
		err = apply(CAPNG_SELECT_BOUNDS, why, why_size);
	if (!err && config->change_user)
		err = change_user(config, why, why_size);
	if (err)
		return err;
	err = apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT, why, why_size);
	if (err)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return refused("PR_SET_NO_NEW_PRIVS", -errno, why, why_size);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return refused("PR_SET_DUMPABLE", -errno, why, why_size);
	ret->bounded = bounded;
	return 0;
}
