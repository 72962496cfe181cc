/*
 * The hints: a small file beside the database (database-wake) that all its processes map. Through
 * it they wake each other's readers, remember TTL renewals that are not saved yet, and take turns.
 *
 *     hints.h, hints.c    open, repair and close the mapping; the sync state of the log
 *     hints_file.[ch]     find, check, lock and map the file
 *     hints_layout.h      the layout, and who may write which part
 *     wake.[ch]           changes of streams: ring, interest and bell
 *     renewal.[ch]        TTL renewals by reads
 *     duty.[ch]           who does upkeep, checkpoints and webhooks, and when
 *     acceptor.[ch]       how many processes accept connections from one socket
 *     write_lock.[ch]     the queue of writers
 *     byte_lock.h         the kernel locks on bytes of the file, and what each byte stands for
 *
 * Must hold: the file has hints only. It may vanish or contain anything at any moment; that costs a
 * waiter at most HINTS_RECHECK_MS, and loses or hides no byte of a stream. State is in SQLite.
 *
 * Unless noted otherwise, every function of this folder may be called by any thread of any process.
 */
#ifndef HINTS_H
#define HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

enum {
    HINTS_RECHECK_MS = 1000, /* a waiter reads the database again after this time at most */
    HINTS_SLACK_MS = 10000,  /* the clocks of two processes may differ by this much */
};

struct hints;

/*
 * Maps the file at path, and creates it if it is missing. If no other process has it open,
 * alone(arg) is called while no other process can open it; alone may be NULL.
 *
 * DS_NO_MEMORY, or DS_FAILED, which is logged: the file cannot be used.
 */
enum ds_status hints_open(struct hints **hints, const char *path, void (*alone)(void *), void *arg);

/*
 * Releases this process's locks and the mapping. If no other process has the file open, alone(arg)
 * is called first, as in hints_open(). hints may be NULL.
 */
void hints_close(struct hints *hints, void (*alone)(void *), void *arg);

/*
 * In the child of a fork(), which shares its parent's locks: closes the file without releasing
 * them. The child may do nothing else with the hints. Async-signal-safe.
 */
void hints_abandon(struct hints *hints);

/*
 * Repairs the file. One thread of every long-running process calls this once a second. If the file
 * was removed or replaced, the process changes to the file that has the name now; a truncated file
 * is extended; damaged content is reset.
 */
void hints_mend(struct hints *hints);

/*
 * Is our file the one that other processes open now? False from the moment when the file is removed
 * or replaced until hints_mend() changes to the new one; our locks mean nothing to others then.
 * Also true if the database itself has no name, as with a store in memory: no other process will
 * open a file of that name.
 */
bool hints_is_current(const struct hints *hints);

/*
 * Takes the write lock (write_lock.h). To be taken before SQLite's own write lock. DS_BUSY: it was
 * not free within timeout_ms. DS_FAILED, logged: the file system has no such locks. The thread that
 * took the lock releases it.
 */
enum ds_status hints_lock_writers(struct hints *hints, int64_t timeout_ms);
void hints_unlock_writers(struct hints *hints);

/* The state of the write-ahead log that was last synced (store_sync.c); 0: unknown. */
uint64_t hints_wal_synced(struct hints *hints);
void hints_note_wal_synced(struct hints *hints, uint64_t state);

#endif
