/*
 * What the rooms of the live desk share: live.c (threads, handing over), live_desk.c (what the desk
 * wakes up for) and live_serve.c (a stream's readers). Included by these alone.
 */
#ifndef LIVE_PRIVATE_H
#define LIVE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "live/live.h"
#include "live/live_table.h"

struct live {
    struct engine *engine;
    struct exchanges *exchanges;
    struct store_conn *conn;
    int epoll, poke; /* poke: an eventfd that ends the desk's sleep */
    struct live_table table;
    struct parked *delayed; /* exchanges that go on later */
    int64_t now;            /* monotonic ms, when the desk last woke up */
    int64_t next_tick;
    uint64_t seen; /* changes looked at, see wake_next() */
    int64_t data_version;
    int recheck; /* ticks for which the streams they come by are looked at, whatever is known */

    pthread_mutex_t lock; /* guards the inbox */
    struct parked *inbox;
    atomic_int parked; /* everybody, the inbox included */
    int64_t most;      /* of them */
    atomic_bool letting_go, stopping;
    _Atomic int64_t backlog; /* bytes that wait for readers, DS_MAX_QUEUED_BYTES or so at most */
    bool let_go;             /* the desk has seen letting_go */

    bool threaded, bell_started;
    uint32_t bell_noted; /* its value when the bell thread began */
    pthread_t desk, bell;
};

/* --- live_serve.c: on the desk's thread --- */

/* Says what is to be heard of a connection; op is one of epoll_ctl's. */
void live_watch_socket(struct live *live, struct parked *parked, bool writable, int op);

/* How many bytes wait in memory for a reader's socket. Any thread. */
void live_count_backlog(struct live *live, struct parked *parked, int64_t bytes);

/* Do they all together exceed DS_MAX_QUEUED_BYTES? Any thread. */
bool live_is_backed_up(struct live *live);

/* A delayed exchange goes on. */
void live_resume(struct live *live, struct parked *parked);

/* Ends a parked exchange; the connection serves on if ok. */
void live_leave(struct live *live, struct parked *parked, bool ok);

/* Does `out` hold bytes for its socket? */
bool live_is_sending(const struct parked *parked);

/* Writes what the socket takes of `out`. False when that ended the exchange. */
bool live_push(struct live *live, struct parked *parked);

/* Sets when the exchange is to be looked at next. */
void live_schedule(struct live *live, struct parked *parked);

/* Serves the readers of every marked stream. */
void live_visit_marked(struct live *live);

/* --- live_desk.c: on the desk's thread --- */

/* Takes everybody in who was handed over. */
void live_empty_inbox(struct live *live);

/* Sleeps until there is something to do, and does it. */
void live_turn(struct live *live);

#endif
