/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * All numbers of /metrics as they were at one moment. Several bodies may be rendered from one snapshot, each in its own time: it
 * lives until the last of its holders has released it. Pure.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "exposition.h"
#include "pools.h"

struct families_data;
struct snapshot;

/*
 * Copies the series (960 bytes each) and what `self` points to: later changes do not show. The caller is its first holder. `pools`
 * must outlive it (names and bounds). -ENOMEM is the only error.
 */
int snapshot_take(struct snapshot **ret, struct pools *pools, const struct exposition_self *self);
struct snapshot *snapshot_hold(struct snapshot *s);
void snapshot_release(struct snapshot *s); /* also NULL */

const struct families_data *snapshot_data(const struct snapshot *s);

#endif
