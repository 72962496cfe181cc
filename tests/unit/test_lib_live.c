/*
 * Concurrency: threads that share commits, readers that wait, two handles and two processes on one
 * file, events.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "lib_unit.h"

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- appenders --- */

enum { THREADS = 32, APPENDS = 50 };

struct appender {
    pthread_t thread;
    struct ds_store *store;
    int number, appends;
};

static void *append_numbers(void *arg)
{
    const struct appender *appender = arg;
    char message[32];

    for (int i = 0; i < appender->appends; i++) {
        (void)snprintf(message, sizeof message, "%d", appender->number * APPENDS + i);
        if (ds_append(appender->store, "/n", message, strlen(message), NULL, NULL) != DS_OK)
            return appender->store;
    }
    return NULL;
}

/* Each thread makes this many appends; every number is appended once. */
static void append_by_threads(struct ds_store *const *stores, size_t count, int appends)
{
    struct appender appenders[THREADS];
    void *failed;

    for (int i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){0, stores[(size_t)i % count], i, appends};
        ck_assert_int_eq(pthread_create(&appenders[i].thread, NULL, append_numbers, &appenders[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(appenders[i].thread, &failed), 0);
        ck_assert_ptr_null(failed);
    }
}

START_TEST(appends_of_many_threads_and_two_handles_are_all_there_once)
{
    struct ds_store *stores[2];
    struct ds_read_result read;
    bool seen[THREADS * APPENDS] = {false};
    int last[THREADS], count = 0;

    stores[0] = lib_begin();
    stores[1] = lib_open();
    lib_create(stores[0], "/n", "application/json");
    append_by_threads(stores, 2, APPENDS);
    ck_assert_int_eq(ds_read(stores[0], "/n", NULL, &read), DS_OK);
    for (int i = 0; i < THREADS; i++)
        last[i] = -1;
    for (char *at = strtok(read.data, "[,]"); at; at = strtok(NULL, "[,]"), count++) {
        int number = (int)strtol(at, NULL, 10), thread = number / APPENDS;

        ck_assert(!seen[number]);
        seen[number] = true;
        ck_assert_int_gt(number, last[thread]); /* the numbers of each thread are in order */
        last[thread] = number;
    }
    ck_assert_int_eq(count, THREADS * APPENDS);
    ds_read_free(&read);
    ds_store_close(stores[1]);
    lib_end(stores[0]);
}
END_TEST

/* Commits in the write-ahead log: frames that tell the size of the database (SQLite, section 4.1
   of its file format). */
static int count_commits(void)
{
    unsigned char header[32], frame[24 + 4096];
    char name[80];
    FILE *wal;
    int count = 0;

    (void)snprintf(name, sizeof name, "%s-wal", lib_database);
    wal = fopen(name, "r");
    ck_assert_ptr_nonnull(wal);
    ck_assert_uint_eq(fread(header, sizeof header, 1, wal), 1);
    while (fread(frame, sizeof frame, 1, wal) == 1)
        count += (frame[4] | frame[5] | frame[6] | frame[7]) != 0;
    (void)fclose(wal);
    return count;
}

static void *unlock_soon(void *holder)
{
    (void)usleep(1000 * 1000);
    lib_unlock(holder);
    return NULL;
}

START_TEST(appends_that_wait_for_the_database_share_a_commit)
{
    struct ds_store *store = lib_begin();
    pthread_t unlocker;
    int before;

    lib_create(store, "/n", "application/json");
    before = count_commits();
    ck_assert_int_eq(pthread_create(&unlocker, NULL, unlock_soon, lib_lock()), 0);
    append_by_threads(&store, 1, 1);
    ck_assert_int_eq(pthread_join(unlocker, NULL), 0);
    ck_assert_int_ge(count_commits() - before, 1);
    ck_assert_int_le(count_commits() - before, THREADS / 2);
    lib_end(store);
}
END_TEST

/* --- readers --- */

struct waiter {
    pthread_t thread;
    struct ds_store *store;
    const char *offset;
    enum ds_status status;
};

static void *wait_for_data(void *arg)
{
    struct waiter *waiter = arg;

    waiter->status = ds_wait(waiter->store, "/a", waiter->offset, 30000);
    return NULL;
}

static void begin_wait(struct waiter *waiter, struct ds_store *store, const char *offset)
{
    *waiter = (struct waiter){0, store, offset, DS_FAILED};
    ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_for_data, waiter), 0);
    /* long enough for the waiters to fall asleep, but the test does not depend on it */
    (void)usleep(20 * 1000);
}

