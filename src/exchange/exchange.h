/*
 * The exchange: one request and its answer, through whichever gateway it came.
 *
 * An exchange has exactly one owner at any moment. A gateway makes it and hands it to route(). The
 * operation answers at once, or hands it to the committer (commit_submit()) or to the live desk
 * (live_park()). exchange_finish() ends it. Each hand-over is a function call, and the caller must
 * not touch the exchange afterwards.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "exchange/peer.h"
#include "http/http_request.h"

struct arena;
struct config;
struct fault;
struct server;
struct store_conn;

/* What all exchanges of a process share, embedded in its server. Only the count changes. */
struct exchanges {
    const struct config *config;
    struct server *server; /* for the operations */
    struct buf no_memory;  /* a 503 answer, made in advance */
    atomic_int count;      /* exchanges under way: a graceful end waits for them */
};

struct ds_exchange {
    struct arena *arena; /* memory of this exchange, the struct itself included */
    struct exchanges *all;
    const struct config *config;
    struct server *server;   /* engine, live desk: for route() and the operations */
    struct peer *peer;       /* where the answer goes */
    struct store_conn *conn; /* the worker's connection: for route() and the operations only */
    struct http_request request;
    struct buf head;     /* the answer's header lines, see http_response.h */
    struct buf body;     /* the answer's body */
    bool no_body;        /* HEAD: the answer's body is not sent */
    bool refused;        /* the answer says that nothing was changed */
    const char *allow;   /* the methods of this path, set by route() */
    struct fault *fault; /* the injected fault that this request meets, usually NULL: op_fault.h */
};

/* False when out of memory. config and server are borrowed until exchanges_close(). */
bool exchanges_open(struct exchanges *all, const struct config *config, struct server *server);
void exchanges_close(struct exchanges *all);

/* A new exchange, owned by the caller; NULL when out of memory. peer is then still the caller's. */
struct ds_exchange *exchange_new(struct exchanges *all, struct peer *peer, struct store_conn *conn);

/*
 * Sends head and body and ends the exchange. Does not block: peer.drain() gets the bytes that the
 * socket does not take at once, and writes them later. Any thread may call it.
 */
void exchange_finish(struct ds_exchange *exchange);

/* Call this before long work on a worker's thread: another worker may then take requests (worker
   slots of the FastCGI gateway). */
void exchange_yield_slot(struct ds_exchange *exchange);

/*
 * Reserves memory for the answer to a write before the write is done, so that a committed write
 * never lacks the memory to be answered. `more` is the number of bytes besides the path and fixed
 * lines. False when out of memory.
 */
bool exchange_reserve(struct ds_exchange *exchange, size_t more);

/* Sends the 503 answer that was made in advance, to a request for which there is no memory. False
   if not all of it was sent: the connection must be closed. */
bool exchanges_send_no_memory(const struct exchanges *all, struct peer *peer);

/* Ends the exchange with this answer. Needs no memory. */
void exchange_answer_no_memory(struct ds_exchange *exchange);

/* Ends the exchange without an answer, and closes its connection. */
void exchange_drop(struct ds_exchange *exchange);

/* Frees the exchange but not its peer, to which another owner continues to write. */
void exchange_free(struct ds_exchange *exchange);

#endif
