/*
 * Databases that are intact for SQLite, but have rows that contradict each other or make no sense,
 * as after a mistake at the sqlite3 prompt. The input changes values in a database that contains
 * some of everything.
 *
 *     ┌───────┬────────┬─────┬────────────────────────┐
 *     │ table │ column │ row │ value: kind, 8 bytes   │   repeated to the end; each number
 *     └───────┴────────┴─────┴────────────────────────┘   is taken modulo the possible ones
 */
#include <sqlite3.h>

#include "fuzz_walk.h"
#include "protocol/fault.h"

enum { CHANGE = 12, CHANGES_MAX = 16 };

static sqlite3 *db;

/* The first value of a query as text, which the caller frees; NULL if there is none. */
static char *ask(const char *sql, const char *table, int64_t n)
{
    sqlite3_stmt *stmt = NULL;
    char *text = NULL;

    fuzz_require(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK);
    (void)sqlite3_bind_int64(stmt, sqlite3_bind_parameter_index(stmt, "?1"), n);
    (void)sqlite3_bind_text(stmt, 2, table, -1, SQLITE_STATIC);
    if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0))
        text = strdup((const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    return text;
}

static void bind(sqlite3_stmt *stmt, const uint8_t *value)
{
    int64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = (int64_t)((uint64_t)number << 8 | value[1 + i]);
    switch (value[0] % 6) {
    case 0:
        (void)sqlite3_bind_int64(stmt, 1, number);
        break;
    case 1: /* a small number, because most numbers in the tables are small, such as ids */
        (void)sqlite3_bind_int64(stmt, 1, (int8_t)value[8]);
        break;
    case 2:
        (void)sqlite3_bind_null(stmt, 1);
        break;
    case 3:
        (void)sqlite3_bind_text(stmt, 1, (const char *)value + 1, value[8] % 8, SQLITE_TRANSIENT);
        break;
    case 4:
        (void)sqlite3_bind_blob(stmt, 1, value + 1, value[8] % 8, SQLITE_TRANSIENT);
        break;
    default:
        (void)sqlite3_bind_double(stmt, 1, (double)number / 1000);
        break;
    }
}

static void change(const uint8_t *data)
{
    char *table = ask("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
                      "'sqlite%' ORDER BY name LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM "
                      "sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%')",
                      NULL, data[0]);
    char *column = ask("SELECT name FROM pragma_table_info(?2) LIMIT 1 OFFSET ?1 % (SELECT "
                       "count(*) FROM pragma_table_info(?2))",
                       table, data[1]);
    char *sql = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = ?1 WHERE rowid = (SELECT rowid FROM "
                                "\"%w\" LIMIT 1 OFFSET ?2 %% max(1, (SELECT count(*) FROM "
                                "\"%w\")))",
                                table, column, table, table);
    char *all = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = ?1", table, column);
    sqlite3_stmt *stmt = NULL;

    /* in a table without rowids, which the first statement does not fit, all rows change */
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK ||
        sqlite3_prepare_v2(db, all, -1, &stmt, NULL) == SQLITE_OK) {
        bind(stmt, data + 3);
        (void)sqlite3_bind_int(stmt, 2, data[2]);
        (void)sqlite3_step(stmt); /* may fail for a constraint */
    }
    sqlite3_free(all);
    (void)sqlite3_finalize(stmt);
    sqlite3_free(sql);
    free(column);
    free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf whole;
    struct store *store;

    if (!whole.data)
        walk_make(&whole);
    fuzz_save(&whole);
    fuzz_require(sqlite3_open(fuzz_config.database, &db) == SQLITE_OK);
    (void)sqlite3_exec(db, "PRAGMA ignore_check_constraints = 1; PRAGMA synchronous = OFF; BEGIN",
                       NULL, NULL, NULL);
    for (int i = 0; size >= CHANGE && i < CHANGES_MAX; i++, data += CHANGE, size -= CHANGE)
        change(data);
    fuzz_require(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    fuzz_require(sqlite3_close(db) == SQLITE_OK);
    (void)walk_check();
    if (store_open(&store, &fuzz_config, false) == DS_OK) {
        walk(store);
        store_close(store, false);
    }
    return 0;
}
