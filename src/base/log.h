/*
 * The log: one line for each event, to one of three places.
 *
 *     standard error    2026-01-02T03:04:05.678Z durable-streams[123] error: ...
 *     the journal       <3>...
 *     syslog(3)         ...
 *
 * systemd says with JOURNAL_STREAM that standard error is a stream of its journal
 * (systemd.exec(5)), which adds time, name and process, and takes the priority off the line
 * (sd-daemon(3)). syslog(3) is for a program that was started with standard error closed.
 *
 * Payloads are never logged. Control characters in data of clients are shown as '?'. Every function
 * that logs may be called by any thread: a line is one write().
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR_, LOG_WARN_, LOG_INFO_, LOG_DEBUG_ };

/*
 * The three below are called at start, before there are threads. log_open() chooses standard error
 * or syslog, so it comes before descriptors_occupy(), which opens what is closed. `least` is the
 * least severe level that is logged.
 */
void log_open(enum log_level least);

/* After log_open(), with the value of JOURNAL_STREAM, or NULL: chooses the journal if that variable
   names the file that standard error is. */
void log_detect_journal(const char *stream);

void log_set_least(enum log_level least);

/* For the library: only errors, and only to standard error; syslog belongs to the program. */
void log_open_quietly(void);

/*
 * Sends lines of every level to fn instead, without time stamp and name; NULL: to stderr again.
 * fn is called by one thread at a time. When this returns, the function that was set before is not
 * running and will not be called any more. A line that is logged while fn runs, by the same thread,
 * goes to stderr.
 */
typedef void log_fn(void *arg, enum log_level level, const char *message);
void log_set_function(log_fn *fn, void *arg);

/* Around fork(): no other thread is inside the function in between. */
void log_hold(void);
void log_let_go(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For events that may happen a thousand times a second: true at most once a second. `next` belongs
   to the caller and is 0 at first. */
bool log_is_due(_Atomic int64_t *next);

#define log_error(...) log_line(LOG_ERR_, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN_, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO_, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG_, __VA_ARGS__)

#endif
