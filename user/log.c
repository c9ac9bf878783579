/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Log lines. Whatever bytes a message holds (a comm, a peer's text), the line stays one line of valid UTF-8: control
 * characters are escaped, also the C1 ones that terminals obey, and what is not UTF-8 becomes U+FFFD. One write(2) per line,
 * never longer than LOG_LINE_MAX. A line that cannot be written at once is dropped: there is nobody
 * to tell, and nothing waits for a reader of the log.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "utf8.h"

#define CUT "\xe2\x80\xa6" /* … */
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static enum log_level max_level = LOG_INFO;
static enum log_format line_format = LOG_LOGFMT;

void log_setup(enum log_level level, enum log_format format)
{
	max_level = level;
	line_format = format;
}

bool log_enabled(enum log_level level)
{
	return level <= max_level;
}

/* The next character of *s as both formats want it between quotes; moves *s past it. Returns its length. */
static size_t escape_next(const char **s, char ret[8])
{
	const unsigned char *b = (const unsigned char *)*s;
	size_t len = utf8_char(*s);
	bool c1 = len == 2 && b[0] == 0xc2 && b[1] < 0xa0;

	*s += len ? len : 1;
	if (len == 0)
		return (size_t)snprintf(ret, 8, "%s", REPLACEMENT);
	if (b[0] == '"' || b[0] == '\\')
		return (size_t)snprintf(ret, 8, "\\%c", b[0]);
	if (b[0] == '\n')
		return (size_t)snprintf(ret, 8, "\\n");
	if (b[0] == '\t')
		return (size_t)snprintf(ret, 8, "\\t");
	if (b[0] < 0x20 || b[0] == 0x7f || c1)
		return (size_t)snprintf(ret, 8, "\\u%04x", c1 ? b[1] : b[0]);
	memcpy(ret, b, len);
	return len;
}

/* ts and level, up to the quote that opens the message. */
static size_t line_head(enum log_format format, enum log_level level, const struct timespec *now,
			char *ret, size_t size)
{
	char date[32];
	struct tm tm;

	gmtime_r(&now->tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	if (format == LOG_JSON)
		return (size_t)snprintf(ret, size,
					"{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":\"", date,
					now->tv_nsec / 1000000, level_names[level]);
	return (size_t)snprintf(ret, size, "ts=%s.%03ldZ level=%s msg=\"", date,
				now->tv_nsec / 1000000, level_names[level]);
}

size_t log_line(enum log_format format, enum log_level level, const struct timespec *now,
		const char *msg, char ret[LOG_LINE_MAX])
{
	const char *tail = format == LOG_JSON ? "\"}\n" : "\"\n";
	size_t end = LOG_LINE_MAX - strlen(CUT) - strlen(tail);
	size_t len = line_head(format, level, now, ret, LOG_LINE_MAX);
	char piece[8];

	while (*msg) {
		size_t n = escape_next(&msg, piece);

		if (len + n > end) {
			memcpy(ret + len, CUT, strlen(CUT));
			len += strlen(CUT);
			break;
		}
		memcpy(ret + len, piece, n);
		len += n;
	}
	memcpy(ret + len, tail, strlen(tail));
	return len + strlen(tail);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	/* What vsnprintf cuts off, log_line would have cut, too: a message never shrinks on its way into the line. */
	char msg[LOG_LINE_MAX], line[LOG_LINE_MAX];
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	int saved_errno = errno;
	struct timespec now;
	va_list args;
	size_t len;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	if (vsnprintf(msg, sizeof(msg), fmt, args) < 0)
		snprintf(msg, sizeof(msg), "(a message that could not be formatted)");
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	len = log_line(line_format, level, &now, msg, line);
	/* Who reads the log may have stopped: better a line less than a daemon that stands still. */
	if (poll(&err, 1, 0) != 1 || write(STDERR_FILENO, line, len) < 0) {
		/* dropped, see above */
	}
	errno = saved_errno;
}
