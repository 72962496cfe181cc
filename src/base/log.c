/* The log: see log.h. */
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1024, QUIET_MS = 1000 };

static enum log_level least_level = LOG_INFO_;
static bool to_syslog;

void log_open(enum log_level least)
{
    least_level = least;
    to_syslog = fcntl(STDERR_FILENO, F_GETFD) < 0;
    if (to_syslog)
        openlog("durable-streams", LOG_PID, LOG_DAEMON);
}

void log_set_least(enum log_level least)
{
    least_level = least;
}

void log_open_quietly(void)
{
    least_level = LOG_ERR_;
    to_syslog = false;
}

bool log_is_due(_Atomic int64_t *next)
{
    int64_t now = clock_monotonic_ms(), was = atomic_load(next);

    return now >= was && atomic_compare_exchange_strong(next, &was, now + QUIET_MS);
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    char line[LINE_MAX_BYTES], when[CLOCK_TIME_SIZE];
    va_list args;
    size_t len, room;
    int n;

    if (level > least_level)
        return;
    clock_format_time(clock_wall_ms(), when);
    n = snprintf(line, sizeof line, "%s durable-streams[%d] %s: ", when, (int)getpid(),
                 names[level]);
    len = (size_t)n;
    room = sizeof line - len - 1; /* keeps one byte for the newline */
    va_start(args, format);
    n = vsnprintf(line + len, room, format, args);
    va_end(args);
    if (n < 0)
        return;
    for (char *c = line + len; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (to_syslog) {
        syslog(priorities[level], "%s", line + len);
        return;
    }
    len = strlen(line);
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        /* nowhere left to say so */
    }
}
