/*
 * What the files of the live desk share: live.c (threads, handing over), live_desk.c (the events
 * for which the desk wakes up) and live_serve.c (serving the readers of a stream). Only they
 * include it.
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
    int epoll, poke; /* poke: an eventfd that wakes the desk */
    struct live_table table;
    struct parked_list delayed; /* those in PARKED_DELAYED */
    int64_t now;                /* monotonic ms, when the desk last woke up */
    int64_t next_tick;          /* monotonic ms, see tick_streams() */
    uint64_t seen;              /* how many changes the desk has looked at: see wake_next() */
    int64_t data_version;       /* see store_data_version() */
    int recheck;                /* ticks left in which every stream is read again */

    pthread_mutex_t lock; /* guards the inbox */
    struct parked_list inbox;
    atomic_int parked; /* all exchanges, the inbox included */
    int64_t most;      /* their limit */
    atomic_bool letting_go, stopping;
    _Atomic int64_t backlog; /* bytes that wait in memory, about DS_MAX_QUEUED_BYTES at most */
    bool let_go;             /* the desk has obeyed letting_go */

    bool threaded, bell_started;
    uint32_t bell_noted; /* the bell's value when the bell thread started */
    pthread_t desk, bell;
};

/* --- live_serve.c: on the desk's thread --- */

/* Sets for which events of a connection the desk wakes up; op is one of epoll_ctl's. */
void live_watch_socket(struct live *live, struct parked *parked, bool writable, int op);

/* Sets how many bytes wait in memory for this exchange. Any thread. */
void live_count_backlog(struct live *live, struct parked *parked, int64_t bytes);

/* Do all these bytes together exceed DS_MAX_QUEUED_BYTES? Any thread. */
bool live_is_backed_up(struct live *live);

/* Resumes a delayed exchange. */
void live_resume(struct live *live, struct parked *parked);

/* Ends a parked exchange; ok: its connection may serve another request. */
void live_leave(struct live *live, struct parked *parked, bool ok);

/* Does `out` hold bytes for its socket? */
bool live_is_sending(const struct parked *parked);

/* Writes what the socket takes of `out`. False when that ended the exchange. */
bool live_push(struct live *live, struct parked *parked);

/* Sets when the desk must look at the exchange next. */
void live_schedule(struct live *live, struct parked *parked);

/* Serves the readers of every marked stream. */
void live_visit_marked(struct live *live);

/* --- live_desk.c: on the desk's thread --- */

/* Admits every exchange that was handed over. */
void live_empty_inbox(struct live *live);

/* One turn of the loop: sleeps until there is something to do, and does it. */
void live_turn(struct live *live);

#endif
