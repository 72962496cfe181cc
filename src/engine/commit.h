/*
 * Group commit: a queue of writes, and the thread that commits them.
 *
 * Any thread hands a write over with commit_submit(). The committer takes everything that is queued
 * and runs it as one batch (batch.h): one transaction, one sync of the disk, then all answers.
 * There is no timer and no minimum size, so an idle server commits a write at once and a busy one
 * many together.
 *
 *     worker 1 ─ commit_submit ─┐
 *     worker 2 ─ commit_submit ─┼─▶ queue ─▶ committer: apply × 3, COMMIT, wake readers, finish × 3
 *     worker 3 ─ commit_submit ─┘              (one thread in each process)
 *
 * While a batch is being committed, the next one gathers in the queue. A process of one thread has
 * no committer: commit_submit() does everything in its caller.
 */
#ifndef COMMIT_H
#define COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/batch.h"
#include "protocol/status.h"

struct commit;
struct config;
struct store;
struct store_conn;

/* thread: false in a CGI process and in one that delivers webhooks. store and config are borrowed
 * until commit_free(). */
enum ds_status commit_start(struct commit **commit, struct store *store,
                            const struct config *config, bool thread);

/* Commits what is queued and ends the thread. Writes that are submitted later finish with
   DS_BUSY. */
void commit_stop(struct commit *commit);

/* After commit_stop(), when no thread can submit any more. NULL is allowed for both. */
void commit_free(struct commit *commit);

/* Without a thread: writes may use the caller's connection while it is idle. */
void commit_lend(struct commit *commit, struct store_conn *conn);

/*
 * Queues the write, or finishes it at once with DS_BUSY if the queue is full (DS_MAX_QUEUED,
 * DS_MAX_QUEUED_BYTES). Never blocks, except in a CGI process. Any thread.
 */
void commit_submit(struct commit *commit, struct commit_write *write);

/* Bytes in the write-ahead log after this process's last commit; 0 after a checkpoint. Any thread,
   also for the two below. */
int64_t commit_wal_bytes(struct commit *commit);

/* A checkpoint has restarted the log. */
void commit_wal_restarted(struct commit *commit);

/* Another connection of this process has committed, and left the log with this many bytes. */
void commit_wal_grew(struct commit *commit, int64_t bytes);

#endif
