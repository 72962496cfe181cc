/*
 * Opening the database, its schema, and transactions.
 *
 * Must hold: a write transaction is held only together with the write lock of all processes, so
 * that writers queue there (fair enough, no polling) and meet SQLite's own busy handler only where
 * the sqlite3 CLI or a backup holds the database.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/place.h"
#include "hints/hints.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"

enum { WRITER_CACHE_KIB = 16384 };

static bool own_process;

void store_own_process(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    own_process = true;
}

void store_use_one_thread(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static char *beside(const char *path, const char *suffix)
{
    char *name;

    return asprintf(&name, "%s%s", path, suffix) < 0 ? NULL : name;
}

static int count_wal(void *arg, sqlite3 *db, const char *schema, int pages)
{
    struct store_conn *conn = arg;

    (void)db;
    (void)schema;
    conn->wal_bytes = (int64_t)pages * 4120; /* a page and its frame header */
    return SQLITE_OK;
}

/* Settings of a connection; journal_mode is the file's and was set when it was made. */
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
    /* in place of SQLite's own checkpoints, which would run inside a request */
    (void)sqlite3_wal_hook(conn->db, count_wal, conn);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return DS_OK;
}

/* SQLite opens the log with the first read; a store of the library takes its name away by then. */
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
    conn->noted_end = &conn->noted;
    code = sqlite3_open_v2(store->config->database, &conn->db, flags, vfs_name());
    if (code != SQLITE_OK) {
        log_error("cannot open %s: %s", store->config->database, sqlite3_errstr(code));
        store_disconnect(conn);
        return DS_FAILED;
    }
    (void)sqlite3_busy_timeout(conn->db, (int)store->config->busy_timeout_ms);
    status = configure(conn);
    if (status == DS_OK)
        reserve_configure(conn);
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
    life_close(conn);
    known_close(conn);
    (void)sqlite3_close(conn->db);
    free(conn);
}

static enum ds_status run(struct store_conn *conn, const char *sql, const char *doing)
{
    return store_status(conn, sqlite3_exec(conn->db, sql, NULL, NULL, NULL), doing);
}

/* Into an empty file. */
static enum ds_status make_schema(struct store_conn *conn)
{
    enum ds_status status = store_begin_write(conn);
    int64_t version = 0;

    if (status != DS_OK)
        return status;
    status = stmt_ask_int(conn, "PRAGMA user_version", &version);
    if (status == DS_OK && version == 0) { /* else another process was first */
        status = run(conn, schema_schema, "making the database");
        if (status == DS_OK)
            status = run(conn, schema_views, "making its views");
    }
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

/* One after the other: of two that try at once, each would find the other one in its way. */
static enum ds_status switch_to_wal(struct store_conn *conn)
{
    struct hints *hints = conn->store->hints;
    enum ds_status locked = hints_lock_writers(hints, conn->store->config->busy_timeout_ms);
    int code;

    if (locked == DS_BUSY)
        return locked;
    code = sqlite3_exec(conn->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    if (locked == DS_OK)
        hints_unlock_writers(hints);
    return store_status(conn, code, "switching to WAL");
}

/* What the file says of itself, at one moment: another process may be making it just now. */
static enum ds_status identify(struct store_conn *conn, int64_t *application, int64_t *version,
                               int64_t *objects)
{
    enum ds_status status = store_begin_read(conn);

    if (status == DS_OK)
        status = stmt_ask_int(conn, "PRAGMA application_id", application);
    if (status == DS_OK)
        status = stmt_ask_int(conn, "PRAGMA user_version", version);
    if (status == DS_OK)
        status = stmt_ask_int(conn, "SELECT count(*) FROM sqlite_schema", objects);
    store_end_read(conn);
    return status;
}

/* Is it ours, and of a version we know? */
static enum ds_status check_schema(struct store_conn *conn)
{
    const char *database = conn->store->config->database;
    int64_t application = 0, version = 0, objects = 0, wal = 0;
    char text[1000];
    enum ds_status status = identify(conn, &application, &version, &objects);

