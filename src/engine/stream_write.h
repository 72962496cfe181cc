/*
 * Creating, appending, closing and deleting: the decisions, made inside the transaction of a batch.
 * No HTTP and no threads. The server's operations (op_*.c) and the library (lib_*.c) fill in a
 * request, call these functions from apply() of their own write (batch.h), and translate the
 * verdict.
 *
 * Each function runs inside the transaction, may run again after a rollback, and sets every result
 * again. If it decides against the request it returns DS_OK, has written nothing, and the verdict
 * says why. Any other status is a failure, which rolls back.
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

/* An append, a closure, or both (protocol sections 5.2, 5.2.1, 5.3). */
struct stream_append {
    const char *path;         /* normalised */
    const char *content_type; /* NULL: not sent */
    bool needs_type;          /* refuse data without a type; otherwise it has the stream's type */
    struct stream_body body;  /* len 0: only closes */
    const char *seq;          /* Stream-Seq, or NULL */
    struct producer producer; /* id NULL: no producer */
    bool closes;

    enum ds_status verdict; /* DS_OK, INVALID, NOT_FOUND, GONE, TOO_LARGE, CONFLICT, CLOSED, FENCED,
                               GAP, FORBIDDEN */
    const char *reason;     /* one line, static; NULL with DS_OK */
    bool duplicate;         /* DS_OK, because the same request was carried out before */
    int64_t tail;           /* set if there is a stream */
    bool closed;            /* the stream is closed now */
    struct producer_state state; /* the producer's state after this */
};

enum ds_status stream_append(struct batch *batch, struct stream_append *append);

/* The creation of a stream or a fork (protocol sections 4.2, 5.1). */
struct stream_create {
    const char *path;         /* normalised */
    const char *content_type; /* NULL: not sent */
    int64_t ttl_seconds;      /* -1: not sent */
    int64_t expires_at;       /* -1: not sent */
    const char *source;       /* normalised path of the source; NULL: not a fork */
    int64_t fork_offset;      /* -1: not sent, the tail of the source */
    int64_t fork_sub_offset;
    bool closed;
    struct stream_body body;
    struct arena *arena; /* for the texts of `stream`, which the answer needs after the batch */

    enum ds_status verdict; /* DS_OK, INVALID, NOT_FOUND, TOO_LARGE, CONFLICT, FORBIDDEN */
    const char *reason;     /* one line, static; NULL with DS_OK */
    bool created;           /* false: it existed, and is the same */
    struct stream stream;   /* with DS_OK */
};

enum ds_status stream_create(struct batch *batch, struct stream_create *create);

/* A deletion (protocol section 5.4): takes effect at once; the sweep deletes the rows later. */
struct stream_delete {
    const char *path; /* normalised */

    enum ds_status verdict; /* DS_OK, NOT_FOUND, GONE, FORBIDDEN */
};

enum ds_status stream_delete(struct batch *batch, struct stream_delete *deletion);

#endif
