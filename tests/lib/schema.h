/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * As much of JSON Schema as docs/snapshot.schema.json uses. A keyword that it does not know is an error, not something to pass over.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <jansson.h>
#include <stddef.h>

/* 0, or -1 with the place and what is wrong there in `why`. Also checks that keys stand in the order of "properties". */
int schema_check(const json_t *schema, const json_t *value, char *why, size_t why_size);

#endif
