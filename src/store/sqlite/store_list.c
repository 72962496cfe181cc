/*
 * The list of streams: see store_list.h.
 *
 * The statements find only ids; each row is then read like any other. They scan the table, which a
 * request must never do, so they are prepared here and are not among those of store_stmt.c.
 */
#include "store/store_list.h"

#include <string.h>

#include "base/arena.h"
#include "store/sqlite/store_private.h"

/* follows the index up to the first path with another prefix */
static const char by_path[] = "SELECT id, path FROM stream WHERE path >= ?1 ORDER BY path";
static const char by_path_down[] = "SELECT id, path FROM stream WHERE path >= ?1 "
                                   "AND substr(path, 1, length(?1)) = ?1 ORDER BY path DESC";
/* ?2: enum store_list_order, ?3: 1 or -1 */
static const char by_number[] =
    "SELECT id, path FROM stream WHERE path >= ?1 AND substr(path, 1, length(?1)) = ?1 "
    "ORDER BY ?3 * CASE ?2 WHEN 1 THEN messages WHEN 2 THEN tail WHEN 3 THEN created_at "
    "ELSE ifnull(expires_at, 9223372036854775807) END, path";

struct listing {
    struct store_conn *conn;
    const struct store_list *list;
    int64_t now;
    store_list_fn *fn;
    void *arg;
};

static enum ds_status list_one(const struct listing *listing, struct arena *arena, int64_t id,
                               bool *more)
{
    struct stream stream, source = {0};
    enum ds_status life = store_load_id(listing->conn, arena, id, &stream);

    if (life == DS_OK)
        life = store_life(listing->conn, &stream, listing->now);
    if (life == DS_FAILED && stream.damage) /* logged; the other streams can still be listed */
        return DS_OK;
    if (life != DS_OK && life != DS_GONE && life != DS_NOT_FOUND)
        return life;
    if (life != DS_OK && !listing->list->dead)
        return DS_OK;
    if (stream.source_id != 0) {
        enum ds_status status = store_load_id(listing->conn, arena, stream.source_id, &source);

        /* a fork whose source is missing is damaged, but still listed */
        if (status != DS_OK && status != DS_NOT_FOUND)
            return status;
    }
    *more = listing->fn(listing->arg, &stream, source.path, life);
    return DS_OK;
}

static enum ds_status list_all(const struct listing *listing, sqlite3_stmt *stmt,
                               const char *prefix)
{
    enum ds_status status = DS_OK;
    bool row = true, more = true;

    while (more && (status = stmt_step(listing->conn, stmt, &row)) == DS_OK && row) {
        const char *path = (const char *)sqlite3_column_text(stmt, 1);
        struct arena *arena;

        if (!path || strncmp(path, prefix, strlen(prefix)) != 0)
            break;
        arena = arena_new();
        status =
            arena ? list_one(listing, arena, sqlite3_column_int64(stmt, 0), &more) : DS_NO_MEMORY;
        arena_free(arena);
        if (status != DS_OK)
            break;
    }
    return status;
}

enum ds_status store_list(struct store_conn *conn, const struct store_list *list, int64_t now,
                          store_list_fn *fn, void *arg)
{
    const struct listing listing = {conn, list, now, fn, arg};
    const char *prefix = list->prefix ? list->prefix : "";
    const char *sql = list->order != STORE_LIST_BY_PATH ? by_number
                      : list->reverse                   ? by_path_down
                                                        : by_path;
    enum ds_status status = store_begin_read(conn);
    sqlite3_stmt *stmt;

    if (status != DS_OK)
        return status;
    stmt = stmt_prepare(conn, sql, &status);
    if (stmt) {
        (void)sqlite3_bind_text(stmt, 1, prefix, -1, SQLITE_STATIC);
        if (list->order != STORE_LIST_BY_PATH) {
            (void)sqlite3_bind_int(stmt, 2, (int)list->order);
            (void)sqlite3_bind_int(stmt, 3, list->reverse ? -1 : 1);
        }
        status = list_all(&listing, stmt, prefix);
        (void)sqlite3_finalize(stmt);
    }
    store_end_read(conn);
    return status;
}
