/* Reads of one stream: of one moment each, and over when they are. */
#include "store_private.h"
#include "store_unit.h"

#define T INT64_C(1700000000000)

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

/* What a read of all of it gives, as a text to be freed. */
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

START_TEST(a_held_read_is_of_one_moment)
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

START_TEST(a_read_that_has_ended_keeps_nobody_from_starting_the_log_anew)
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

UNIT_MAIN(store_hold, a_held_read_is_of_one_moment,
          a_read_that_has_ended_keeps_nobody_from_starting_the_log_anew,
          a_fork_is_read_from_its_sources)
