/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Actors that hold, and one that opens and closes. Every holder has a port and source addresses of its own, every run of a churn has source
 * addresses of its own: so series are as many as wanted, and no port waits in TIME_WAIT. Knows nothing of who watches.
 */
#include "crowd.h"

#include <signal.h>
#include <stdio.h>

#include "scene.h"

#define AT_ONCE 4000 /* connected before they are accepted: less than the backlog */
#define PORTS 20000 /* of an address, in use at a time: less than the ephemeral range */

void crowd_start(struct crowd *c, int holders, int peers)
{
	*c = (struct crowd){.holder_count = holders, .peers = peers};
	actor_start(&c->root, 0);
	for (int i = 0; i < holders; i++)
		actor_fork(&c->root, &c->holders[i]);
}

static void listen_all(struct crowd *c)
{
	for (int i = 0; i < c->holder_count; i++) {
		c->ports[i] = process_free_port();
		c->listeners[i] = (int)act(&c->holders[i], step_listen, .host = "0.0.0.0",
					   .port = c->ports[i], .backlog = SCENE_BACKLOG);
	}
}

/* All holders at the same time. */
static void grow_at_once(struct crowd *c, int pairs)
{
	char to[16], from[16];

	for (int i = 0; i < c->holder_count; i++) {
		traffic_address("127.10.0.1", (unsigned int)(i * c->peers), to);
		traffic_address("127.20.0.1", (unsigned int)(i * c->peers), from);
		act_begin(&c->holders[i], step_hold, .host = to, .spread = c->peers,
			  .port = c->ports[i], .from = from, .from_hosts = c->peers,
			  .count = pairs);
	}
	for (int i = 0; i < c->holder_count; i++)
		assert_int_equal(actor_finish(&c->holders[i]), pairs);
	for (int i = 0; i < c->holder_count; i++)
		act_begin(&c->holders[i], step_hold_accepted, .fd = c->listeners[i],
			  .count = pairs);
	for (int i = 0; i < c->holder_count; i++)
		assert_int_equal(actor_finish(&c->holders[i]), pairs);
	c->pairs += pairs;
}

void crowd_grow(struct crowd *c, int sockets)
{
	int wanted = sockets / 2 / c->holder_count;

	if (!c->ports[0])
		listen_all(c);
	while (c->pairs < wanted)
		grow_at_once(c, wanted - c->pairs < AT_ONCE ? wanted - c->pairs : AT_ONCE);
}

void crowd_release(struct crowd *c)
{
	for (int i = 0; i < c->holder_count; i++)
		act_begin(&c->holders[i], step_release, .count = 0, .flags = STEP_RESET);
	for (int i = 0; i < c->holder_count; i++)
		assert_int_equal(actor_finish(&c->holders[i]), 2 * c->pairs);
	c->pairs = 0;
}

void crowd_end(struct crowd *c)
{
	crowd_release(c);
	for (int i = 0; i < c->holder_count; i++)
		actor_end(&c->holders[i], SIGKILL);
	actor_end(&c->root, SIGKILL);
}

void churn_start(struct churn *c)
{
	*c = (struct churn){.address = 0};
	actor_start(&c->actor, 0);
	c->port = scene_listen(&c->actor, SCENE_BACKLOG, &c->listener);
}

void churn_run(struct churn *c, int count, unsigned int flags)
{
	int addresses = 1 + count / PORTS;
	char from[16];

	traffic_address("127.30.0.1", c->address, from);
	c->address += (unsigned int)addresses;
	act(&c->actor, step_storm_alone, .fd = c->listener, .host = "127.0.0.1", .port = c->port,
	    .from = from, .from_hosts = addresses, .count = count, .flags = flags);
}

void churn_end(struct churn *c)
{
	actor_end(&c->actor, SIGKILL);
}
