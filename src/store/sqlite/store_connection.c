/*
 * Opening and closing a connection of a store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "store/sqlite/row_cache.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/stream_events.h"
#include "store/sqlite/wal_vfs.h"

enum { WRITER_CACHE_KIB = 16384 };

static int count_wal(void *arg, sqlite3 *db, const char *schema, int pages)
{
    struct store_conn *conn = arg;

    (void)db;
    (void)schema;
    conn->wal_bytes = (int64_t)pages * 4120; /* bytes of a page and its frame header */
    return SQLITE_OK;
}

/* Sets what belongs to a connection; journal_mode belongs to the file. */
static enum ds_status configure(struct store_conn *conn)
{
    static const char *const synchronous[] = {"FULL", "NORMAL", "OFF"};
    const struct config *config = conn->store->config;
    char sql[200];
    int code;

    (void)snprintf(sql, sizeof sql,
                   "PRAGMA synchronous = %s; PRAGMA temp_store = MEMORY; "
                   "PRAGMA journal_size_limit = %lld;",
                   synchronous[config->durability],
                   config->checkpoint ? (long long)config->wal_bytes : -1LL);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    code = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return store_status(conn, code, "setting up a connection");
    /* replaces SQLite's own checkpoints, which would run inside a request */
    (void)sqlite3_wal_hook(conn->db, count_wal, conn);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return DS_OK;
}

/* No transaction makes the file larger than RLIMIT_FSIZE allows, which would end this process. */
static void limit_pages(struct store_conn *conn)
{
    struct rlimit limit;
    char sql[60];

    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        stmt_ask_int(conn, "PRAGMA page_size", &conn->page_bytes) != DS_OK || conn->page_bytes <= 0)
        return;
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld",
                   (long long)limit.rlim_cur / (long long)conn->page_bytes);
    (void)sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

/* Makes SQLite open the log now, before a store of the library in memory unlinks it. */
static enum ds_status open_files(struct store_conn *conn)
{
    int64_t unused;

    return stmt_ask_int(conn, "SELECT count(*) FROM sqlite_schema", &unused);
}

enum ds_status store_connect(struct store_conn **out, struct store *store)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    struct store_conn *conn = store->first;
    enum ds_status status;
    int code;

    if (conn) {
        store->first = NULL;
        *out = conn;
        return DS_OK;
    }
    conn = calloc(1, sizeof *conn);
    if (!conn)
        return DS_NO_MEMORY;
    conn->store = store;
    conn->noted_events_end = &conn->noted_events;
    code = sqlite3_open_v2(store->config->database, &conn->db, flags, wal_vfs_name());
    if (code != SQLITE_OK) {
        log_error("cannot open %s: %s", store->config->database, sqlite3_errstr(code));
        store_disconnect(conn);
        return DS_FAILED;
    }
    (void)sqlite3_busy_timeout(conn->db, (int)store->config->busy_timeout_ms);
    status = configure(conn);
    if (status == DS_OK)
        limit_pages(conn);
    if (status == DS_OK && store->config->durability == DURABILITY_MEMORY)
        status = open_files(conn);
    if (status != DS_OK) {
        store_disconnect(conn);
        return status;
    }
    *out = conn;
    return DS_OK;
}

void store_write_much(struct store_conn *conn)
{
    char sql[40];

    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size = -%d", WRITER_CACHE_KIB);
    (void)store_status(conn, sqlite3_exec(conn->db, sql, NULL, NULL, NULL), sql);
}

void store_disconnect(struct store_conn *conn)
{
    if (!conn)
        return;
    for (int i = 0; i < STMT_COUNT; i++)
        (void)sqlite3_finalize(conn->stmt[i]);
    stream_events_close(conn);
    row_cache_close(conn);
    (void)sqlite3_close(conn->db);
    free(conn);
}
