/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the endpoint counts of itself. Bounded by construction: a path, a method and a status are classified, never kept.
 */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdint.h>

#include "histogram.h"

enum requests_endpoint {
	REQUESTS_METRICS,
	REQUESTS_CONNECTIONS,
	REQUESTS_METADATA,
	REQUESTS_HEALTH,
	REQUESTS_READY,
	REQUESTS_INDEX,
	REQUESTS_OTHER,
	REQUESTS_ENDPOINTS,
};

enum requests_method { REQUESTS_GET, REQUESTS_HEAD, REQUESTS_METHOD_OTHER, REQUESTS_METHODS };

/* Why a connection was refused, or ended before its time. */
enum requests_cause {
	REQUESTS_FULL, /* the table of connections was full, or no descriptor was free */
	REQUESTS_ADDRESS, /* too many from one address while the table was above half */
	REQUESTS_EVICTED, /* gave its place to a newer one */
	REQUESTS_HEADER_TIMEOUT, /* no complete header (and TLS handshake) in time */
	REQUESTS_WRITE_TIMEOUT, /* did not take its answer in time */
	REQUESTS_IDLE_TIMEOUT,
	REQUESTS_PROTOCOL, /* what it sent is no HTTP, or no TLS */
	REQUESTS_CAUSES,
};

#define REQUESTS_CODES 9 /* of requests_codes[]; the last stands for all others */
extern const unsigned int requests_codes[REQUESTS_CODES];
extern const char *const requests_endpoint_text[REQUESTS_ENDPOINTS];
extern const char *const requests_method_text[REQUESTS_METHODS];
extern const char *const requests_cause_text[REQUESTS_CAUSES];

/* All zero: nothing was asked yet. */
struct requests {
	uint64_t in_flight;
	uint64_t total[REQUESTS_ENDPOINTS][REQUESTS_METHODS][REQUESTS_CODES];
	struct histogram duration[REQUESTS_ENDPOINTS];
	uint64_t refused[REQUESTS_CAUSES];
};

/* Bounds of the duration histograms. */
const struct histogram_bounds *requests_bounds(void);

/* The class of a method by its text, and the index of a status in requests_codes[]. */
enum requests_method requests_method_of(const char *method);
unsigned int requests_code_of(unsigned int status);

/* An answer is sent, or was cut short: duration from the complete header to its last byte. */
void requests_done(struct requests *r, enum requests_endpoint endpoint, enum requests_method method,
		   unsigned int status, uint64_t duration_ns);

#endif
