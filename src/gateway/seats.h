/*
 * Seats: how many workers look for requests at once.
 *
 * Whoever waits for requests is woken by the next one. With many waiting, each request wakes
 * another thread, and on a busy machine that costs more than the request. So only as many wait as
 * half of the CPUs can serve: the web server, the committer and the clients need the rest. A worker
 * that will be busy for long gives its seat to another one; and where requests take long on the
 * average (a slow disk), each does so before it serves one.
 *
 *     worker:  take ─▶ wait for a request ─▶ serve ─▶ wait …
 *                 ▲                       └▶ leave, serve ─┐   somebody else waits meanwhile
 *                 └────────────────────────────────────────┘
 *
 * Thread-safe; taking may block until another one leaves.
 */
#ifndef SEATS_H
#define SEATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct seats {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int64_t free;
    _Atomic int64_t average_us; /* of what requests take, the last ones above all */
};

/* Half of the CPUs, and one at least: as many as are worth their wake-ups. */
int64_t seats_for(int64_t cpus);

void seats_open(struct seats *seats, int64_t cpus);
void seats_close(struct seats *seats);

void seats_take(struct seats *seats);
void seats_leave(struct seats *seats);

/* A request took so long (µs). */
void seats_note(struct seats *seats, int64_t took_us);

/* Do requests take so long that each should be served without a seat? */
bool seats_are_for_waiting(struct seats *seats);

#endif