    if (status != DS_OK)
        return status;
    if (objects > 0 && application != STORE_APPLICATION_ID) {
        identify_foreign(conn->db, database, application, text, sizeof text);
        log_error("%s", text);
        return DS_FAILED;
    }
    if (version > SCHEMA_VERSION) {
        log_error(STORE_NEWER, database);
        return DS_FAILED;
    }
    if (objects > 0 && version < SCHEMA_VERSION) {
        log_error(STORE_UNRELEASED, database);
        return DS_FAILED;
    }
    /* a copy by VACUUM INTO comes with a rollback journal */
    status = stmt_ask_int(conn, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal);
    if (status == DS_OK && !wal)
        status = switch_to_wal(conn);
    return status == DS_OK && objects == 0 ? make_schema(conn) : status;
}

static void delete_file(const char *database, const char *suffix)
{
    char *name = beside(database, suffix);

    if (name)
        (void)unlink(name);
    free(name);
}

static void delete_all(const char *database)
{
    delete_file(database, "");
    delete_file(database, "-wal");
    delete_file(database, "-shm");
}

/* Memory mode begins empty, whatever a kill left behind. The -shm file rebuilds itself. */
static void begin_alone(void *arg)
{
    const struct config *config = arg;

    if (config->durability != DURABILITY_MEMORY)
        return;
    delete_all(config->database);
    place_create(config->database, true);
}

/* … and leaves nothing behind. */
static void end_alone(void *arg)
{
    const struct config *config = arg;

    if (config->durability != DURABILITY_MEMORY)
        return;
    delete_all(config->database);
    delete_file(config->database, "-wake");
}

/* *again: it might do the next time. */
static enum ds_status try_to_open(struct store **out, const struct config *config, bool lasting,
                                  bool *again)
{
    struct store *store = calloc(1, sizeof *store);
    char *wake_path = beside(config->database, "-wake");
    struct store_conn *conn = NULL;
    enum ds_status status = DS_NO_MEMORY;

    if (own_process)
        vfs_register();
    if (!store || !wake_path)
        goto fail;
    store->config = config;
    status = DS_FAILED;
    if (!place_prepare(config->database, config->durability == DURABILITY_MEMORY))
        goto fail;
    status = hints_open(&store->hints, wake_path, lasting ? begin_alone : NULL,
                        (void *)(uintptr_t)config);
    if (status != DS_OK)
        goto fail;
    status = store_connect(&conn, store);
    if (status == DS_OK)
        status = check_schema(conn);
    if (status == DS_OK && config->durability == DURABILITY_FULL)
        status = store_sync_log(conn);
    if (status == DS_OK)
        status = store_settle_registry(conn);
    if (status == DS_OK && config->test_endpoints)
        status = store_make_faults(conn);
    if (status == DS_OK && lasting) /* upkeep will look again */
        identify_note(store);
    store->first = conn; /* stays open, see store_sync.c; and half of a CGI request is making one */
    if (status != DS_OK)
        goto fail;
    free(wake_path);
    *out = store;
    return DS_OK;
fail:
    free(wake_path);
    *again = store && store->config && store_make_way(store);
    store_close(store, false);
    return status;
}

enum ds_status store_open(struct store **out, const struct config *config, bool lasting)
{
    bool again = false;
    enum ds_status status = try_to_open(out, config, lasting, &again);

    return again ? try_to_open(out, config, lasting, &again) : status;
}

void store_close(struct store *store, bool lasting)
{
    if (!store)
        return;
    store_disconnect(store->first);
    hints_close(store->hints, lasting ? end_alone : NULL, (void *)(uintptr_t)store->config);
    free(store);
}

struct hints *store_hints(struct store *store)
{
    return store->hints;
}

/* --- transactions --- */

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
    if (!sqlite3_get_autocommit(conn->db)) /* or the connection would be stuck in it */
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

    if (conn->lives_changed)
        status = stmt_query_int(conn, STMT_REGISTRY, 0, 0, &registry_id);
    if (status == DS_OK) {
        vfs_collect(conn, true);
        status = stmt_run_ids(conn, STMT_COMMIT, 0, 0);
        vfs_collect(conn, false);
    }
    if (status != DS_OK) {
        store_rollback(conn);
        return status;
    }
    if (conn->writing)
        store_note_synced(conn);
    end_write(conn);
    life_committed(conn, registry_id);
    return DS_OK;
}

void store_rollback(struct store_conn *conn)
{
    if (!sqlite3_get_autocommit(conn->db)) /* some errors have rolled back already */
        (void)stmt_run_ids(conn, STMT_ROLLBACK, 0, 0);
    end_write(conn);
    life_forget(conn);
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
