/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Others who make an exposition, from build/ext: node_exporter and Python's client library. What a line of theirs costs in CPU time.
 */
#ifndef EXPORTERS_H
#define EXPORTERS_H

#include "process.h"

struct exporters_scrape {
	double ns_per_line;
	long lines;
};

enum exporters_peer {
	EXPORTERS_PYTHON, /* generate_latest() over the families of a text; no HTTP */
	EXPORTERS_NODE, /* a scrape, with the collectors that it has by default */
	EXPORTERS_NODE_TEXT, /* a scrape, with a text in its directory and no other collector */
	EXPORTERS_PEERS,
};

struct exporters {
	struct process processes[EXPORTERS_PEERS];
	int ports[EXPORTERS_PEERS];
	int python; /* a socket that is the standard input of Python */
	const char *missing[EXPORTERS_PEERS]; /* why it does not run; NULL: it does */
};

/* Starts them. `directory` holds text.prom, an exposition. To be closed. */
void exporters_open(struct exporters *e, const char *directory);
void exporters_close(struct exporters *e);

/* Has one make its body once. -1: it fails; not to be asked again. */
int exporters_scrape(struct exporters *e, enum exporters_peer peer, struct exporters_scrape *ret);

#endif
