/* A VFS that writes the log with one call for each transaction: see wal_vfs.c. */
#ifndef WAL_VFS_H
#define WAL_VFS_H

#include <stdbool.h>

struct store_conn;

/* Registers the VFS, for connections that are opened later. Not thread-safe. */
void wal_vfs_register(void);

/* The name of the VFS to open connections with; NULL (the default VFS) before
   wal_vfs_register(). */
const char *wal_vfs_name(void);

/* Around a COMMIT: true begins to collect writes to the log, false drops what is left. */
void wal_vfs_collect(struct store_conn *conn, bool collects);

#endif
