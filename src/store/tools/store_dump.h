/*
 * Export and import: streams as lines of text (dump_line.h), and back, nothing lost: bytes,
 * offsets, boundaries of messages and parts, closure, expiry, Stream-Seq, forks with the sources
 * they read, producers, times. Faults are not exported.
 */
#ifndef STORE_DUMP_H
#define STORE_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/status.h"

struct store_conn;

/* Called now and then: so much of so much, in a unit of its own. */
typedef void store_dump_progress(void *arg, int64_t done, int64_t total);

struct store_dump {
    FILE *file;
    const char *path;              /* export: of one stream, normalised; NULL: all */
    bool skip_existing;            /* import: pass over streams whose path is taken */
    store_dump_progress *progress; /* NULL: nobody wants to know */
    void *progress_arg;

    int64_t streams, rows, producers; /* written to the file, or to the database */
    int64_t skipped;                  /* import: streams passed over */
    bool kept_registry;               /* import: the database's own registry was left as it is */
    char reason[300];                 /* one line, when the status is not DS_OK */
};

/*
 * Writes to dump->file, from one read transaction however long it takes, and flushes it.
 *
 * All streams: those that forks read are among them, also when they were deleted; what has expired
 * and nobody reads is not. One stream: with what a fork inherited in it, at the same offsets, so
 * that it can be read by itself. DS_NOT_FOUND, DS_GONE: there is no such stream.
 */
enum ds_status store_export(struct store_conn *conn, struct store_dump *dump);

/*
 * Reads dump->file, and commits stream by stream; one that was deleted, or is about to expire, goes
 * together with the next fork of it, or it might be cleared away between them. What fails leaves
 * nothing of its stream and ends the import; streams before it stay. Readers are woken as by any
 * other write, hooks are not run. An input that is no regular file is first copied to one beside
 * the database, so that writers never wait for a pipe.
 *
 * A registry among the streams becomes the registry of a database that has none. One that has a
 * registry keeps it, and it tells of every stream that is imported.
 *
 * DS_INVALID: the file is not as it should be; DS_CONFLICT: a path is taken, or is another stream
 * than the one that a fork reads. In both cases reason begins with the number of the line.
 */
enum ds_status store_import(struct store_conn *conn, struct store_dump *dump);

#endif
