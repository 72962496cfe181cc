/*
 * What writing to a stream means: creating, appending, closing, deleting, decided inside the
 * transaction of a batch. No HTTP and no threads: the server's operations (op_*.c) and the library
 * (lib_*.c) both fill in what is asked for, have it decided by a write of theirs (commit.h), and
 * put the verdict into their own words.
 *
 * Each function runs inside the transaction, may run again after a rollback, and sets every result
 * anew. It returns DS_OK also where it decides against the request, having written nothing: the
 * verdict says so. Any other status is a failure that rolls back.
 *
 * Texts and data are borrowed until the write is finished.
 */
#ifndef STREAM_WRITE_H
#define STREAM_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/commit.h"
#include "engine/stream_body.h"
#include "protocol/producer.h"
#include "protocol/status.h"
#include "store/store.h"

struct arena;

/* Appending, closing, or both (protocol sections 5.2, 5.2.1, 5.3). */
struct stream_append {
    const char *path;         /* normalised */
    const char *content_type; /* NULL: not said */
    bool needs_type;          /* data without a type is refused; else it has the stream's */
    struct stream_body body;  /* len 0: closes only */
    const char *seq;          /* Stream-Seq, or NULL */
    struct producer producer; /* id NULL: none */
    bool closes;

    enum ds_status verdict; /* DS_OK, INVALID, NOT_FOUND, GONE, TOO_LARGE, CONFLICT, CLOSED, FENCED,
                               GAP, FORBIDDEN */
    const char *reason;     /* one line, static; NULL with DS_OK */
    bool duplicate;         /* DS_OK because this very request was carried out before */
    int64_t tail;           /* where there is a stream */
    bool closed;            /* the stream is, now */
    struct producer_state state; /* the producer's, after this */
};

enum ds_status stream_append(struct batch *batch, struct stream_append *append);

/* Creating a stream or a fork (protocol sections 4.2, 5.1). */
struct stream_create {
    const char *path;         /* normalised */
    const char *content_type; /* NULL: not said */
    int64_t ttl_seconds;      /* -1: not said */
    int64_t expires_at;       /* -1: not said */
    const char *source;       /* normalised path of the source, NULL: no fork */
    int64_t fork_offset;      /* -1: not said, the source's tail */
    int64_t fork_sub_offset;
    bool closed;
    struct stream_body body;
    struct arena *arena; /* for the texts of `stream`, which outlive the batch */

    enum ds_status verdict; /* DS_OK, INVALID, NOT_FOUND, TOO_LARGE, CONFLICT, FORBIDDEN */
    const char *reason;     /* one line, static; NULL with DS_OK */
    bool created;           /* false: it was there, just like this */
    struct stream stream;   /* with DS_OK */
};

enum ds_status stream_create(struct batch *batch, struct stream_create *create);

/* Deleting (protocol section 5.4): takes effect at once, rows go later, see store_sweep.c. */
struct stream_delete {
    const char *path; /* normalised */

    enum ds_status verdict; /* DS_OK, NOT_FOUND, GONE, FORBIDDEN */
};

enum ds_status stream_delete(struct batch *batch, struct stream_delete *deletion);

#endif
