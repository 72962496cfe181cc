/*
 * Group commit: many writes, one transaction.
 *
 * A write is handed over with commit_submit(). The committer takes all that is queued, opens one
 * transaction, applies each in turn, commits once, wakes the readers of what changed, and answers
 * all. No timer, no minimum: idle means immediate, busy means large.
 *
 *     worker ── commit_submit ──▶ queue ──▶ apply, apply, apply, COMMIT, publish, finish × 3
 *
 * In a CGI process all happens in the caller.
 *
 * When a write makes the transaction fail (disk full, out of memory), all is rolled back and every
 * write of the batch is tried alone, so that only the one that cannot be is refused. Where the disk
 * is full, one that makes room is tried again with what is kept for it (store_reserve.c).
 */
#ifndef COMMIT_H
#define COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"
#include "store/store.h"

struct commit;
struct config;

/* One transaction under way; only apply() sees it. */
struct batch {
    struct store_conn *conn;
    struct arena *arena;           /* ends with the batch */
    int64_t now;                   /* wall clock, the same for all writes of the batch */
    struct batch_streams *streams; /* private */
};

/*
 * A queued write: the first member of an op's own struct, which lives until finish().
 *
 * apply() runs inside the transaction, on the committer's thread, and may run again after a
 * rollback: it must set every result anew. It returns DS_OK also when it decides against the
 * request (a 409, say) having written nothing; anything else rolls back.
 *
 * finish() is called once, after the commit, on the committer's thread: DS_OK means that what
 * apply() did is durable. It must not block, and ends whatever the write belongs to.
 */
struct commit_write {
    struct commit_write *next; /* private */
    enum ds_status (*apply)(struct batch *batch, struct commit_write *write);
    void (*finish)(struct commit_write *write, enum ds_status status);
    size_t bytes;          /* payload, counted against DS_MAX_QUEUED_BYTES */
    bool makes_room;       /* a deletion: on a full disk it may use the reserve */
    bool kill_after;       /* test hook: die between commit and wake-up */
    enum ds_status status; /* private */
};

enum ds_status commit_start(struct commit **commit, struct store *store,
                            const struct config *config, bool thread);

/* Commits what is queued, then ends the thread; whatever is submitted later is DS_BUSY. */
void commit_stop(struct commit *commit);

/* After commit_stop(), when nobody can submit any more. NULL is allowed for both. */
void commit_free(struct commit *commit);

/* Without a thread: the caller's connection may be written on while it is idle. */
void commit_lend(struct commit *commit, struct store_conn *conn);

/* Takes the write, or finishes it at once with DS_BUSY when the queue is full. Never waits. */
void commit_submit(struct commit *commit, struct commit_write *write);

/* Bytes in the write-ahead log after the last commit of this process; 0 after a checkpoint. */
int64_t commit_wal_bytes(struct commit *commit);
void commit_wal_restarted(struct commit *commit);

/* Notes what they are after a commit of this process that was not the committer's. */
void commit_wal_grew(struct commit *commit, int64_t bytes);

/* --- for apply() --- */

/*
 * The stream at path as the batch has left it so far; statuses as of store_find(). *stream is the
 * batch's own copy: change it and say batch_changed(). Its texts must live as long as the batch.
 */
enum ds_status batch_find(struct batch *batch, const char *path, struct stream **stream);

/* The stream's row is to be written, and its readers woken, once for the whole batch. */
void batch_changed(struct batch *batch, struct stream *stream, enum stream_change change);

/* Writes the rows changed so far: before SQL that looks at other streams (forks, deletion). */
enum ds_status batch_flush(struct batch *batch);

/* The row of a stream is about to be deleted or was just made: the batch's copy is void. */
void batch_forget(struct batch *batch, const char *path);

/* A stream ended: its readers are to be woken. */
void batch_ended(struct batch *batch, int64_t stream_id);

#endif
