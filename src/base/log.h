/*
 * The log: one line an event, to stderr, or to syslog where stderr is closed.
 *
 *     2026-01-02T03:04:05.678Z durable-streams[123] error: …
 *
 * Never a payload. Control characters of client data are shown as '?'. Thread-safe: a line is one
 * write().
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR_, LOG_WARN_, LOG_INFO_, LOG_DEBUG_ };

/* Where lines go, and from which level on. Call once at start, before descriptors_occupy(). */
void log_open(enum log_level least);

/* Sets the level from now on. To be called before there are threads. */
void log_set_least(enum log_level least);

/* For the library: errors alone, and nowhere but to stderr. Syslog is its user's. */
void log_open_quietly(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For what may happen a thousand times a second: true once a second. `next` is the caller's own and
   begins with 0. */
bool log_is_due(_Atomic int64_t *next);

#define log_error(...) log_line(LOG_ERR_, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN_, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO_, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG_, __VA_ARGS__)

#endif
