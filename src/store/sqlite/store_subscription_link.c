/*
 * The links of subscriptions to streams, and the streams that are still to be compared with
 * patterns: sql/subscriptions.sql.
 */
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "protocol/offset.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/store_subscription_private.h"
#include "store/store_subscription.h"

enum { FIRST_ROOM = 16 };

/* --- reading --- */

/* The columns of LINK_COLUMNS. */
static enum ds_status read_link(struct arena *arena, sqlite3_stmt *stmt,
                                struct subscription_link *link)
{
    struct subscription_reading reading = {.arena = arena, .stmt = stmt};

    link->path = subscription_text(&reading, 0, true);
    link->stream_id = subscription_number(&reading, 1, 1, INT64_MAX, 0);
    link->is_explicit = subscription_number(&reading, 2, 0, 1, 0) == 1;
    link->is_glob = subscription_number(&reading, 3, 0, 1, 0) == 1;
    link->pending = subscription_number(&reading, 4, 0, 1, 0) == 1;
    link->acked = subscription_number(&reading, 5, -1, OFFSET_POSITION_MAX, -1);
    link->tail = subscription_number(&reading, 6, 0, OFFSET_POSITION_MAX, 0);
    if (reading.failed)
        return DS_NO_MEMORY;
    if (!reading.damage)
        return DS_OK;
    log_error("a link of a subscription is damaged (%s): dsctl check says more", reading.damage);
    return DS_FAILED;
}

enum ds_status store_link_get(struct store_conn *conn, struct arena *arena, int64_t subscription_id,
                              const char *path, struct subscription_link *link)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_GET, &status);
    bool row = false;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_text(stmt, 2, path, -1, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &row);
    if (status == DS_OK)
        status = row ? read_link(arena, stmt, link) : DS_NOT_FOUND;
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_link_has_ended(struct store_conn *conn, int64_t subscription_id,
                                    int64_t generation, const char *path, bool *has)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_HAS_ENDED, &status);
    bool row = false;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_int64(stmt, 2, generation);
    (void)sqlite3_bind_text(stmt, 3, path, -1, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &row);
    *has = status == DS_OK && row && sqlite3_column_int(stmt, 0) != 0;
    (void)sqlite3_reset(stmt);
    return status;
}

/* Makes room for one more element of an array in the arena. */
static void *grow_array(struct arena *arena, void *array, size_t n, size_t size)
{
    void *larger;

    if (n > 0 && (n < FIRST_ROOM || (n & (n - 1)) != 0))
        return array;
    larger = arena_alloc(arena, (n == 0 ? FIRST_ROOM : 2 * n) * size);
    if (larger && n > 0)
        memcpy(larger, array, n * size);
    return larger;
}

static enum ds_status read_links(struct store_conn *conn, struct arena *arena, sqlite3_stmt *stmt,
                                 struct subscription_link **links, size_t *n)
{
    enum ds_status status;
    bool row = true;

    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        *links = grow_array(arena, *links, *n, sizeof **links);
        status = *links ? read_link(arena, stmt, &(*links)[*n]) : DS_NO_MEMORY;
        if (status != DS_OK)
            break;
        ++*n;
    }
    return status;
}

enum ds_status store_links(struct store_conn *conn, struct arena *arena, int64_t subscription_id,
                           enum store_links_which which, size_t most,
                           struct subscription_link **links, size_t *n)
{
    static const enum stmt statements[] = {[STORE_LINKS_ALL] = STMT_LINK_ALL,
                                           [STORE_LINKS_PENDING] = STMT_LINK_PENDING,
                                           [STORE_LINKS_OTHERS] = STMT_LINK_OTHERS};
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, statements[which], &status);

    *links = NULL;
    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)most);
    status = read_links(conn, arena, stmt, links, n);
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_link_count(struct store_conn *conn, int64_t subscription_id, int64_t *count)
{
    return stmt_query_int(conn, STMT_LINK_COUNT, subscription_id, 0, count);
}

enum ds_status store_has_pending(struct store_conn *conn, int64_t subscription_id, bool *has)
{
    int64_t value = 0;
    enum ds_status status = stmt_query_int(conn, STMT_LINK_HAS_PENDING, subscription_id, 0, &value);

    *has = value != 0;
    return status;
}

/* --- writing --- */

enum ds_status store_link_put(struct store_conn *conn, int64_t subscription_id,
                              const struct subscription_link *link)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_PUT, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_text(stmt, 2, link->path, -1, SQLITE_STATIC);
    if (link->stream_id != 0)
        (void)sqlite3_bind_int64(stmt, 3, link->stream_id);
    else
        (void)sqlite3_bind_null(stmt, 3);
    (void)sqlite3_bind_int(stmt, 4, link->is_explicit);
    (void)sqlite3_bind_int(stmt, 5, link->is_glob);
    (void)sqlite3_bind_int64(stmt, 6, link->acked);
    (void)sqlite3_bind_int(stmt, 7, link->pending);
    return stmt_run(conn, stmt);
}

