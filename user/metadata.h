/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The body of /metadata: what runs here, on what kernel, attached to which processes, within which bounds. JSON.
 */
#ifndef METADATA_H
#define METADATA_H

#include <stdint.h>
#include <sys/types.h>

#include "connections.h"
#include "options.h"
#include "probes.h"
#include "support.h"
#include "targets.h"

/* All pointers stay the caller's; they are used during metadata_open() only. */
struct metadata_source {
	struct probes *probes;
	struct connections *connections;
	const struct targets *targets;
	const struct options *options;
	const struct support *support;
};

struct metadata;

/* Once, before privileges are dropped: the JSON library reads random bytes for its tables at first use. */
void metadata_prepare(void);

/* Made whole: 4,096 processes are some 32 KiB. -ENOMEM, or what reading a map said. */
int metadata_open(struct metadata **ret, const struct metadata_source *source);
/* What this machine can do and cannot, each with a remedy, for `poolscope check`. -ENOMEM */
int metadata_open_checks(struct metadata **ret, const struct metadata_source *source);
/* As read() and close() of struct body_ops, of both. */
ssize_t metadata_read(void *metadata, char *out, size_t max);
void metadata_close(void *metadata);

#endif
