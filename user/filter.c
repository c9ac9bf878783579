// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The seccomp filter: two tables of what the loop, libmicrohttpd, GnuTLS, libbpf and glibc ask of the kernel while the daemon serves and
 * while it ends; traced, and proved by tests/unit/test_filter.c and tests/scenario/test_privileges.c. A call that is in neither kills the process: a library
 * that has been taken over must not go on, and a call that was forgotten must be seen. Only the machine's own calls pass: those
 * of another ABI of the same processor (i386, x32) kill, too.
 *
 * Refuses to know who makes which call; cannot look behind a pointer: a path, an address, the attributes of bpf(2).
 */
#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "util.h"

/* Whatever the arguments are. What an architecture does not have is left out by libseccomp. */
static const int allowed[] = {
	/* the loop */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(restart_syscall), /* a sleep that SIGSTOP has interrupted */
	SCMP_SYS(sched_yield), /* to a program that was preempted with a slot of the ring */
	/* what is open, or comes from a listener */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(getdents64),
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	/* memory; for what may be executed see below */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	/* time; the first three where the vDSO cannot read the clock */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* about itself */
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(getpid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo), /* glibc: qsort() of a long array */
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* An argument and what its bits under the mask must be. All are 32-bit numbers for the kernel, or are asked to be NULL. */
struct condition {
	unsigned int argument;
	uint64_t mask, value;
};

#define CONDITIONS_MAX 2
#define ALL_BITS 0xffffffffU
#define IS(n, value_)                                                \
	{                                                            \
		.argument = (n), .mask = ALL_BITS, .value = (value_) \
	}
#define IS_NULL(n)                                              \
	{                                                       \
		.argument = (n), .mask = UINT64_MAX, .value = 0 \
	}
#define HAS_NONE_OF(n, bits)                                              \
	{                                                                 \
		.argument = (n), .mask = (unsigned int)(bits), .value = 0 \
	}

struct rule {
	int call;
	unsigned int count;
	struct condition of[CONDITIONS_MAX];
};

/* Several rows of one call are alternatives. */
static const struct rule allowed_if[] = {
	/* for reading only; __O_TMPFILE is in O_TMPFILE */
	{SCMP_SYS(openat),
	 1,
	 {HAS_NONE_OF(2, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))}},
	{SCMP_SYS(mmap), 1, {HAS_NONE_OF(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {HAS_NONE_OF(2, PROT_EXEC)}},
	/* To nobody but the other end. TCP's sendmsg() minds an address only to connect by it (fast open). */
	{SCMP_SYS(sendto), 1, {IS_NULL(4)}},
	{SCMP_SYS(sendmsg), 1, {HAS_NONE_OF(2, MSG_FASTOPEN)}},
	/* An address of this length can only be AF_UNSPEC, which resets a connection: for all others it is too short. */
	{SCMP_SYS(connect), 1, {IS(2, sizeof(sa_family_t))}},
	{SCMP_SYS(setsockopt), 2, {IS(1, IPPROTO_TCP), IS(2, TCP_CORK)}},
	{SCMP_SYS(setsockopt), 2, {IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)}},
	{SCMP_SYS(fcntl), 1, {IS(1, F_GETFD)}},
	{SCMP_SYS(fcntl), 1, {IS(1, F_SETFD)}},
	{SCMP_SYS(fcntl), 1, {IS(1, F_GETFL)}},
	{SCMP_SYS(fcntl), 1, {IS(1, F_SETFL)}},
	{SCMP_SYS(fcntl), 1, {IS(1, F_DUPFD_CLOEXEC)}},
	/* libbpf closes the links of tracepoints so */
	{SCMP_SYS(ioctl), 1, {IS(1, PERF_EVENT_IOC_DISABLE)}},
	{SCMP_SYS(membarrier), 1, {IS(0, MEMBARRIER_CMD_GLOBAL)}},
	/* to ask, not to set */
	{SCMP_SYS(prlimit64), 2, {IS(0, 0), IS_NULL(2)}},
	/* on maps, programs and links whose descriptors the process holds */
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_LOOKUP_ELEM)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_UPDATE_ELEM)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_DELETE_ELEM)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_LOOKUP_BATCH)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_LOOKUP_AND_DELETE_BATCH)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_UPDATE_BATCH)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_MAP_DELETE_BATCH)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_LINK_CREATE)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_ITER_CREATE)}},
	{SCMP_SYS(bpf), 1, {IS(0, BPF_OBJ_GET_INFO_BY_FD)}},
};

/* Refused, but no reason to die. */
static const struct rule refused[] = {
	/* http_close() tries to remove the file of a listening socket */
	{SCMP_SYS(unlink), 0, {}},
	{SCMP_SYS(unlinkat), 0, {}},
	/* a GnuTLS whose configuration says "ktls = true" */
	{SCMP_SYS(setsockopt), 2, {IS(1, IPPROTO_TCP), IS(2, TCP_ULP)}},
};

static int add_rule(scmp_filter_ctx context, uint32_t action, const struct rule *rule)
{
	struct scmp_arg_cmp args[CONDITIONS_MAX];

	for (unsigned int i = 0; i < rule->count; i++) {
		const struct condition *c = &rule->of[i];

		args[i] = SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value);
	}
	return seccomp_rule_add_array(context, action, rule->call, rule->count, args);
}

static int add_rules(scmp_filter_ctx context)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !err; i++)
		err = seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(allowed_if) && !err; i++)
		err = add_rule(context, SCMP_ACT_ALLOW, &allowed_if[i]);
	for (size_t i = 0; i < ARRAY_SIZE(refused) && !err; i++)
		err = add_rule(context, SCMP_ACT_ERRNO(EPERM), &refused[i]);
	return err;
}

int filter_install(char *why, size_t why_size)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = context ? 0 : -ENOMEM;

	tzset(); /* else the first Date header reads /etc/localtime */
	if (!err)
		err = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* the kernel's own errno, not the library's -ECANCELED */
	if (!err)
		err = seccomp_attr_set(context, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!err)
		err = add_rules(context);
	if (!err)
		err = seccomp_load(context);
	if (context)
		seccomp_release(context);
	if (err)
		snprintf(why, why_size, "cannot install the system call filter (seccomp): %s",
			 strerror(-err));
	return err;
}
