/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Giving up, before the first byte of HTTP is read, all that only the start needed.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * No capability is left in any set, no exec() can gain one, and nobody else's ptrace(2) or core dump reads this process. Since Linux 5.19
 * everything that the loop does with maps, links and iterators needs none.
 * *ret_bounded: the bounding set is empty, too; without CAP_SETPCAP it stays as it was. 0, or -errno with what was refused in `why`.
 */
int privileges_drop(bool *ret_bounded, char *why, size_t why_size);

#endif
