/*
 * Hints that all processes of one database share, in a file mapped beside it (database-wake).
 *
 * Hints only: the file may vanish or be wrong at any moment without losing or hiding a byte, at
 * the cost of a wait of at most WAKE_RECHECK_MS. State lives in SQLite.
 *
 *     ┌────────────┬──────────────────────────────────────────────────────────────────┐
 *     │ header     │ version; bell (futex word); head (changes published); lock hints  │
 *     │ interest[] │ how many processes have readers parked on streams of this slot    │
 *     │ ring[]     │ the last changes: (number, stream id), change n at n % WAKE_RING  │
 *     │ touch[]    │ TTL renewals that are not in the database yet                     │
 *     └────────────┴──────────────────────────────────────────────────────────────────┘
 *
 * Who writes what: a committer, after its commit, publishes into ring and head and then rings the
 * bell where there is interest; a live desk counts itself in interest[] before it looks at the
 * database; a thread that answers a read writes touch[]; one that takes the write lock or waits for
 * it writes its hints (write_lock.h).
 *
 * No lost wake-up (invariant I3): a waiter counts its interest, notes the head, and then reads the
 * database; a writer commits, then publishes, then reads the interest. Whichever comes first, one
 * of them sees the other. All functions are thread- and process-safe.
 */
#ifndef WAKE_H
#define WAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

enum {
    WAKE_RECHECK_MS = 1000,
    WAKE_SLACK_MS = 10000, /* by which clocks of processes may differ */
};

struct wake;

/*
 * Maps the file, which is made when it is missing. If no other process has it, alone(arg) is
 * called (it may be NULL) while none can come in.
 */
enum ds_status wake_open(struct wake **wake, const char *path, void (*alone)(void *), void *arg);

/* If no other process has it any more, alone(arg) is called likewise. A NULL wake is allowed. */
void wake_close(struct wake *wake, void (*alone)(void *), void *arg);

/*
 * For the child of a fork(), which shares our locks: lets go of them without a change for the
 * parent. Nothing else may be done with the wake there. Async-signal-safe.
 */
void wake_abandon(struct wake *wake);

/*
 * Once a second, by one thread of a process that stays: a file that was removed or replaced is
 * exchanged for the one that has the name now, and what was damaged is made anew.
 */
void wake_look(struct wake *wake);

/* --- changes --- */

/* Tells every process that these streams changed. Call after the commit. */
void wake_publish(struct wake *wake, const int64_t *stream_ids, size_t n);

/* Counts this process in (+1) or out (-1) for a stream that readers are parked on. */
void wake_interest(struct wake *wake, int64_t stream_id, int change);

/* The number of changes published so far: where to begin with wake_next(). */
uint64_t wake_head(struct wake *wake);

enum wake_change {
    WAKE_NONE,   /* nothing new */
    WAKE_STREAM, /* *stream_id changed */
    WAKE_LOST,   /* too many changes since, or one whose writer died: look at every stream */
};

/* The change after *seen, which moves on. */
enum wake_change wake_next(struct wake *wake, uint64_t *seen, int64_t *stream_id);

/* The bell: note its value, and sleep while it has that value, at most timeout_ms. */
uint32_t wake_bell(struct wake *wake);
void wake_wait(struct wake *wake, uint32_t noted, int64_t timeout_ms);

/* Wakes the waiters of all processes, for this one's end. */
void wake_ring(struct wake *wake);

/* --- TTL renewals --- */

/*
 * Remembers that a stream lives until until_ms at least, which is as far as a renewal of this
 * moment goes: a value far beyond is damage, and replaced. False when its slot is taken by another
 * stream: the caller then writes it to the database.
 */
bool wake_touch(struct wake *wake, int64_t stream_id, int64_t until_ms);

/* What wake_touch() remembers of a stream, or 0. The caller judges whether it can be true. */
int64_t wake_touched(struct wake *wake, int64_t stream_id);

/*
 * For whoever saves the renewals, one thread at a time: calls save for each one that is newer than
 * what was saved last, until it returns false; the next call goes on from there. Slots that were
 * saved in a round before are freed: the database knows as much, and has for a while.
 */
void wake_touch_sweep(struct wake *wake,
                      bool (*save)(void *arg, int64_t stream_id, int64_t until_ms), void *arg);

/* The commit with this renewal has happened. */
void wake_touch_saved(struct wake *wake, int64_t stream_id, int64_t until_ms);

/* --- locks --- */

/* The write lock, taken before SQLite's. DS_BUSY: it was not free within timeout_ms. */
enum ds_status wake_lock(struct wake *wake, int64_t timeout_ms);
void wake_unlock(struct wake *wake);

/* True when this process got the duty of upkeep, which it keeps until it ends. */
bool wake_try_duty(struct wake *wake);

/* The state of the log that was last synced (store_sync.c); 0: nobody knows. */
uint64_t wake_synced(struct wake *wake);
void wake_note_synced(struct wake *wake, uint64_t state);

/*
 * One checkpoint at a time over all processes and threads (store_checkpoint.c): false when another
 * one is at it, or wake_look() changes the file, with which this lock would go.
 */
bool wake_try_checkpoint(struct wake *wake);
void wake_end_checkpoint(struct wake *wake);

/*
 * Is our file the one that processes open now? False when somebody has removed or replaced it,
 * until wake_look() changes to the new one: our locks do not hold there. True where the database
 * has no name either, as that of a store in memory: nobody opens any other file.
 */
bool wake_is_current(const struct wake *wake);

/*
 * True when this process is one of so many (1 to 63) that answer a door: what identifies it is any
 * number, the socket's inode say. It stays one until it leaves or ends.
 */
bool wake_try_door(struct wake *wake, uint64_t door, int64_t places);
void wake_leave_door(struct wake *wake);

/* Somebody has answered a door: those who do not can see by the count that it goes on. */
void wake_count_door(struct wake *wake);
uint32_t wake_doors_counted(struct wake *wake);

/* Is a round of upkeep due? True once a second among CGI processes, and after wake_round_soon(). */
bool wake_round_is_due(struct wake *wake, int64_t now_ms);
void wake_round_soon(struct wake *wake);

/*
 * May a CGI process try to checkpoint? Once a second, where one has tried and not said that it
 * could: somebody reads on and on, perhaps, and each try holds all writers off.
 */
bool wake_checkpoint_is_due(struct wake *wake, int64_t now_ms);
void wake_checkpoint_soon(struct wake *wake);

#endif
