/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One scrape whose body is counted and thrown away: it may be larger than what the test library keeps.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>

struct fetched {
	long bytes; /* of the whole answer */
	long lines; /* newlines in it; of no use with gzip */
};

/* GET /metrics of 127.0.0.1. Fails the test on any other answer than 200. */
struct fetched fetch_metrics(int port, bool gzip);

#endif
