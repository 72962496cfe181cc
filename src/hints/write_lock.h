/*
 * The write lock: writers of all processes queue here before they take SQLite's own write lock.
 *
 * SQLite protects the database; it makes a writer that finds it locked poll. This lock only lets
 * writers sleep instead. It must be free when its holder has died, and it must not rely on anything
 * in the mapped file, because other programs may write there.
 *
 *     threads of a process        processes
 *
 *       ──▶┌─────────┐        ┌──────────────────┐
 *       ──▶│  mutex  │───────▶│ byte of the file │───────▶ SQLite's own lock
 *       ──▶└─────────┘        └──────────────────┘
 *        in the memory      a lock of the kernel
 *        of the process     (byte_lock.h), which ends
 *                           with its holder
 *
 * The kernel can let a process wait for such a byte, but not for a limited time. So a process that
 * does not get the byte sleeps on a futex in the mapped file:
 *
 *     waiter                                      holder
 *     1. note `turn`, set `wanted`                1. release the byte
 *     2. try the byte again                       2. if `wanted` is set: clear it,
 *     3. sleep while `turn` is as noted              increment `turn`, wake one waiter
 *
 * Must hold: whichever is first, either the waiter gets the byte in step 2, or the holder finds
 * `wanted` set in its step 2. The woken waiter sets `wanted` for those that still sleep, so that
 * each gets its turn. `wanted` and `turn` are hints: with any values, and after the death of a
 * holder, which wakes no waiter, a waiter tries again after at most WRITE_LOCK_RETRY_MS.
 *
 * While the lock is free, taking and releasing it costs two system calls of half a microsecond.
 */
#ifndef WRITE_LOCK_H
#define WRITE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

enum {
    WRITE_LOCK_RETRY_MS = 20, /* a waiter sleeps no longer than this before it tries again */
};

/* The part in the mapped file. */
struct write_hint {
    _Atomic uint32_t wanted; /* 1: a waiter may be asleep */
    _Atomic uint32_t turn;   /* futex word; incremented when a waiter is woken */
};

/* The part of one process. */
struct write_lock {
    pthread_mutex_t mutex; /* lets one thread at a time try the byte */
    int fd;                /* of the mapped file; borrowed */
    struct write_hint *hint;
};

void write_lock_init(struct write_lock *lock, int fd, struct write_hint *hint);
void write_lock_close(struct write_lock *lock);

/*
 * Takes the lock. DS_BUSY: it was not free within timeout_ms. DS_FAILED, logged: the file system
 * has no such locks. Thread- and process-safe; the lock is not recursive.
 */
enum ds_status write_lock_acquire(struct write_lock *lock, int64_t timeout_ms);

/* Releases the lock; to be called by the thread that took it. */
void write_lock_release(struct write_lock *lock);

#endif
