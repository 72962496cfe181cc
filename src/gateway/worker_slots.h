/*
 * Worker slots limit how many worker threads wait for requests at the same time.
 *
 * Each request wakes a waiting thread. If many threads wait, every request wakes a different one,
 * and on a busy machine that wake-up costs more than the request itself. So only half as many
 * threads wait as there are CPUs: the web server, the committer and the clients need the other
 * half. A worker releases its slot when it is about to be busy for long, so that another thread can
 * wait in its place. If requests are slow on average (a slow disk), every worker releases its slot
 * before it serves a request.
 *
 *     worker:  acquire ─▶ wait for a request ─▶ serve ─▶ wait …
 *                 ▲                          └▶ release, serve ─┐   another worker waits meanwhile
 *                 └─────────────────────────────────────────────┘
 *
 * Thread-safe. worker_slots_acquire() blocks until a slot is free.
 */
#ifndef WORKER_SLOTS_H
#define WORKER_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker_slots {
    pthread_mutex_t lock;
    pthread_cond_t released;
    int64_t free;
    _Atomic int64_t average_us; /* moving average of the time that a request takes */
};

/* The number of slots for this many CPUs: half of them, and at least one. */
int64_t worker_slots_for(int64_t cpus);

void worker_slots_open(struct worker_slots *slots, int64_t cpus);
void worker_slots_close(struct worker_slots *slots);

void worker_slots_acquire(struct worker_slots *slots);
void worker_slots_release(struct worker_slots *slots);

/* Adds the duration of one request, in microseconds, to the average. */
void worker_slots_note(struct worker_slots *slots, int64_t took_us);

/* True if requests take so long on average that each should be served without a slot. */
bool worker_slots_requests_are_slow(struct worker_slots *slots);

#endif
