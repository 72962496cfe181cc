/*
 * What every room of a running process shares. Made once by server_start(), then read only.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "exchange/exchange.h"
#include "protocol/status.h"

struct hook;
struct live;

struct server {
    struct engine engine;
    struct exchanges exchanges;
    struct live *live;
    struct hook *hook;    /* NULL: DS_HOOK is not set */
    int64_t stop_by;      /* monotonic ms: when a graceful end must be over; 0: not asked for yet */
    atomic_bool stopping; /* connections are closed after their answer, nobody is parked */
};

/*
 * Opens the store and starts the threads (committer, upkeep, live desk); a CGI process does
 * the same work without threads. On failure everything is closed again.
 */
enum ds_status server_start(struct server *server, const struct config *config, bool threads);

/* Lets live readers go and waits until every exchange is over, DS_STOP_TIMEOUT_MS at most. */
void server_drain(struct server *server);

/* All that outlives a CGI process is done; what it has goes with it. */
void server_leave(struct server *server);

/* Ends the threads and closes the store. Nobody hands anything over any more. */
void server_close(struct server *server);

#endif
