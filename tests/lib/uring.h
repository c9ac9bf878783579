/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Steps (traffic.h) that go through io_uring instead of system calls. An actor has one ring. With STEP_DIRECT sockets are
 * direct descriptors: slots of the ring's own table, in no descriptor table of the process.
 */
#ifndef URING_H
#define URING_H

#include "traffic.h"

#define URING_SLOTS 32 /* direct descriptors of a ring */
#define STEP_DIRECT (1U << 16)
#define STEP_SQPOLL (1U << 17) /* a kernel thread submits */

step_fn step_uring_open; /* flags SQPOLL; -ENOSYS, -EPERM: no io_uring here; -EINVAL: too old */
step_fn step_uring_connect; /* host, port, flags DIRECT, value (DIRECT): slot → fd or slot */
step_fn step_uring_accept; /* fd, flags DIRECT, value (DIRECT): slot → fd or slot */
step_fn step_uring_accept_many; /* fd, count: one multishot accept; holds them → count */
step_fn step_uring_send; /* fd, flags DIRECT, count bytes */
step_fn step_uring_receive; /* fd, flags DIRECT, at most 4,096 → bytes, 0 at the end */
step_fn step_uring_close; /* fd, flags DIRECT */

#endif
