/*
 * Work for a database: writers that create streams, append to them and delete them through all
 * doors at once. At the same time, responders and programs end, gracefully or killed, and start
 * again, and imports and VACUUM run.
 *
 * Every writer has streams of its own and repeats unanswered requests, as a client does, with the
 * same producer sequence. It marks each request when it begins and when it is acknowledged.
 */
#ifndef WORK_H
#define WORK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "doors.h"
#include "ledger.h"
#include "proof.h"

enum { WRITERS_MOST = 8, IMPORTED_STREAMS = 3 };

struct work {
    struct doors doors;
    uint64_t seed;
    bool normal; /* DS_DURABILITY */
    int writers;
    bool fcgi, cgi, library; /* the doors that are used */
    int64_t kills_every_ms;  /* roughly; 0: no process is killed */
    int64_t imports_every_ms, vacuums_every_ms, restarts_every_ms;
    void (*mark)(void *arg, uint32_t stream, enum mark mark, uint64_t n);
    void *arg;
    atomic_uint *next_stream; /* the next unused number */

    atomic_bool stopping;
    atomic_llong acknowledged, repeated, kills, imports, restarts, vacuums;
    pthread_t thread[WRITERS_MOST + 1];
    struct writer *writer;
};

/* The caller sets doors and all members above `stopping`, and starts no responder. */
void work_start(struct work *work);

/* Ends the work: writers give up unanswered requests. kills: responders are killed. */
void work_stop(struct work *work, bool kills);

/* Writes the streams from `first` as an export, to "export" in the round's folder, with these
   numbers of units. Uses only the doors of `work`. */
void work_export(struct work *work, struct chance *chance, uint32_t first,
                 uint64_t units[IMPORTED_STREAMS]);

#endif
