/*
 * The schema of a database against that of a new one: see store_check.h.
 *
 * Objects that other programs and people have added are ignored, such as Litestream's tables. So
 * are comments in the SQL, because the wording of our own changes between releases.
 */
#include <stdbool.h>
#include <string.h>

#include "store/sqlite/schema.h"
#include "store/tools/store_check_private.h"

int64_t check_pragma(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* SQL that is being compared: its next character, and the quote that it is within, or 0. */
struct sql_text {
    const char *at;
    char quote;
};

/* A run of white space and comments counts as one space, except within quotes. */
static char next_char(struct sql_text *text)
{
    bool gap = false;
    char c;

    for (; !text->quote; gap = true) {
        if (strncmp(text->at, "--", 2) == 0)
            text->at += strcspn(text->at, "\n");
        else if (*text->at && strchr(" \t\r\n", *text->at))
            text->at++;
        else
            break;
    }
    if (gap)
        return ' ';
    c = *text->at;
    if (c == '\0')
        return c;
    text->at++;
    if (text->quote)
        text->quote = c == text->quote ? '\0' : text->quote;
    else if (c == '\'' || c == '"')
        text->quote = c;
    return c;
}

static bool is_same_sql(const char *a, const char *b)
{
    struct sql_text one = {.at = a}, other = {.at = b};
    char c;

    do {
        c = next_char(&one);
        if (c != next_char(&other))
            return false;
    } while (c);
    return true;
}

/* Is this object of a new database here as well, and is it the same? */
static void compare_object(struct store_check *check, sqlite3_stmt *here, sqlite3_stmt *expected)
{
    const char *type = (const char *)sqlite3_column_text(expected, 0);
    const char *name = (const char *)sqlite3_column_text(expected, 1);
    const char *sql = (const char *)sqlite3_column_text(expected, 2), *found;

    (void)sqlite3_bind_text(here, 1, type, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(here, 2, name, -1, SQLITE_STATIC);
    if (sqlite3_step(here) != SQLITE_ROW) {
        check_tell(check, STORE_CHECK_DAMAGE, NULL, "the %s %s is missing", type, name);
    } else {
        found = (const char *)sqlite3_column_text(here, 0);
        if (!found || !sql || !is_same_sql(found, sql))
            check_tell(check, STORE_CHECK_DAMAGE, NULL, "the %s %s was changed", type, name);
    }
    (void)sqlite3_reset(here);
}

bool check_has_table(sqlite3 *db, const char *name)
{
    sqlite3_stmt *stmt = NULL;
    bool has;

    (void)sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                             -1, &stmt, NULL);
    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    has = sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    return has;
}

/* Makes a new schema in memory, with the optional parts that this database has. */
static int make_fresh(sqlite3 **fresh, sqlite3 *db)
{
    const struct {
        bool has;
        const char *sql;
    } parts[] = {
        {true, schema_schema},
        {true, schema_views},
        {check_has_table(db, "faults"), schema_faults},
        {check_has_table(db, "subscription"), schema_subscriptions},
        {check_has_table(db, "webhook_key"), schema_webhook_keys},
        {check_pragma(db, "SELECT 1 FROM stream WHERE registry = 1") == 1, schema_registry},
    };
    int code = sqlite3_open_v2(":memory:", fresh, SQLITE_OPEN_READWRITE, NULL);

    for (size_t i = 0; code == SQLITE_OK && i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].has)
            code = sqlite3_exec(*fresh, parts[i].sql, NULL, NULL, NULL);
    return code;
}

enum ds_status check_schema(struct store_check *check, sqlite3 *db)
{
    sqlite3 *fresh = NULL;
    sqlite3_stmt *expected = NULL, *here = NULL;
    int code = make_fresh(&fresh, db);

    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(fresh,
                                  "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL "
                                  "AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
                                  -1, &expected, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2",
                                  -1, &here, NULL);
    while (code == SQLITE_OK && sqlite3_step(expected) == SQLITE_ROW)
        compare_object(check, here, expected);
    (void)sqlite3_finalize(expected);
    (void)sqlite3_finalize(here);
    (void)sqlite3_close(fresh);
    return code == SQLITE_OK ? DS_OK : check_stumble(check, db);
}
