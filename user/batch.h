/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Hash maps of the kernel, read or emptied some hundreds of entries at a time.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stddef.h>

typedef void batch_fn(void *arg, const void *key, const void *value);

/* Calls fn for each entry; what changes meanwhile may be left out or come twice. fn may delete the entry. -ENOMEM, or what the kernel said. */
int batch_read(int fd, size_t key_size, size_t value_size, batch_fn *fn, void *arg);

/* Takes the entries away, and calls fn for each; each time before fn sees some, before() is called, which may be NULL. The same errors;
 * fn has seen whatever was taken. */
int batch_take(int fd, size_t key_size, size_t value_size, void (*before)(void *arg), batch_fn *fn,
	       void *arg);

#endif
