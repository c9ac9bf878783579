/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One line per event to stderr, logfmt or JSON: ts, level, msg. The level and the format are the only global state of
 * the program.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* With its newline. PIPE_BUF: a write of at most that is not torn by another writer of the same pipe (POSIX). */
#define LOG_LINE_MAX 4096

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

/*
 * msg is a printf text; values are escaped, whatever bytes they hold: a line stays one line. Used after the fact by the
 * caller that knows why; modules return errors instead. Keeps errno.
 */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The pure part: msg as one line of the format, cut with a visible "…" at LOG_LINE_MAX. Returns its length; no NUL. */
size_t log_line(enum log_format format, enum log_level level, const struct timespec *now,
		const char *msg, char ret[LOG_LINE_MAX]);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
