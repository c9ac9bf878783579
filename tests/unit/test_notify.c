/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a service manager hears, on a socket like its own, and the descriptors that it hands over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "notify.h"
#include "util.h"

#define SECOND NSEC_PER_SEC

/* A name in the abstract name space that is ours alone. */
static int manager_open(char name[64])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t len;

	assert_true(fd >= 0);
	snprintf(name, 64, "@poolscope-test-notify-%d", (int)getpid());
	len = strlen(name);
	memcpy(address.sun_path, name, len);
	address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	return fd;
}

static void expect_heard(int manager, const char *expected)
{
	char text[256];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	if (!expected) {
		assert_int_equal(n, -1);
		assert_int_equal(errno, EAGAIN);
		return;
	}
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

static void a_manager_is_told(void **state)
{
	char name[64], why[256];
	int manager = manager_open(name);
	struct notify *n;

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_open(&n, why, sizeof(why)), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(notify_ready(n), 0);
	expect_heard(manager, "READY=1");
	assert_int_equal(notify_reloading(n, 5 * SECOND + 1999), 0);
	expect_heard(manager, "RELOADING=1\nMONOTONIC_USEC=5000001");
	assert_int_equal(notify_stopping(n), 0);
	expect_heard(manager, "STOPPING=1");
	/* nobody waits for a sign of life */
	assert_int_equal(notify_watchdog(n, 1000 * SECOND), 0);
	expect_heard(manager, NULL);
	close(manager);
	assert_int_equal(notify_ready(n), -ECONNREFUSED);
	notify_close(n);
}

static void signs_of_life_come_twice_a_period(void **state)
{
	char name[64], why[256], pid[16];
	int manager = manager_open(name);
	struct notify *n;

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_open(&n, why, sizeof(why)), 0);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	notify_watchdog(n, 100 * SECOND);
	expect_heard(manager, "WATCHDOG=1");
	notify_watchdog(n, 105 * SECOND - 1);
	expect_heard(manager, NULL);
	notify_watchdog(n, 105 * SECOND);
	expect_heard(manager, "WATCHDOG=1");
	expect_heard(manager, NULL);
	notify_close(n);
	close(manager);
}

/* Of a parent, say, that has a watchdog of its own. */
static void the_watchdog_of_another_process_is_not_ours(void **state)
{
	char name[64], why[256];
	int manager = manager_open(name);
	struct notify *n;

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_open(&n, why, sizeof(why)), 0);
	notify_watchdog(n, 100 * SECOND);
	expect_heard(manager, NULL);
	notify_close(n);
	close(manager);
}

static void without_a_manager_nothing_happens(void **state)
{
	char why[256];
	struct notify *n;

	(void)state;
	assert_int_equal(notify_open(&n, why, sizeof(why)), 0);
	assert_int_equal(notify_ready(n), 0);
	assert_int_equal(notify_watchdog(n, 100 * SECOND), 0);
	notify_close(n);
	notify_close(NULL);
}

static void a_manager_that_is_not_there_is_an_error(void **state)
{
	static const struct {
		const char *path;
		int err;
	} table[] = {
		{"/nonexistent/notify", -ENOENT},
		{"vsock:2:1234", -EAFNOSUPPORT},
		{"", -EAFNOSUPPORT},
		{"@", -EAFNOSUPPORT},
		{"/123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		 "12345678901234567",
		 -ENAMETOOLONG},
	};
	struct notify *n;
	char why[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		setenv("NOTIFY_SOCKET", table[i].path, 1);
		assert_int_equal(notify_open(&n, why, sizeof(why)), table[i].err);
		assert_non_null(strstr(why, "NOTIFY_SOCKET="));
		assert_null(getenv("NOTIFY_SOCKET"));
	}
}

/* In a child, which may have what it likes at 3, 4 and 5. */
static int take_descriptors(const char *pid, const char *count, size_t max)
{
	int fds[2] = {-1, -1};
	size_t n;

	for (int fd = 3; fd < 6; fd++)
		if (dup2(STDERR_FILENO, fd) != fd || fcntl(fd, F_SETFD, 0))
			return 100;
	close(6);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", "a:b:c", 1);
	n = notify_listen_fds(fds, max);
	if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
		return 101;
	for (size_t i = 0; i < 2; i++)
		if (fds[i] != (i < n && i < max ? 3 + (int)i : -1))
			return 102;
	for (int fd = 3; fd < 6; fd++)
		if (fcntl(fd, F_GETFD) != (fd - 3 < (int)n ? FD_CLOEXEC : 0))
			return 103;
	return notify_listen_fds(fds, max) ? 104 : (int)n;
}

static void expect_taken(bool ours, const char *count, size_t max, int expected)
{
	int status;
	char pid[16];
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		snprintf(pid, sizeof(pid), "%d", ours ? (int)getpid() : (int)getppid());
		_exit(take_descriptors(pid, count, max));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static void descriptors_are_taken_in_order(void **state)
{
	(void)state;
	expect_taken(true, "1", 2, 1);
	expect_taken(true, "2", 2, 2);
	expect_taken(true, "3", 2, 3);
	expect_taken(true, "0", 2, 0);
	expect_taken(false, "2", 2, 0);
	expect_taken(true, "-1", 2, 0);
	expect_taken(true, "99999999999999999999", 2, 0);
	expect_taken(true, "", 2, 0);
	/* 6 is not open */
	expect_taken(true, "2000000000", 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manager_is_told),
		cmocka_unit_test(signs_of_life_come_twice_a_period),
		cmocka_unit_test(the_watchdog_of_another_process_is_not_ours),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(a_manager_that_is_not_there_is_an_error),
		cmocka_unit_test(descriptors_are_taken_in_order),
	};

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
