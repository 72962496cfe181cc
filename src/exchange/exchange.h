/*
 * The exchange: one request and its answer, whatever door it came in by.
 *
 * An exchange has exactly one owner at any moment. It is made by a gateway, which hands it to
 * route(); from there it goes to the committer (commit_submit) or the live desk (live_park), or is
 * answered at once. exchange_finish() ends it: nobody touches it afterwards. Hand-over is a call,
 * and whoever made that call looks at the exchange no more.
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

/* What all exchanges of a process share. Embedded in its server; unchanged but for the count. */
struct exchanges {
    const struct config *config;
    struct server *server; /* for the operations */
    struct buf no_memory;  /* an answer for when there is no memory to make one */
    atomic_int count;      /* under way, for a graceful end */
};

struct ds_exchange {
    struct arena *arena; /* everything made for this exchange; holds the exchange too */
    struct exchanges *all;
    const struct config *config;
    struct server *server;   /* engine, live desk: for route() and the operations */
    struct peer *peer;       /* where the answer goes */
    struct store_conn *conn; /* the worker's connection: for route() and the ops only */
    struct http_request request;
    struct buf head;     /* the answer's header lines, see http_response.h */
    struct buf body;     /* the answer's body */
    bool no_body;        /* HEAD: the answer's body stays here */
    bool refused;        /* the answer says that nothing was done */
    const char *allow;   /* what route() says of the path's methods */
    struct fault *fault; /* what it was made to suffer, mostly NULL: see op_fault.h */
};

/* False when out of memory. config and server are borrowed until exchanges_close(). */
bool exchanges_open(struct exchanges *all, const struct config *config, struct server *server);
void exchanges_close(struct exchanges *all);

/* A new exchange, owned by the caller; NULL when out of memory. peer is then still the caller's. */
struct ds_exchange *exchange_new(struct exchanges *all, struct peer *peer, struct store_conn *conn);

/*
 * Sends head and body and ends the exchange. Does not block: what the connection does not take at
 * once goes to peer.drain(), which writes it as the reader reads. May be called by any thread.
 */
void exchange_finish(struct ds_exchange *exchange);

/* The calling thread will be busy for long with it: other requests shall not wait for that. */
void exchange_yield_slot(struct ds_exchange *exchange);

/*
 * Room for the answer to a write, before it is done: what was done shall not lack an answer. `more`
 * is what may be long in it besides the path. False when out of memory.
 */
bool exchange_reserve(struct ds_exchange *exchange, size_t more);

/* Ends the exchange with the 503 that the server keeps ready: needs no memory. */
void exchange_answer_no_memory(struct ds_exchange *exchange);

/* Ends the exchange without an answer: the connection is closed. */
void exchange_drop(struct ds_exchange *exchange);

/* Frees the exchange but not its peer, whose answer goes on elsewhere. */
void exchange_free(struct ds_exchange *exchange);

#endif
