/* The store: its statements and schema, and reads across forks, compared with a model in memory. */
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "failing_memory.h"
#include "hints/hints.h"
#include "hints/renewal.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store_unit.h"

enum { T = 1000 }; /* a time */

START_TEST(prepares_every_statement_and_scans_no_table)
{
    struct fixture f;

    (void)setenv("DS_TEST_ENDPOINTS", "1", 1);
    open_fixture(&f);
    ck_assert_int_eq(sqlite3_exec(f.conn->db, schema_subscriptions, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(f.conn->db, schema_webhook_keys, NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < STMT_COUNT; i++) {
        sqlite3_stmt *plan = NULL;
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", stmt_sql[i]);

        ck_assert_ptr_nonnull(stmt_sql[i]);
        ck_assert_msg(sqlite3_prepare_v2(f.conn->db, sql, -1, &plan, NULL) == SQLITE_OK, "%s: %s",
                      stmt_sql[i], sqlite3_errmsg(f.conn->db));
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);
            /* the sweep scans deleted streams, with an index that has only those */
            bool sweep = i == STMT_STREAM_ORPHANED && strstr(detail, "INDEX stream_deleted");

            ck_assert_msg(strncmp(detail, "SCAN", 4) != 0 || strstr(detail, "CONSTANT ROW") ||
                              sweep,
                          "%s: %s", stmt_sql[i], detail);
        }
        (void)sqlite3_finalize(plan);
        sqlite3_free(sql);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(has_views_that_a_person_can_read)
{
    struct fixture f;
    struct stream stream;
    sqlite3_stmt *stmt;

    open_fixture(&f);
    stream = make_stream(&f, "/log", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "hello", 5, T), DS_OK);
    ck_assert_int_eq(store_update(f.conn, &stream), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(f.conn->db,
                                        "SELECT o.tail, o.messages, o.state, m.payload, m.appended "
                                        "FROM stream_overview o JOIN message_text m USING (path)",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0),
                     "0000000000000000_0000000000000005");
    ck_assert_int_eq(sqlite3_column_int(stmt, 1), 1);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 2), "open");
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 3), "hello");
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 4), "1970-01-01T00:00:01.000Z");
    (void)sqlite3_finalize(stmt);
    close_fixture(&f);
}
END_TEST

