/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The control socket with nothing behind it: its file, its bounds, what is answered and in which pieces. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "util.h"

#define ANSWER_MAX (4 << 20)

static char directory[] = "/tmp/poolscope-control.XXXXXX";
static char path[sizeof(directory) + 32];

/* ---- what is behind it ---- */

static struct fake {
	size_t total, at; /* of the body */
	ssize_t fails_at; /* -1: it does not */
	int open_error;
	int opened, closed;
	enum negotiate_format format;
	char query[64];
	/* the last change */
	struct control_request request; /* to attach */
	pid_t pid; /* to detach */
	char name[64];
	enum exit_code code;
	int detach_error;
} fake;

static int fake_open(void *arg, const struct body_request *request, void **ret_body)
{
	assert_ptr_equal(arg, &fake);
	if (fake.open_error == -EINVAL)
		snprintf(request->why, BODY_WHY_BYTES, "not so");
	if (fake.open_error)
		return fake.open_error;
	fake.opened++;
	fake.at = 0;
	fake.format = request->format;
	snprintf(fake.query, sizeof(fake.query), "%s", request->query);
	*ret_body = &fake;
	return 0;
}

static ssize_t fake_read(void *body, char *out, size_t max)
{
	size_t n = fake.total - fake.at < max ? fake.total - fake.at : max;

	assert_ptr_equal(body, &fake);
	if (fake.fails_at >= 0 && fake.at >= (size_t)fake.fails_at)
		return -EIO;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)('a' + (fake.at + i) % 26);
	fake.at += n;
	return (ssize_t)n;
}

static void fake_close(void *body)
{
	assert_ptr_equal(body, &fake);
	fake.closed++;
}

static const struct body_ops fake_body = {fake_open, fake_read, fake_close};

static enum exit_code fake_attach(void *arg, const struct control_request *r, char *why,
				  size_t why_size)
{
	assert_ptr_equal(arg, &fake);
	fake.request = *r;
	snprintf(why, why_size, "no \xff process"); /* a comm is any bytes */
	return fake.code;
}

static int fake_detach(void *arg, pid_t pid, const char *name, char *why, size_t why_size)
{
	assert_ptr_equal(arg, &fake);
	fake.pid = pid;
	snprintf(fake.name, sizeof(fake.name), "%s", name ? name : "(none)");
	snprintf(why, why_size, "no \xff process");
	return fake.detach_error;
}

static const struct control_actions actions = {
	.attach = fake_attach,
	.detach = fake_detach,
	.list = &fake_body,
	.check = &fake_body,
	.connections = &fake_body,
	.snapshot = &fake_body,
	.metrics = &fake_body,
};

/* ---- the socket ---- */

static int make_directory(void **state)
{
	(void)state;
	log_setup(LOG_ERROR, LOG_LOGFMT);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/run/control.sock", directory);
	return 0;
}

static int remove_directory(void **state)
{
	char run[sizeof(directory) + 8];

	(void)state;
	snprintf(run, sizeof(run), "%s/run", directory);
	return rmdir(run) || rmdir(directory);
}

static int try_open(struct control **ret, char why[256])
{
	const struct control_config config = {.path = path, .actions = &actions, .arg = &fake};

	fake = (struct fake){.fails_at = -1};
	*ret = NULL;
	return control_open(ret, &config, why, 256);
}

static struct control *open_control(void)
{
	struct control *c;
	char why[256];

