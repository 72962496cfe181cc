/* A database with rows of every kind, for tests of operations on whole databases. */
#ifndef STORE_FILL_H
#define STORE_FILL_H

#include <sqlite3.h>

#include "base/clock.h"
#include "store/sqlite/store_private.h"
#include "store_unit.h"

#define DAY INT64_C(86400000)

static inline void run_sql(struct fixture *f, const char *sql)
{
    ck_assert_msg(sqlite3_exec(f->conn->db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(f->conn->db));
}

static inline int64_t count(struct fixture *f, const char *sql)
{
    sqlite3_stmt *stmt;
    int64_t value;

    ck_assert_int_eq(sqlite3_prepare_v2(f->conn->db, sql, -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* Creates a stream with messages of these lengths, in order, with all kinds of bytes. */
static inline struct stream grow(struct fixture *f, struct stream stream, const char *type,
                                 int messages, size_t len)
{
    uint32_t seed = (uint32_t)strlen(stream.path) + 1;
    char *payload = malloc(len + 100);

    stream.content_type = type;
    stream.kind = http_type_kind(type);
    stream.created_at = 1700000000000 + (int64_t)seed;
    if (stream.ttl_seconds == 0)
        stream.ttl_seconds = -1;
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_insert(f->conn, &stream), DS_OK);
    for (int i = 0; i < messages; i++) {
        size_t n = len;

        for (size_t at = 0; at < len; at++)
            payload[at] = (char)unit_random(&seed);
        if (stream.kind == HTTP_TYPE_JSON)
            n = (size_t)sprintf(payload, "{\"n\":%d,\"text\":\"gr\303\274n \\\"%u\\\"\"}", i, seed);
        else if (stream.kind == HTTP_TYPE_TEXT)
            n = (size_t)sprintf(payload, "line %d\r\n\tand \"more\" \\ %u\001", i, seed);
        ck_assert_int_eq(store_append(f->conn, &stream, payload, n, 1700000100000 + i), DS_OK);
    }
    ck_assert_int_eq(store_update(f->conn, &stream), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
    free(payload);
    return stream;
}

static inline struct stream fork_of(const struct stream *source, const char *path, int64_t position)
{
    return (struct stream){.path = path,
                           .source_id = source->id,
                           .fork_position = position,
                           .fork_offset = position > 0 ? position - 1 : 0,
                           .fork_sub_offset = position > 0,
                           .tail = position};
}

static inline void produce(struct fixture *f, int64_t id, const char *producer, size_t len,
                           int64_t seq)
{
    const struct producer row = {producer, len, 3, seq};

    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_producer_put(f->conn, id, &row, 1700000200000), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

/* Rows of every kind. */
static inline void fill(struct fixture *f)
{
    struct stream binary = grow(f, (struct stream){.path = "/z/binary"}, "image/png", 5, 300),
                  json = grow(f, (struct stream){.path = "/json"},
                              "application/json; charset=\"\351\"", 7, 0),
                  text = grow(f,
                              (struct stream){.path = "/text",
                                              .ttl_seconds = 3600,
                                              .expires_at = clock_wall_ms() + DAY},
                              "text/plain", 4, 0),
                  large = grow(f, (struct stream){.path = "/large"}, "a/b", 2, 600 * 1024), fork,
                  deep;

    (void)grow(f, (struct stream){.path = "/empty"}, "text/plain", 0, 0);
    fork = grow(f, fork_of(&binary, "/a/fork", 450), "image/png", 3, 50);
    (void)grow(f, fork_of(&fork, "/a/fork%2Fdeep", 475), "image/png", 1, 20);
    /* within the inherited part */
    deep = grow(f, fork_of(&fork, "/before", 100), "image/png", 2, 30);
    (void)grow(f, fork_of(&json, "/json/fork", 0), "application/json", 2, 0);
    produce(f, json.id, "p", 1, 7);
    produce(f, json.id, "\377\"q\\", 4, 9007199254740991);
    produce(f, fork.id, "other", 5, 0);
    text.last_seq = "\001seq\377";
    text.last_seq_len = 5;
    text.closed_at = 1700000300000;
    text.closed_producer = "gr\303\274n";
    text.closed_epoch = 2;
    text.closed_seq = 5;
    deep.closed_at = 1700000300001;
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_update(f->conn, &text), DS_OK);
    ck_assert_int_eq(store_update(f->conn, &deep), DS_OK);
    ck_assert_int_eq(store_delete(f->conn, &binary, 1700000400000), DS_OK); /* forks read it */
    ck_assert_int_eq(store_delete(f->conn, &fork, 1700000400001), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
    (void)large;
}

#endif
