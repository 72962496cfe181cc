/* Many streams behind one descriptor. */
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "lib_unit.h"

enum { LONG_MS = 30 * 1000 };

static struct ds_watch *open_watch(struct ds_store *store)
{
    struct ds_watch *watch = NULL;

    ck_assert_int_eq(ds_watch_open(store, &watch), DS_OK);
    return watch;
}

static bool is_readable(const struct ds_watch *watch, int timeout_ms)
{
    struct pollfd ready = {.fd = ds_watch_descriptor(watch), .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1;
}

/* Waits for an event, which there must be. */
static struct ds_watch_event await_event(struct ds_watch *watch)
{
    struct ds_watch_event event = {.status = DS_FAILED};

    ck_assert(is_readable(watch, LONG_MS));
    ck_assert_int_eq(ds_watch_next(watch, &event), DS_OK);
    return event;
}

static void expect_no_event(struct ds_watch *watch)
{
    struct ds_watch_event event;

    ck_assert(!is_readable(watch, 0));
    ck_assert_int_eq(ds_watch_next(watch, &event), DS_TIMEOUT);
}

START_TEST(the_descriptor_is_readable_while_there_is_an_event)
{
    struct ds_store *store = lib_begin();
    struct ds_watch *watch = open_watch(store);
    struct ds_append_result after;
    struct ds_watch_event event;
    int tags[2];

    lib_create(store, "/a", "text/plain");
    lib_create(store, "/b", "text/plain");
    lib_append(store, "/b", "x");
    expect_no_event(watch);
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_START, &tags[0]), DS_OK);
    expect_no_event(watch);
    ck_assert_int_eq(ds_watch_add(watch, "/%62", DS_START, &tags[1]), DS_OK);
    ck_assert(is_readable(watch, 0)); /* there is data already */
    event = await_event(watch);
    ck_assert_int_eq(event.status, DS_OK);
    ck_assert_str_eq(event.path, "/b");
    ck_assert_ptr_eq(event.tag, &tags[1]);
    ck_assert(!event.closed);
    expect_no_event(watch);
    lib_append(store, "/a", "1");
    event = await_event(watch);
    ck_assert_str_eq(event.path, "/a");
    ck_assert_ptr_eq(event.tag, &tags[0]);
    /* one event for each of the two streams, however many messages there are */
    lib_append(store, "/a", "2");
    lib_append(store, "/b", "2");
    ck_assert_int_eq(ds_append(store, "/a", "3", 1, NULL, &after), DS_OK);
    for (int seen = 0, mask = 0; mask != 3; seen++) {
        unit_check(seen < 3, "too many events"); /* the two appends to /a may cause two events */
        event = await_event(watch);
        if (event.tag == &tags[1])
            mask |= 2;
        else if (strcmp(event.tail, after.next_offset) == 0)
            mask |= 1;
    }
    expect_no_event(watch);
    ds_watch_close(watch);
    lib_end(store);
}
END_TEST

START_TEST(closing_and_the_end_of_a_stream_are_events)
{
    struct ds_store *store = lib_begin(), *other = lib_open();
    struct ds_watch *watch = open_watch(store);
    const struct ds_create_options soon = {.has_ttl = false,
                                           .expires_at = (time(NULL) + 2) * INT64_C(1000)};
    struct ds_watch_event event;

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_NOW, NULL), DS_OK);
    ck_assert_int_eq(ds_close_stream(other, "/a", NULL), DS_OK);
    event = await_event(watch);
    ck_assert(event.closed && event.status == DS_OK);
    expect_no_event(watch);
    ck_assert_int_eq(ds_fork(store, "/a", "/f", NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_delete(other, "/a"), DS_OK);
    event = await_event(watch);
    ck_assert_int_eq(event.status, DS_GONE); /* a fork reads it */
    ck_assert_str_eq(event.path, "/a");
    ck_assert_int_eq(ds_watch_remove(watch, "/a"), DS_NOT_FOUND);
    /* another stream in its place */
    ck_assert_int_eq(ds_delete(other, "/f"), DS_OK);
    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "x");
    expect_no_event(watch);
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_START, NULL), DS_OK);
    ck_assert_int_eq(await_event(watch).status, DS_OK);
    ck_assert_int_eq(ds_delete(other, "/a"), DS_OK);
    ck_assert(is_readable(watch, LONG_MS)); /* not fetched before the path is added anew */
    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_START, NULL), DS_OK);
    expect_no_event(watch);
    /* streams that end by time */
    ck_assert_int_eq(ds_create(store, "/e", &soon, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_watch_add(watch, "/e", DS_START, NULL), DS_OK);
    event = await_event(watch);
    ck_assert_int_eq(event.status, DS_NOT_FOUND);
    ck_assert_str_eq(event.path, "/e");
    ds_watch_close(watch);
    ds_store_close(other);
    lib_end(store);
}
END_TEST

