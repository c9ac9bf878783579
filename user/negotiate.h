/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a client wants of the metrics, from its Accept and Accept-Encoding headers (RFC 9110, 12.5). Pure.
 */
#ifndef NEGOTIATE_H
#define NEGOTIATE_H

#include <stdbool.h>

#define NEGOTIATE_VALUE_MAX 4096 /* bytes; a longer header is as if it were not there */

enum negotiate_format {
	NEGOTIATE_TEXT, /* Prometheus text 0.0.4 */
	NEGOTIATE_OPENMETRICS, /* 1.0.0 */
	NEGOTIATE_FORMATS,
};

/* What was said of one offer by the range that names it most exactly. */
struct negotiate_wish {
	unsigned int rank; /* how exactly; 0: nothing was said */
	unsigned int quality; /* thousandths; 0: refused */
};

/* Starts as {}. */
struct negotiate {
	struct negotiate_wish formats[NEGOTIATE_FORMATS];
	struct negotiate_wish gzip, identity;
};

/* One header's value; call for each that the request has. NULL, too long, malformed elements of the list: ignored. */
void negotiate_accept(struct negotiate *n, const char *value);
void negotiate_encoding(struct negotiate *n, const char *value);

/* Text if nothing fits; OpenMetrics if it is preferred, or named as much as text is. */
enum negotiate_format negotiate_format(const struct negotiate *n);
bool negotiate_gzip(const struct negotiate *n);

#endif
