/* What the files of the check share: see store_check.h. */
#ifndef STORE_CHECK_PRIVATE_H
#define STORE_CHECK_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/tools/store_check.h"

/* Reports a finding, and counts it. */
void check_tell(struct store_check *check, enum store_check_kind kind, const char *path,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* After an error of SQLite: a damaged file is a finding (DS_OK); any other error ends the check. */
enum ds_status check_stumble(struct store_check *check, sqlite3 *db);

/* The number that a pragma or SELECT returns; -1 if it returns none. */
int64_t check_pragma(sqlite3 *db, const char *sql);

/* A statement that selects the path (or NULL) and the text of its findings. ?1 is the time. */
struct check_rule {
    enum store_check_kind kind;
    const char *sql;
};

enum ds_status check_apply(struct store_check *check, sqlite3 *db, const struct check_rule *rule);

bool check_has_table(sqlite3 *db, const char *name);

/* Applies the rules for subscriptions and webhook keys, as far as the database has them. */
enum ds_status check_subscriptions(struct store_check *check, sqlite3 *db);

/* Compares the tables, indexes, views and triggers with those of a new database. */
enum ds_status check_schema(struct store_check *check, sqlite3 *db);

#endif
