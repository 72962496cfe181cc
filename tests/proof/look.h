/*
 * The contents of a database, as plain SQLite, the library and the programs find them.
 *
 * A look opens the database, which may change its files, so each look needs a copy of its own.
 */
#ifndef LOOK_H
#define LOOK_H

#include <stdbool.h>

#include "doors.h"
#include "ledger.h"

/* By SQLite with nothing of ours: sound, and these streams. NULL, or what is wrong. A database that
   is not there, or empty, has no streams. */
const char *look_by_sqlite(const char *database, struct found found[LEDGER_STREAMS]);

/* The library must find the same, and must be able to write to it. */
const char *look_by_library(const char *database, const struct found found[LEDGER_STREAMS]);

/* So must `dsctl check` and, for one of the streams, the program. */
const char *look_by_programs(const char *build, const char *database,
                             const struct found found[LEDGER_STREAMS], uint64_t which);

#endif
