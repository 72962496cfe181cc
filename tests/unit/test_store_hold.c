/* store_hold(): each read sees one moment, and leaves nothing open when it ends. */
#include "store/sqlite/row_cache.h"
#include "store/sqlite/store_private.h"

#include <pthread.h>
#include <sys/wait.h>

#include "store_unit.h"

#define T INT64_C(1700000000000)

static _Atomic int64_t acknowledged;

static void append(struct store_conn *conn, struct stream *stream, const char *text)
{
    ck_assert_int_eq(store_begin_write(conn), DS_OK);
    ck_assert_int_eq(store_append(conn, stream, text, strlen(text), T), DS_OK);
    ck_assert_int_eq(store_update(conn, stream), DS_OK);
    ck_assert_int_eq(store_commit(conn), DS_OK);
}

static void run(struct store_conn *conn, const char *sql)
{
    ck_assert_int_eq(sqlite3_exec(conn->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Reads the whole stream. Returns a text that the caller frees. */
static char *read_held(struct store_conn *conn, const struct stream *stream)
{
    struct buf out = {0};
    int64_t next;
    size_t len;

    ck_assert_int_eq(store_read(conn, stream, 0, 1000, &out, &next), DS_OK);
    ck_assert_int_eq(next, stream->tail);
    buf_addc(&out, '\0');
    return buf_take(&out, &len);
}

START_TEST(a_held_read_sees_one_moment)
{
    struct fixture f;
    struct store_conn *other;
    struct stream stream, held;
    char *text;

    open_fixture(&f);
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    stream = make_stream(&f, "/a", "text/plain");
    append(other, &stream, "one");
    ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &held), DS_OK);
    ck_assert(!store_is_idle(f.conn));
    run(other, "DELETE FROM stream");
    run(other, "DELETE FROM message");
    text = read_held(f.conn, &held);
    ck_assert_str_eq(text, "one");
    free(text);
    store_end_read(f.conn);
    ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &held), DS_NOT_FOUND);
    store_end_read(f.conn);
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

START_TEST(an_ended_read_does_not_prevent_a_restart_of_the_log)
{
    struct fixture f;
    struct store_conn *other;
    struct stream stream, held;
    int busy = 0;

    open_fixture(&f);
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    run(other, "PRAGMA busy_timeout = 0");
    stream = make_stream(&f, "/a", "text/plain");
    append(other, &stream, "one");
    for (int i = 0; i < 4; i++) {
        switch (i) {
        case 0:
            ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &held), DS_OK);
            break;
        case 1:
            ck_assert_int_eq(store_hold_id(f.conn, f.arena, stream.id, T, &held), DS_OK);
            break;
        case 2:
            ck_assert_int_eq(store_hold(f.conn, f.arena, "/b", T, &held), DS_NOT_FOUND);
            break;
        default:
            run(other, "UPDATE stream SET expires_at = 1");
            ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &held), DS_NOT_FOUND);
        }
        store_end_read(f.conn);
        ck_assert(store_is_idle(f.conn));
        append(other, &stream, "two");
        busy = sqlite3_wal_checkpoint_v2(other->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        unit_check(busy == SQLITE_OK, "%d: %d", i, busy);
    }
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

START_TEST(a_fork_is_read_from_its_sources)
{
    struct fixture f;
    struct stream source, fork, held;
    char *text;

    open_fixture(&f);
    source = make_stream(&f, "/a", "text/plain");
    append(f.conn, &source, "one");
    append(f.conn, &source, "two");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    fork = (struct stream){.path = "/b",
                           .content_type = "text/plain",
                           .tail = 3,
                           .created_at = 1,
                           .ttl_seconds = -1,
                           .source_id = source.id,
                           .fork_position = 3,
                           .fork_offset = 3};
    ck_assert_int_eq(store_insert(f.conn, &fork), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    append(f.conn, &fork, "three");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(i == 0 ? store_hold(f.conn, f.arena, "/b", T, &held)
                                : store_hold_id(f.conn, f.arena, fork.id, T, &held),
                         DS_OK);
        text = read_held(f.conn, &held);
        ck_assert_str_eq(text, "onethree");
        free(text);
        store_end_read(f.conn);
    }
    close_fixture(&f);
}
END_TEST

/* --- the cache of rows --- */

/* Holds the path until its row is cached, so that no transaction is needed for it. */
static struct stream hold_known(struct fixture *f, const char *path)
{
    struct stream stream;
    bool known = false;

    for (int i = 0; i < 3 && !known; i++) {
        ck_assert_int_eq(store_hold(f->conn, f->arena, path, T, &stream), DS_OK);
        known = store_is_idle(f->conn);
        store_end_read(f->conn);
    }
    ck_assert(known);
    return stream;
}

static void check_tail(struct fixture *f, const char *path, int64_t tail)
{
    struct stream stream;

    ck_assert_int_eq(store_hold(f->conn, f->arena, path, T, &stream), DS_OK);
    ck_assert_int_eq(stream.tail, tail);
    store_end_read(f->conn);
}

