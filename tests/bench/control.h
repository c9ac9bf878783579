/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A daemon with a control socket, and the client ($POOLSCOPE, build/poolscope) that speaks to it.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include "poolscoped.h"
#include "traffic.h"

struct control {
	struct poolscoped poolscoped;
	struct actor idle; /* sleeps, and is attached from the start */
	char directory[48], socket[64];
};

/* With room for 10,000 series, and these arguments (up to NULL). */
void control_start(struct control *c, const char *const argv[]);
void control_attach(struct control *c, pid_t pid);
void control_detach(struct control *c, pid_t pid);
void control_stop(struct control *c);

#endif