START_TEST(refuses_a_database_of_another_program)
{
    struct fixture f;
    struct store *second;

    open_fixture(&f);
    ck_assert_int_eq(sqlite3_exec(f.conn->db, "PRAGMA application_id = 7", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(store_open(&second, &f.config, true), DS_FAILED);
    close_fixture(&f);
}
END_TEST

/* --- opening, and messages in parts --- */

/* Opens the database while other processes do the same; never returns. */
static void open_and_leave(const struct config *config)
{
    struct store *store;

    if (store_open(&store, config, true) != DS_OK)
        _exit(1);
    store_close(store, true);
    _exit(0);
}

START_TEST(can_be_created_by_many_processes_at_once)
{
    enum { ROUNDS = 100, PROCESSES = 6 };
    struct fixture f;

    open_fixture(&f);
    for (int round = 0; round < ROUNDS; round++) {
        struct config config = f.config;
        char path[80];
        int status;

        (void)snprintf(path, sizeof path, "%s/%d.db", f.folder, round);
        config.database = path;
        for (int i = 0; i < PROCESSES; i++)
            if (fork() == 0)
                open_and_leave(&config);
        for (int i = 0; i < PROCESSES; i++) {
            ck_assert_int_gt(wait(&status), 0);
            ck_assert_int_eq(status, 0);
        }
    }
    close_fixture(&f);
}
END_TEST

/* Closes the database, but keeps its files and settings. */
static void let_go(struct fixture *f)
{
    store_disconnect(f->conn);
    f->conn = NULL;
    store_close(f->store, true);
    f->store = NULL;
}

START_TEST(switches_a_restored_copy_to_wal)
{
    struct fixture f;
    struct store *second = NULL;
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;

    open_fixture(&f);
    let_go(&f);
    /* as VACUUM INTO leaves a copy */
    ck_assert_int_eq(sqlite3_open(f.config.database, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);

    ck_assert_int_eq(store_open(&second, &f.config, true), DS_OK);
    ck_assert_int_eq(sqlite3_open(f.config.database, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "wal");
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    store_close(second, true);
    close_fixture(&f);
}
END_TEST

/* A read of a message in parts starts and ends at parts, or at the start and end of the message. */
static void expect_span(int64_t from, size_t limit, int64_t size, int64_t *begin, int64_t *end)
{
    enum { PART = 256 * 1024 };

    *begin = *end = from % PART == 0 ? from : 0;
    do
        *end = size - *end < PART ? size : *end + PART;
    while (*end < size && (size - *end < PART ? size : *end + PART) - *begin <= (int64_t)limit);
}

START_TEST(reads_a_large_body_from_a_part_or_from_its_start)
{
    enum { SIZE = 700 * 1000, PART = 256 * 1024 };
    struct fixture f;
    struct stream stream;
    char *body = malloc(SIZE), *text;
    int64_t next, begin, end;
    uint32_t seed = 1;

    for (size_t i = 0; i < SIZE; i++)
        body[i] = (char)('a' + unit_random(&seed) % 26);
    open_fixture(&f);
    stream = make_stream(&f, "/big", "application/octet-stream");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, body, SIZE, T), DS_OK);
    ck_assert_int_eq(store_update(f.conn, &stream), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(stream.messages, 1);
    for (int i = 0; i < 300; i++) {
        int64_t from = i % 3 == 0 ? PART * (i % 9 / 3) : (int64_t)(unit_random(&seed) % SIZE);
        size_t limit = 1 + unit_random(&seed) % (1000 * 1000);

        expect_span(from, limit, SIZE, &begin, &end);
        text = read_text(&f, &stream, from, limit, &next);
        ck_assert_int_eq(next, end);
        ck_assert_msg(memcmp(text, body + begin, (size_t)(end - begin)) == 0, "from %d, %zu bytes",
                      (int)from, limit);
        free(text);
    }
    free(body);
    close_fixture(&f);
}
END_TEST

START_TEST(continues_where_sse_held_back_the_start_of_a_character)
{
    struct fixture f;
    struct stream stream;
    int64_t next;
    char byte, *text;

    open_fixture(&f);
    stream = make_stream(&f, "/text", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "ab\xF0\x9F", 4, T), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "\x98\x80z", 3, T + 1), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    for (int64_t from = 0; from < 7; from++) {
        text = read_text(&f, &stream, from, 100, &next);
        ck_assert_str_eq(text, from == 2  ? "\xF0\x9F\x98\x80z"
                               : from < 4 ? "ab\xF0\x9F\x98\x80z"
                                          : "\x98\x80z");
        ck_assert_int_eq(next, 7);
        free(text);
    }
    ck_assert_int_eq(store_read_byte(f.conn, &stream, 1, &byte), DS_OK);
    ck_assert_int_eq(byte, 'b');
    ck_assert_int_eq(store_read_byte(f.conn, &stream, 6, &byte), DS_OK);
    ck_assert_int_eq(byte, 'z');
    stream.kind = HTTP_TYPE_BINARY; /* binary streams hold nothing back */
    text = read_text(&f, &stream, 2, 100, &next);
    ck_assert_str_eq(text, "ab\xF0\x9F\x98\x80z");
    free(text);
    close_fixture(&f);
}
END_TEST

START_TEST(reports_when_the_last_message_read_was_appended)
{
    struct fixture f;
    struct stream stream;
    struct store_span span;
    struct buf out = {0};

    open_fixture(&f);
    stream = make_stream(&f, "/log", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(store_append(f.conn, &stream, "12345", 5, T + i), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(store_read_span(f.conn, &stream, 0, 10, &out, &span), DS_OK);
    ck_assert_int_eq(span.next, 10);
    ck_assert_int_eq(span.appended_at, T + 1);
    ck_assert_int_eq(store_read_span(f.conn, &stream, 15, 10, &out, &span), DS_OK);
    ck_assert_int_eq(span.next, 15);
    ck_assert_int_eq(span.appended_at, 0);
    buf_close(&out);
    close_fixture(&f);
}
END_TEST

/* --- forks, against a model --- */

enum { MODEL_STREAMS = 24, MODEL_STEPS = 400, MODEL_BYTES = 4096 };

struct model {
    struct stream stream;
    char path[16];
    char bytes[MODEL_BYTES];
    bool begins[MODEL_BYTES]; /* a message, or the fork's own part, begins there */
};

static void model_append(struct fixture *f, struct model *model, uint32_t *seed)
{
    char text[16];
    size_t len = 1 + unit_random(seed) % 9;

    if (model->stream.tail + 16 > MODEL_BYTES)
        return;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('0' + unit_random(seed) % 10);
    /* a number, so that it is valid JSON */
    if (model->stream.kind == HTTP_TYPE_JSON)
        text[0] = '1';
    memcpy(model->bytes + model->stream.tail, text, len);
    model->begins[model->stream.tail] = true;
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_append(f->conn, &model->stream, text, len, T), DS_OK);
    ck_assert_int_eq(store_update(f->conn, &model->stream), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

static void model_fork(struct fixture *f, struct model *models, int *count, uint32_t *seed)
{
    struct model *source = &models[unit_random(seed) % (unsigned)*count], *fork;
    int64_t at = source->stream.tail ? unit_random(seed) % (unsigned)(source->stream.tail + 1) : 0;

    if (*count == MODEL_STREAMS)
        return;
    fork = &models[(*count)++];
    memset(fork, 0, sizeof *fork);
    (void)snprintf(fork->path, sizeof fork->path, "/%d", *count);
    fork->stream = (struct stream){
        .path = fork->path,
        .content_type = "text/plain",
        .kind = HTTP_TYPE_TEXT,
        .created_at = 1,
        .ttl_seconds = -1,
        .source_id = source->stream.id,
        .fork_position = at,
        .fork_offset = at,
        .tail = at,
    };
    memcpy(fork->bytes, source->bytes, (size_t)at);
    memcpy(fork->begins, source->begins, (size_t)at * sizeof *fork->begins);
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_insert(f->conn, &fork->stream), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

/* The result of a read from here: whole messages, beginning with the one that contains `from`. */
static void model_span(const struct model *model, int64_t from, size_t limit, int64_t *begin,
                       int64_t *end)
{
    int64_t tail = model->stream.tail, at;

    while (from < tail && !model->begins[from])
        from--;
    *begin = *end = from;
    while (*end < tail) {
        for (at = *end + 1; at < tail && !model->begins[at]; at++)
            ;
        if (*end > from && at - from > (int64_t)limit)
            return;
        *end = at;
        if (at - from >= (int64_t)limit)
            return;
    }
}

START_TEST(reads_forks_of_forks_as_copies_would_read)
{
    static struct model models[MODEL_STREAMS];
    struct fixture f;
    uint32_t seed = 12345;
    int count = 1;
    int64_t next;

    open_fixture(&f);
    memset(models, 0, sizeof models);
    models[0].stream = make_stream(&f, "/0", "text/plain");
    for (int step = 0; step < MODEL_STEPS; step++) {
        struct model *model = &models[unit_random(&seed) % (unsigned)count];
        int64_t from, begin, end;
        size_t limit;
        char *text;

        if (unit_random(&seed) % 8 == 0)
            model_fork(&f, models, &count, &seed);
        else
            model_append(&f, model, &seed);
        model = &models[unit_random(&seed) % (unsigned)count];
        from = unit_random(&seed) % (unsigned)(model->stream.tail + 1);
        limit = 1 + unit_random(&seed) % 64;
        text = read_text(&f, &model->stream, from, limit, &next);
        model_span(model, from, limit, &begin, &end);
        ck_assert_msg(next == end && (int64_t)strlen(text) == end - begin &&
                          memcmp(text, model->bytes + begin, strlen(text)) == 0,
                      "step %d: %s from %d: read \"%s\", next %d", step, model->path, (int)from,
                      text, (int)next);
        free(text);
    }
    ck_assert_int_eq(count, MODEL_STREAMS);
    close_fixture(&f);
}
END_TEST

START_TEST(keeps_json_messages_whole)
{
    struct fixture f;
    struct stream stream;
    struct buf out = {0};
    int64_t next;
    char *text;

    open_fixture(&f);
    stream = make_stream(&f, "/json", "application/json");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "{\"a\":1.0}", 9, T), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "\"a long message\"", 16, T), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &stream, "3", 1, T), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    text = read_text(&f, &stream, 0, 1000, &next);
    ck_assert_str_eq(text, "[{\"a\":1.0},\"a long message\",3]");
    free(text);
    text = read_text(&f, &stream, 0, 10, &next);
    ck_assert_str_eq(text, "[{\"a\":1.0}]");
    ck_assert_int_eq(next, 9);
    free(text);
    /* larger than the limit: the only message of the read */
    text = read_text(&f, &stream, 9, 1, &next);
    ck_assert_str_eq(text, "[\"a long message\"]");
    free(text);
    text = read_text(&f, &stream, 26, 1, &next);
    ck_assert_str_eq(text, "[]");
    free(text);
    text = read_text(&f, &stream, 3, 10, &next); /* inside a message: begins at its start */
    ck_assert_str_eq(text, "[{\"a\":1.0}]");
    free(text);
    text = read_text(&f, &stream, 24, 16, &next);
    ck_assert_str_eq(text, "[\"a long message\"]");
    free(text);
    ck_assert_int_eq(store_read(f.conn, &stream, 27, 10, &out, &next), DS_INVALID);
    buf_close(&out);
    close_fixture(&f);
}
END_TEST

START_TEST(adds_to_state_messages_the_offset_after_each)
{
    static const char *const messages[] = {
        "{\"headers\":{\"operation\":\"insert\"}}", "{\"headers\":{}}",
        "{\"headers\":{\"control\":\"reset\",\"offset\":\"x\"}}"};
    struct fixture f;
    struct stream stream, fork;
    int64_t next;
    char *text;

    open_fixture(&f);
    stream = make_stream(&f, "/json", "application/json");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    for (size_t i = 0; i < COUNT(messages); i++)
        ck_assert_int_eq(store_append(f.conn, &stream, messages[i], strlen(messages[i]), T), DS_OK);
    fork = (struct stream){.path = "/fork",
                           .content_type = "application/json",
                           .kind = HTTP_TYPE_JSON,
                           .ttl_seconds = -1,
                           .source_id = stream.id,
                           .fork_position = 34,
                           .fork_offset = 34,
                           .tail = 34};
    ck_assert_int_eq(store_insert(f.conn, &fork), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &fork, messages[0], 34, T), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    text = read_text(&f, &stream, 0, 1000, &next);
    ck_assert_str_eq(text, "[{\"headers\":{\"operation\":\"insert\","
                           "\"offset\":\"0000000000000000_0000000000000034\"}},{\"headers\":{}},"
                           "{\"headers\":{\"control\":\"reset\","
                           "\"offset\":\"0000000000000000_0000000000000092\"}}]");
    ck_assert_int_eq(next, 92);
    free(text);
    text = read_text(&f, &fork, 0, 1000, &next);
    ck_assert_str_eq(text, "[{\"headers\":{\"operation\":\"insert\","
                           "\"offset\":\"0000000000000000_0000000000000034\"}},"
                           "{\"headers\":{\"operation\":\"insert\","
                           "\"offset\":\"0000000000000000_0000000000000068\"}}]");
    ck_assert_int_eq(next, 68);
    free(text);
    stream.kind = HTTP_TYPE_TEXT; /* the same bytes in a stream of another type are not JSON */
    text = read_text(&f, &stream, 0, 34, &next);
    ck_assert_str_eq(text, messages[0]);
    free(text);
    close_fixture(&f);
}
END_TEST

START_TEST(releases_a_write_lock_that_was_taken_beforehand)
{
    struct fixture f;
    struct store_conn *other;

    open_fixture(&f);
    f.config.busy_timeout_ms = 10;
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    ck_assert_int_eq(store_lock_write(f.conn), DS_OK);
    ck_assert_int_eq(store_begin_write(other), DS_BUSY);
    store_rollback(f.conn); /* no transaction has begun, but the lock is held */
    ck_assert_int_eq(store_begin_write(other), DS_OK);
    store_rollback(other);
    ck_assert_int_eq(store_lock_write(f.conn), DS_OK);
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(store_begin_write(other), DS_OK);
    store_rollback(other);
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

START_TEST(resolves_sub_offsets_to_positions)
{
    struct fixture f;
    struct stream json, bytes;
    int64_t at;

    open_fixture(&f);
    json = make_stream(&f, "/json", "application/json");
    bytes = make_stream(&f, "/bytes", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(store_append(f.conn, &json, "12345", 5, T), DS_OK);
        ck_assert_int_eq(store_append(f.conn, &bytes, "12345", 5, T), DS_OK);
    }
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(store_resolve(f.conn, &json, 5, 2, &at), DS_OK);
    ck_assert_int_eq(at, 15);
    ck_assert_int_eq(store_resolve(f.conn, &json, 5, 0, &at), DS_OK);
    ck_assert_int_eq(at, 5);
    ck_assert_int_eq(store_resolve(f.conn, &json, 15, 0, &at), DS_OK);
    ck_assert_int_eq(store_resolve(f.conn, &json, 5, 3, &at), DS_INVALID);
    ck_assert_int_eq(store_resolve(f.conn, &json, 7, 0, &at), DS_INVALID);
    ck_assert_int_eq(store_resolve(f.conn, &bytes, 5, 5, &at), DS_OK);
    ck_assert_int_eq(at, 10);
    ck_assert_int_eq(store_resolve(f.conn, &bytes, 5, 6, &at), DS_INVALID);
    ck_assert_int_eq(store_resolve(f.conn, &bytes, 15, 1, &at), DS_INVALID);
    ck_assert_int_eq(store_resolve(f.conn, &bytes, 16, 0, &at), DS_INVALID);
    close_fixture(&f);
}
END_TEST

START_TEST(reports_rows_that_were_deleted_by_hand)
{
    struct fixture f;
    struct stream stream;
    struct buf out = {0};
    int64_t next;
    char *text;

    open_fixture(&f);
    stream = make_stream(&f, "/log", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(store_append(f.conn, &stream, "12345", 5, T), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(
        sqlite3_exec(f.conn->db, "DELETE FROM message WHERE position IN (0, 15)", NULL, NULL, NULL),
        SQLITE_OK);
    for (int64_t from = 0; from < 5; from++)
        ck_assert_int_eq(store_read(f.conn, &stream, from, 100, &out, &next), DS_PRUNED);
    ck_assert_int_eq(store_read(f.conn, &stream, 5, 100, &out, &next), DS_PRUNED);
    ck_assert_int_eq(store_read(f.conn, &stream, 17, 100, &out, &next), DS_PRUNED);
    text = read_text(&f, &stream, 7, 10, &next);
    ck_assert_str_eq(text, "1234512345");
    free(text);
    buf_close(&out);
    close_fixture(&f);
}
END_TEST

/* --- deletion --- */

static struct stream make_fork(struct fixture *f, const char *path, const struct stream *source)
{
    struct stream fork = *source;

    fork.path = path;
    fork.source_id = source->id;
    fork.id = 0;
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_insert(f->conn, &fork), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
    return fork;
}

static void delete_stream(struct fixture *f, const struct stream *stream)
{
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_delete(f->conn, stream, T), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

START_TEST(deletes_a_chain_of_sources_with_its_last_fork)
{
    struct fixture f;
    struct stream a, b, c, found;

    open_fixture(&f);
    a = make_stream(&f, "/a", "text/plain");
    b = make_fork(&f, "/b", &a);
    c = make_fork(&f, "/c", &b);
    delete_stream(&f, &a);
    delete_stream(&f, &b);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &found), DS_GONE);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/b", T, &found), DS_GONE);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/c", T, &found), DS_OK);
    delete_stream(&f, &c);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &found), DS_NOT_FOUND);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/b", T, &found), DS_NOT_FOUND);
    ck_assert_int_eq(store_find(f.conn, f.arena, "/c", T, &found), DS_NOT_FOUND);
    close_fixture(&f);
}
END_TEST

static int64_t count_rows(struct fixture *f, const char *table)
{
    sqlite3_stmt *stmt;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM %s", table);
    int64_t rows;

    ck_assert_int_eq(sqlite3_prepare_v2(f->conn->db, sql, -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    rows = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rows;
}

START_TEST(sweeps_every_row_of_a_deleted_stream_in_slices)
{
    struct producer producer = {.id = "p", .id_len = 1};
    struct fixture f;
    struct stream dead, alive;
    int64_t ended[SWEEP_STREAMS];
    size_t n;
    bool more = true, needed;
    int slices = 0;

    open_fixture(&f);
    dead = make_stream(&f, "/dead", "text/plain");
    alive = make_stream(&f, "/alive", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    for (int i = 0; i < 2 * SWEEP_MESSAGES + 1; i++)
        ck_assert_int_eq(store_append(f.conn, &dead, "x", 1, T), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &alive, "y", 1, T), DS_OK);
    ck_assert_int_eq(store_producer_put(f.conn, dead.id, &producer, T), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    delete_stream(&f, &dead);
    for (; more; slices++) {
        ck_assert_int_lt(slices, 20);
        ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
        ck_assert_int_eq(store_sweep(f.conn, f.arena, T, ended, &n, &more), DS_OK);
        ck_assert_int_eq(store_commit(f.conn), DS_OK);
    }
    ck_assert_int_ge(slices, 3);
    ck_assert_int_eq(count_rows(&f, "message"), 1);
    ck_assert_int_eq(count_rows(&f, "producer"), 0);
    ck_assert_int_eq(count_rows(&f, "garbage"), 0);
    ck_assert_int_eq(store_sweep_needed(f.conn, T, &needed), DS_OK);
    ck_assert(!needed);
    close_fixture(&f);
}
END_TEST

/* A renewal in the shared hints counts only if a read can have caused it. */
START_TEST(ignores_a_renewal_beyond_the_ttl)
{
    static const struct {
        int64_t until;
        bool lives;
    } table[] = {
        {T, false},
        {T + 1, true},
        {T + 60000, true},
        {T + 60000 + HINTS_SLACK_MS, true},
        {T + 62000 + HINTS_SLACK_MS, false},
        {INT64_MAX, false},
        {-1, false},
        {INT64_MIN + 1, false},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct stream stream = {.path = "/ttl",
                                .content_type = "a/b",
                                .created_at = 1,
                                .ttl_seconds = 60,
                                .expires_at = T - 1};
        struct fixture f;
        struct stream found;
        int64_t ended[SWEEP_STREAMS];
        size_t n = 0;
        bool more;

        open_fixture(&f);
        ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
        ck_assert_int_eq(store_insert(f.conn, &stream), DS_OK);
        (void)renewal_note(store_hints(f.store), stream.id, table[i].until);
        ck_assert_msg((store_find(f.conn, f.arena, "/ttl", T, &found) == DS_OK) == table[i].lives,
                      "row %zu", i);
        ck_assert_int_eq(store_renew(f.conn, stream.id, table[i].until, T), DS_OK);
        ck_assert_int_eq(store_load_id(f.conn, f.arena, stream.id, &found), DS_OK);
        ck_assert_int_eq(found.expires_at,
                         table[i].lives || table[i].until == T ? table[i].until : T - 1);
        ck_assert_int_eq(store_sweep(f.conn, f.arena, T, ended, &n, &more), DS_OK);
        ck_assert_msg(n == (table[i].lives ? 0 : 1), "row %zu: %zu ended", i, n);
        ck_assert_int_eq(store_commit(f.conn), DS_OK);
        close_fixture(&f);
    }
}
END_TEST

START_TEST(refuses_to_delete_a_source_at_the_prompt)
{
    struct fixture f;
    struct stream a;

    open_fixture(&f);
    a = make_stream(&f, "/a", "text/plain");
    (void)make_fork(&f, "/b", &a);
    ck_assert_int_eq(
        sqlite3_exec(f.conn->db, "DELETE FROM stream WHERE path = '/a'", NULL, NULL, NULL),
        SQLITE_CONSTRAINT);
    ck_assert_int_eq(
        sqlite3_exec(f.conn->db, "DELETE FROM stream WHERE path = '/b'", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(count_rows(&f, "garbage"), 1);
    close_fixture(&f);
}
END_TEST

/* --- out of memory --- */

/* Does one write and one read, as requests do. Returns the first failure, if any. */
static enum ds_status work(struct store *store, struct arena *arena)
{
    struct store_conn *conn = NULL;
    struct stream stream;
    struct buf out = {0};
    int64_t next;
    enum ds_status status = store_connect(&conn, store);

    if (status == DS_OK)
        status = store_begin_write(conn);
    if (status == DS_OK)
        status = store_find(conn, arena, "/a", T, &stream);
    if (status == DS_OK)
        status = store_append(conn, &stream, "hello", 5, T);
    if (status == DS_OK)
        status = store_update(conn, &stream);
    if (status == DS_OK)
        status = store_commit(conn);
    else if (conn)
        store_rollback(conn);
    if (status == DS_OK)
        status = store_hold(conn, arena, "/a", T, &stream);
    if (status == DS_OK)
        status = store_read(conn, &stream, 0, 100, &out, &next);
    if (conn)
        store_end_read(conn);
    buf_close(&out);
    store_disconnect(conn);
    return status;
}

START_TEST(survives_every_failing_allocation)
{
    struct fixture f;
    struct stream stream;
    enum ds_status status = DS_FAILED;
    int64_t next, fails = 0;
    char *text;

    use_failing_memory();
    open_fixture(&f);
    (void)make_stream(&f, "/a", "text/plain");
    for (int n = 0; status != DS_OK; n++) {
        ck_assert_int_lt(n, 5000);
        allocations_left = n;
        status = work(f.store, f.arena);
        allocations_left = -1;
        fails += status != DS_OK;
    }
    ck_assert_int_gt(fails, 50);
    /* what was reported as committed is there, and nothing else */
    ck_assert_int_eq(store_find(f.conn, f.arena, "/a", T, &stream), DS_OK);
    text = read_text(&f, &stream, 0, 10000, &next);
    ck_assert_int_eq(strlen(text), (size_t)stream.tail);
    ck_assert_int_eq(stream.tail % 5, 0);
    ck_assert_int_eq(stream.tail / 5, stream.messages);
    free(text);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store, prepares_every_statement_and_scans_no_table, has_views_that_a_person_can_read,
          refuses_a_database_of_another_program, switches_a_restored_copy_to_wal,
          can_be_created_by_many_processes_at_once,
          reads_a_large_body_from_a_part_or_from_its_start,
          continues_where_sse_held_back_the_start_of_a_character,
          reports_when_the_last_message_read_was_appended,
          reads_forks_of_forks_as_copies_would_read, keeps_json_messages_whole,
          adds_to_state_messages_the_offset_after_each,
          releases_a_write_lock_that_was_taken_beforehand, resolves_sub_offsets_to_positions,
          reports_rows_that_were_deleted_by_hand, deletes_a_chain_of_sources_with_its_last_fork,
          sweeps_every_row_of_a_deleted_stream_in_slices, ignores_a_renewal_beyond_the_ttl,
          refuses_to_delete_a_source_at_the_prompt, survives_every_failing_allocation)
