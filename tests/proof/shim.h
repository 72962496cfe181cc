/*
 * A VFS under the one of wal_vfs.c, which then takes it for the system's: the default one, but
 * that its random numbers can be set, and that what is done to write-ahead logs is counted and can
 * be made to fail. One thread, one set of them all: `shim`.
 */
#ifndef SHIM_H
#define SHIM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define SHIM_VFS "proof-shim"

struct shim {
    uint64_t random; /* what SQLite's random numbers begin with: see shim_random() */
    int64_t changes; /* writes, truncations and syncs of logs so far */
    int64_t most;    /* so many of them happen, and no more; negative: no limit */
    bool exits;      /* instead of the next one the process ends; else that and all later fail */
    int64_t full_at; /* logs do not grow beyond so many bytes; negative: no limit */
    bool sync_fails;
};

extern struct shim shim;

/* Becomes the default VFS. Call wal_vfs_register() only afterwards. */
void shim_register(void);

/* SQLite's random numbers go on from here, as they did the last time. */
void shim_random(uint64_t random);

#endif
