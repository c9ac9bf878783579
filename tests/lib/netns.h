/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Steps (traffic.h) that furnish the network namespace of an actor that was started with CLONE_NEWNET. They need no ip(8).
 */
#ifndef NETNS_H
#define NETNS_H

#include "traffic.h"

/* An actor that is in no namespace of its own must not run these. */
step_fn step_loopback_up;
step_fn step_loopback_down;
step_fn step_sysctl; /* host: below /proc/sys/net; value → 0, -ENOENT: not one per namespace */
step_fn step_black_hole; /* host: of a /8, which gets a route to nowhere; lo must be up */
step_fn step_one_port; /* port: the only ephemeral port */
step_fn step_veth; /* pid: who gets the other end; makes "veth0" here and there; -EOPNOTSUPP: no veth */
step_fn step_veth_up; /* host: the address of veth0, in a /24 or /64 */
step_fn step_veth_down;

#endif
