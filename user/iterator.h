/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * BPF iterators, read to their end.
 */
#ifndef ITERATOR_H
#define ITERATOR_H

#include <stdint.h>
#include <sys/types.h>

struct bpf_link;
struct bpf_program;

/* Throws away what it prints. 0 or -errno. */
int iterator_run(struct bpf_link *link);
/* All that it prints, in one piece of memory that is the caller's to free. Its length, or -errno. */
ssize_t iterator_read(struct bpf_link *link, char **ret);
/* A link of iter/task_file over the descriptors of one process; bpf_link__destroy() it. NULL: errno says why. */
struct bpf_link *iterator_attach(struct bpf_program *program, uint32_t tgid);

#endif