static enum ds_status end_wait(struct waiter *waiter)
{
    ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
    return waiter->status;
}

START_TEST(a_wait_ends_with_data_closure_or_the_stream)
{
    struct ds_store *store = lib_begin(), *other = lib_open();
    struct waiter waiter;

    lib_create(store, "/a", "text/plain");
    begin_wait(&waiter, store, DS_START);
    lib_append(other, "/a", "x");
    ck_assert_int_eq(end_wait(&waiter), DS_OK);
    begin_wait(&waiter, store, DS_NOW);
    ck_assert_int_eq(ds_close_stream(other, "/a", NULL), DS_OK);
    ck_assert_int_eq(end_wait(&waiter), DS_OK);
    ds_store_close(other);
    lib_end(store);
}
END_TEST

/* Replaces /a by another stream in one transaction, so that no reader finds the path empty. */
static void replace_stream(void)
{
    char command[300];

    (void)snprintf(command, sizeof command,
                   "sqlite3 -cmd '.timeout 5000' %s \"BEGIN IMMEDIATE; "
                   "DELETE FROM stream WHERE path = '/a'; "
                   "INSERT INTO stream (path, content_type, tail, created_at) "
                   "VALUES ('/a', 'text/plain', 1, 1); COMMIT\"",
                   lib_database);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_wait_is_of_the_stream_that_was_there_when_it_began)
{
    struct ds_store *store = lib_begin();
    struct waiter waiter;
    enum ds_status status = DS_OK;

    for (int i = 0; i < 10 && status == DS_OK; i++) { /* OK: the wait began too late */
        lib_create(store, "/a", "text/plain");
        begin_wait(&waiter, store, DS_START);
        replace_stream();
        status = end_wait(&waiter);
        ck_assert_int_eq(ds_delete(store, "/a"), DS_OK);
    }
    ck_assert_int_eq(status, DS_NOT_FOUND);
    lib_end(store);
}
END_TEST

START_TEST(a_wait_is_over_at_once_or_after_its_time)
{
    const struct ds_create_options brief = {.has_ttl = true, .ttl_seconds = 2};
    struct ds_store *store = lib_begin();
    int64_t before;

    lib_create(store, "/a", "text/plain");
    before = now_ms();
    ck_assert_int_eq(ds_wait(store, "/a", DS_START, 0), DS_TIMEOUT);
    ck_assert_int_eq(ds_wait(store, "/a", DS_START, -5), DS_TIMEOUT);
    ck_assert_int_eq(ds_wait(store, "/a", DS_START, 250), DS_TIMEOUT);
    ck_assert_int_ge(now_ms() - before, 250);
    lib_append(store, "/a", "x");
    ck_assert_int_eq(ds_wait(store, "/a", DS_START, INT64_MAX), DS_OK);
    ck_assert_int_eq(ds_wait(store, "/a", DS_NOW, 1), DS_TIMEOUT);
    ck_assert_int_eq(ds_wait(store, "/a", "0000000000000000_0000000000000002", 1), DS_INVALID);
    ck_assert_int_eq(ds_wait(store, "/a", "nonsense", 1), DS_INVALID);
    ck_assert_int_eq(ds_wait(store, "/a", NULL, 1), DS_INVALID);
    ck_assert_int_eq(ds_wait(store, "/missing", DS_START, 1), DS_NOT_FOUND);

    /* a wait renews the TTL */
    ck_assert_int_eq(ds_create(store, "/t", &brief, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_wait(store, "/t", DS_START, 3000), DS_TIMEOUT);
    lib_end(store);
}
END_TEST

enum { ROUNDS = 300 };

/* Waits for appends of the other side and makes its own in turn. Returns how many waits were ended
   by a recheck rather than by the bell. */
static int play(struct ds_store *store, bool serves)
{
    char offset[DS_OFFSET_SIZE] = DS_START;
    int slow = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t before = now_ms();

        if (i % 2 == serves) {
            ck_assert_int_eq(ds_wait(store, "/a", offset, 20000), DS_OK);
            slow += now_ms() - before >= 900;
            lib_expect(store, "/a", offset, "x");
        } else {
            struct ds_append_result result;

            ck_assert_int_eq(ds_append(store, "/a", "x", 1, NULL, &result), DS_OK);
            (void)strcpy(offset, result.next_offset); /* where the other side's append begins */
        }
    }
    return slow;
}

