/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What happens when /metrics is asked for: listeners and counters are read, a snapshot is taken, bodies are rendered from it.
 */
#ifndef SCRAPE_H
#define SCRAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "body.h"
#include "connections.h"
#include "inventory.h"
#include "pools.h"
#include "probes.h"
#include "recording.h"
#include "requests.h"
#include "snapshot.h"
#include "targets.h"

/* Where the numbers come from; all stay the caller's and must outlive the scrape and its bodies. */
struct scrape_sources {
	struct probes *probes;
	struct pools *pools;
	struct connections *connections;
	struct targets *targets;
	struct inventory *inventory;
	struct recording *recording; /* of what is read for it; NULL: none */
	void (*drain)(void *arg); /* takes what the ring holds */
	void *arg;
};

struct scrape;

/* -ENOMEM */
int scrape_open(struct scrape **ret, const struct scrape_sources *sources);
void scrape_close(struct scrape *s);

/* Reads all that a scrape reads, for the recording only. */
void scrape_read(struct scrape *s);

/* Gives back the memory of a snapshot that is too old to be shared. Call it on a timer. */
void scrape_tick(struct scrape *s, uint64_t now_ns);

/* The names of these indices (bit by index) are free again: nothing of them is shown any more, but by bodies under way. */
void scrape_forget(struct scrape *s, uint64_t names);

/* What the endpoint counts: shown from now on; it stays the caller's. NULL: not any more. */
void scrape_set_requests(struct scrape *s, const struct requests *requests);
/* How a load of the configuration went, and when (since 1970); at scrape_open() the first one has succeeded. */
void scrape_set_reload(struct scrape *s, bool ok, uint64_t realtime_ns);

/* What /metrics would show now; snapshot_release() it. -ENOMEM */
int scrape_snapshot(struct scrape *s, struct snapshot **ret);

/* As struct body_ops says. Bodies opened within 50 ms show the same moment. */
int scrape_body_open(struct scrape *s, const struct body_request *request, void **ret_body);
ssize_t scrape_body_read(void *body, char *out, size_t max);
void scrape_body_close(void *body);

#endif
