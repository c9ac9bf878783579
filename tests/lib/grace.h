/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Quick grace periods, for a test that waits for thousands of them.
 */
#ifndef GRACE_H
#define GRACE_H

/*
 * From here to grace_usual() the kernel drives its grace periods (/sys/kernel/rcu_expedited) instead of waiting for ticks: the same guarantee,
 * at a hundredth of the time. Does nothing where that cannot be set. The setting is the whole machine's: it goes back also if the
 * caller is killed.
 */
void grace_quick(void);
void grace_usual(void);

#endif
