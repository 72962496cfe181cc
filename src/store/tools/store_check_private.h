/* What the two files of the check share: see store_check.h. */
#ifndef STORE_CHECK_PRIVATE_H
#define STORE_CHECK_PRIVATE_H

#include <sqlite3.h>
#include <stdint.h>

#include "store/tools/store_check.h"

/* Reports a finding, and counts it. */
void check_tell(struct store_check *check, enum store_check_kind kind, const char *path,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* After an error of SQLite: a damaged file is a finding (DS_OK); any other error ends the check. */
enum ds_status check_stumble(struct store_check *check, sqlite3 *db);

/* The number that a pragma or SELECT returns; -1 if it returns none. */
int64_t check_pragma(sqlite3 *db, const char *sql);

/* Compares the tables, indexes, views and triggers with those of a new database. */
enum ds_status check_schema(struct store_check *check, sqlite3 *db);

#endif
