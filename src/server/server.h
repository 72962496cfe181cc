/*
 * A server process: everything that its operations and its gateway share. server_start() makes it;
 * afterwards it is read only, except for atomic fields and what its parts guard themselves.
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
    int64_t stop_by;      /* monotonic ms: when a graceful end must be over; 0: none has begun */
    atomic_bool stopping; /* close connections after their answer, and park no reader */
};

/*
 * Opens the store and starts the threads (committer, upkeep, live desk). threads: false in a CGI
 * process, which does the same work in its one thread. config is borrowed until server_close(). On
 * failure everything is closed again.
 */
enum ds_status server_start(struct server *server, const struct config *config, bool threads);

/* Answers the live readers and waits until every exchange has ended, DS_STOP_TIMEOUT_MS at most. */
void server_drain(struct server *server);

/* For a CGI process before it exits: waits for its hooks. The rest ends with the process. */
void server_leave(struct server *server);

/* Ends the threads and closes the store. The gateway must have stopped before. */
void server_close(struct server *server);

#endif
