/* Checks the contents of a database: see look.h. */
#include "look.h"

#include <durable_streams.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "proof.h"

static char told[400];

static const char *tell(const char *what, const char *more)
{
    (void)snprintf(told, sizeof told, "%s: %s", what, more);
    return told;
}

/* --- by SQLite --- */

static const char *check_integrity(sqlite3 *db)
{
    static const char *const checks[] = {"PRAGMA integrity_check", "PRAGMA foreign_key_check"};
    const char *wrong = NULL;

    for (int i = 0; !wrong && i < 2; i++) {
        sqlite3_stmt *stmt;
        int code = sqlite3_prepare_v2(db, checks[i], -1, &stmt, NULL);

        if (code == SQLITE_OK)
            code = sqlite3_step(stmt);
        if (code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
            wrong = tell(checks[i], (const char *)sqlite3_column_text(stmt, 0));
        else if (code != SQLITE_ROW && code != SQLITE_DONE)
            wrong = tell(checks[i], sqlite3_errmsg(db));
        (void)sqlite3_finalize(stmt);
    }
    return wrong;
}

/* Calls fn for each row. */
static const char *rows(sqlite3 *db, const char *sql, struct found found[LEDGER_STREAMS],
                        void (*fn)(sqlite3_stmt *, struct found *, uint32_t))
{
    sqlite3_stmt *stmt;
    const char *wrong = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), stream;

    if (code != SQLITE_OK)
        return tell(sql, sqlite3_errmsg(db));
    while (!wrong && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *path = (const char *)sqlite3_column_text(stmt, 0);

        stream = stream_of(path);
        if (stream < 0)
            wrong = tell("a stream that nobody has made", path);
        else
            fn(stmt, &found[stream], (uint32_t)stream);
    }
    if (!wrong && code != SQLITE_DONE)
        wrong = tell(sql, sqlite3_errmsg(db));
    (void)sqlite3_finalize(stmt);
    return wrong;
}

static void take_stream(sqlite3_stmt *stmt, struct found *found, uint32_t stream)
{
    (void)stmt;
    (void)stream;
    found->there = true;
}

static void take_message(sqlite3_stmt *stmt, struct found *found, uint32_t stream)
{
    found_add(found, stream_is_json(stream), (const char *)sqlite3_column_blob(stmt, 1),
              (size_t)sqlite3_column_bytes(stmt, 1));
}

static void take_producer(sqlite3_stmt *stmt, struct found *found, uint32_t stream)
{
    (void)stream;
    found->last_seq = sqlite3_column_int64(stmt, 1);
}

static bool has_tables(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    bool has = sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE name = 'producer'", -1,
                                  &stmt, NULL) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW;

    (void)sqlite3_finalize(stmt);
    return has;
}

const char *look_by_sqlite(const char *database, struct found found[LEDGER_STREAMS])
{
    sqlite3 *db = NULL;
    const char *wrong = NULL;

    found_clear(found);
    if (sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK)
        wrong = tell("SQLite cannot open it", db ? sqlite3_errmsg(db) : "no memory");
    if (!wrong)
        wrong = check_integrity(db);
    if (!wrong && has_tables(db)) {
        wrong = rows(db, "SELECT path FROM stream", found, take_stream);
        if (!wrong)
            wrong = rows(db,
                         "SELECT path, payload FROM stream JOIN message ON stream_id = stream.id "
                         "ORDER BY stream_id, position, part",
                         found, take_message);
        if (!wrong)
            wrong = rows(db,
                         "SELECT path, producer.last_seq FROM producer JOIN stream "
                         "ON stream.id = stream_id",
                         found, take_producer);
    }
    (void)sqlite3_close(db);
    return wrong;
}

/* --- by the library --- */

