/*
 * Export and import: streams as lines of text (dump_line.h) and back. Nothing is lost: bytes,
 * offsets, boundaries of messages and parts, closure, expiry, Stream-Seq, forks with their sources,
 * producers and times. Faults are not exported.
 */
#ifndef STORE_DUMP_H
#define STORE_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/status.h"

struct store_conn;

/* Reports progress from time to time: done of total, in an arbitrary unit. */
typedef void store_dump_progress(void *arg, int64_t done, int64_t total);

struct store_dump {
    FILE *file;
    const char *path;   /* export: the normalised path of one stream; NULL: all streams */
    bool skip_existing; /* import: skip streams whose path is taken */
    store_dump_progress *progress; /* may be NULL */
    void *progress_arg;

    int64_t streams, rows, producers; /* written to the file, or to the database */
    int64_t skipped;                  /* import: streams that were skipped */
    bool kept_registry;               /* import: the database has a registry already, which stays */
    char reason[300];                 /* one line, when the status is not DS_OK */
};

/*
 * Writes to dump->file from a single read transaction, and flushes it.
 *
 * All streams: includes deleted ones that forks still read, but not expired ones without forks. One
 * stream: a fork contains what it has inherited, at the same offsets, so that it can be read by
 * itself. DS_NOT_FOUND, DS_GONE: there is no such stream.
 */
enum ds_status store_export(struct store_conn *conn, struct store_dump *dump);

/*
 * Reads dump->file and commits each stream by itself. A deleted stream, or one that is about to
 * expire, is committed together with its next fork, because the sweep might delete it in between. A
 * failure leaves nothing of its stream and ends the import; earlier streams stay. Readers are woken
 * as by any other write; hooks are not run. An input that is not a regular file is first copied to
 * one beside the database, so that writers never wait for a pipe.
 *
 * If the database has no registry, a registry in the file becomes its registry. Otherwise it keeps
 * its own, which lists every imported stream.
 *
 * DS_INVALID: the file is malformed. DS_CONFLICT: a path is taken, or belongs to another stream
 * than the one that a fork reads. In both cases the reason begins with the number of the line.
 */
enum ds_status store_import(struct store_conn *conn, struct store_dump *dump);

#endif
