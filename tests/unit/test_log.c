/* log.c: lines go to standard error, to the journal, or to syslog when standard error is closed. */
#undef _FORTIFY_SOURCE /* with it, syslog() may be a macro */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "unit.h"

static char in_syslog[1000];
static const char *opened_as;

/* Replaces the function of the C library, which would write to the log of the machine. */
void openlog(const char *name, int option, int facility)
{
    (void)option;
    (void)facility;
    opened_as = name;
}

__attribute__((format(printf, 2, 0))) static void note(int priority, const char *format,
                                                       va_list args)
{
    size_t len = strlen(in_syslog);

    len += (size_t)snprintf(in_syslog + len, sizeof in_syslog - len, "<%d>", priority);
    (void)vsnprintf(in_syslog + len, sizeof in_syslog - len, format, args);
}

void syslog(int priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(priority, format, args);
    va_end(args);
}

/* With _FORTIFY_SOURCE, syslog() is this function. */
__attribute__((format(printf, 3, 4))) void __syslog_chk(int priority, int flag, const char *format,
                                                        ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list args;

    (void)flag;
    va_start(args, format);
    note(priority, format, args);
    va_end(args);
}

START_TEST(lines_go_to_standard_error_when_it_is_open)
{
    char text[300] = "";
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    log_open(LOG_WARN_);
    descriptors_occupy(false);
    ck_assert(descriptors_has_error());
    log_info("not this");
    log_warn("a\nb %d", 7);
    log_set_least(LOG_INFO_);
    log_info("but now");
    ck_assert_int_gt(read(fds[0], text, sizeof text - 1), 0);
    ck_assert_ptr_nonnull(strstr(text, "warning: a?b 7\n"));
    ck_assert_ptr_nonnull(strstr(text, "info: but now\n"));
    ck_assert_ptr_null(strstr(text, "not this"));
    ck_assert_str_eq(in_syslog, "");
}
END_TEST

/* "device:inode" of a descriptor, as JOURNAL_STREAM names standard error; plus is added to
   inode. */
static const char *stream_of(int fd, unsigned plus)
{
    static char text[64];
    struct stat info;

    ck_assert_int_eq(fstat(fd, &info), 0);
    (void)snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino + plus);
    return text;
}

START_TEST(lines_for_the_journal_have_a_priority_and_nothing_else)
{
    char text[300] = "";
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    log_open(LOG_DEBUG_);
    log_detect_journal(stream_of(STDERR_FILENO, 0));
    log_error("one\n%d", 1);
    log_warn("two");
    log_info("three");
    log_debug("four");
    ck_assert_int_gt(read(fds[0], text, sizeof text - 1), 0);
    ck_assert_str_eq(text, "<3>one?1\n<4>two\n<6>three\n<7>four\n");
}
END_TEST

START_TEST(another_stream_is_not_the_journal)
{
    const char *others[] = {NULL, "", ":", "1:2", "x", NULL, NULL};
    char text[1000] = "", longer[100];
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)snprintf(longer, sizeof longer, "%sx", stream_of(STDERR_FILENO, 0));
    others[5] = longer;
    others[6] = stream_of(STDERR_FILENO, 1);
    for (size_t i = 0; i < COUNT(others); i++) {
        log_open(LOG_INFO_);
        log_detect_journal(others[i]);
        log_info("x");
        memset(text, 0, sizeof text);
        ck_assert_int_gt(read(fds[0], text, sizeof text - 1), 0);
        ck_assert_msg(strstr(text, "Z durable-streams[") && strstr(text, "] info: x\n"), "%s",
                      text);
    }
}
END_TEST

START_TEST(lines_go_to_syslog_when_it_is_closed_and_no_file_gets_its_number)
{
    int fd;

    (void)close(STDIN_FILENO);
    (void)close(STDERR_FILENO);
    log_open(LOG_INFO_);
    descriptors_occupy(false);
    log_error("what a %s", "pity");
    ck_assert_str_eq(opened_as, "durable-streams");
    log_detect_journal("1:2");
    log_warn("and");
    log_info("more");
    log_debug("not this");
    log_set_least(LOG_DEBUG_);
    log_debug("but this");
    ck_assert_str_eq(in_syslog, "<3>what a pity<4>and<6>more<7>but this");
    /* the descriptors are in use but not usable, and are closed in programs that are started */
    ck_assert(!descriptors_has_error());
    ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFD), FD_CLOEXEC);
    ck_assert_int_lt(write(STDERR_FILENO, "x", 1), 0);
    ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), FD_CLOEXEC);
    ck_assert_int_lt(read(STDIN_FILENO, in_syslog, 1), 0);
    fd = open("/dev/null", O_RDONLY);
    ck_assert_int_gt(fd, STDERR_FILENO);
    (void)close(fd);
}
END_TEST

START_TEST(frequent_events_are_logged_once_a_second)
{
    static _Atomic int64_t next, other;

    ck_assert(log_is_due(&next));
    ck_assert_int_gt(next, 0);
    next = INT64_MAX; /* a second that does not end */
    for (int i = 0; i < 1000; i++)
        ck_assert(!log_is_due(&next));
    ck_assert(log_is_due(&other));
    next = 1;
    ck_assert(log_is_due(&next));
}
END_TEST

UNIT_MAIN(log, frequent_events_are_logged_once_a_second, lines_go_to_standard_error_when_it_is_open,
          lines_for_the_journal_have_a_priority_and_nothing_else, another_stream_is_not_the_journal,
          lines_go_to_syslog_when_it_is_closed_and_no_file_gets_its_number)
