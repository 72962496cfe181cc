/* Absurd values in columns of a database, and the check of it. */
#ifndef DAMAGE_UNIT_H
#define DAMAGE_UNIT_H

#include "store/tools/store_check.h"
#include "store_fill.h"

/* A value that begins with "=" is the rest of an expression that begins with the column. */
static const char *const values[] = {
    "NULL",
    "1",
    "-1",
    "= + 1",
    "9999999999999999",
    "10000000000000000",
    "9223372036854775807",
    "-9223372036854775807 - 1",
    "1.5",
    "'abc'",
    "x'00ff0d0a'",
    "'text/plain' || char(13, 10) || 'Set-Cookie: a=b'",
    "'/' || hex(zeroblob(40000))",
    "zeroblob(300000)",
    "(SELECT max(id) FROM stream)",
};

/* Drops NOT NULL and a trigger, which prevent damage that a broken file can have. */
static inline void drop_rules(struct fixture *f)
{
    (void)sqlite3_db_config(f->conn->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    run_sql(f, "PRAGMA writable_schema = ON; "
               "UPDATE sqlite_schema SET sql = replace(replace(sql, 'IS NOT NULL', 'NOTNULL'), "
               "'NOT NULL', '') WHERE type = 'table' "
               "AND name <> 'faults'; DROP TRIGGER stream_keep_source; "
               "PRAGMA writable_schema = RESET");
}

static inline void damage(struct fixture *f, const char *table, const char *column,
                          const char *value)
{
    bool relative = value[0] == '=';
    char sql[500];

    (void)snprintf(sql, sizeof sql,
                   "PRAGMA ignore_check_constraints = ON; "
                   "UPDATE OR IGNORE %s SET %s = %s%s",
                   table, column, relative ? column : "", value + relative);
    /* SQLite always refuses some values, such as a rowid that is not an integer */
    (void)sqlite3_exec(f->conn->db, sql, NULL, NULL, NULL);
}

static inline void count_finding(void *arg, enum store_check_kind kind, const char *path,
                                 const char *text)
{
    ck_assert_ptr_nonnull(text);
    (void)path;
    *(int *)arg += kind == STORE_CHECK_DAMAGE;
}

static inline int run_check(struct fixture *f)
{
    int found = 0;
    struct store_check check = {.database = f->config.database,
                                .busy_timeout_ms = 1000,
                                .now = clock_wall_ms(),
                                .fn = count_finding,
                                .arg = &found};

    ck_assert_int_eq(store_check(&check), DS_OK);
    return found;
}

#endif
