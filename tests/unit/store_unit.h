/* A database in a folder of its own, for the tests of the store and of the floors above it. */
#ifndef STORE_UNIT_H
#define STORE_UNIT_H

#include <ftw.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"
#include "store/store.h"
#include "unit.h"

#ifndef FIXTURE_FOLDER
#define FIXTURE_FOLDER "/tmp/ds-unit-XXXXXX"
#endif

struct fixture {
    char folder[32];
    struct config config;
    struct store *store;
    struct store_conn *conn;
    struct arena *arena;
};

static inline void open_fixture(struct fixture *fixture)
{
    char error[160], path[64];

    log_open(LOG_ERR_);
    (void)strcpy(fixture->folder, FIXTURE_FOLDER);
    ck_assert_ptr_nonnull(mkdtemp(fixture->folder));
    (void)snprintf(path, sizeof path, "%s/streams.db", fixture->folder);
    (void)setenv("DS_DATABASE", path, 1);
    (void)setenv("DS_DURABILITY", "normal", 1); /* the tests cut no power */
    ck_assert_msg(config_load(&fixture->config, error, sizeof error), "%s", error);
    ck_assert_int_eq(store_open(&fixture->store, &fixture->config, true), DS_OK);
    ck_assert_int_eq(store_connect(&fixture->conn, fixture->store), DS_OK);
    fixture->arena = arena_new();
    ck_assert_ptr_nonnull(fixture->arena);
}

static inline int remove_entry(const char *path, const struct stat *info, int type,
                               struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void close_fixture(struct fixture *fixture)
{
    arena_free(fixture->arena);
    store_disconnect(fixture->conn);
    store_close(fixture->store, true);
    config_close(&fixture->config);
    (void)nftw(fixture->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a stream to the database as it is given. */
static inline struct stream make_stream(struct fixture *fixture, const char *path, const char *type)
{
    struct stream stream = {
        .path = path,
        .content_type = type,
        .kind = http_type_kind(type),
        .created_at = 1,
        .ttl_seconds = -1,
    };

    ck_assert_int_eq(store_begin_write(fixture->conn), DS_OK);
    ck_assert_int_eq(store_insert(fixture->conn, &stream), DS_OK);
    ck_assert_int_eq(store_commit(fixture->conn), DS_OK);
    return stream;
}

/* store_read, as a NUL-ended text to be freed; *next is where it ended. */
static inline char *read_text(struct fixture *fixture, const struct stream *stream, int64_t from,
                              size_t limit, int64_t *next)
{
    struct buf out = {0};
    size_t len;

    ck_assert_int_eq(store_begin_read(fixture->conn), DS_OK);
    ck_assert_int_eq(store_read(fixture->conn, stream, from, limit, &out, next), DS_OK);
    store_end_read(fixture->conn);
    buf_addc(&out, '\0');
    return buf_take(&out, &len);
}

#endif
