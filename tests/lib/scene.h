/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The fixture of the end-to-end tests: actors, the daemon attached to those with a name, and exact expectations. Whatever is
 * left when a test ends, well or not, is removed.
 */
#ifndef SCENE_H
#define SCENE_H

#include "check.h"
#include "poolscoped.h"
#include "traffic.h"

#define SCENE_ACTORS_MAX 16
#define SCENE_BACKLOG 4096

struct scene {
	struct poolscoped daemon;
	struct actor actors[SCENE_ACTORS_MAX];
	size_t actor_count;
	char *(*scrape)(
		void *arg); /* checked text of another source than the daemon, to be freed; NULL: the daemon */
	void *scrape_arg;
};

/* All the numbers of one series, or of several summed; what a test does not name must be 0. */
struct counts {
	long active, pending, queued, stale;
	long attempts, opened, adopted, handed_over;
	long refused, timeout, unreachable, reset, aborted, failed_other; /* failures */
	long closed_local, closed_peer, closed_reset_by_peer, closed_reset_by_local, closed_timeout,
		closed_other;
	long handshakes, lifetimes, accept_waits;
};

int scene_setup(void **state);
int scene_teardown(void **state);
#define scene_test(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

/* A new actor; one with a name becomes a target of scene_observe(). */
struct actor *scene_actor(struct scene *s, const char *name);
struct actor *scene_actor_in(struct scene *s, const char *name, unsigned int namespaces);
/* A child of `parent`, as actor_fork(). */
struct actor *scene_fork(struct scene *s, struct actor *parent);

/* Starts the daemon on all named actors, with further arguments (up to NULL), and asserts that it serves. */
void scene_observe(struct scene *s, ...) __attribute__((sentinel));

/* Whether accept() is seen by fexit: the fallback, or what this kernel refuses, misses some kinds of it. */
bool scene_has_fexit(struct scene *s);

/*
 * Waits up to 5 s until the series have exactly these numbers, prints the differences and fails if they do not, and checks the
 * invariants. peer NULL and port 0: summed over all. Overflow and folded peers are given as the label shows them.
 */
void expect_series(struct scene *s, const char *process, const char *direction, const char *peer,
		   int port, struct counts expected);
#define expect(scene, process, direction, peer, port, ...) \
	expect_series(scene, process, direction, peer, port, (struct counts){__VA_ARGS__})

/* How many series there are, over all processes. */
void expect_series_total(struct scene *s, long expected);

/* Prints what the daemon says that it cost: all of its loss counters that are not 0. */
void scene_print_losses(const char *text);

/* The number of one row of the counts, without waiting: "active", "closed_local". */
long scene_count(const char *text, const char *row, const char *process, const char *direction);

/*
 * The one sample of a histogram (its name without suffix) lies between these seconds, and in the bucket of its value;
 * returns it.
 */
double expect_sample(struct scene *s, const char *histogram, const char *filter, double low,
		     double high);

/* Listener and client on 127.0.0.1 with these two actors: returns the port; the descriptors come back if wanted. */
int scene_listen(struct actor *server, int backlog, int *ret_fd);
/* One connection, accepted. */
void scene_pair(struct actor *client, struct actor *server, int listener, int port, int *ret_client,
		int *ret_server);
/* A port whose listener drops every SYN: its accept queue is full until `owner` accepts from *ret_fd. */
int scene_full_listener(struct actor *owner, int *ret_fd);

#endif