START_TEST(a_stream_is_watched_from_an_offset_until_it_is_removed)
{
    struct ds_store *store = lib_begin();
    struct ds_watch *watch = open_watch(store);

    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "x");
    ck_assert_int_eq(ds_watch_add(watch, "/missing", DS_START, NULL), DS_NOT_FOUND);
    ck_assert_int_eq(ds_watch_add(watch, "/a", NULL, NULL), DS_INVALID);
    ck_assert_int_eq(ds_watch_add(watch, "/a", "nonsense", NULL), DS_INVALID);
    ck_assert_int_eq(ds_watch_add(watch, "a", DS_START, NULL), DS_INVALID);
    ck_assert_int_eq(ds_watch_add(watch, "/a", "0000000000000000_0000000000000002", NULL),
                     DS_INVALID);
    ck_assert_int_eq(ds_watch_add(watch, "/a", "0000000000000000_0000000000000001", NULL), DS_OK);
    expect_no_event(watch);
    /* from an earlier position */
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_START, NULL), DS_OK);
    ck_assert(is_readable(watch, 0));
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_NOW, NULL), DS_OK);
    expect_no_event(watch);
    lib_append(store, "/a", "x");
    ck_assert(is_readable(watch, LONG_MS));
    ck_assert_int_eq(ds_watch_remove(watch, "/a"), DS_OK);
    ck_assert_int_eq(ds_watch_remove(watch, "/a"), DS_NOT_FOUND);
    expect_no_event(watch);
    lib_append(store, "/a", "x");
    ck_assert(!is_readable(watch, 300));
    ds_watch_close(watch);
    ds_watch_close(NULL);
    lib_end(store);
}
END_TEST

START_TEST(a_write_at_the_sqlite3_prompt_is_an_event)
{
    struct ds_store *store = lib_begin();
    struct ds_watch *watch = open_watch(store);
    char command[400];

    lib_create(store, "/a", "text/plain");
    ck_assert_int_eq(ds_watch_add(watch, "/a", DS_START, NULL), DS_OK);
    (void)snprintf(command, sizeof command,
                   "sqlite3 -cmd '.timeout 5000' %s \"BEGIN IMMEDIATE; "
                   "INSERT INTO message (stream_id, position, part, appended_at, payload) "
                   "SELECT id, 0, 0, 1, x'78' FROM stream; "
                   "UPDATE stream SET tail = 1, messages = 1; COMMIT\"",
                   lib_database);
    ck_assert_int_eq(system(command), 0);
    ck_assert_str_eq(await_event(watch).path, "/a");
    lib_expect(store, "/a", NULL, "x");
    ds_watch_close(watch);
    lib_end(store);
}
END_TEST

START_TEST(who_watches_keeps_a_stream_from_running_out)
{
    const struct ds_create_options brief = {.has_ttl = true, .ttl_seconds = 1};
    struct ds_store *store = NULL;
    struct ds_watch *watch;

    ck_assert_int_eq(ds_store_open(":memory:", NULL, &store), DS_OK);
    watch = open_watch(store);
    ck_assert_int_eq(ds_create(store, "/t", &brief, NULL, NULL), DS_OK);
    ck_assert_int_eq(ds_watch_add(watch, "/t", DS_START, NULL), DS_OK);
    ck_assert(!is_readable(watch, 3000));
    ck_assert_int_eq(ds_watch_remove(watch, "/t"), DS_OK);
    (void)usleep(2500 * 1000);
    ck_assert_int_eq(ds_watch_add(watch, "/t", DS_START, NULL), DS_NOT_FOUND);
    ds_watch_close(watch);
    ds_store_close(store);
}
END_TEST

/* --- another process --- */

enum { STREAMS = 300, ROUNDS = 300 };

