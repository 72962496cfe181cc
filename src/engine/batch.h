/*
 * A batch: one transaction for many writes, and what the writes share while they are applied.
 *
 *     batch_run:  BEGIN ─▶ apply, apply, apply ─▶ COMMIT ─▶ wake readers ─▶ finish, finish, finish
 *                              │ one fails
 *                              └▶ ROLLBACK, then each write in a transaction of its own
 *
 * When a write makes the transaction fail (full disk, out of memory), everything is rolled back and
 * each write is tried by itself, so that only the failing one is refused. On a full disk, a write
 * that makes room is tried again with the reserve (store_reserve.c).
 *
 * A batch belongs to the thread that runs it.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "protocol/status.h"
#include "store/store.h"

struct config;

enum { BATCH_WRITES = 512 }; /* most writes of one transaction: bounds its length */

/* One transaction under way. Only apply() functions see it. */
struct batch {
    struct store_conn *conn;
    struct arena *arena;           /* freed with the batch */
    int64_t now;                   /* wall clock in ms, the same for all writes of the batch */
    struct batch_streams *streams; /* private */
};

/*
 * A write in the committer's queue: the first member of an operation's own struct, which must live
 * until finish() is called.
 *
 *     queued ──▶ applied ──▶ committed ──▶ finished
 *       │           └─ rolled back ─▶ applied again by itself
 *       └─ queue full, or the write lock not free in time ─▶ finished with DS_BUSY
 *
 * apply() runs inside the transaction and may run again after a rollback, so it must set every
 * result again. It returns DS_OK also if it decides against the request (409, for example) without
 * having written anything; every other status rolls back.
 *
 * finish() runs once, after the commit; DS_OK means that what apply() did is durable. It must not
 * block, and it ends the write: no other code touches it afterwards.
 *
 * Both run on the committer's thread; in a CGI process, on the only one.
 */
struct commit_write {
    STAILQ_ENTRY(commit_write) link; /* private */
    enum ds_status (*apply)(struct batch *batch, struct commit_write *write);
    void (*finish)(struct commit_write *write, enum ds_status status);
    size_t bytes;          /* of payload, counted against DS_MAX_QUEUED_BYTES */
    bool makes_room;       /* on a full disk it may use the reserve: a deletion */
    bool kill_after;       /* test hook: the process dies between commit and wake-up */
    enum ds_status status; /* private */
};

STAILQ_HEAD(commit_writes, commit_write);

/* What a process keeps from one batch to the next. */
struct batch_context {
    const struct config *config;
    struct hints *hints;
    bool threaded;                 /* not a CGI process */
    int64_t next_rescue;           /* monotonic ms: the next checkpoint that makes room */
    struct batch_streams *streams; /* made for the first batch; NULL before */
    _Atomic int64_t wal_bytes;     /* see commit_wal_bytes() */
};

/*
 * Applies and commits all writes of the list, which must not be empty, wakes the readers of the
 * streams that changed, and finishes every write; the list is empty afterwards. The caller may hold
 * the write lock already (store_lock_write()).
 */
void batch_run(struct batch_context *context, struct store_conn *conn,
               struct commit_writes *writes);

void batch_context_close(struct batch_context *context);

/* --- for apply() --- */

/*
 * Finds the stream at `path` as the batch has left it so far; the status is that of store_find().
 * *stream is the batch's own copy. A function that changes it must call batch_changed(). The texts
 * in it must live as long as the batch.
 */
enum ds_status batch_find(struct batch *batch, const char *path, struct stream **stream);

/* The stream's row will be written, and its readers woken, once for the whole batch. */
void batch_changed(struct batch *batch, struct stream *stream, enum stream_change change);

/* Writes the rows that have changed so far. Call it before SQL that reads other streams' rows, as
   forks and deletions do. */
enum ds_status batch_flush(struct batch *batch);

/* batch_flush(), and drops the batch's copies of all streams: for SQL that changes their rows. */
enum ds_status batch_reread(struct batch *batch);

/* Makes sure that there is room for another batch_find(): for writes that need many. The caller has
   no pointer to a copy. */
enum ds_status batch_make_room(struct batch *batch);

/* Drops the batch's copy of a stream whose row is about to be deleted, or was just inserted. */
void batch_forget(struct batch *batch, const char *path);

/* Notes a stream that has ended, whose readers must be woken. */
void batch_ended(struct batch *batch, int64_t stream_id);

/* Notes that a stream was created. */
void batch_made(struct batch *batch);

/* Wakes whoever has interest in this id (wake.h) after the commit. */
void batch_wake(struct batch *batch, int64_t id);

/* --- for subscription_settle() --- */

/* Has the batch created or ended a stream since the last call? */
bool batch_take_lives(struct batch *batch);

/* The next stream with subscriptions that batch_flush() has written; false after the last. */
bool batch_take_grown(struct batch *batch, int64_t *stream_id);

#endif
