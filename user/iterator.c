// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Reading BPF iterators to their end. Owns nothing: links are the caller's. Knows no program and no row.
 */
#include "iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "util.h"

/* What one read() may return: the kernel's own buffer (PAGE_SIZE << 3). */
#define ITER_BYTES (32 * 1024)

int iterator_run(struct bpf_link *link)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
	char nothing[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, nothing, sizeof(nothing));
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

struct bpf_link *iterator_attach(struct bpf_program *program, uint32_t tgid)
{
	union bpf_iter_link_info info = {.task.pid = tgid};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(program, &opts);
}

/* The kernel keeps a row whole within its own buffer, but a read() may end inside of one. */
ssize_t iterator_read(struct bpf_link *link, char **ret)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
	_cleanup_free_ char *text = NULL;
	size_t len = 0, cap = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (cap - len < ITER_BYTES) {
			char *more = realloc(text, cap * 2 + ITER_BYTES);

			if (!more)
				return -ENOMEM;
			text = more;
			cap = cap * 2 + ITER_BYTES;
		}
		n = read(fd, text + len, cap - len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret = text;
	text = NULL;
	return (ssize_t)len;
}