/* The data read so far of one stream; arrays without their brackets. */
static const char *compare(struct ds_store *store, uint32_t stream, const struct found *expected)
{
    char path[40], offset[DS_OFFSET_SIZE] = DS_START;
    struct ds_read_result result = {.up_to_date = false};
    struct found found = {0};
    bool json = stream_is_json(stream), same;

    (void)stream_path(stream, path);
    while (!result.up_to_date) {
        enum ds_status status = ds_read(store, path, offset, &result);

        if (status == DS_NOT_FOUND && !expected->there)
            return NULL;
        if (status != DS_OK) {
            free(found.data);
            return tell(path, ds_status_text(status));
        }
        if (!json)
            found_add(&found, false, result.data, result.len);
        else if (result.len > 2)
            found_add(&found, true, result.data + 1, result.len - 2);
        (void)strcpy(offset, result.next_offset);
        ds_read_free(&result);
    }
    same = expected->there && found.len == expected->len &&
           (found.len == 0 || memcmp(found.data, expected->data, found.len) == 0);
    free(found.data);
    return same ? NULL : tell(path, "the library reads something else than SQLite");
}

static const char *go_on(struct ds_store *store)
{
    static const char path[] = "/v1/stream/after";
    struct ds_read_result result;
    enum ds_status status = ds_create(store, path, NULL, NULL, NULL);
    bool same;

    if (status == DS_OK)
        status = ds_append(store, path, "and on", 6, NULL, NULL);
    if (status == DS_OK)
        status = ds_read(store, path, DS_START, &result);
    if (status != DS_OK)
        return tell("the library cannot go on", ds_status_text(status));
    same = result.len == 6 && memcmp(result.data, "and on", 6) == 0;
    ds_read_free(&result);
    return same ? NULL : tell("the library goes on", "and does not read what it wrote");
}

const char *look_by_library(const char *database, const struct found found[LEDGER_STREAMS])
{
    const struct ds_store_options options = {.durability = DS_DURABILITY_NORMAL};
    struct ds_store *store;
    enum ds_status status = ds_store_open(database, &options, &store);
    const char *wrong = NULL;

    if (status != DS_OK)
        return tell("the library cannot open it", ds_status_text(status));
    for (uint32_t i = 0; !wrong && i < LEDGER_STREAMS; i++)
        if (found[i].there)
            wrong = compare(store, i, &found[i]);
    if (!wrong)
        wrong = go_on(store);
    ds_store_close(store);
    return wrong;
}

/* --- by the programs --- */

static const char *read_by_cgi(const struct doors *doors, uint32_t stream,
                               const struct found *expected)
{
    char path[40], *body = NULL;
    const struct request request = {
        .method = "GET", .path = stream_path(stream, path), .query = "offset=-1", .seq = -1};
    size_t len = 0, skip = stream_is_json(stream) ? 1 : 0;
    int status = request_cgi(doors, &request, &body, &len);
    bool same = status == 200 && len >= 2 * skip && len - 2 * skip <= expected->len &&
                (len - 2 * skip == expected->len || len > 100000) &&
                (len == 2 * skip || memcmp(body + skip, expected->data, len - 2 * skip) == 0);

    free(body);
    return same ? NULL : tell(path, "the program reads something else than SQLite");
}

const char *look_by_programs(const char *build, const char *database,
                             const struct found found[LEDGER_STREAMS], uint64_t which)
{
    char setting[260];
    struct doors doors = {.build = build, .setting = {setting, "DS_LOG_LEVEL=error"}};
    const char *const check[] = {"dsctl", "-q", "--db", database, "check", NULL};
    const char *wrong = NULL;
    bool any = false;
    int status;

    (void)snprintf(setting, sizeof setting, "DS_DATABASE=%s", database);
    for (uint32_t i = 0; i < LEDGER_STREAMS; i++) {
        uint32_t stream = (uint32_t)((which + i) % LEDGER_STREAMS);

        if (!found[stream].there)
            continue;
        wrong = read_by_cgi(&doors, stream, &found[stream]);
        any = true;
        break;
    }
    if (wrong || !any) /* there may be no database yet */
        return wrong;
    status = await(start(&doors, check, NULL, -1, -1, true));
    (void)snprintf(setting, sizeof setting, "%x, see %s", (unsigned)status, proof_file("log"));
    return status == 0 ? NULL : tell("dsctl check ends with status", setting);
}
