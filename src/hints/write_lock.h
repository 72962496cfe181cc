/*
 * The write lock of all processes of a database.
 *
 * SQLite protects the database by a lock of its own behind this one; this one only lets writers
 * queue instead of polling. So it must be free when its holder is dead, and must not believe
 * anything in the file: others may write there.
 *
 *     threads of a process        processes
 *
 *       ──▶┌─────────┐        ┌──────────────────┐
 *       ──▶│  mutex  │───────▶│ byte of the file │───────▶ SQLite's own lock
 *       ──▶└─────────┘        └──────────────────┘
 *        memory of the      the kernel's (F_OFD_SETLK):
 *        process only       the kernel knows who has
 *                           it, and it ends with its
 *                           holder
 *
 * The kernel can make a process wait for such a byte, but not for a limited time. So a process that
 * does not get it sleeps on a futex in the mapped file instead:
 *
 *     waiter                                      holder
 *     note `turn`, set `wanted`                   give the byte back
 *     try again; if that fails, sleep while       was `wanted` set? Clear it, move `turn`,
 *     `turn` is as noted                          wake one
 *
 * Whichever comes first, one sees the other. The one that is woken sets `wanted` for those that
 * still sleep, so each gets its turn. `wanted` and `turn` are hints: whatever they hold, and after
 * the death of a holder, which wakes nobody, a waiter looks again after WRITE_LOCK_LOOK_MS at most.
 *
 * Free, the lock costs two system calls of half a microsecond.
 */
#ifndef WRITE_LOCK_H
#define WRITE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

enum {
    WRITE_LOCK_LOOK_MS = 20,
};

/* In the mapped file. */
struct write_hint {
    _Atomic uint32_t wanted; /* somebody sleeps */
    _Atomic uint32_t turn;   /* the futex word: moves when somebody is woken */
};

struct write_lock {
    pthread_mutex_t mutex; /* one thread at a time gets as far as the byte */
    int fd;
    struct write_hint *hint;
};

void write_lock_init(struct write_lock *lock, int fd, struct write_hint *hint);
void write_lock_close(struct write_lock *lock);

/* DS_BUSY: not free in that time. DS_FAILED, logged: the file system has no such locks. */
enum ds_status write_lock_take(struct write_lock *lock, int64_t timeout_ms);

/* By the thread that took it. */
void write_lock_leave(struct write_lock *lock);

#endif
