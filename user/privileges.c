// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The way down: there is none up again. Refuses to know what the privileges were used for.
 */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static int refused(const char *what, int err, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot give up privileges: %s: %s", what, strerror(-err));
	return err;
}

int privileges_drop(bool *ret_bounded, char *why, size_t why_size)
{
	bool bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

	errno = 0;
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(bounded ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT))
		return refused("capset", errno ? -errno : -EPERM, why, why_size);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return refused("PR_SET_NO_NEW_PRIVS", -errno, why, why_size);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return refused("PR_SET_DUMPABLE", -errno, why, why_size);
	*ret_bounded = bounded;
	return 0;
}
