/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Counters of the endpoint, in arrays by class: whatever clients send, no memory is taken and no label is made of it. Knows
 * no connection and no clock.
 */
#include "requests.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

/* 0: any other. Those that the endpoint itself decides; of what libmicrohttpd answers alone it learns nothing. */
const unsigned int requests_codes[REQUESTS_CODES] = {200, 400, 401, 404, 405, 408, 500, 503, 0};

const char *const requests_endpoint_text[REQUESTS_ENDPOINTS] = {
	[REQUESTS_METRICS] = "metrics",	  [REQUESTS_CONNECTIONS] = "connections",
	[REQUESTS_METADATA] = "metadata", [REQUESTS_HEALTH] = "health",
	[REQUESTS_READY] = "ready",	  [REQUESTS_INDEX] = "index",
	[REQUESTS_OTHER] = "other",
};

const char *const requests_method_text[REQUESTS_METHODS] = {
	[REQUESTS_GET] = "GET", [REQUESTS_HEAD] = "HEAD", [REQUESTS_METHOD_OTHER] = "other"};

const char *const requests_cause_text[REQUESTS_CAUSES] = {
	[REQUESTS_FULL] = "full",
	[REQUESTS_ADDRESS] = "address",
	[REQUESTS_EVICTED] = "evicted",
	[REQUESTS_HEADER_TIMEOUT] = "header_timeout",
	[REQUESTS_WRITE_TIMEOUT] = "write_timeout",
	[REQUESTS_IDLE_TIMEOUT] = "idle_timeout",
	[REQUESTS_PROTOCOL] = "protocol",
};

/* Up to the longest time that an answer may take. */
static const struct histogram_bounds bounds = {
	.count = 10,
	.upper_ns = {1 * NSEC_PER_MSEC, 5 * NSEC_PER_MSEC, 10 * NSEC_PER_MSEC, 25 * NSEC_PER_MSEC,
		     50 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC, 500 * NSEC_PER_MSEC, NSEC_PER_SEC,
		     5 * NSEC_PER_SEC, 30 * NSEC_PER_SEC},
	.le = {"0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.5", "1.0", "5.0", "30.0"},
};

const struct histogram_bounds *requests_bounds(void)
{
	return &bounds;
}

enum requests_method requests_method_of(const char *method)
{
	if (strcmp(method, "GET") == 0)
		return REQUESTS_GET;
	return strcmp(method, "HEAD") == 0 ? REQUESTS_HEAD : REQUESTS_METHOD_OTHER;
}

unsigned int requests_code_of(unsigned int status)
{
	unsigned int i = 0;

	while (i < REQUESTS_CODES - 1 && requests_codes[i] != status)
		i++;
	return i;
}

void requests_done(struct requests *r, enum requests_endpoint endpoint, enum requests_method method,
		   unsigned int status, uint64_t duration_ns)
{
	r->total[endpoint][method][requests_code_of(status)]++;
	histogram_add(&r->duration[endpoint], &bounds, duration_ns);
}
