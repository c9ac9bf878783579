/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "storm.h"

struct storm storm_prepare(struct scene *s, const char *flag)
{
	struct storm storm = {.shared = traffic_shared()};

	storm.server = scene_actor(s, "server");
	storm.client = scene_actor(s, "client");
	scene_observe(s, flag, NULL);
	storm.port = scene_listen(storm.server, SCENE_BACKLOG, &storm.listener);
	return storm;
}

void storm_begin(struct storm *storm, int count, const char *from, int from_hosts,
		 unsigned int flags)
{
	atomic_store(&storm->shared->clients, 1);
	act_begin(storm->server, step_storm_serve, .fd = storm->listener, .shared = storm->shared);
	act_begin(storm->client, step_storm_connect, .host = "127.0.0.1", .from = from,
		  .from_hosts = from_hosts, .port = storm->port, .count = count, .flags = flags,
		  .shared = storm->shared);
}

long storm_finish(struct storm *storm)
{
	long connected = actor_finish(storm->client), accepted = actor_finish(storm->server);

	if (connected < 0 || accepted < 0)
		fail_msg("the storm broke off: client %ld, server %ld", connected, accepted);
	assert_int_equal(connected, accepted);
	return connected;
}
