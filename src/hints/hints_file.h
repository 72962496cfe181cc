/* Finding, checking, locking and mapping the file of the hints. Used by hints.c only. */
#ifndef HINTS_FILE_H
#define HINTS_FILE_H

#include <stdbool.h>

struct hints_shared;

/*
 * Opens the file at path, creates it if it is missing, and locks it with flock(): exclusively, with
 * *first true, if no other process has it open, else shared. database gives the new file its owner
 * and group. Returns the descriptor, or -1 with the reason logged.
 */
int hints_file_open(const char *path, const char *database, bool *first);

/*
 * Gives the file its full length if it is shorter, and all its blocks if `alone` is set (no other
 * process has it open). False, with errno.
 */
bool hints_file_allocate(int fd, bool alone);

/* Allocates and maps the file. NULL, with errno. */
struct hints_shared *hints_file_map(int fd, bool alone);

/* Does path still name the open file? */
bool hints_file_is_current(int fd, const char *path);

/* Releases every lock that this open file has. */
void hints_file_unlock(int fd);

#endif