	if (try_open(&c, why))
		fail_msg("%s", why);
	return c;
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Turns the loop until the client is at its end; closes it. The text is good until the next call. */
static const char *hear(struct control *c, int fd)
{
	static char answer[ANSWER_MAX];
	size_t len = 0;
	ssize_t n;

	for (;;) {
		control_run(c);
		n = read(fd, answer + len, sizeof(answer) - 1 - len);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	answer[len] = '\0';
	return answer;
}

static const char *ask(struct control *c, const char *request)
{
	int fd = dial();

	say(fd, request);
	return hear(c, fd);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void its_file_is_its_owners_alone_and_goes_with_it(void **state)
{
	int before = count_fds();
	mode_t mask = umask(0077);
	struct control *c = open_control();
	struct stat st;
	char *slash;

	(void)state;
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(stat(path, &st), 0);
	*slash = '/';
	assert_int_equal(st.st_mode & 07777, 0755);
	control_close(c);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count_fds(), before);
}

static void a_live_socket_is_left_to_its_process(void **state)
{
	struct control *first = open_control(), *second;
	char why[256], expected[256];

	(void)state;
	assert_int_equal(try_open(&second, why), -EADDRINUSE);
	assert_null(second);
	snprintf(expected, sizeof(expected),
		 "cannot listen on %s: Address already in use (PID %d listens there)", path,
		 (int)getpid());
	assert_string_equal(why, expected);
	assert_string_equal(ask(first, "{\"command\":\"detach\",\"pid\":1}\n"), "{\"ok\":true}\n");
	control_close(first);
}

static void a_socket_that_nobody_answers_on_is_replaced(void **state)
{
	struct control *c = open_control();
	char aside[sizeof(path) + 8];

	(void)state;
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	control_close(c);
	assert_int_equal(rename(aside, path), 0);
	c = open_control();
	assert_string_equal(ask(c, "{\"command\":\"detach\",\"pid\":1}\n"), "{\"ok\":true}\n");
	control_close(c);
}

static void what_cannot_be_made_is_told(void **state)
{
	char before[sizeof(path)], why[256], expected[256];
	struct control *c;

	(void)state;
	strcpy(before, path);
	snprintf(path, sizeof(path), "%s/no/run/x", directory);
	snprintf(expected, sizeof(expected),
		 "cannot make the directory %s/no/run: No such file or directory", directory);
	assert_int_equal(try_open(&c, why), -ENOENT);
	assert_null(c);
	strcpy(path, before);
	assert_string_equal(why, expected);
}

/* ---- commands ---- */

static void attach_and_detach_hand_on_what_was_asked(void **state)
{
	struct control *c = open_control();

	(void)state;
	assert_string_equal(ask(c, "{\"command\":\"attach\",\"pid\":12}\n"), "{\"ok\":true}\n");
	assert_int_equal(fake.request.pid, 12);
	assert_true(fake.request.follow);
	assert_string_equal(ask(c, "{\"command\":\"attach\",\"selector\":{\"kind\":\"comm\","
				   "\"text\":\"nginx\"},\"name\":\"web\",\"follow\":false}\n"),
			    "{\"ok\":true}\n");
	assert_int_equal(fake.request.pid, 0);
	assert_true(fake.request.selects);
	assert_string_equal(fake.request.selector.text, "nginx");
	assert_string_equal(fake.request.name, "web");
	assert_false(fake.request.follow);
	ask(c, "{\"command\":\"detach\",\"name\":\"all\"}\n");
	assert_int_equal(fake.pid, 0);
	assert_string_equal(fake.name, "all");
	control_close(c);
}

static void failures_are_told_with_their_exit_code(void **state)
{
	struct control *c = open_control();

	(void)state;
	fake.code = EXIT_KERNEL;
	assert_string_equal(ask(c, "{\"command\":\"attach\",\"pid\":12}\n"),
			    "{\"ok\":false,\"code\":3,\"error\":\"no ? process\"}\n");
	fake.detach_error = -ESRCH;
	assert_string_equal(ask(c, "{\"command\":\"detach\",\"pid\":12}\n"),
			    "{\"ok\":false,\"code\":5,\"error\":\"no ? process\"}\n");
	fake.detach_error = -ENOMEM;
	assert_string_equal(ask(c, "{\"command\":\"detach\",\"pid\":12}\n"),
			    "{\"ok\":false,\"code\":1,\"error\":\"no ? process\"}\n");
	fake.open_error = -EBUSY;
	assert_string_equal(ask(c, "{\"command\":\"connections\"}\n"),
			    "{\"ok\":false,\"code\":1,\"error\":\"one at a time, and one a second: "
			    "try again\",\"retry\":true}\n");
	fake.open_error = -ENOMEM;
	assert_string_equal(ask(c, "{\"command\":\"list\"}\n"),
			    "{\"ok\":false,\"code\":1,\"error\":\"cannot make the answer to "
			    "'list': Cannot allocate memory\"}\n");
	fake.open_error = -EINVAL;
	assert_string_equal(ask(c, "{\"command\":\"connections\"}\n"),
			    "{\"ok\":false,\"code\":2,\"error\":\"cannot make the answer to "
			    "'connections': not so\"}\n");
	assert_string_equal(
		ask(c, "{\"command\":\"attach\"}\n"),
		"{\"ok\":false,\"code\":2,\"error\":\"attach: expected either pid or selector\"}\n");
	control_close(c);
}

static void bodies_come_in_frames(void **state)
{
	struct control *c = open_control();

	(void)state;
	fake.total = 5;
	assert_string_equal(ask(c, "{\"command\":\"snapshot\",\"format\":\"openmetrics\"}\n"),
			    "{\"ok\":true}\n5\nabcde0\n");
	assert_int_equal(fake.format, NEGOTIATE_OPENMETRICS);
	assert_string_equal(ask(c, "{\"command\":\"connections\",\"query\":\"process=x\"}\n"),
			    "{\"ok\":true}\n5\nabcde0\n");
	assert_int_equal(fake.format, NEGOTIATE_TEXT);
	assert_string_equal(fake.query, "process=x");
	fake.total = 0;
	assert_string_equal(ask(c, "{\"command\":\"list\"}\n"), "{\"ok\":true}\n0\n");
	assert_int_equal(fake.opened, 3);
	assert_int_equal(fake.closed, 3);
	control_close(c);
}

/* Larger than every buffer on the way. */
static void a_large_body_comes_whole_and_the_loop_turns(void **state)
{
	struct control *c = open_control();
	const char *text, *end;
	size_t have = 0;

	(void)state;
	fake.total = 1000003;
	text = ask(c, "{\"command\":\"snapshot\"}\n");
	assert_int_equal(strncmp(text, "{\"ok\":true}\n", 12), 0);
	for (text += 12; *text != '0'; text = end + 1) {
		size_t length = strtoul(text, (char **)&end, 10);

		assert_int_equal(*end, '\n');
		assert_in_range(length, 1, 32 * 1024);
		for (size_t i = 0; i < length; i++)
			if (end[1 + i] != (char)('a' + (have + i) % 26))
				fail_msg("byte %zu is another", have + i);
		have += length;
		end += length;
	}
	assert_int_equal(have, 1000003);
	assert_string_equal(text, "0\n");
	assert_int_equal(fake.closed, 1);
	control_close(c);
}

static void a_body_that_fails_does_not_look_whole(void **state)
{
	struct control *c = open_control();
	const char *text;

	(void)state;
	fake.total = 100000;
	fake.fails_at = 50000;
	text = ask(c, "{\"command\":\"snapshot\"}\n");
	assert_true(strlen(text) > 50000);
	assert_string_not_equal(text + strlen(text) - 3, "\n0\n");
	assert_int_equal(fake.closed, 1);
	control_close(c);
}

static void a_request_may_come_in_pieces_and_what_follows_is_ignored(void **state)
{
	struct control *c = open_control();
	int fd = dial();

	(void)state;
	for (const char *p = "{\"command\":\"detach\",\"pid\":7}"; *p; p++) {
		assert_int_equal(write(fd, p, 1), 1);
		control_run(c);
	}
	assert_int_equal(fake.pid, 0);
	say(fd, "\n{\"command\":\"detach\",\"pid\":8}\n");
	assert_string_equal(hear(c, fd), "{\"ok\":true}\n");
	assert_int_equal(fake.pid, 7);
	control_close(c);
}

/* ---- bounds ---- */

static void a_request_has_64_kib(void **state)
{
	static char line[CONTROL_REQUEST_MAX + 1];
	struct control *c = open_control();

	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"command\":\"detach\",\"pid\":7}", 28);
	line[CONTROL_REQUEST_MAX - 1] = '\n';
	line[CONTROL_REQUEST_MAX] = '\0';
	assert_string_equal(ask(c, line), "{\"ok\":true}\n");
	line[CONTROL_REQUEST_MAX - 1] = ' ';
	assert_string_equal(ask(c, line), "{\"ok\":false,\"code\":2,\"error\":\"a request has at "
					  "most 65536 bytes\"}\n");
	control_close(c);
}

static void the_17th_client_is_told_to_come_again(void **state)
{
	int fds[CONTROL_CLIENTS_MAX], extra;
	struct control *c = open_control();

	(void)state;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fds[i] = dial();
	extra = dial();
	control_run(c);
	assert_string_equal(hear(c, extra),
			    "{\"ok\":false,\"code\":1,\"error\":\"16 clients are connected "
			    "already\",\"retry\":true}\n");
	close(fds[3]);
	assert_string_equal(ask(c, "{\"command\":\"detach\",\"pid\":1}\n"), "{\"ok\":true}\n");
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
	control_run(c);
	control_close(c);
}

static bool is_closed(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

static void who_does_not_ask_in_time_is_closed(void **state)
{
	struct control *c = open_control();
	int silent = dial(), before = count_fds();
	uint64_t now_ns;

	(void)state;
	control_run(c);
	assert_int_equal(count_fds(), before + 1);
	now_ns = util_now_ns();
	control_tick(c, now_ns + CONTROL_PATIENCE_NS / 2);
	assert_false(is_closed(silent));
	control_tick(c, now_ns + CONTROL_PATIENCE_NS);
	assert_true(is_closed(silent));
	assert_int_equal(count_fds(), before);
	close(silent);
	control_close(c);
}

static void who_does_not_read_in_time_is_closed_and_its_body_too(void **state)
{
	struct control *c = open_control();
	int fd = dial();

	(void)state;
	fake.total = ANSWER_MAX;
	say(fd, "{\"command\":\"snapshot\"}\n");
	for (int i = 0; i < 1000; i++)
		control_run(c);
	assert_int_equal(fake.closed, 0);
	assert_true(fake.at < fake.total);
	control_tick(c, util_now_ns());
	assert_int_equal(fake.closed, 0);
	control_tick(c, util_now_ns() + CONTROL_PATIENCE_NS);
	assert_int_equal(fake.closed, 1);
	close(fd);
	control_close(c);
}

static void clients_that_are_there_at_the_end_are_closed(void **state)
{
	int before = count_fds(), reading, silent;
	struct control *c = open_control();

	(void)state;
	fake.total = ANSWER_MAX;
	silent = dial();
	reading = dial();
	say(reading, "{\"command\":\"list\"}\n");
	for (int i = 0; i < 10; i++)
		control_run(c);
	assert_int_equal(fake.opened, 1);
	control_close(c);
	assert_int_equal(fake.closed, 1);
	close(silent);
	close(reading);
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_file_is_its_owners_alone_and_goes_with_it),
		cmocka_unit_test(a_live_socket_is_left_to_its_process),
		cmocka_unit_test(a_socket_that_nobody_answers_on_is_replaced),
		cmocka_unit_test(what_cannot_be_made_is_told),
		cmocka_unit_test(attach_and_detach_hand_on_what_was_asked),
		cmocka_unit_test(failures_are_told_with_their_exit_code),
		cmocka_unit_test(bodies_come_in_frames),
		cmocka_unit_test(a_large_body_comes_whole_and_the_loop_turns),
		cmocka_unit_test(a_body_that_fails_does_not_look_whole),
		cmocka_unit_test(a_request_may_come_in_pieces_and_what_follows_is_ignored),
		cmocka_unit_test(a_request_has_64_kib),
		cmocka_unit_test(the_17th_client_is_told_to_come_again),
		cmocka_unit_test(who_does_not_ask_in_time_is_closed),
		cmocka_unit_test(who_does_not_read_in_time_is_closed_and_its_body_too),
		cmocka_unit_test(clients_that_are_there_at_the_end_are_closed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
