/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Files that the operator names: tokens, certificate, key. Only regular ones, and nothing is waited for.
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Opens it for reading; a symbolic link is followed, and *ret_st says what is open. -EINVAL: it is not a regular file; else what
 * open() said. Told in `why`, with the file, the user who tried, and for root, who has no capability by then, what to do.
 */
int file_open(const char *path, int *ret_fd, struct stat *ret_st, char *why, size_t why_size);

/* Reads to the end, at most `size` bytes: returns how many there were, or -errno. */
ssize_t file_read(int fd, char *ret, size_t size);

#endif
