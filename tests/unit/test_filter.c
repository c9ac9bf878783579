/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The filter kills what it does not allow, and allows no more of a call than is needed. Each call is made by a child of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "filter.h"
#include "util.h"

#define REFUSED 99 /* the child could not install the filter */
#define WRONG 98 /* the call passed, and its result is wrong */

/* Made before the filter, one set for each child. */
static int file = -1, tcp = -1, other_end = -1, stray = -1;
static struct sockaddr_in listening;

static void make_connection(void)
{
	socklen_t len = sizeof(listening);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	listening = (struct sockaddr_in){.sin_family = AF_INET};
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&listening, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&listening, &len))
		_exit(REFUSED);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(tcp, (struct sockaddr *)&listening, len))
		_exit(REFUSED);
	other_end = accept(listener, NULL, NULL);
	stray = socket(AF_INET, SOCK_STREAM, 0);
}

/* What waitpid() says of a child that makes the calls under the filter. */
static int status_of(void (*calls)(void))
{
	char why[256];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core files */
		file = open("/proc/self/status", O_RDONLY);
		make_connection();
		if (filter_install(why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			_exit(REFUSED);
		}
		calls();
		/* ASan makes calls of its own before a function that does not return; this one it does not know */
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void must(bool good)
{
	if (!good)
		_exit(WRONG);
}

/* ---- what kills ---- */

static void run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

static void make_a_tcp_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void make_a_unix_socket(void)
{
	socket(AF_UNIX, SOCK_DGRAM, 0);
}

static void make_a_socket_pair(void)
{
	int fds[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static void connect_somewhere(void)
{
	connect(stray, (struct sockaddr *)&listening, sizeof(listening));
}

static void connect_by_fast_open(void)
{
	struct msghdr message = {.msg_name = &listening, .msg_namelen = sizeof(listening)};

	sendmsg(stray, &message, MSG_FASTOPEN);
}

static void send_to_an_address(void)
{
	sendto(stray, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&listening, sizeof(listening));
}

static void listen_anew(void)
{
	listen(stray, 1);
}

static void set_another_socket_option(void)
{
	int on = 1;

	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

static void open_to_write(void)
{
	open("/dev/null", O_WRONLY);
}

static void open_to_read_and_write(void)
{
	open("/dev/null", O_RDWR);
}

static void open_to_create(void)
{
	open("/tmp/poolscope-test-filter", O_RDONLY | O_CREAT, 0600);
}

static void open_to_truncate(void)
{
	open("/dev/null", O_RDONLY | O_TRUNC);
}

static void open_by_openat2(void)
{
	const uint64_t how[3] = {O_RDONLY, 0, 0};

	syscall(SYS_openat2, AT_FDCWD, "/dev/null", how, sizeof(how));
}

static void call_bpf(int command)
{
	union bpf_attr attributes = {};

	syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

static void load_a_bpf_program(void)
{
	call_bpf(BPF_PROG_LOAD);
}

static void make_a_bpf_map(void)
{
	call_bpf(BPF_MAP_CREATE);
}

static void find_a_bpf_program(void)
{
	call_bpf(BPF_PROG_GET_FD_BY_ID);
}

static void pin_a_bpf_object(void)
{
	call_bpf(BPF_OBJ_PIN);
}

static void map_executable_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_memory_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void trace_itself(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void read_another_process(void)
{
	process_vm_readv(getppid(), NULL, 0, NULL, 0, 0);
}

static void fork_a_child(void)
{
	syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void signal_a_process(void)
{
	syscall(SYS_kill, 0, 0);
}

static void change_its_user(void)
{
	syscall(SYS_setresuid, -1, -1, -1);
}

static void ask_a_terminal(void)
{
	char size[64];

	ioctl(file, TIOCGWINSZ, size);
}

static void raise_its_limits(void)
{
	struct rlimit limit = {1, 1};

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void make_a_user_namespace(void)
{
	syscall(SYS_unshare, 0);
}

static void install_another_filter(void)
{
	syscall(SYS_seccomp, 0, 0, NULL);
}

#ifdef __x86_64__
static void call_as_x32(void)
{
	syscall(0x40000000 | SYS_read, -1, NULL, 0);
}

static void call_as_i386(void)
{
	long number = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(number) : : "memory");
}
#endif

struct calls {
	const char *name;
	void (*make)(void);
};

#define row(function)               \
	{                           \
#function, function \
	}

static void what_is_not_needed_kills(void **state)
{
	static const struct calls table[] = {
		row(run_a_program),
		row(make_a_tcp_socket),
		row(make_a_unix_socket),
		row(make_a_socket_pair),
		row(connect_somewhere),
		row(connect_by_fast_open),
		row(send_to_an_address),
		row(listen_anew),
		row(set_another_socket_option),
		row(open_to_write),
		row(open_to_read_and_write),
		row(open_to_create),
		row(open_to_truncate),
		row(open_by_openat2),
		row(load_a_bpf_program),
		row(make_a_bpf_map),
		row(find_a_bpf_program),
		row(pin_a_bpf_object),
		row(map_executable_memory),
		row(make_memory_executable),
		row(trace_itself),
		row(read_another_process),
		row(fork_a_child),
		row(signal_a_process),
		row(change_its_user),
		row(ask_a_terminal),
		row(raise_its_limits),
		row(make_a_user_namespace),
		row(install_another_filter),
#ifdef __x86_64__
		row(call_as_x32),
#endif
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int status = status_of(table[i].make);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status 0x%x, expected SIGSYS", table[i].name,
				 (unsigned int)status);
	}
}

#ifdef __x86_64__
static void another_abi_kills(void **state)
{
	int status = status_of(call_as_i386);

	(void)state;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		skip_because("this kernel has no i386 system calls");
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

/* ---- what passes ---- */

static void files_are_read(void)
{
	char text[16];
	struct stat st;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	must(fd >= 0 && read(fd, text, sizeof(text)) == sizeof(text));
	must(memcmp(text, "Name:", 5) == 0);
	must(fstat(fd, &st) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	must(pread(file, text, 5, 0) == 5 && close(fd) == 0);
	must(fcntl(file, F_DUPFD_CLOEXEC, 0) > file);
}

static void memory_is_taken_and_given_back(void)
{
	for (size_t size = 1; size < 64 << 20; size *= 2) {
		char *p = malloc(size);

		must(p != NULL);
		memset(p, 1, size);
		p = realloc(p, size * 2);
		must(p != NULL);
		free(p);
	}
}

static int descending(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

/* glibc asks how much memory there is before it takes some to sort in. */
static void a_long_array_is_sorted(void)
{
	static int numbers[5000];

	for (int i = 0; i < 5000; i++)
		numbers[i] = i;
	qsort(numbers, 5000, sizeof(numbers[0]), descending);
	must(numbers[0] == 4999 && numbers[4999] == 0);
}

static void connections_work(void)
{
	int on = 1;
	char byte;

	must(setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	must(send(tcp, "x", 1, MSG_NOSIGNAL) == 1 && recv(other_end, &byte, 1, 0) == 1);
	must(shutdown(tcp, SHUT_WR) == 0 && recv(other_end, &byte, 1, 0) == 0);
}

static void a_connection_is_reset_by_a_bare_family(void)
{
	const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
	char byte;

	must(connect(tcp, &unspecified, sizeof(unspecified.sa_family)) == 0);
	must(recv(other_end, &byte, 1, 0) < 0 && errno == ECONNRESET);
}

static void no_address_fits_beside_a_bare_family(void)
{
	must(connect(stray, (struct sockaddr *)&listening, sizeof(sa_family_t)) < 0 &&
	     errno == EINVAL);
}

/* What a GnuTLS that is told so by its configuration tries after each handshake. */
static void tls_in_the_kernel_is_refused_softly(void)
{
	must(setsockopt(tcp, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 && errno == EPERM);
}

static void removing_a_file_fails_softly(void)
{
	must(unlink("/nonexistent") < 0 && errno == EPERM);
	must(unlinkat(AT_FDCWD, "/nonexistent", 0) < 0 && errno == EPERM);
}

static void what_is_held_of_bpf_is_used(void)
{
	static const int commands[] = {
		BPF_MAP_LOOKUP_ELEM,
		BPF_MAP_UPDATE_ELEM,
		BPF_MAP_DELETE_ELEM,
		BPF_MAP_LOOKUP_BATCH,
		BPF_MAP_LOOKUP_AND_DELETE_BATCH,
		BPF_MAP_UPDATE_BATCH,
		BPF_MAP_DELETE_BATCH,
		BPF_LINK_CREATE,
		BPF_ITER_CREATE,
		BPF_OBJ_GET_INFO_BY_FD,
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		call_bpf(commands[i]); /* fails: attributes of zeros are of no use */
	ioctl(file, PERF_EVENT_IOC_DISABLE, 0);
}

static void clocks_and_limits_are_read(void)
{
	time_t now = time(NULL);
	struct rlimit limit;
	struct tm tm;

	must(localtime_r(&now, &tm) && util_now_ns() > 0);
	must(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0);
	pause_ms(1);
	must(sched_yield() == 0); /* to a program that holds a slot of the ring */
}

static void what_serving_needs_passes(void **state)
{
	static const struct calls table[] = {
		row(files_are_read),
		row(memory_is_taken_and_given_back),
		row(a_long_array_is_sorted),
		row(connections_work),
		row(a_connection_is_reset_by_a_bare_family),
		row(no_address_fits_beside_a_bare_family),
		row(tls_in_the_kernel_is_refused_softly),
		row(removing_a_file_fails_softly),
		row(what_is_held_of_bpf_is_used),
		row(clocks_and_limits_are_read),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int status = status_of(table[i].make);

		if (status)
			fail_msg("%s: status 0x%x, expected 0", table[i].name,
				 (unsigned int)status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_needed_kills),
#ifdef __x86_64__
		cmocka_unit_test(another_abi_kills),
#endif
		cmocka_unit_test(what_serving_needs_passes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
