/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The least of io_uring: one operation at a time, submitted and awaited. By the bare system calls, so that no library
 * chooses what is tested. Knows nothing of the daemon.
 */
#include "uring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 64 /* completions: twice as many */
#define WAIT_MS 10000

static struct {
	int fd;
	bool polled;
	unsigned int *sq_tail, *sq_flags, sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, cq_mask;
	struct io_uring_cqe *cqes;
	struct io_uring_sqe *sqes;
} ring;

static int enter(unsigned int submit, unsigned int flags)
{
	return syscall(SYS_io_uring_enter, ring.fd, submit, 0, flags, NULL, 0) < 0 ? -errno : 0;
}

static int ring_map(const struct io_uring_params *p)
{
	size_t queue = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t completions = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	char *rings = mmap(NULL, queue > completions ? queue : completions, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);

	ring.sqes = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || ring.sqes == MAP_FAILED)
		return -errno;
	ring.sq_tail = (unsigned int *)(rings + p->sq_off.tail);
	ring.sq_flags = (unsigned int *)(rings + p->sq_off.flags);
	ring.sq_mask = *(unsigned int *)(rings + p->sq_off.ring_mask);
	ring.sq_array = (unsigned int *)(rings + p->sq_off.array);
	ring.cq_head = (unsigned int *)(rings + p->cq_off.head);
	ring.cq_tail = (unsigned int *)(rings + p->cq_off.tail);
	ring.cq_mask = *(unsigned int *)(rings + p->cq_off.ring_mask);
	ring.cqes = (struct io_uring_cqe *)(rings + p->cq_off.cqes);
	return 0;
}

long step_uring_open(const struct step *s)
{
	struct io_uring_params p = {.flags = s->flags & STEP_SQPOLL ? IORING_SETUP_SQPOLL : 0,
				    .sq_thread_idle = 50};
	int slots[URING_SLOTS];
	int r;

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring.fd < 0)
		return -errno;
	ring.polled = s->flags & STEP_SQPOLL;
	if (!(p.features & IORING_FEAT_SINGLE_MMAP))
		return -EINVAL;
	r = ring_map(&p);
	memset(slots, -1, sizeof(slots));
	if (r == 0 &&
	    syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, slots, URING_SLOTS) < 0)
		r = -errno;
	return r;
}

/* ---- one operation ---- */

static int submit(const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring.sq_tail;

	ring.sqes[tail & ring.sq_mask] = *sqe;
	ring.sq_array[tail & ring.sq_mask] = tail & ring.sq_mask;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	if (!ring.polled)
		return enter(1, 0);
	if (__atomic_load_n(ring.sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		return enter(1, IORING_ENTER_SQ_WAKEUP);
	return 0;
}

/* The ring can be polled: it is readable when there is a completion. */
static int complete(struct io_uring_cqe *ret)
{
	struct pollfd p = {.fd = ring.fd, .events = POLLIN};
	unsigned int head = *ring.cq_head;

	while (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
		if (poll(&p, 1, WAIT_MS) != 1)
			return -ETIMEDOUT;
	*ret = ring.cqes[head & ring.cq_mask];
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}

static long run(const struct io_uring_sqe *sqe)
{
	struct io_uring_cqe done;
	int r = submit(sqe);

	if (r == 0)
		r = complete(&done);
	return r < 0 ? r : done.res;
}

static struct io_uring_sqe operation(const struct step *s, __u8 opcode)
{
	return (struct io_uring_sqe){.opcode = opcode,
				     .fd = s->fd,
				     .flags = s->flags & STEP_DIRECT ? IOSQE_FIXED_FILE : 0};
}

/* ---- steps ---- */

static long socket_make(const struct step *s)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_SOCKET,
				   .fd = AF_INET,
				   .off = SOCK_STREAM,
				   .file_index = (__u32)s->value + 1};

	return s->flags & STEP_DIRECT ? run(&sqe) : socket(AF_INET, SOCK_STREAM, 0);
}

long step_uring_connect(const struct step *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
	struct io_uring_sqe sqe = operation(s, IORING_OP_CONNECT);
	long r = socket_make(s);

	if (r < 0)
		return r;
	inet_pton(AF_INET, s->host, &a.sin_addr);
	sqe.fd = s->flags & STEP_DIRECT ? s->value : (int)r;
	sqe.addr = (uintptr_t)&a;
	sqe.off = sizeof(a);
	r = run(&sqe);
	return r < 0 ? r : sqe.fd;
}

long step_uring_accept(const struct step *s)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_ACCEPT, .fd = s->fd};
	long r;

	if (!(s->flags & STEP_DIRECT))
		return run(&sqe);
	sqe.file_index = (__u32)s->value + 1;
	r = run(&sqe);
	return r < 0 ? r : s->value;
}

long step_uring_accept_many(const struct step *s)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_ACCEPT,
				   .fd = s->fd,
				   .ioprio = IORING_ACCEPT_MULTISHOT,
				   .user_data = 1};
	struct io_uring_sqe cancel = {.opcode = IORING_OP_ASYNC_CANCEL, .addr = 1, .user_data = 2};
	struct io_uring_cqe done;
	int r = submit(&sqe);

	for (int i = 0; r == 0 && i < s->count; i++) {
		r = complete(&done);
		if (r == 0 && done.res < 0)
			r = done.res;
		if (r == 0)
			r = (int)traffic_hold(done.res);
	}
	if (r == 0)
		r = submit(&cancel);
	/* The accept says that it was cancelled, and the cancel that it was done, in any order. */
	for (int i = 0; r == 0 && i < 2; i++)
		r = complete(&done);
	return r < 0 ? r : s->count;
}

long step_uring_send(const struct step *s)
{
	static const char bytes[4096];
	struct io_uring_sqe sqe = operation(s, IORING_OP_SEND);
	long r;

	sqe.addr = (uintptr_t)bytes;
	sqe.len = (__u32)s->count;
	sqe.msg_flags = MSG_NOSIGNAL;
	r = run(&sqe);
	return r == s->count ? 0 : r < 0 ? r : -EIO;
}

long step_uring_receive(const struct step *s)
{
	static char bytes[4096];
	struct io_uring_sqe sqe = operation(s, IORING_OP_RECV);

	sqe.addr = (uintptr_t)bytes;
	sqe.len = sizeof(bytes);
	return run(&sqe);
}

long step_uring_close(const struct step *s)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_CLOSE};

	if (s->flags & STEP_DIRECT)
		sqe.file_index = (__u32)s->fd + 1;
	else
		sqe.fd = s->fd;
	return run(&sqe);
}
