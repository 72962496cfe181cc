/*
 * A peer is the web server or the client at the other end of an exchange: its connection, and the
 * answer that is on its way there.
 *
 * An answer consists of a few chunks of bytes; the first one is its head, as in CGI. A FastCGI peer
 * gets each chunk as STDOUT records of at most PEER_RECORD bytes, and after the last chunk the two
 * records that end a request. A CGI peer gets the plain bytes. An HTTP peer gets the head with a
 * status line and the lines that concern the connection; if the head is sent before the end of the
 * answer is known, the rest follows in chunks of HTTP/1.1. Sending never blocks: if the socket is
 * full, the rest of the answer stays in memory. `sent` counts the bytes that were sent, including
 * record headers, so that sending can continue at any byte:
 *
 *     chunk 0        chunk 1                           end
 *     ┌───┬───────┐  ┌───┬──────────────┐ ┌───┬─────┐  ┌───┐┌───┬────────┐
 *     │ 8 │ bytes │  │ 8 │ PEER_RECORD  │ │ 8 │ …   │  │ 8 ││ 8 │   8    │
 *     └───┴───────┘  └───┴──────────────┘ └───┴─────┘  └───┘└───┴────────┘
 *     0          sent ──▶
 *
 * A peer and an outgoing answer belong to one thread at a time. A chunk may be shared by several
 * answers only if they all belong to the same thread (the live desk).
 */
#ifndef PEER_H
#define PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/fcgi_record.h"

struct buf;

enum { PEER_RECORD = FCGI_FULL_CONTENT, OUTGOING_CHUNKS = 3 };

enum peer_kind { PEER_CGI, PEER_FCGI, PEER_HTTP };

struct chunk {
    unsigned refs;
    size_t len;
    char *data; /* malloc'd */
};

/* Moves the bytes out of the buffer, which is empty afterwards. NULL if memory ran out, either now
   or while the buffer was filled. */
struct chunk *chunk_take(struct buf *buf);
struct chunk *chunk_ref(struct chunk *chunk);
void chunk_unref(struct chunk *chunk); /* NULL is allowed */

struct outgoing {
    struct chunk *chunk[OUTGOING_CHUNKS];
    int chunks;
    bool end;    /* these are the last chunks of the answer */
    size_t sent; /* bytes that were sent, record headers and the like included */
};

/* Takes over the caller's reference to the chunk. */
void outgoing_add(struct outgoing *out, struct chunk *chunk);
void outgoing_clear(struct outgoing *out);
int64_t outgoing_bytes(const struct outgoing *out); /* of all chunks, sent or not */

struct peer {
    int fd;
    enum peer_kind kind;
    uint16_t request_id; /* FastCGI's */
    bool keep;           /* the connection serves further requests */
    /* HTTP's: */
    bool old;                    /* the request is HTTP/1.0 */
    bool begun;                  /* the head of the answer was sent */
    bool chunked;                /* what follows the head is sent in chunks */
    int64_t date;                /* seconds since 1970, of the Date line */
    const atomic_bool *stopping; /* the process ends: connections are not kept */
    /* Returns the connection to its gateway: for the next request if ok, otherwise to be closed. */
    void (*done)(struct peer *peer, bool ok);
    /* Writes the rest of an answer after the socket was full. Takes over the chunks of `out`, and
       the peer, whose done() it calls at the end. Must not block; may be called on any thread. */
    void (*drain)(struct peer *peer, struct outgoing *out);
    /* See exchange_yield_slot(). NULL if the gateway has no worker slots. */
    void (*yield_slot)(void);
    /* Bytes that arrive while a request waits: the header of a record, and how many follow it. */
    unsigned char heard[FCGI_HEADER_LEN], heard_len;
    size_t skip;
};

enum peer_sent {
    PEER_SENT,  /* the whole answer was sent; outgoing is empty */
    PEER_AGAIN, /* the socket is full: try again when it is writable */
    PEER_GONE,  /* the connection is dead */
};

enum peer_sent peer_send(struct peer *peer, struct outgoing *out);

/* Sends a whole answer that was prepared at start, for requests for which there is no memory. False
   if not all of it was sent: the connection must be closed. */
bool peer_send_ready(struct peer *peer, const char *text, size_t len);

/* True if the web server has closed the connection or aborted the request. If it has sent anything
   else, the connection serves no further request. Does not block. For FastCGI only. */
bool peer_is_gone(struct peer *peer);

#endif