enum ds_status store_link_match(struct store_conn *conn, int64_t subscription_id,
                                const struct stream *stream)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_MATCH, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_text(stmt, 2, stream->path, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, stream->id);
    (void)sqlite3_bind_int(stmt, 4, stream->tail > 0);
    return stmt_run(conn, stmt);
}

enum ds_status store_link_delete(struct store_conn *conn, int64_t subscription_id, const char *path)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_DELETE, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, subscription_id);
    (void)sqlite3_bind_text(stmt, 2, path, -1, SQLITE_STATIC);
    return stmt_run(conn, stmt);
}

enum ds_status store_links_grow(struct store_conn *conn, struct arena *arena, int64_t stream_id,
                                int64_t **idle, size_t *n)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_LOOK, &status);
    bool row = true, quiet = false;

    *idle = NULL;
    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        quiet |= sqlite3_column_int(stmt, 1) == 0;
        if (sqlite3_column_int(stmt, 2) == 0)
            continue;
        *idle = grow_array(arena, *idle, *n, sizeof **idle);
        if (!*idle) {
            status = DS_NO_MEMORY;
            break;
        }
        (*idle)[(*n)++] = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_reset(stmt);
    /* most appends find the link pending already, and write nothing here */
    return status == DS_OK && quiet ? stmt_run_ids(conn, STMT_LINK_GROW, stream_id, 0) : status;
}

/* --- patterns --- */

enum ds_status store_patterns(struct store_conn *conn, const char *first, const char *end,
                              store_pattern_fn *fn, void *arg)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_PATTERNS, &status);
    bool row = true;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, first, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, end, -1, SQLITE_STATIC);
    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        const char *pattern = (const char *)sqlite3_column_text(stmt, 1);

        status = pattern ? fn(arg, sqlite3_column_int64(stmt, 0), pattern) : DS_NO_MEMORY;
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_is_wake_stream(struct store_conn *conn, const char *path, bool *is)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_IS_WAKE_STREAM, &status);
    bool row = false;

    *is = false;
    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &row);
    if (row)
        *is = sqlite3_column_int(stmt, 0) != 0;
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_links_unglob(struct store_conn *conn, const char *path)
{
    enum ds_status status = stmt_run_text(conn, STMT_LINK_UNGLOB_SUBSCRIPTION, path);

    if (status == DS_OK)
        status = stmt_run_text(conn, STMT_LINK_UNGLOB, path);
    return status == DS_OK ? stmt_run_text(conn, STMT_LINK_ONLY_EXPLICIT, path) : status;
}

enum ds_status store_candidates(struct store_conn *conn, struct arena *arena, const char *prefix,
                                int64_t now, store_candidate_fn *fn, void *arg)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_CANDIDATES, &status);
    char *end = arena_strndup(arena, prefix, strlen(prefix));
    bool row = true;

    if (!stmt || !end)
        return end ? status : DS_NO_MEMORY;
    end[strlen(end) - 1]++; /* the first text after all that begin with the prefix */
    (void)sqlite3_bind_text(stmt, 1, prefix, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, end, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, now);
    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        const char *path = (const char *)sqlite3_column_text(stmt, 1);

        status = path ? fn(arg, sqlite3_column_int64(stmt, 0), path, sqlite3_column_int64(stmt, 2))
                      : DS_NO_MEMORY;
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_arrival_take(struct store_conn *conn, struct arena *arena,
                                  struct stream *stream)
{
    int64_t id = 0;
    enum ds_status status;

    do {
        status = stmt_query_int(conn, STMT_ARRIVAL_NEXT, 0, 0, &id);
        if (status == DS_OK && id == 0)
            return DS_NOT_FOUND;
        if (status == DS_OK)
            status = stmt_run_ids(conn, STMT_ARRIVAL_DONE, id, 0);
        if (status == DS_OK)
            status = store_load_id(conn, arena, id, stream);
    } while (status == DS_NOT_FOUND ||
             (status == DS_OK && (stream->damage || stream->deleted_at != 0)));
    return status;
}

enum ds_status store_links_arrive(struct store_conn *conn, struct arena *arena, const char *path,
                                  int64_t stream_id, bool pending, int64_t **idle, size_t *n)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_LINK_ARRIVE, &status);

    *idle = NULL;
    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, stream_id);
    status = stmt_run(conn, stmt);
    return status == DS_OK && pending ? store_links_grow(conn, arena, stream_id, idle, n) : status;
}
