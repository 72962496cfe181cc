/*
 * A spool collects one FastCGI request: it turns the bytes of a connection into parameters and a
 * body, wherever the bytes happen to be cut.
 *
 *     ┌───────┬────────┬───────────┬─────────┬─────────┬ ─ ─ ─ ┬──────────┐
 *     │ BEGIN │ PARAMS │ PARAMS, ε │ STDIN   │ STDIN   │       │ STDIN, ε │   ε: without content
 *     └───────┴────────┴───────────┴─────────┴─────────┴ ─ ─ ─ ┴──────────┘
 *
 * libfcgi's FCGX_Accept_r() does the same, but cannot be used. It ends the process (assert) if
 * one of its forty allocations per request fails or if a parameter claims a length beyond 2^31; it
 * writes beyond its buffer if a question about the server (FCGI_GET_VALUES) repeats a name; and it
 * blocks while a body arrives slowly.
 *
 * If a request cannot be served, the spool notes the reason (trouble) and discards the rest of the
 * request. The refusal is sent only after the last byte was read, because a web server gives up a
 * connection that does not take the whole request. Only bytes that are not FastCGI end the
 * connection.
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
    SPOOL_MORE,  /* the request is incomplete: wait until the socket is readable again */
    SPOOL_WHOLE, /* the request is complete */
    SPOOL_GONE,  /* the connection must be closed */
};

enum spool_trouble {
    SPOOL_FINE,
    SPOOL_TOO_LARGE, /* a body of more than DS_MAX_BODY_BYTES */
    SPOOL_TOO_MANY,  /* parameters of more than SPOOL_MOST_PARAMS bytes */
    SPOOL_NO_ROOM,   /* all spools of the process together hold DS_MAX_QUEUED_BYTES */
    SPOOL_NO_MEMORY,
};

enum spool_part { SPOOL_BEGIN, SPOOL_PARAMS, SPOOL_BODY, SPOOL_END };
enum spool_into { SPOOL_NOWHERE, SPOOL_INTO_SMALL, SPOOL_INTO_PARAMS, SPOOL_INTO_BODY };

/* In bytes. No web server lets through as many parameters as SPOOL_MOST_PARAMS. */
enum { SPOOL_MOST_PARAMS = 1024 * 1024, SPOOL_SMALL = 256 };

struct spool {
    const struct config *config;
    enum spool_part part; /* the part of the request that is expected next */
    enum spool_trouble trouble;

    unsigned char header[FCGI_HEADER_LEN]; /* of the current record */
    size_t header_len;
    size_t content, padding; /* bytes of the current record that have not arrived yet */
    enum spool_into into;    /* where the content goes */

    uint16_t id;       /* of the request */
    bool keep;         /* the connection serves further requests */
    struct buf params; /* names and values, encoded as in FastCGI */
    struct buf body;
    int64_t body_len; /* bytes of the body so far, including discarded ones */
    int64_t held;     /* bytes of this spool that are counted for DS_MAX_QUEUED_BYTES */

    unsigned char small[SPOOL_SMALL]; /* a BEGIN, or the start of a question about the server */
    size_t small_len;
    unsigned char reply[SPOOL_SMALL]; /* to questions about the server */
    size_t reply_len;
};

void spool_open(struct spool *spool, const struct config *config);

/* Prepares for the next request; the buffer of the parameters is kept. */
void spool_reset(struct spool *spool);
void spool_close(struct spool *spool);

/* Moves the incomplete request to a new spool on the heap; resets `spool`. NULL: no memory. */
struct spool *spool_keep(struct spool *spool);
void spool_free(struct spool *spool); /* NULL is allowed */

/* Takes len bytes of the connection. Bytes beyond the end of the request are SPOOL_GONE, because a
   web server must not send the next request before it has the answer to this one. */
enum spool_state spool_take(struct spool *spool, const char *data, size_t len);

/*
 * Takes the bytes that have arrived at the socket, without waiting, and answers questions about
 * the server. `room` is a buffer of `size` bytes to read into.
 */
enum spool_state spool_fill(struct spool *spool, int fd, char *room, size_t size);

/* True if no part of a request has arrived. */
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

/* Reads the parameter at *at, which begins as 0. Each parameter can be read only once, and lives as
   long as the spool. SPOOL_MALFORMED: it contains a NUL, or its length goes beyond the end. */
enum spool_next spool_next(struct spool *spool, size_t *at, struct spool_param *param);

#endif
