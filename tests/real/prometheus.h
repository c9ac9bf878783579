/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Prometheus from an unpacked package: it scrapes, it is asked over its HTTP API, and what it complains of is in its log.
 */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include "servers.h"

struct prometheus_job {
	char name[32];
	int port; /* of 127.0.0.1 */
	const char *ca_file; /* over TLS, with a certificate that this trusts; NULL: plain */
	const char *token; /* NULL: none */
};

/* Scrapes each job every second. Returns once it is ready; skips the test if it is not unpacked. server_stop() ends it. */
void prometheus_start(struct server *p, const struct prometheus_job *jobs, size_t count);

/* The one value of an instant query, or NAN if there is none; several fail the test. */
double prometheus_query(const struct server *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The type that a job's target gave this metric, "" if it gave none. text[16] */
const char *prometheus_type(const struct server *p, const char *job, const char *metric,
			    char text[16]);

/* How many lines of its log are warnings or errors; prints them. */
int prometheus_complaints(const struct server *p);

/*
 * nginx between Prometheus and the targets, which replaces one header of each request: Prometheus 2.42 cannot be told to ask for the
 * text format, so this asks. Who speaks TLS is spoken to in TLS.
 */
struct relay {
	int port, target_port;
	bool tls;
};

/* Gives each relay its port. */
void prometheus_start_relays(struct server *nginx, struct relay *relays, size_t count,
			     const char *accept);

#endif
