/*
 * Where a database lies, and to whom its files belong.
 *
 *     streams.db        the database; made by root, it belongs to whoever owns its folder
 *     streams.db-wal    SQLite's: mode of the database, and its owner when root makes them
 *     streams.db-shm
 *     streams.db-wake   ours (hints.h): owner and group of the database, for those who may write it
 *     streams.db-reserve  ours (store_reserve.c): owner, group and mode of the database
 *
 * SQLite and we derive those names from the database's own, so all processes must use the same one:
 * place_real().
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * The absolute name without symbolic links; the file need not exist. Where its folder does not
 * exist either, links stay in it. The caller frees it; NULL when out of memory.
 */
char *place_real(const char *path);

/*
 * Before a database is opened: makes it, empty, when it is missing. A private one lies in a folder
 * that only this user may enter, which is made, too; false, logged, when others may enter it.
 */
bool place_prepare(const char *database, bool private);

/* Makes the database when it is missing; errors are SQLite's to report. */
void place_create(const char *database, bool private);

/*
 * The name of a file beside the database: the database's own with a suffix, "-wal" for example.
 * False, with errno set, when it is too long for the system. Thread-safe.
 */
enum { PLACE_NAME_SIZE = 4096 };
bool place_beside(char name[static PLACE_NAME_SIZE], const char *database, const char *suffix);

/* Gives a file that we made beside the database the owner that it must have. */
void place_give(int fd, const char *database);

/* Is a file that we found beside the database one that we may write? False, logged, if not. */
bool place_trusts(int fd, const char *name, const char *database);

#endif
