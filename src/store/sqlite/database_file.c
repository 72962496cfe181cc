/*
 * The identity of the database file. Before use: is it a database of ours? During use: does its
 * name still lead to the file that is open?
 *
 * If somebody replaces the file (a backup, by mv) or deletes it, processes still have the old file
 * open, and everything that they acknowledge would vanish with the last of them. So upkeep checks
 * the name once a second, and while it leads to another file, writes are refused (503).
 *
 * The process may then exit, so that the next one opens the new file, unless the write-ahead log or
 * its index beside the new file is still that of the old one. SQLite would copy the old log into
 * the new database, or look for its pages there. Only a person can decide whose files they are, and
 * must delete them.
 */
#include "store/sqlite/database_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/place.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"

/* --- before use --- */

/* Has the file the tables of this version? */
static bool has_our_tables(sqlite3 *db)
{
    static const enum stmt some[] = {STMT_STREAM_BY_ID, STMT_MESSAGE_READ, STMT_PRODUCER_ALL,
                                     STMT_GARBAGE_NEXT, STMT_REGISTRY,     STMT_UPKEEP_CHECKPOINT};
    bool has = true;

    for (size_t i = 0; has && i < sizeof some / sizeof some[0]; i++) {
        sqlite3_stmt *stmt = NULL;

        has = sqlite3_prepare_v2(db, stmt_sql[some[i]], -1, &stmt, NULL) == SQLITE_OK;
        (void)sqlite3_finalize(stmt);
    }
    return has;
}

void database_file_describe_foreign(sqlite3 *db, const char *database, int64_t application,
                                    char *text, size_t size)
{
    if (application == 0 && has_our_tables(db))
        (void)snprintf(text, size,
                       "%s has the tables of streams, but lacks two numbers that .dump leaves out: "
                       "if it is whole, run sqlite3 '%s' \"PRAGMA application_id = %d; PRAGMA "
                       "user_version = %d\"",
                       database, database, STORE_APPLICATION_ID, SCHEMA_VERSION);
    else
        (void)snprintf(text, size, "%s is a database of another program", database);
}

/* --- during use --- */

static bool look_at_file(const struct store *store, const char *suffix, struct store_file *file)
{
    char name[PLACE_NAME_SIZE];
    struct stat info;

    *file = (struct store_file){0, 0};
    if (!place_beside(name, store->config->database, suffix) || stat(name, &info) != 0)
        return false;
    *file = (struct store_file){(uint64_t)info.st_dev, (uint64_t)info.st_ino};
    return true;
}

static bool is_same_file(struct store_file a, struct store_file b)
{
    return a.device == b.device && a.number == b.number;
}

void database_file_note(struct store *store)
{
    (void)look_at_file(store, "", &store->file);
    (void)look_at_file(store, "-wal", &store->log_file);
    (void)look_at_file(store, "-shm", &store->index_file);
}

static enum store_place find_place(struct store *store)
{
    struct store_file file, log, index;
    bool there = look_at_file(store, "", &file), has_log = look_at_file(store, "-wal", &log);
    bool has_index = look_at_file(store, "-shm", &index);

    if (there && is_same_file(file, store->file)) {
        store->log_file = log; /* SQLite may have created them since */
        store->index_file = index;
        return STORE_SAME;
    }
    if (!there)
        return STORE_MISSING;
    if ((has_log && is_same_file(log, store->log_file)) ||
        (has_index && is_same_file(index, store->index_file)))
        return STORE_MIXED;
    return STORE_REPLACED;
}

static void log_place(const struct store *store, enum store_place place)
{
    const char *database = store->config->database;

    switch (place) {
    case STORE_SAME:
        log_info("%s is back in its place", database);
        break;
    case STORE_MISSING:
        log_error("%s was removed while it is in use: nothing is written until it is back",
                  database);
        break;
    case STORE_REPLACED:
        log_error("%s was replaced by another file", database);
        break;
    case STORE_MIXED:
        log_error("%s was replaced by another file, beside the log of the old one: nothing is "
                  "written until you stop this program, delete %s-wal and -shm, and start it again",
                  database, database);
        break;
    }
}

enum store_place store_find_place(struct store *store)
{
    enum store_place place;

    if (store->config->durability ==
        DURABILITY_MEMORY) /* the library unlinks its file, and no other process can open it */
        return STORE_SAME;
    place = find_place(store);
    if (place != store->place)
        log_place(store, place);
    store->place = place;
    atomic_store(&store->displaced, place != STORE_SAME);
    return place;
}

bool store_is_displaced(const struct store *store)
{
    return atomic_load(&store->displaced);
}
