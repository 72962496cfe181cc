/* VACUUM of a database that may be in use: see store_vacuum.h. */
#include "store/tools/store_vacuum.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "hints/hints.h"
#include "store/sqlite/store_private.h"

static int64_t size_of(const char *name)
{
    struct stat info;

    return stat(name, &info) == 0 ? info.st_size : 0;
}

static int64_t size_with_log(const char *database)
{
    int64_t size = size_of(database);
    char *log;

    if (asprintf(&log, "%s-wal", database) < 0)
        return size;
    size += size_of(log);
    free(log);
    return size;
}

/* Takes the write lock of all processes, so that none begins to write meanwhile. */
static enum ds_status rewrite_database(struct store_conn *conn)
{
    /* otherwise the whole copy would be in memory */
    int code = sqlite3_exec(conn->db, "PRAGMA temp_store = FILE; VACUUM;", NULL, NULL, NULL);

    (void)sqlite3_exec(conn->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    return store_status(conn, code, "rewriting the database");
}

enum ds_status store_vacuum(struct store_conn *conn, struct store_vacuum *vacuum)
{
    const struct config *config = conn->store->config;
    enum ds_status status, locked;

    vacuum->before = vacuum->after = size_with_log(config->database);
    vacuum->emptied_log = false;
    locked = hints_lock_writers(conn->store->hints, config->busy_timeout_ms);
    if (locked == DS_BUSY)
        return locked;
    status = rewrite_database(conn);
    if (locked == DS_OK) /* a broken lock is not a reason to fail, since SQLite has its own */
        hints_unlock_writers(conn->store->hints);
    if (status == DS_OK && config->checkpoint)
        vacuum->emptied_log = store_checkpoint(conn, true) == DS_OK;
    vacuum->after = size_with_log(config->database);
    return status;
}
