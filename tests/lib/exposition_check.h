/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads a text 0.0.4 or OpenMetrics 1.0.0 exposition as strictly as docs/metrics.md promises it, independently of
 * user/families.c, and finds samples in it for tests.
 *
 * A label filter is "name=value,name=value": unordered, unquoted, a subset of the sample's labels ("" or NULL: any);
 * a value ends at the next comma. Sample names are whole: "poolscope_x_total", "poolscope_y_seconds_bucket".
 */
#ifndef EXPOSITION_CHECK_H
#define EXPOSITION_CHECK_H

#include <stddef.h>

#define EXPOSITION_LABELS_MAX 8
#define EXPOSITION_TEXT_MAX 512

struct exposition_label {
	char name[64];
	char value[EXPOSITION_TEXT_MAX]; /* unescaped */
};

struct exposition_sample {
	char name[128];
	struct exposition_label labels[EXPOSITION_LABELS_MAX];
	size_t label_count;
	double value;
};

/* 0, or -EINVAL with "line 12: …" in `why`. The text is NUL-terminated. */
int exposition_check(const char *text, char *why, size_t why_size);
int exposition_check_openmetrics(const char *text, char *why, size_t why_size);

/*
 * For every (process, direction, peer_address, server_port), at a quiet moment: opened + adopted = active + closed + handed_over;
 * outbound attempts = opened + pending + failures; handshakes <= opened; lifetimes <= closed; no gauge below 0.
 * 0, or -EINVAL with the series and the numbers in `why`. Call exposition_check() first.
 */
int exposition_check_invariants(const char *text, char *why, size_t why_size);

/* Steps through the samples: *cursor starts as the text. 1: *ret is the next one; 0: the end; -EINVAL: not a sample. */
int exposition_next(const char **cursor, struct exposition_sample *ret);

/* Value of a label, NULL if the sample does not have it. */
const char *exposition_label_value(const struct exposition_sample *s, const char *label);

/* Does the sample have all the labels of the filter? */
int exposition_matches(const struct exposition_sample *s, const char *filter);

/* The one sample of that name that matches: -ENOENT if there is none, -EEXIST if there are several. */
int exposition_value(const char *text, const char *name, const char *filter, double *ret);

/* Sum over the matching samples; returns how many they are (0: *ret is 0). */
size_t exposition_sum(const char *text, const char *name, const char *filter, double *ret);

#endif
