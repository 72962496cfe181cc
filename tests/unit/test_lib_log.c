/* The version, and log lines that the program takes over. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lib_unit.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

START_TEST(the_version_of_the_header_is_that_of_the_library)
{
    ck_assert_str_eq(ds_version(), DS_VERSION);
    ck_assert_str_eq(DS_VERSION,
                     TEXT(DS_VERSION_MAJOR) "." TEXT(DS_VERSION_MINOR) "." TEXT(DS_VERSION_PATCH));
#if DS_VERSION_NUMBER < DS_VERSION_AT(0, 1, 0) || DS_VERSION_NUMBER >= DS_VERSION_AT(1000, 0, 0)
    ck_abort_msg("a version out of order: %d", DS_VERSION_NUMBER);
#endif
    ck_assert_int_lt(DS_VERSION_AT(0, 9, 999), DS_VERSION_AT(0, 10, 0));
}
END_TEST

struct heard {
    int count;
    enum ds_log_level level; /* of the last line, as is text */
    char text[400];
};

static void hear(void *arg, enum ds_log_level level, const char *message)
{
    struct heard *heard = arg;

    heard->count++;
    heard->level = level;
    (void)snprintf(heard->text, sizeof heard->text, "%s", message);
}

/* Opens a file that is not a database, which logs one error. */
static void log_an_error(void)
{
    struct ds_store *store = NULL;
    FILE *file = fopen(lib_database, "w");

    for (int i = 0; i < 1000; i++)
        (void)fputs("not a database ", file);
    (void)fclose(file);
    ck_assert_int_eq(ds_store_open(lib_database, NULL, &store), DS_FAILED);
}

START_TEST(lines_go_to_the_function_and_to_standard_error_without_one)
{
    struct heard first = {.count = 0}, second = {.count = 0};
    char name[64], text[1000] = "";
    FILE *captured;

    lib_make_folder();
    (void)snprintf(name, sizeof name, "%s/stderr", lib_folder);
    ck_assert_ptr_nonnull(freopen(name, "w", stderr));
    ds_set_log(hear, &first);
    log_an_error();
    ck_assert_int_ge(first.count, 1);
    ck_assert_int_eq(first.level, DS_LOG_ERROR);
    ck_assert_ptr_nonnull(strstr(first.text, "not a database"));
    ck_assert_ptr_null(strpbrk(first.text, "\r\n"));
    ds_set_log(hear, &second);
    first.count = 0;
    log_an_error();
    ck_assert_int_eq(first.count, 0);
    ck_assert_int_ge(second.count, 1);
    second.count = 0;
    ck_assert_int_eq(ftell(stderr), 0); /* nothing was written so far */
    captured = fopen(name, "r");
    ck_assert_ptr_nonnull(captured);
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, captured), 0);
    ds_set_log(NULL, NULL);
    log_an_error();
    ck_assert_int_eq(second.count, 0);
    clearerr(captured);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, captured), 0);
    ck_assert_ptr_nonnull(strstr(text, " error: "));
    ck_assert_ptr_nonnull(strstr(text, "not a database"));
    (void)fclose(captured);
    lib_clean();
}
END_TEST

START_TEST(a_function_gets_what_is_no_error_too)
{
    const struct ds_store_options with = {.registry = "/r"};
    struct heard heard = {.count = 0};
    struct ds_store *store = NULL;

    lib_make_folder();
    ds_set_log(hear, &heard);
    ck_assert_int_eq(ds_store_open(lib_database, &with, &store), DS_OK);
    ck_assert_int_eq(heard.count, 1);
    ck_assert_int_eq(heard.level, DS_LOG_INFO);
    ck_assert_str_eq(heard.text, "the registry is /r");
    ds_set_log(NULL, NULL);
    lib_end(store);
}
END_TEST

/* --- threads --- */

static atomic_bool ends;
static atomic_int inside;

static void hear_alone(void *arg, enum ds_log_level level, const char *message)
{
    (void)level;
    (void)message;
    ck_assert_int_eq(atomic_fetch_add(&inside, 1), 0); /* one thread at a time */
    ++*(int *)arg; /* freed memory, if it is called after ds_set_log() has returned */
    atomic_fetch_sub(&inside, 1);
}

static void *change_function(void *arg)
{
    (void)arg;
    while (!atomic_load(&ends)) {
        int *count = calloc(1, sizeof *count);

        ds_set_log(hear_alone, count);
        ds_set_log(NULL, NULL);
        *count = -1000000;
        free(count);
    }
    return NULL;
}

static void *log_errors(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        struct ds_store *store = NULL;

        ck_assert_int_eq(ds_store_open("/dev/null/x", NULL, &store), DS_FAILED);
    }
    return NULL;
}

START_TEST(the_function_may_change_while_threads_log)
{
    pthread_t changer, loggers[4];

    lib_silence();
    ck_assert_int_eq(pthread_create(&changer, NULL, change_function, NULL), 0);
    for (size_t i = 0; i < COUNT(loggers); i++)
        ck_assert_int_eq(pthread_create(&loggers[i], NULL, log_errors, NULL), 0);
    for (size_t i = 0; i < COUNT(loggers); i++)
        ck_assert_int_eq(pthread_join(loggers[i], NULL), 0);
    atomic_store(&ends, true);
    ck_assert_int_eq(pthread_join(changer, NULL), 0);
}
END_TEST

/* --- from within the function --- */

static void fork_and_forget(void *arg, enum ds_log_level level, const char *message)
{
    int status;
    pid_t child = fork();

    (void)level;
    (void)message;
    if (child == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ++*(int *)arg;
    ds_set_log(NULL, NULL);
}

START_TEST(the_function_may_fork_and_take_itself_away)
{
    int count = 0;

    lib_silence();
    lib_make_folder();
    ds_set_log(fork_and_forget, &count);
    (void)alarm(30); /* it waits for its own lock */
    log_an_error();
    log_an_error();
    (void)alarm(0);
    ck_assert_int_eq(count, 1);
    lib_clean();
}
END_TEST

UNIT_MAIN(lib_log, the_version_of_the_header_is_that_of_the_library,
          lines_go_to_the_function_and_to_standard_error_without_one,
          a_function_gets_what_is_no_error_too, the_function_may_change_while_threads_log,
          the_function_may_fork_and_take_itself_away)