START_TEST(a_row_is_cached_until_anyone_commits)
{
    struct fixture f;
    struct store_conn *other;
    struct stream stream;

    open_fixture(&f);
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    stream = make_stream(&f, "/a", "text/plain");
    (void)make_stream(&f, "/b", "text/plain");
    (void)hold_known(&f, "/a");
    append(other, &stream, "one");
    check_tail(&f, "/a", 3);
    (void)hold_known(&f, "/a");
    append(f.conn, &stream, "two");
    check_tail(&f, "/a", 6);
    (void)hold_known(&f, "/a");
    run(other, "PRAGMA wal_checkpoint(TRUNCATE)");
    check_tail(&f, "/a", 6);
    (void)hold_known(&f, "/a");
    append(other, &stream, "three");
    check_tail(&f, "/a", 11);
    check_tail(&f, "/b", 0);
    (void)hold_known(&f, "/a");
    run(other, "BEGIN; UPDATE stream SET tail = 5; ROLLBACK");
    check_tail(&f, "/a", 11);
    run(other, "VACUUM");
    check_tail(&f, "/a", 11);
    (void)hold_known(&f, "/a");
    run(other, "DELETE FROM stream");
    ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &stream), DS_NOT_FOUND);
    store_end_read(f.conn);
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

START_TEST(a_commit_of_another_process_is_seen_at_once)
{
    struct fixture f;
    struct stream stream;
    int to_child[2], to_parent[2];
    char byte = 0;
    pid_t child;

    open_fixture(&f);
    stream = make_stream(&f, "/a", "text/plain");
    ck_assert_int_eq(pipe(to_child), 0);
    ck_assert_int_eq(pipe(to_parent), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) { /* with new connections: SQLite forbids using old ones after fork() */
        struct store *store;
        struct store_conn *conn;

        ck_assert_int_eq(store_open(&store, &f.config, false), DS_OK);
        ck_assert_int_eq(store_connect(&conn, store), DS_OK);
        while (read(to_child[0], &byte, 1) == 1 && byte == '+') {
            append(conn, &stream, "x");
            ck_assert_int_eq(write(to_parent[1], &byte, 1), 1);
        }
        _exit(0);
    }
    for (int i = 1; i <= 200; i++) {
        (void)hold_known(&f, "/a");
        ck_assert_int_eq(write(to_child[1], "+", 1), 1);
        ck_assert_int_eq(read(to_parent[0], &byte, 1), 1);
        check_tail(&f, "/a", i);
    }
    ck_assert_int_eq(write(to_child[1], "-", 1), 1);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close_fixture(&f);
}
END_TEST

static void *append_on(void *arg)
{
    struct fixture *f = arg;
    struct store_conn *conn;
    struct stream stream;
    struct arena *arena = arena_new();

    ck_assert_int_eq(store_connect(&conn, f->store), DS_OK);
    ck_assert_int_eq(store_find(conn, arena, "/a", T, &stream), DS_OK);
    for (int i = 0; i < 2000; i++) {
        append(conn, &stream, "x");
        atomic_store(&acknowledged, stream.tail);
        if (i % 500 == 250)
            run(conn, "PRAGMA wal_checkpoint(RESTART)");
    }
    store_disconnect(conn);
    arena_free(arena);
    return NULL;
}

START_TEST(a_read_sees_every_append_acknowledged_before_it)
{
    struct fixture f;
    struct stream stream;
    pthread_t writer;
    int64_t least;

    open_fixture(&f);
    (void)make_stream(&f, "/a", "text/plain");
    atomic_store(&acknowledged, 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, append_on, &f), 0);
    do {
        struct arena *arena = arena_new();

        least = atomic_load(&acknowledged);
        unit_check(store_hold(f.conn, arena, "/a", T, &stream) == DS_OK, "not found");
        store_end_read(f.conn);
        unit_check(stream.tail >= least, "%d of %d", (int)stream.tail, (int)least);
        unit_check(stream.tail == stream.messages, "%d, %d", (int)stream.tail,
                   (int)stream.messages);
        arena_free(arena);
    } while (least < 2000);
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    close_fixture(&f);
}
END_TEST

