/*
 * The other end of an exchange: a web server's connection, and an answer on its way to it.
 *
 * An answer is a few chunks of bytes. To a FastCGI server each goes as STDOUT records of at most
 * PEER_RECORD bytes, and after the last one the two records that end a request; a CGI server gets
 * the bytes as they are. Sending never blocks: what does not fit stays, and `sent` counts the bytes
 * on the wire, headers of records included, so that it goes on from any byte:
 *
 *     chunk 0        chunk 1                           end
 *     ┌───┬───────┐  ┌───┬──────────────┐ ┌───┬─────┐  ┌───┐┌───┬────────┐
 *     │ 8 │ bytes │  │ 8 │ PEER_RECORD  │ │ 8 │ …   │  │ 8 ││ 8 │   8    │
 *     └───┴───────┘  └───┴──────────────┘ └───┴─────┘  └───┘└───┴────────┘
 *     0          sent ──▶
 *
 * A peer and an outgoing answer belong to one thread at a time. A chunk may be part of many
 * answers, all of which must belong to the same thread (the live desk), or of one.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/fcgi_record.h"

struct buf;

enum { PEER_RECORD = FCGI_FULL_CONTENT, OUTGOING_CHUNKS = 3 };

struct chunk {
    unsigned refs;
    size_t len;
    char *data; /* malloc'd */
};

/* The bytes leave the buffer, which is empty afterwards. NULL when memory ran out, now or while the
   buffer was written. */
struct chunk *chunk_take(struct buf *buf);
struct chunk *chunk_ref(struct chunk *chunk);
void chunk_unref(struct chunk *chunk); /* NULL is allowed */

struct outgoing {
    struct chunk *chunk[OUTGOING_CHUNKS];
    int chunks;
    bool end;    /* nothing follows: the request ends with these */
    size_t sent; /* bytes on the wire so far */
};

/* The answer takes over the caller's reference. */
void outgoing_add(struct outgoing *out, struct chunk *chunk);
void outgoing_clear(struct outgoing *out);
int64_t outgoing_bytes(const struct outgoing *out); /* in memory */

struct peer {
    int fd;
    uint16_t request_id; /* FastCGI's */
    bool framed;         /* FastCGI; else CGI */
    bool keep;           /* the connection serves further requests */
    /* Gives the connection back to its gateway: for the next request if ok, else to be closed. */
    void (*done)(struct peer *peer, bool ok);
    /* Writes the rest of an answer when the socket was full. Takes over the peer, whose done() it
       calls at the end, and the chunks of `out`; must not block. Any thread. */
    void (*drain)(struct peer *peer, struct outgoing *out);
    /* See exchange_yield_slot(). NULL: nobody waits for this thread. */
    void (*yield_slot)(void);
    /* Of what comes in while a request waits: the header of a record, and how much follows it. */
    unsigned char heard[FCGI_HEADER_LEN], heard_len;
    size_t skip;
};

enum peer_sent {
    PEER_SENT,  /* all of it; outgoing is empty */
    PEER_AGAIN, /* the socket is full: go on when it is writable */
    PEER_GONE,  /* the connection is dead */
};

enum peer_sent peer_send(struct peer *peer, struct outgoing *out);

/* Sends a whole answer that was made before, for when there is no memory for another one. False:
   not all of it has left, the connection is of no use any more. */
bool peer_send_ready(struct peer *peer, const char *text, size_t len);

/* Has the other side closed, or asked to abort? Reads what it sent, after which the connection
   serves no further request. Does not block. FastCGI only. */
bool peer_is_gone(struct peer *peer);

#endif
