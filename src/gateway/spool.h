/*
 * A FastCGI request on its way in: bytes of a connection become parameters and a body, wherever the
 * pieces are cut.
 *
 *     ┌───────┬────────┬───────────┬─────────┬─────────┬ ─ ─ ─ ┬──────────┐
 *     │ BEGIN │ PARAMS │ PARAMS, ε │ STDIN   │ STDIN   │       │ STDIN, ε │   ε: without content
 *     └───────┴────────┴───────────┴─────────┴─────────┴ ─ ─ ─ ┴──────────┘
 *
 * Not by libfcgi's FCGX_Accept_r(): it ends the process (assert) when one of its forty allocations
 * a request fails or when a parameter claims a length beyond 2^31, writes beyond its buffer when a
 * question about the server (FCGI_GET_VALUES) repeats a name, and blocks while a body trickles in.
 *
 * An error in a request is noted (trouble) and answered at its end; the rest of it is read and
 * thrown away, because web servers give up on a connection that does not take the whole request.
 * Only bytes that are not FastCGI end the connection.
 *
 * A spool belongs to one thread at a time.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "exchange/fcgi_record.h"

struct config;

enum spool_state {
    SPOOL_MORE,  /* wait until the socket is readable again */
    SPOOL_WHOLE, /* the request is complete */
    SPOOL_GONE,  /* the connection is of no use any more */
};

enum spool_trouble {
    SPOOL_FINE,
    SPOOL_TOO_LARGE, /* a body of more than DS_MAX_BODY_BYTES */
    SPOOL_TOO_MANY,  /* more parameters than any web server lets through */
    SPOOL_NO_ROOM,   /* the spools of this process hold DS_MAX_QUEUED_BYTES */
    SPOOL_NO_MEMORY,
};

enum spool_part { SPOOL_BEGIN, SPOOL_PARAMS, SPOOL_BODY, SPOOL_END };
enum spool_into { SPOOL_NOWHERE, SPOOL_INTO_SMALL, SPOOL_INTO_PARAMS, SPOOL_INTO_BODY };

enum { SPOOL_MOST_PARAMS = 1024 * 1024, SPOOL_SMALL = 256 };

struct spool {
    const struct config *config;
    enum spool_part part; /* what is to come next */
    enum spool_trouble trouble;

    unsigned char header[FCGI_HEADER_LEN]; /* of the record that is coming in */
    size_t header_len;
    size_t content, padding; /* bytes of that record that are still to come */
    enum spool_into into;    /* where its content goes */

    uint16_t id;       /* the request's */
    bool keep;         /* the connection serves further requests */
    struct buf params; /* names and values as FastCGI has them */
    struct buf body;
    int64_t body_len; /* bytes of body so far, kept or not */
    int64_t held;     /* bytes that are counted for DS_MAX_QUEUED_BYTES */

    unsigned char small[SPOOL_SMALL]; /* a BEGIN, or the start of a question about the server */
    size_t small_len;
    unsigned char reply[SPOOL_SMALL]; /* to such questions */
    size_t reply_len;
};

void spool_open(struct spool *spool, const struct config *config);

/* Back to the beginning, for the next request; the parameters keep their memory. */
void spool_reset(struct spool *spool);
void spool_close(struct spool *spool);

/* Moves the part of a request that has come to the heap; `spool` is reset. NULL: no memory. */
struct spool *spool_keep(struct spool *spool);
void spool_free(struct spool *spool); /* NULL is allowed */

/* Goes on by len bytes of the connection. Nobody sends the next request before the answer to this
   one: bytes beyond its end are SPOOL_GONE. */
enum spool_state spool_take(struct spool *spool, const char *data, size_t len);

/*
 * Takes the bytes that the socket has, without waiting; answers questions. `room` is a
 * buffer of `size` bytes to read into.
 */
enum spool_state spool_fill(struct spool *spool, int fd, char *room, size_t size);

/* Nothing of a request is there yet. */
static inline bool spool_is_empty(const struct spool *spool)
{
    return spool->part == SPOOL_BEGIN && spool->header_len == 0;
}

struct spool_param {
    const char *name; /* not NUL-terminated */
    size_t name_len;
    const char *value; /* NUL-terminated */
};

enum spool_next { SPOOL_PARAM, SPOOL_NO_PARAM, SPOOL_MALFORMED };

/* The parameter at *at, which begins with 0. Each can be had once; they live as long as the spool.
   A NUL within one is SPOOL_MALFORMED, as is a length beyond the end. */
enum spool_next spool_next(struct spool *spool, size_t *at, struct spool_param *param);

#endif