START_TEST(two_processes_wake_each_other)
{
    int go[2], status, slow;
    struct ds_store *store;
    pid_t child;
    char byte = 'x';

    ck_assert_int_eq(pipe(go), 0);
    lib_make_folder();
    child = fork(); /* before there are threads */
    if (child == 0) {
        (void)!read(go[0], &byte, 1);
        store = lib_open();
        slow = play(store, false);
        ds_store_close(store);
        _exit(slow > ROUNDS / 10);
    }
    store = lib_open();
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(write(go[1], &byte, 1), 1);
    slow = play(store, true);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_le(slow, ROUNDS / 10);
    lib_end(store);
}
END_TEST

START_TEST(more_readers_than_connections_take_turns)
{
    struct waiter waiters[40];
    struct ds_store *store = lib_begin();

    lib_create(store, "/a", "text/plain");
    for (size_t i = 0; i < COUNT(waiters); i++) {
        waiters[i] = (struct waiter){0, store, DS_START, DS_FAILED};
        ck_assert_int_eq(pthread_create(&waiters[i].thread, NULL, wait_for_data, &waiters[i]), 0);
    }
    lib_append(store, "/a", "x");
    for (size_t i = 0; i < COUNT(waiters); i++)
        ck_assert_int_eq(end_wait(&waiters[i]), DS_OK);
    lib_end(store);
}
END_TEST

/* --- events and lists --- */

struct heard {
    int count;
    char text[20][80];
};

static void hear(void *arg, const struct ds_event *event)
{
    struct heard *heard = arg;

    ck_assert_int_le(event->created_at, event->at);
    (void)snprintf(heard->text[heard->count++], sizeof heard->text[0], "%s %s %s",
                   event->kind == DS_EVENT_CREATED ? "created" : "deleted", event->path,
                   event->content_type);
}

START_TEST(events_tell_what_began_and_ended_and_nothing_else)
{
    struct heard heard = {.count = 0};
    const struct ds_store_options options = {
        .on_created = hear, .on_deleted = hear, .event_arg = &heard};
    const struct ds_create_options text = {.content_type = "text/plain"};
    struct ds_store *store = NULL;

    lib_make_folder();
    ck_assert_int_eq(ds_store_open(lib_database, &options, &store), DS_OK);
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_create(store, "/a", &text, NULL, NULL), DS_OK); /* exists already */
    ck_assert_int_eq(ds_create(store, "/a", NULL, NULL, NULL), DS_CONFLICT);
    ck_assert_int_eq(ds_fork(store, "/a", "/f", NULL, NULL), DS_OK);
    lib_append(store, "/a", "x");
    ck_assert_int_eq(ds_delete(store, "/a"), DS_OK);
    ck_assert_int_eq(ds_delete(store, "/f"), DS_OK);
    ck_assert_int_eq(ds_delete(store, "/f"), DS_NOT_FOUND);
    ds_store_close(store); /* returns after the last event */
    ck_assert_int_eq(heard.count, 4);
    ck_assert_str_eq(heard.text[0], "created /a text/plain");
    ck_assert_str_eq(heard.text[1], "created /f text/plain");
    ck_assert_str_eq(heard.text[2], "deleted /a text/plain");
    ck_assert_str_eq(heard.text[3], "deleted /f text/plain");
    lib_clean();
}
END_TEST

START_TEST(expiry_is_an_event_too)
{
    struct heard heard = {.count = 0};
    const struct ds_store_options options = {.on_deleted = hear, .event_arg = &heard};
    const struct ds_create_options past = {.expires_at = 1};
    struct ds_store *store = NULL;

    ck_assert_int_eq(ds_store_open(":memory:", &options, &store), DS_OK);
    ck_assert_int_eq(ds_create(store, "/a", &past, NULL, NULL), DS_OK);
    lib_create(store, "/b", NULL);
    (void)usleep(2500 * 1000); /* upkeep runs once a second */
    ds_store_close(store);
    ck_assert_int_eq(heard.count, 1);
    ck_assert_str_eq(heard.text[0], "deleted /a application/octet-stream");
}
END_TEST

