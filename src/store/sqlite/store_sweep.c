/*
 * The sweep: deletes expired streams and the rows of deleted ones, one slice at a time. The
 * deletion of a stream with a million messages therefore returns at once, and other writes wait for
 * one slice at most.
 */
#include <string.h>

#include "store/sqlite/store_private.h"

/* Reads the ids that a statement selects, SWEEP_STREAMS at most by its own limit. */
static enum ds_status read_ids(struct store_conn *conn, sqlite3_stmt *stmt,
                               int64_t ids[static SWEEP_STREAMS], size_t *n)
{
    enum ds_status status;
    bool row = true;

    *n = 0;
    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row)
        ids[(*n)++] = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return status;
}

/* Deletes expired streams as if by a request. */
static enum ds_status end_expired(struct store_conn *conn, struct arena *arena, int64_t now,
                                  int64_t ended[static SWEEP_STREAMS], size_t *n)
{
    int64_t ids[SWEEP_STREAMS];
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_EXPIRED, &status);
    size_t found;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, now);
    (void)sqlite3_bind_int64(stmt, 2, SWEEP_STREAMS);
    status = read_ids(conn, stmt, ids, &found);
    for (size_t i = 0; status == DS_OK && i < found; i++) {
        struct stream stream;
        int64_t renewed;

        status = store_load_id(conn, arena, ids[i], &stream);
        renewed = status == DS_OK ? store_renewed(conn, &stream, now) : 0;
        if (renewed > now) { /* a read has renewed it: save the renewal instead */
            status = store_renew(conn, ids[i], renewed, now);
            continue;
        }
        if (status == DS_OK)
            status = store_delete(conn, &stream, now);
        ended[(*n)++] = ids[i];
    }
    return status;
}

enum ds_status store_sweep_orphaned(struct store_conn *conn, struct arena *arena, int64_t now)
{
    int64_t ids[SWEEP_STREAMS];
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_ORPHANED, &status);
    size_t found;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, SWEEP_STREAMS);
    status = read_ids(conn, stmt, ids, &found);
    for (size_t i = 0; status == DS_OK && i < found; i++) {
        struct stream stream;

        status = store_load_id(conn, arena, ids[i], &stream);
        if (status == DS_OK)
            status = store_delete(conn, &stream, now);
        else if (status == DS_NOT_FOUND) /* deleted together with an earlier one */
            status = DS_OK;
    }
    return status;
}

/*
 * Chooses the rows of a slice, limited in number and bytes, but at least one, since a JSON message
 * of any size is one row. Does not read payloads.
 */
static enum ds_status measure_slice(struct store_conn *conn, int64_t stream_id, int64_t *rows)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_MESSAGE_SLICE, &status);
    int64_t first = 0, position;
    bool row = true;

    *rows = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    (void)sqlite3_bind_int64(stmt, 2, SWEEP_MESSAGES);
    while ((status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        position = sqlite3_column_int64(stmt, 0);
        if (*rows == 0)
            first = position;
        else if (position > SWEEP_BYTES && position - SWEEP_BYTES > first)
            break;
        ++*rows;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

/* Deletes a slice of one deleted stream's rows, and with the last slice its row in garbage. */
static enum ds_status clear_garbage(struct store_conn *conn, bool *more)
{
    int64_t stream_id = 0, rows;
    enum ds_status status = stmt_query_int(conn, STMT_GARBAGE_NEXT, 0, 0, &stream_id);

    if (status != DS_OK || stream_id == 0)
        return status;
    *more = true;
    status = measure_slice(conn, stream_id, &rows);
    if (status == DS_OK && rows > 0)
        return stmt_run_ids(conn, STMT_MESSAGE_DELETE, stream_id, rows);
    if (status != DS_OK)
        return status;
    status = stmt_run_ids(conn, STMT_PRODUCER_DELETE, stream_id, SWEEP_MESSAGES);
    if (status != DS_OK || sqlite3_changes(conn->db) > 0)
        return status;
    return stmt_run_ids(conn, STMT_GARBAGE_DONE, stream_id, 0);
}

enum ds_status store_sweep(struct store_conn *conn, struct arena *arena, int64_t now,
                           int64_t ended[static SWEEP_STREAMS], size_t *n, bool *more)
{
    enum ds_status status;

    *n = 0;
    *more = false;
    status = end_expired(conn, arena, now, ended, n);
    if (*n > 0)
        *more = true;
    if (status == DS_OK && !*more)
        status = clear_garbage(conn, more);
    return status;
}

enum ds_status store_sweep_needed(struct store_conn *conn, int64_t now, bool *needed)
{
    int64_t id;
    enum ds_status status = stmt_query_int(conn, STMT_GARBAGE_NEXT, 0, 0, &id);

    if (status == DS_OK && id == 0)
        status = stmt_query_int(conn, STMT_STREAM_EXPIRED, now, 1, &id);
    *needed = id != 0;
    return status;
}
