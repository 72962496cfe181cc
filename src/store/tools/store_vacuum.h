/* Giving the space of deleted messages back to the file system. */
#ifndef STORE_VACUUM_H
#define STORE_VACUUM_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

struct store_conn;

struct store_vacuum {
    int64_t before, after; /* bytes of the database and its write-ahead log */
    bool emptied_log;      /* false: a reader or DS_CHECKPOINT=off prevented it */
};

/*
 * Rewrites the database without its free pages and empties the write-ahead log. Readers continue;
 * writers wait. Needs disk space for two copies, one of them in the folder for temporary files.
 * DS_BUSY after DS_BUSY_TIMEOUT_MS: another program is writing, and nothing was changed.
 */
enum ds_status store_vacuum(struct store_conn *conn, struct store_vacuum *vacuum);

#endif
