/* config_environment.c: the environments of child processes, and the variables of a service
   manager. */
#include <unistd.h>

#include "base/arena.h"
#include "config/config_environment.h"
#include "unit.h"

static void set_all(char *const *variables, size_t n)
{
    ck_assert_int_eq(clearenv(), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(putenv(variables[i]), 0);
}

/* Are the entries exactly these, in this order? */
static void expect_entries(char **entries, const char *const *expected, size_t n)
{
    ck_assert_ptr_nonnull(entries);
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(entries[i] != NULL, "%s is missing", expected[i]);
        ck_assert_str_eq(entries[i], expected[i]);
    }
    ck_assert_msg(entries[n] == NULL, "%s is too much", entries[n]);
}

START_TEST(a_child_server_gets_no_settings_but_those_given)
{
    static char *all[] = {"PATH=/bin", "DS_WORKERS=9",  "HOST=h",  "PORT=1",
                          "DATA=/x",   "HOSTNAME=kept", "DSX=kept"};
    static const char *const settings[] = {"DS_WORKERS=1", "PORT=0", "DS_WORKERS=2"};
    static const char *const expected[] = {"PATH=/bin", "HOSTNAME=kept", "DSX=kept", "PORT=0",
                                           "DS_WORKERS=2"};
    struct arena *arena = arena_new();

    ck_assert_ptr_nonnull(arena);
    set_all(all, COUNT(all));
    expect_entries(config_child_environment(arena, settings, COUNT(settings)), expected,
                   COUNT(expected));
    arena_free(arena);
}
END_TEST

START_TEST(the_hook_gets_nothing_of_a_request)
{
    static char *all[] = {"REQUEST_METHOD=PUT",
                          "PATH=/bin",
                          "HTTP_AUTHORIZATION=secret",
                          "HOME=/root",
                          "DS_OUT=/x",
                          "PATH_INFO=/v1",
                          "QUERY_STRING=a",
                          "TMPDIR=/t",
                          "NOTIFY_SOCKET=/n",
                          "DURABLE_STREAMS_ENVIRONMENT_CHECKED=1"};
    static const char *const expected[] = {"PATH=/bin", "HOME=/root", "DS_OUT=/x", "TMPDIR=/t"};
    char **entries;

    set_all(all, COUNT(all));
    entries = config_environment_for_hook();
    expect_entries(entries, expected, COUNT(expected));
    config_free_environment(entries);
}
END_TEST

START_TEST(sockets_count_only_for_the_process_that_was_meant)
{
    char pid[40], *one[] = {"LISTEN_FDS=1", pid}, *two[] = {"LISTEN_FDS=2", pid},
                  *wrong[] = {"LISTEN_FDS=two", pid};

    (void)snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    set_all(one, COUNT(one));
    ck_assert_int_eq(config_passed_sockets(), 1);
    set_all(two, COUNT(two));
    ck_assert_int_eq(config_passed_sockets(), 2);
    set_all(wrong, COUNT(wrong));
    ck_assert_int_eq(config_passed_sockets(), 0);
    set_all(one, 1);
    ck_assert_int_eq(config_passed_sockets(), 0);
    (void)snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getppid());
    set_all(one, COUNT(one));
    ck_assert_int_eq(config_passed_sockets(), 0);
}
END_TEST

START_TEST(children_do_not_hear_of_the_service_manager)
{
    static char *all[] = {"LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x", "NOTIFY_SOCKET=/n",
                          "JOURNAL_STREAM=1:2"};

    set_all(all, COUNT(all));
    ck_assert_str_eq(config_notify_socket(), "/n");
    config_forget_service_manager();
    ck_assert_ptr_null(config_notify_socket());
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
    ck_assert_ptr_null(getenv("LISTEN_PID"));
    ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
    ck_assert_str_eq(config_journal_stream(), "1:2"); /* standard error is unchanged */
}
END_TEST

START_TEST(empty_folders_are_not_set)
{
    static char *empty[] = {"TMPDIR=", "DS_LIBEXECDIR="},
                *set[] = {"TMPDIR=/t", "DS_LIBEXECDIR=/l"};

    set_all(empty, COUNT(empty));
    ck_assert_str_eq(config_temporary_folder(), "/tmp");
    ck_assert_ptr_null(config_libexec_folder());
    set_all(set, COUNT(set));
    ck_assert_str_eq(config_temporary_folder(), "/t");
    ck_assert_str_eq(config_libexec_folder(), "/l");
}
END_TEST

UNIT_MAIN(config_environment, a_child_server_gets_no_settings_but_those_given,
          the_hook_gets_nothing_of_a_request, sockets_count_only_for_the_process_that_was_meant,
          children_do_not_hear_of_the_service_manager, empty_folders_are_not_set)