START_TEST(a_registry_is_written_by_the_store_alone)
{
    const struct ds_store_options with = {.registry = "/v1/stream/%5f_registry__"};
    const struct ds_store_options off = {.registry = "off"}, wrong = {.registry = "nonsense"};
    const char *path = "/v1/stream/__registry__";
    struct ds_store *store = NULL;
    struct ds_read_result read;

    lib_make_folder();
    ck_assert_int_eq(ds_store_open(lib_database, &wrong, &store), DS_INVALID);
    ck_assert_int_eq(ds_store_open(lib_database, &with, &store), DS_OK);
    lib_create(store, "/v1/stream/a", "text/plain");
    ck_assert_int_eq(ds_delete(store, "/v1/stream/a"), DS_OK);
    ck_assert_int_eq(ds_read(store, path, NULL, &read), DS_OK);
    ck_assert_ptr_nonnull(strstr(read.data, "\"operation\":\"insert\""));
    ck_assert_ptr_nonnull(strstr(read.data, "\"operation\":\"delete\""));
    ds_read_free(&read);
    ck_assert_int_eq(ds_append(store, path, "{}", 2, NULL, NULL), DS_FORBIDDEN);
    ck_assert_int_eq(ds_delete(store, path), DS_FORBIDDEN);
    ds_store_close(store);
    store = lib_open(); /* NULL: as the database has it */
    ck_assert_int_eq(ds_delete(store, path), DS_FORBIDDEN);
    ds_store_close(store);
    ck_assert_int_eq(ds_store_open(lib_database, &off, &store), DS_OK);
    ck_assert_int_eq(ds_delete(store, path), DS_OK);
    lib_end(store);
}
END_TEST

struct listed {
    struct ds_store *store;
    int most, count;
    char text[400];
};

static bool note(void *arg, const struct ds_stream *stream)
{
    struct listed *listed = arg;

    (void)snprintf(listed->text + strlen(listed->text), sizeof listed->text - strlen(listed->text),
                   "%s%s%s ", stream->path, stream->forked_from ? "<" : "",
                   stream->forked_from ? stream->forked_from : "");
    lib_append(listed->store, stream->path, "x"); /* the function may write */
    return ++listed->count < listed->most;
}

/* Opens a store, forks, and ends, with the store closed or not; the fork stays until `stay`
   ends. */
static void end_before_fork(bool closes, int stay[2])
{
    pid_t opener = fork();
    int status;
    char byte;

    ck_assert_int_ge(opener, 0);
    if (opener == 0) {
        struct ds_store *store = lib_open();

        (void)usleep(300 * 1000); /* the process has the duty of upkeep now */
        (void)close(stay[1]);
        if (fork() == 0) {
            (void)!read(stay[0], &byte, 1);
            _exit(0);
        }
        if (closes)
            ds_store_close(store);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(opener, &status, 0), opener);
    ck_assert_int_eq(status, 0);
}

/* Expects that the database opens at once, and that upkeep runs. */
static void expect_upkeep(void)
{
    struct heard heard = {.count = 0};
    const struct ds_store_options options = {.on_deleted = hear, .event_arg = &heard};
    const struct ds_create_options past = {.expires_at = 1};
    struct ds_store *store = NULL;

    (void)alarm(30); /* fires if opening waits for the child */
    ck_assert_int_eq(ds_store_open(lib_database, &options, &store), DS_OK);
    ck_assert_int_eq(ds_create(store, "/a", &past, NULL, NULL), DS_OK);
    (void)usleep(2500 * 1000);
    ds_store_close(store); /* returns after the last event */
    (void)alarm(0);
    ck_assert_int_eq(heard.count, 1);
}

START_TEST(a_child_of_a_fork_holds_up_nobody)
{
    int stay[2];

    for (int closes = 0; closes <= 1; closes++) {
        ck_assert_int_eq(pipe(stay), 0);
        lib_make_folder();
        end_before_fork(closes, stay);
        expect_upkeep();
        (void)close(stay[1]);
        (void)close(stay[0]);
        lib_clean();
    }
}
END_TEST

