/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Opens and reads, and says who could not. A FIFO or a device in the place of a file stops nobody: it is opened without waiting, and
 * refused. Refuses to know what is in a file, and who else may read it.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static int cannot_open(const char *path, int err, char *why, size_t why_size)
{
	const char *hint = "";

	if (err == -EACCES && geteuid() == 0)
		hint = " (no capability is left: root, too, reads only what mode and owner allow; chown root, or chmod)";
	snprintf(why, why_size, "cannot open %s as user %u: %s%s", path, (unsigned int)geteuid(),
		 strerror(-err), hint);
	return err;
}

int file_open(const char *path, int *ret_fd, struct stat *ret_st, char *why, size_t why_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_open(path, -errno, why, why_size);
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "%s is not a regular file", path);
		return -EINVAL;
	}
	*ret_st = st;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

ssize_t file_read(int fd, char *ret, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, ret + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}
