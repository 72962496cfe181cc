/*
 * A VFS below the one of wal_vfs.c, which takes it for the system's. It is the default VFS, except
 * that its random numbers can be set, and that it counts the changes of write-ahead logs and can
 * let them fail. For one thread; all its state is in `shim`.
 */
#ifndef SHIM_H
#define SHIM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define SHIM_VFS "proof-shim"

struct shim {
    uint64_t random; /* the start of SQLite's random numbers: see shim_random() */
    int64_t changes; /* writes, truncations and syncs of logs so far */
    int64_t most;    /* the number of changes that succeed; negative: no limit */
    bool exits;      /* then the process ends; otherwise all later changes fail */
    int64_t full_at; /* the most bytes of a log; negative: no limit */
    bool sync_fails;
};

extern struct shim shim;

/* Becomes the default VFS. Call wal_vfs_register() only afterwards. */
void shim_register(void);

/* Restarts SQLite's random numbers from here; equal starts give equal numbers. */
void shim_random(uint64_t random);

#endif