START_TEST(a_child_of_a_fork_opens_no_database_that_was_open)
{
#ifdef __SANITIZE_ADDRESS__ /* at the fork, a thread may hold the allocator's lock for good */
    return;
#endif
    struct ds_store *store = lib_begin(), *other = NULL;
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (ds_store_open(lib_database, NULL, &other) != DS_FAILED || other)
            _exit(1);
        if (ds_store_open(":memory:", NULL, &other) != DS_OK)
            _exit(2);
        ds_store_close(other);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ds_store_close(store);
    child = fork(); /* with no store open */
    if (child == 0)
        _exit(ds_store_open(lib_database, NULL, &other) != DS_OK);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    lib_clean();
}
END_TEST

START_TEST(a_list_has_the_live_streams_in_order)
{
    struct ds_store *store = lib_begin();
    const struct ds_create_options past = {.expires_at = 1};
    struct listed all = {store, 100, 0, ""}, some = {store, 100, 0, ""}, two = {store, 2, 0, ""};
    struct listed none = {store, 100, 0, ""};

    lib_create(store, "/b/2", NULL);
    lib_create(store, "/b/1", NULL);
    lib_create(store, "/a", NULL);
    lib_create(store, "/c", NULL);
    lib_create(store, "/gone", NULL);
    ck_assert_int_eq(ds_create(store, "/past", &past, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_delete(store, "/gone"), DS_OK);
    ck_assert_int_eq(ds_fork(store, "/a", "/b/f", NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_list(store, NULL, note, &all), DS_OK);
    ck_assert_str_eq(all.text, "/a /b/1 /b/2 /b/f</a /c ");
    ck_assert_int_eq(ds_list(store, "/b/", note, &some), DS_OK);
    ck_assert_str_eq(some.text, "/b/1 /b/2 /b/f</a ");
    ck_assert_int_eq(ds_list(store, "", note, &two), DS_OK);
    ck_assert_str_eq(two.text, "/a /b/1 ");
    ck_assert_int_eq(ds_list(store, "/nowhere", note, &none), DS_OK);
    ck_assert_int_eq(none.count, 0);
    lib_end(store);
}
END_TEST

START_TEST(the_signals_of_the_program_are_not_for_threads_of_the_store)
{
    struct ds_store *store = lib_begin();
    sigset_t mask;
    char name[300], line[256];
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    int count = 0;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 0); /* unchanged in this thread */
    while ((task = readdir(tasks))) {
        unsigned long long blocked = 0;
        FILE *status;

        if (strtol(task->d_name, NULL, 10) <= 0 || strtol(task->d_name, NULL, 10) == getpid())
            continue;
        (void)snprintf(name, sizeof name, "/proc/self/task/%s/status", task->d_name);
        status = fopen(name, "r");
        ck_assert_ptr_nonnull(status);
        while (fgets(line, sizeof line, status))
            if (strncmp(line, "SigBlk:", 7) == 0)
                blocked = strtoull(line + 7, NULL, 16);
        (void)fclose(status);
        ck_assert(blocked & 1ULL << (SIGTERM - 1));
        ck_assert(blocked & 1ULL << (SIGINT - 1));
        count++;
    }
    (void)closedir(tasks);
    ck_assert_int_ge(count, 2); /* committer and upkeep; a sanitizer may add one */
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_live, appends_of_many_threads_and_two_handles_are_all_there_once,
          appends_that_wait_for_the_database_share_a_commit,
          a_wait_ends_with_data_closure_or_the_stream, a_wait_is_over_at_once_or_after_its_time,
          a_wait_is_of_the_stream_that_was_there_when_it_began, two_processes_wake_each_other,
          more_readers_than_connections_take_turns,
          events_tell_what_began_and_ended_and_nothing_else, expiry_is_an_event_too,
          a_child_of_a_fork_holds_up_nobody, a_child_of_a_fork_opens_no_database_that_was_open,
          a_registry_is_written_by_the_store_alone, a_list_has_the_live_streams_in_order,
          the_signals_of_the_program_are_not_for_threads_of_the_store)
