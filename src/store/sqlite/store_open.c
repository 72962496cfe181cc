/*
 * Opening and closing a store, and making its schema. No other file of this folder calls this one.
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
#include "store/sqlite/database_file.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/wal_vfs.h"

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

static enum ds_status run_script(struct store_conn *conn, const char *sql, const char *doing)
{
    return store_status(conn, sqlite3_exec(conn->db, sql, NULL, NULL, NULL), doing);
}

/* Makes the schema in an empty file. */
static enum ds_status make_schema(struct store_conn *conn)
{
    enum ds_status status = store_begin_write(conn);
    int64_t version = 0;

    if (status != DS_OK)
        return status;
    status = stmt_ask_int(conn, "PRAGMA user_version", &version);
    if (status == DS_OK && version == 0) { /* otherwise another process was faster */
        status = run_script(conn, schema_schema, "creating the database");
        if (status == DS_OK)
            status = run_script(conn, schema_views, "making its views");
    }
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

/* Under the write lock: two connections that switch at once would block each other. */
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

/* Reads the header in one transaction, since another process may be making the schema. */
static enum ds_status read_identity(struct store_conn *conn, int64_t *application, int64_t *version,
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

/* Is the database ours, and of a version that we know? */
static enum ds_status check_schema(struct store_conn *conn)
{
    const char *database = conn->store->config->database;
    int64_t application = 0, version = 0, objects = 0, wal = 0;
    char text[1000];
    enum ds_status status = read_identity(conn, &application, &version, &objects);

    if (status != DS_OK)
        return status;
    if (objects > 0 && application != STORE_APPLICATION_ID) {
        database_file_describe_foreign(conn->db, database, application, text, sizeof text);
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
    /* a copy made by VACUUM INTO is not in WAL mode */
    status = stmt_ask_int(conn, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal);
    if (status == DS_OK && !wal)
        status = switch_to_wal(conn);
    return status == DS_OK && objects == 0 ? make_schema(conn) : status;
}

static void delete_file(const char *database, const char *suffix)
{
    char name[PLACE_NAME_SIZE];

    if (place_beside(name, database, suffix))
        (void)unlink(name);
}

static void delete_all(const char *database)
{
    delete_file(database, "");
    delete_file(database, "-wal");
    delete_file(database, "-shm");
}

/* The first process of a memory-mode database empties it, because a killed process may have left
   data. */
static void begin_alone(void *arg)
{
    const struct config *config = arg;

    if (config->durability != DURABILITY_MEMORY)
        return;
    delete_all(config->database);
    place_create(config->database, true);
}

/* The last process deletes it. */
static void end_alone(void *arg)
{
    const struct config *config = arg;

    if (config->durability != DURABILITY_MEMORY)
        return;
    delete_all(config->database);
    delete_file(config->database, "-wake");
}

/* *again: a second try may succeed. */
static enum ds_status try_to_open(struct store **out, const struct config *config, bool lasting,
                                  bool *again)
{
    struct store *store = calloc(1, sizeof *store);
    char wake_path[PLACE_NAME_SIZE];
    struct store_conn *conn = NULL;
    enum ds_status status = DS_NO_MEMORY;

    if (own_process)
        wal_vfs_register();
    if (!store)
        goto fail;
    store->config = config;
    status = DS_FAILED;
    if (!place_beside(wake_path, config->database, "-wake") ||
        !place_prepare(config->database, config->durability == DURABILITY_MEMORY))
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
    if (status == DS_OK && lasting) /* for upkeep, which checks it each second */
        database_file_note(store);
    /* stays open: see store_sync.c; and opening one is half the cost of a CGI request */
    store->first = conn;
    if (status != DS_OK)
        goto fail;
    *out = store;
    return DS_OK;
fail:
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
