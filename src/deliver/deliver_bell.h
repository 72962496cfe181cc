/*
 * Wakes the deliverer when a commit of any process has made a wake that is due: a thread that
 * sleeps on the bell of hints/wake.h, and ends the sleep of libcurl.
 *
 * Must hold (I3): the thread sets the flag before it ends the sleep, and the deliverer takes the
 * flag before it reads the database and sleeps after that. So a wake is seen, or the sleep ends.
 */
#ifndef DELIVER_BELL_H
#define DELIVER_BELL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hints;

struct bell {
    struct hints *hints;
    CURLM *multi;
    pthread_t thread;
    _Atomic bool rung;
    _Atomic bool stopping;
    bool started;
    uint32_t noted;
    uint64_t seen;
};

/* False when out of memory. Without it, the deliverer finds wakes within a second. */
bool bell_start(struct bell *bell, struct hints *hints, CURLM *multi);

/* Has it rung since the last call? */
bool bell_take(struct bell *bell);

/* Also after a failed start, or none. */
void bell_stop(struct bell *bell);

#endif
