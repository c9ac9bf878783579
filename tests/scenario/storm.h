/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A client and a server, both targets, that connect and close as fast as it goes.
 */
#ifndef STORM_H
#define STORM_H

#include "scene.h"

struct storm {
	struct actor *client, *server;
	struct traffic_shared *shared;
	int listener, port; /* of 127.0.0.1 */
};

/* Makes both, starts the daemon with this flag, and listens. */
struct storm storm_prepare(struct scene *s, const char *flag);

/* `count` connections, from this many addresses from `from` upwards. flags: of step_storm_connect. */
void storm_begin(struct storm *storm, int count, const char *from, int from_hosts,
		 unsigned int flags);
/* Returns how many connections there were, which both ends agree on. */
long storm_finish(struct storm *storm);

#endif
