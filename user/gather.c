// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The names of the causes, and which counter is which. Owns no number. Knows neither where the counters were read nor how they are
 * printed.
 */
#include "gather.h"

#include <string.h>

#include "util.h"

static size_t gather_listeners(struct gather *g, const struct listeners *listeners)
{
	size_t count;
	const struct listeners_row *from = listeners_rows(listeners, &count);

	for (size_t i = 0; i < count; i++)
		g->listeners[i] = (struct exposition_listener){
			.name = from[i].name,
			.server_port = from[i].port,
			.listeners = from[i].listeners,
			.half_open = from[i].half_open,
			.queue_limit = from[i].queue_limit,
			.dropped = from[i].dropped,
		};
	return count;
}

static void gather_causes(struct gather *g, const struct connections_stats *stats,
			  const struct listeners *listeners, const struct gather_counters *counters)
{
	const __u64 *refusals = counters->kernel.refusals;
	const struct exposition_cause refused[GATHER_CAUSES] = {
		{"memory", refusals[PS_REFUSAL_MEMORY]},
		{"optmem", refusals[PS_REFUSAL_OPTMEM]},
		{"processes", refusals[PS_REFUSAL_PROCESSES]},
		{"mirror", stats->full},
		{"listeners", listeners_refused(listeners)},
		{"accepts", stats->accepts_dropped},
	};
	const struct exposition_cause reconciles[GATHER_RECONCILES] = {
		{"attach", counters->reconciles[0]},
		{"loss", counters->reconciles[1]},
		{"timer", counters->reconciles[2]},
	};

	memcpy(g->refused, refused, sizeof(refused));
	memcpy(g->reconciles, reconciles, sizeof(reconciles));
}

void gather_engine(struct gather *g, struct exposition_self *self, struct connections *connections,
		   const struct listeners *listeners, const struct gather_counters *counters)
{
	connections_stats(connections, &self->connections);
	gather_causes(g, &self->connections, listeners, counters);
	self->listeners = g->listeners;
	self->listener_count = gather_listeners(g, listeners);
	self->records_refused = g->refused;
	self->records_refused_count = GATHER_CAUSES;
	self->reconciles = g->reconciles;
	self->reconcile_count = GATHER_RECONCILES;
	for (int i = 0; i < PS_EVENTS; i++) {
		self->events_refused[i] = counters->kernel.refused[i];
		self->events_lost[i] = counters->kernel.lost[i];
	}
	self->events_lost[PS_EVENT_ACCEPT] += self->connections.accepts_lost;
}