static const char *name_of(int number)
{
    static char name[32];

    (void)snprintf(name, sizeof name, "/s/%d", number);
    return name;
}

/* Appends to the streams in turn, each time after the watcher has reported the previous append. */
static void write_for_watcher(int go)
{
    struct ds_store *store;
    uint32_t state = 1;
    char byte;

    if (read(go, &byte, 1) != 1)
        _exit(1);
    store = lib_open();
    do
        if (ds_append(store, name_of((int)(unit_random(&state) % STREAMS)), "x", 1, NULL, NULL))
            _exit(2);
    while (read(go, &byte, 1) == 1);
    ds_store_close(store);
    _exit(0);
}

START_TEST(a_writer_in_another_process_is_heard_of_each_time)
{
    struct ds_store *store;
    struct ds_watch *watch;
    uint32_t state = 1;
    int go[2], status, slow = 0;
    pid_t writer;

    lib_make_folder();
    ck_assert_int_eq(pipe(go), 0);
    writer = fork(); /* before there are threads */
    if (writer == 0) {
        (void)close(go[1]);
        write_for_watcher(go[0]);
    }
    (void)close(go[0]);
    store = lib_open();
    watch = open_watch(store);
    for (int i = 0; i < STREAMS; i++) {
        lib_create(store, name_of(i), "text/plain");
        ck_assert_int_eq(ds_watch_add(watch, name_of(i), DS_START, NULL), DS_OK);
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec before, after;

        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        ck_assert_int_eq(write(go[1], "x", 1), 1);
        ck_assert_str_eq(await_event(watch).path, name_of((int)(unit_random(&state) % STREAMS)));
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
        slow += (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >
                900;
        expect_no_event(watch);
    }
    ck_assert_int_le(slow, ROUNDS / 10); /* the bell woke the watcher, not the rechecks */
    (void)close(go[1]);
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert_int_eq(status, 0);
    ds_watch_close(watch);
    lib_end(store);
}
END_TEST

/* --- threads --- */

enum { WRITERS = 4, WRITES = 100 };

struct writer {
    pthread_t thread;
    struct ds_store *store;
    struct ds_watch *watch;
};

/* Also adds and removes a stream that no other thread uses. */
static void *write_and_change(void *arg)
{
    struct writer *writer = arg;

    for (int i = 0; i < WRITES; i++) {
        char own[40];

        lib_append(writer->store, "/s/0", "x"); /* a stream that all threads share */
        (void)snprintf(own, sizeof own, "/own/%p/%d", (void *)writer, i);
        lib_create(writer->store, own, "text/plain");
        ck_assert_int_eq(ds_watch_add(writer->watch, own, DS_START, NULL), DS_OK);
        ck_assert_int_eq(ds_watch_remove(writer->watch, own), DS_OK);
    }
    return NULL;
}

START_TEST(nothing_is_missed_while_threads_write_and_change_what_is_watched)
{
    struct ds_store *store = lib_begin();
    struct ds_watch *watch = open_watch(store);
    struct writer writers[WRITERS];
    char offset[DS_OFFSET_SIZE] = DS_START;
    size_t bytes = 0;

    lib_create(store, "/s/0", "text/plain");
    ck_assert_int_eq(ds_watch_add(watch, "/s/0", offset, NULL), DS_OK);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){0, store, watch};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_and_change, &writers[i]),
                         0);
    }
    while (bytes < WRITERS * WRITES) {
        struct ds_watch_event event = await_event(watch);
        struct ds_read_result read;

        ck_assert_int_eq(event.status, DS_OK);
        ck_assert_int_eq(ds_read(store, event.path, offset, &read), DS_OK);
        ck_assert(strcmp(read.next_offset, event.tail) >= 0);
        (void)strcpy(offset, read.next_offset);
        bytes += read.len;
        ds_read_free(&read);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    ds_watch_close(watch);
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_watch, the_descriptor_is_readable_while_there_is_an_event,
          closing_and_the_end_of_a_stream_are_events,
          a_stream_is_watched_from_an_offset_until_it_is_removed,
          a_write_at_the_sqlite3_prompt_is_an_event, who_watches_keeps_a_stream_from_running_out,
          a_writer_in_another_process_is_heard_of_each_time,
          nothing_is_missed_while_threads_write_and_change_what_is_watched)