START_TEST(a_cached_row_has_all_its_fields)
{
    struct fixture f;
    struct stream stream;

    open_fixture(&f);
    (void)make_stream(&f, "/a", "text/plain");
    run(f.conn, "UPDATE stream SET closed_at = 5, closed_producer = 'p', closed_epoch = 6, "
                "closed_seq = 7, ttl_seconds = 8, expires_at = 1700000000001, "
                "last_seq = x'610062'");
    stream = hold_known(&f, "/a");
    ck_assert_str_eq(stream.path, "/a");
    ck_assert_str_eq(stream.content_type, "text/plain");
    ck_assert_int_eq(stream.kind, HTTP_TYPE_TEXT);
    ck_assert_int_eq(stream.closed_at, 5);
    ck_assert_str_eq(stream.closed_producer, "p");
    ck_assert_int_eq(stream.closed_epoch, 6);
    ck_assert_int_eq(stream.closed_seq, 7);
    ck_assert_int_eq(stream.ttl_seconds, 8);
    ck_assert_int_eq(stream.last_seq_len, 3);
    ck_assert_mem_eq(stream.last_seq, "a\0b", 4);
    run(f.conn, "UPDATE stream SET ttl_seconds = NULL");
    ck_assert_int_eq(hold_known(&f, "/a").ttl_seconds, -1);
    ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T + 1, &stream), DS_NOT_FOUND);
    store_end_read(f.conn);
    close_fixture(&f);
}
END_TEST

START_TEST(a_stream_deleted_after_its_row_was_cached_is_reported)
{
    struct fixture f;
    struct store_conn *other;
    struct stream stream;
    struct buf out = {0};
    int64_t next;

    open_fixture(&f);
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    stream = make_stream(&f, "/a", "text/plain");
    append(other, &stream, "one");
    append(other, &stream, "two");
    stream = hold_known(&f, "/a");
    run(other, "DELETE FROM message WHERE position = 0");
    ck_assert_int_eq(store_read(f.conn, &stream, 0, 10, &out, &next), DS_PRUNED);
    ck_assert_int_eq(store_read(f.conn, &stream, 3, 10, &out, &next), DS_OK);
    ck_assert_int_eq(next, 6);
    append(other, &stream, "three"); /* this message is committed after the row was read */
    stream = hold_known(&f, "/a");
    run(other, "DELETE FROM stream");
    run(other, "DELETE FROM message");
    ck_assert_int_eq(store_read(f.conn, &stream, 3, 10, &out, &next), DS_NOT_FOUND);
    ck_assert(store_is_idle(f.conn));
    buf_close(&out);
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

START_TEST(many_and_long_paths_are_found)
{
    struct fixture f;
    struct stream stream;
    char path[2100];

    open_fixture(&f);
    run(f.conn, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
                "INSERT INTO stream (path, content_type, tail, created_at) "
                "SELECT '/' || i, 'text/plain', i, 1 FROM n");
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    (void)make_stream(&f, path, "text/plain");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            char name[16];

            (void)snprintf(name, sizeof name, "/%d", i);
            ck_assert_int_eq(store_hold(f.conn, f.arena, name, T, &stream), DS_OK);
            store_end_read(f.conn);
            ck_assert_str_eq(stream.path, name);
            ck_assert_int_eq(stream.tail, i);
        }
        ck_assert_int_eq(store_hold(f.conn, f.arena, path, T, &stream), DS_OK);
        store_end_read(f.conn);
        ck_assert_str_eq(stream.path, path);
    }
    close_fixture(&f);
}
END_TEST

/* The header of the log's index, of which there are two copies, as SQLite has it mapped. */
static unsigned char *find_header(struct store_conn *conn)
{
    sqlite3_file *file = NULL;
    void volatile *region = NULL;

    ck_assert_int_eq(sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &file),
                     SQLITE_OK);
    ck_assert_int_eq(file->pMethods->xShmMap(file, 0, 32768, 0, &region), SQLITE_OK);
    return (unsigned char *)(uintptr_t)region;
}

START_TEST(nothing_is_cached_if_the_header_has_another_layout)
{
    static const size_t places[] = {
        0, 1, 12}; /* bytes of the layout's number and of the flag that it is initialised */
    struct fixture f;
    struct stream stream, held;
    unsigned char *header;

    open_fixture(&f);
    stream = make_stream(&f, "/a", "text/plain");
    append(f.conn, &stream, "one");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(store_hold(f.conn, f.arena, "/a", T, &held), DS_OK);
        store_end_read(f.conn);
    }
    header = find_header(f.conn);
    ck_assert(row_cache_get(f.conn, f.arena, "/a", &held));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        header[places[i]] ^= 1;
        header[48 + places[i]] ^= 1;
        ck_assert(!row_cache_get(f.conn, f.arena, "/a", &held));
        row_cache_put(f.conn, &stream);
        ck_assert(!row_cache_get(f.conn, f.arena, "/a", &held));
        header[places[i]] ^= 1;
        header[48 + places[i]] ^= 1;
        ck_assert(row_cache_get(f.conn, f.arena, "/a", &held));
    }
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store_hold, a_held_read_sees_one_moment,
          an_ended_read_does_not_prevent_a_restart_of_the_log, a_fork_is_read_from_its_sources,
          a_row_is_cached_until_anyone_commits, a_commit_of_another_process_is_seen_at_once,
          a_read_sees_every_append_acknowledged_before_it, a_cached_row_has_all_its_fields,
          a_stream_deleted_after_its_row_was_cached_is_reported, many_and_long_paths_are_found,
          nothing_is_cached_if_the_header_has_another_layout)
