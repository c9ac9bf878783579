/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What runs beside a traced program while its CPU is measured: nothing, poolscope in several ways, or what others use.
 */
#ifndef CONDITION_H
#define CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "poolscoped.h"
#include "traffic.h"
#include "workload.h"

enum condition {
	NOTHING,
	NOTHING_AGAIN,
	EMPTY, /* a program that does nothing, on tp_btf/inet_sock_set_state */
	ELSEWHERE, /* poolscope, attached to a process that sleeps */
	ELSEWHERE_OFF, /* ... without accept probe */
	BOTH, /* attached to both ends, as it is by default */
	BOTH_SYSCALL, /* ... with the fallback of the accept probe */
	BOTH_OFF, /* ... without accept probe */
	EVERYTHING, /* ... with all features on */
	TCPLIFE, /* of libbpf-tools */
	BPFTRACE, /* tcplife.bt */
	SS, /* polled */
	CONDITIONS,
};

struct setting {
	enum condition condition;
	struct poolscoped daemon;
	struct process tool;
	struct actor elsewhere;
	int program, link;
	char why[160]; /* condition_start() failed */
};

const char *condition_name(enum condition c);

/* Whether something of it happens once per second, and so a measurement takes a second at least: condition_poll() does it. */
bool condition_polls(enum condition c);

/* Back when it traces. -1: it cannot here, `why` says it; nothing is left. condition_stop() ends the others. */
int condition_start(struct setting *s, enum condition c, const struct load *l);
void condition_poll(struct setting *s);

/* CPU of its own processes so far, ns; first it waits until they have read what they have been given. */
uint64_t condition_cpu_ns(const struct setting *s);

/* Ends of connections of this load that it has told of; -1: it does not tell. */
long condition_stop(struct setting *s, const struct load *l);

#endif
