/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a request target and, on the second line, as the scrape's time-out: the endpoint is the one whose path is there to
 * the byte, the query is kept whole or not at all, nothing of the request before is left, and the time is within its bounds.
 */
#include "fuzz.h"
#include "routes.h"

static enum requests_endpoint endpoint_of(const char *target)
{
	static const char *const paths[REQUESTS_ENDPOINTS] = {
		[REQUESTS_METRICS] = "/metrics",   [REQUESTS_CONNECTIONS] = "/connections",
		[REQUESTS_METADATA] = "/metadata", [REQUESTS_HEALTH] = "/-/healthy",
		[REQUESTS_READY] = "/-/ready",	   [REQUESTS_INDEX] = "/",
	};

	for (int i = 0; i < REQUESTS_OTHER; i++) {
		size_t len = strlen(paths[i]);

		if (strncmp(target, paths[i], len) == 0 && (!target[len] || target[len] == '?'))
			return (enum requests_endpoint)i;
	}
	return REQUESTS_OTHER;
}

static void check_target(const char *target)
{
	struct routes routes = {.telemetry_path = "/metrics"};
	const char *question = strchr(target, '?'), *query = question ? question + 1 : "";
	struct routes_request q;

	memset(&q, 0x01, sizeof(q));
	routes_target(&routes, &q, target);
	check(q.endpoint == endpoint_of(target) && q.local && !q.status && !q.asked_ns);
	check(q.query_too_long == (strlen(query) >= ROUTES_QUERY_MAX));
	check(strcmp(q.query, q.query_too_long ? "" : query) == 0);
}

static void check_time_out(const char *value)
{
	uint64_t ns = routes_answer_ns(value);
	size_t digits = strspn(value, "0123456789");

	check(ns >= NSEC_PER_SEC / 10 && ns <= 60 * NSEC_PER_SEC);
	if (!digits || value[digits] || digits > 9)
		return;
	if (strtoul(value, NULL, 10) == 0)
		check(ns == NSEC_PER_SEC / 10);
	else if (strtoul(value, NULL, 10) >= 60)
		check(ns == 60 * NSEC_PER_SEC);
	else
		check(ns == strtoul(value, NULL, 10) * NSEC_PER_SEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	char *target = fuzz_text(data, len);
	char *value = end ? fuzz_text(end + 1, size - len - 1) : fuzz_text(data, 0);

	check_target(target);
	check_time_out(value);
	free(target);
	free(value);
	return 0;
}
