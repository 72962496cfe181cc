/*
 * Transactions of a connection.
 *
 * Must hold: a write transaction is held only together with the write lock of all processes.
 * Writers therefore queue there without polling, and meet SQLite's own busy handler only if the
 * sqlite3 CLI or a backup holds the database.
 */
#include "hints/hints.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/stream_events.h"
#include "store/sqlite/wal_vfs.h"

enum ds_status store_begin_read(struct store_conn *conn)
{
    return stmt_run_ids(conn, STMT_BEGIN_READ, 0, 0);
}

void store_end_read(struct store_conn *conn)
{
    if (conn->held)
        (void)sqlite3_reset(conn->held);
    conn->held = NULL;
    if (!sqlite3_get_autocommit(conn->db))
        (void)stmt_run_ids(conn, STMT_COMMIT, 0, 0);
    if (!sqlite3_get_autocommit(conn->db)) /* otherwise the connection would stay in it */
        (void)stmt_run_ids(conn, STMT_ROLLBACK, 0, 0);
}

enum ds_status store_lock_write(struct store_conn *conn)
{
    enum ds_status status =
        hints_lock_writers(conn->store->hints, conn->store->config->busy_timeout_ms);

    conn->writing = status == DS_OK;
    return status;
}

enum ds_status store_begin_write(struct store_conn *conn)
{
    enum ds_status status = conn->writing ? DS_OK : store_lock_write(conn);

    if (status == DS_BUSY)
        return status;
    if (store_is_displaced(conn->store)) {
        store_rollback(conn);
        return DS_BUSY;
    }
    status = stmt_run_ids(conn, STMT_BEGIN_WRITE, 0, 0);
    if (status != DS_OK)
        store_rollback(conn);
    return status;
}

static void end_write(struct store_conn *conn)
{
    if (conn->writing)
        hints_unlock_writers(conn->store->hints);
    conn->writing = false;
}

enum ds_status store_commit(struct store_conn *conn)
{
    int64_t registry_id = 0;
    enum ds_status status = DS_OK;

    if (conn->has_events)
        status = stmt_query_int(conn, STMT_REGISTRY, 0, 0, &registry_id);
    if (status == DS_OK) {
        wal_vfs_collect(conn, true);
        status = stmt_run_ids(conn, STMT_COMMIT, 0, 0);
        wal_vfs_collect(conn, false);
    }
    if (status != DS_OK) {
        store_rollback(conn);
        return status;
    }
    if (conn->writing)
        store_note_synced(conn);
    end_write(conn);
    stream_events_commit(conn, registry_id);
    return DS_OK;
}

void store_rollback(struct store_conn *conn)
{
    if (!sqlite3_get_autocommit(conn->db)) /* after some errors, SQLite has rolled back by itself */
        (void)stmt_run_ids(conn, STMT_ROLLBACK, 0, 0);
    end_write(conn);
    stream_events_forget(conn);
    conn->has_subscriptions = false; /* it may have made their tables */
    conn->schema_seen = 0;
}

bool store_is_idle(const struct store_conn *conn)
{
    return !conn->held && sqlite3_get_autocommit(conn->db) != 0;
}

int64_t store_wal_bytes(const struct store_conn *conn)
{
    return conn->wal_bytes;
}

enum ds_status store_data_version(struct store_conn *conn, int64_t *version)
{
    return stmt_query_int(conn, STMT_DATA_VERSION, 0, 0, version);
}
