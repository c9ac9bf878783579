/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The engine of the daemon in the test process: a fixture of scenes whose targets come and go.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "daemon.h"
#include "scene.h"

int engine_setup(void **state);
int engine_teardown(void **state);
#define engine_test(name) cmocka_unit_test_setup_teardown(name, engine_setup, engine_teardown)

struct daemon *engine_daemon(void);
/* After a turn of the daemon's loop: checked text, to be freed. */
char *engine_text(void);

/* One of the engine's maps, by the name that the kernel has of it: a descriptor, which stays the engine's. */
int engine_map(const char *name);
/* Entries of a map, whose key has at most ENGINE_KEY_MAX bytes. */
long engine_count(const char *map);
#define ENGINE_KEY_MAX 512

#endif
