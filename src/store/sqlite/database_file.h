/* The identity of the database file: see database_file.c. */
#ifndef DATABASE_FILE_H
#define DATABASE_FILE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Writes the reason not to open a database whose application_id is not ours. */
void database_file_describe_foreign(sqlite3 *db, const char *database, int64_t application,
                                    char *text, size_t size);

/* Notes the identity of the files, which have just been opened. */
void database_file_note(struct store *store);

#endif
