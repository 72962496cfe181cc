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
    const char *path;        /* export: the normalised path of one stream; NULL: all streams */
    bool keys;               /* export: with the private keys that sign webhooks */
    bool skip_existing;      /* import: skip streams and subscriptions whose name is taken */
    bool skip_subscriptions; /* import: leave subscriptions, deleted ones and keys out */
    store_dump_progress *progress; /* may be NULL */
    void *progress_arg;

    int64_t streams, rows, producers; /* written to the file, or to the database */
    int64_t subscriptions;            /* the same */
    int64_t skipped;                  /* import: streams that were skipped */
    int64_t skipped_subscriptions;
    bool kept_registry; /* import: the database has a registry already, which stays */
    char reason[300];   /* one line, when the status is not DS_OK */
};

/*
 * Writes to dump->file from a single read transaction, and flushes it.
 *
 * All streams: includes deleted ones that forks still read, but not expired ones without forks. One
 * stream: a fork contains what it has inherited, at the same offsets, so that it can be read by
 * itself. Subscriptions are left out. DS_NOT_FOUND, DS_GONE: there is no such stream.
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
 * A subscription is committed with its links, after all streams. It keeps its cursors where the
 * stream is the one of the export (path and created_at). A stream that its pattern matches, and
 * that has no link in the file, begins at its tail if it was in the database before, and else at
 * its start. A subscription is idle; upkeep wakes it within a second if something is pending. It
 * goes on counting generations, from the larger one if the database has deleted one of its name.
 *
 * DS_INVALID: the file is malformed. DS_CONFLICT: a path or a name is taken, or a path belongs to
 * another stream than the one that a fork reads. In both cases the reason begins with the number of
 * the line.
 */
enum ds_status store_import(struct store_conn *conn, struct store_dump *dump);

#endif
