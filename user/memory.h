/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Memory of large tables: zeroed, page aligned, taken from the kernel only where it is touched, and on huge pages where there
 * are any. A record lands on a random line of tables of tens of megabytes: on small pages each such access pays a TLB miss too.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <sys/mman.h>

/* NULL: no memory. Give the same size to memory_free(). */
static inline void *memory_zeroed(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE); /* a wish: without it all works the same */
	return p;
}

static inline void memory_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

#endif
