/* The log: see log.h. */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1024, QUIET_MS = 1000 };

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} levels[] = {
    [LOG_ERR_] = {"error", LOG_ERR},
    [LOG_WARN_] = {"warning", LOG_WARNING},
    [LOG_INFO_] = {"info", LOG_INFO},
    [LOG_DEBUG_] = {"debug", LOG_DEBUG},
};

static enum log_level least_level = LOG_INFO_;
static enum { TO_ERROR, TO_JOURNAL, TO_SYSLOG } destination;

/* The library's user may take the lines over at any moment, while threads are logging. */
static pthread_mutex_t function_lock = PTHREAD_MUTEX_INITIALIZER;
static log_fn *function;
static void *function_arg;
static atomic_bool has_function;              /* without a function, no thread needs the lock */
static _Thread_local bool is_inside_function; /* this thread has the lock already */

void log_open(enum log_level least)
{
    least_level = least;
    destination = fcntl(STDERR_FILENO, F_GETFD) < 0 ? TO_SYSLOG : TO_ERROR;
    if (destination == TO_SYSLOG)
        openlog("durable-streams", LOG_PID, LOG_DAEMON);
}

void log_detect_journal(const char *stream)
{
    char error[64]; /* as JOURNAL_STREAM would name it: device and inode */
    struct stat info;

    if (destination != TO_ERROR || !stream || fstat(STDERR_FILENO, &info) != 0)
        return;
    (void)snprintf(error, sizeof error, "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
    if (strcmp(stream, error) == 0)
        destination = TO_JOURNAL;
}

void log_set_least(enum log_level least)
{
    least_level = least;
}

void log_open_quietly(void)
{
    least_level = LOG_ERR_;
    destination = TO_ERROR;
}

void log_hold(void)
{
    if (!is_inside_function)
        (void)pthread_mutex_lock(&function_lock);
}

void log_let_go(void)
{
    if (!is_inside_function)
        (void)pthread_mutex_unlock(&function_lock);
}

void log_set_function(log_fn *fn, void *arg)
{
    log_hold();
    function = fn;
    function_arg = arg;
    atomic_store(&has_function, fn != NULL);
    log_let_go();
}

/* Passes the line to the program's function. False if there is none, or if this thread is inside
   it. */
static bool call_function(enum log_level level, const char *message)
{
    bool called = false;

    if (is_inside_function)
        return false;
    (void)pthread_mutex_lock(&function_lock);
    if (function) {
        is_inside_function = true;
        function(function_arg, level, message);
        is_inside_function = false;
        called = true;
    }
    (void)pthread_mutex_unlock(&function_lock);
    return called;
}

bool log_is_due(_Atomic int64_t *next)
{
    int64_t now = clock_monotonic_ms(), was = atomic_load(next);

    return now >= was && atomic_compare_exchange_strong(next, &was, now + QUIET_MS);
}

/* Writes the part of the line before the message, and returns its length. */
static size_t begin_line(char *line, size_t size, enum log_level level)
{
    char when[CLOCK_TIME_SIZE];

    switch (destination) {
    case TO_SYSLOG: /* adds time, name and process */
        return 0;
    case TO_JOURNAL: /* adds the same, and reads the priority */
        return (size_t)snprintf(line, size, "<%d>", levels[level].priority);
    case TO_ERROR:
        break;
    }
    clock_format_time(clock_wall_ms(), when);
    return (size_t)snprintf(line, size, "%s durable-streams[%d] %s: ", when, (int)getpid(),
                            levels[level].name);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    size_t len;
    int n;

    if (level > least_level && !atomic_load(&has_function))
        return;
    len = begin_line(line, sizeof line, level);
    va_start(args, format);
    n = vsnprintf(line + len, sizeof line - len - 1, format, args); /* a byte for the newline */
    va_end(args);
    if (n < 0)
        return;
    for (char *c = line + len; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if ((atomic_load(&has_function) && call_function(level, line + len)) || level > least_level)
        return;
    if (destination == TO_SYSLOG) {
        syslog(levels[level].priority, "%s", line + len);
        return;
    }
    len = strlen(line);
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        /* there is no other place to report it */
    }
}
