/*
 * Waking the readers of every process when a stream changes.
 *
 *     committer                            live desk, or a thread in ds_wait()
 *
 *     1. commit                            1. count interest in the stream      wake_interest()
 *     2. publish the stream's id ──ring──▶ 2. read the database; done if there is something to send
 *     3. if there is interest in           3. note the bell                     wake_bell()
 *        the stream, ring the              4. read the changes since; one of    wake_next()
 *        bell                    ──bell──▶    this stream leads back to 2
 *        wake_publish()                    5. sleep while the bell is as noted  wake_wait()
 *
 * interest[] says how many processes have readers on the streams of a slot (stream id modulo the
 * number of slots), so that a commit without readers wakes no process. ring[] has the last changes,
 * change n in slot n modulo HINTS_RING; head counts them. The bell is a futex word.
 *
 * Must hold (I3, no lost wake-up): the committer publishes before it reads the interest, and the
 * waiter counts its interest before it reads the database. So either the waiter finds the data in
 * the database, or the committer finds the interest and rings. A committer that dies between its
 * steps 1 and 3 costs a waiter HINTS_RECHECK_MS, after which it reads the database anyway.
 */
#ifndef WAKE_H
#define WAKE_H

#include <stddef.h>
#include <stdint.h>

struct hints;

/* Tells every process that these n streams changed. To be called after the commit. */
void wake_publish(struct hints *hints, const int64_t *stream_ids, size_t n);

/* Counts this process in (change 1) or out (-1) as one with readers on this stream. */
void wake_interest(struct hints *hints, int64_t stream_id, int change);

/* The number of changes published so far: the value to begin wake_next() with. */
uint64_t wake_head(struct hints *hints);

enum wake_change {
    WAKE_NONE,   /* there is no further change */
    WAKE_STREAM, /* *stream_id changed */
    WAKE_LOST,   /* changes were overwritten or never finished: any stream may have changed */
};

/* Reads change number *seen (0 is the first), and increments *seen; after WAKE_LOST it is the
   head. */
enum wake_change wake_next(struct hints *hints, uint64_t *seen, int64_t *stream_id);

/* The bell's value; wake_wait() sleeps while the bell has the noted value, timeout_ms at most. */
uint32_t wake_bell(struct hints *hints);
void wake_wait(struct hints *hints, uint32_t noted, int64_t timeout_ms);

/* Ends the sleep of all waiters of all processes. A process that ends wakes its own this way. */
void wake_ring(struct hints *hints);

#endif
