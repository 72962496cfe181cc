/*
 * Work for a database: writers that make streams, append to them and delete them through all doors
 * at once. Beside them responders and programs end, in good order or killed, and start again, and
 * imports and VACUUM run.
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
    int64_t kills_every_ms;  /* about; 0: nobody is killed */
    int64_t imports_every_ms, vacuums_every_ms, restarts_every_ms;
    void (*mark)(void *arg, uint32_t stream, enum mark mark, uint64_t n);
    void *arg;
    atomic_uint *next_stream; /* its number was given to nobody yet */

    atomic_bool stopping;
    atomic_llong acknowledged, repeated, kills, imports, restarts, vacuums;
    pthread_t thread[WRITERS_MOST + 1];
    struct writer *writer;
};

/* doors and all above stopping are set; the responders are not started yet. */
void work_start(struct work *work);

/* Ends it: writers give up what is not answered. kills: responders are killed. */
void work_stop(struct work *work, bool kills);

/* Streams from `first` on as an export, "export" in the round's folder: so many units each. Of
   work, the doors count only. */
void work_export(struct work *work, struct chance *chance, uint32_t first,
                 uint64_t units[IMPORTED_STREAMS]);

#endif
