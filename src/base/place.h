/*
 * Where a database is, and who owns its files.
 *
 *     file                what it is         owner, group and mode
 *     streams.db          the database       if root creates it, the owner of its folder
 *     streams.db-wal,     SQLite's           mode of the database; also its owner, if root creates
 *     streams.db-shm                         them
 *     streams.db-wake     the hints          owner and group of the database; readable and writable
 *                         (hints.h)          for those who may write the database
 *     streams.db-reserve  the reserve        those of the database
 *                         (store_reserve.c)
 *
 * SQLite and this program derive the other names from the name of the database, so all processes
 * must use the same name for it: place_real(). Thread-safe.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * The absolute name of a file, without symbolic links; the file need not exist. If its folder does
 * not exist, links in the folder's name remain. The caller frees the result; NULL when out of
 * memory.
 */
char *place_real(const char *path);

/*
 * To be called before a database is opened: creates it, empty, if it is missing. A private database
 * is in a folder that only this user may enter; the folder is also created. False, logged, if the
 * folder belongs to another user or others may enter it.
 */
bool place_prepare(const char *database, bool private);

/*
 * Creates the database if it is missing, with mode 0600 if it is private, else 0644. Reports no
 * error: SQLite will, when it opens the file.
 */
void place_create(const char *database, bool private);

enum { PLACE_NAME_SIZE = 4096 };

/*
 * Writes the name of a file beside the database: the database's name and a suffix, such as "-wal".
 * False, with errno, if it does not fit.
 */
bool place_beside(char name[static PLACE_NAME_SIZE], const char *database, const char *suffix);

/* Gives a file that we created beside the database its owner, group and mode. */
void place_give(int fd, const char *database);

/*
 * May we write to a file that we found beside the database? False, logged, if it is not a regular
 * file with one name, or if its owner has no right to write the database.
 */
bool place_trusts(int fd, const char *name, const char *database);

#endif
