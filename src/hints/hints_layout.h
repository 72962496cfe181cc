/*
 * The layout of the mapped file, and what a process keeps about it. Only the files of this folder
 * include this header.
 *
 *     offset   member        writers                                             described in
 *     ┌───────┬─────────────┬───────────────────────────────────────────────────┬─────────────┐
 *     │ 0     │ magic …boot │ the process that creates or repairs the file      │ hints.h     │
 *     │       │ round_at,   │ a CGI process that begins a round of upkeep       │ duty.h      │
 *     │       │ tried_at    │ or a checkpoint                                   │             │
 *     │       │ delivered_at│ a process that delivers webhooks and then ends    │ duty.h      │
 *     │       │ wal_synced  │ a writer that has synced the write-ahead log      │ hints.h     │
 *     │       │ bell        │ a committer, where there is interest              │ wake.h      │
 *     │       │ accepts     │ an acceptor that is about to accept               │ acceptor.h  │
 *     │       │ head        │ a committer, after its commit                     │ wake.h      │
 *     │       │ write_hint  │ a thread that waits for the write lock, or had it │ write_lock.h│
 *     ├───────┼─────────────┼───────────────────────────────────────────────────┼─────────────┤
 *     │       │ interest[]  │ a process with parked readers, for itself         │ wake.h      │
 *     │       │ ring[]      │ a committer, after its commit                     │ wake.h      │
 *     │       │ renewal[]   │ a thread that answers a read of a stream with a   │ renewal.h   │
 *     │       │             │ TTL; the process that saves the renewals          │             │
 *     └───────┴─────────────┴───────────────────────────────────────────────────┴─────────────┘
 *
 * A change of this layout needs a new HINTS_VERSION (hints.c): processes of two versions must
 * never write to one file.
 */
#ifndef HINTS_LAYOUT_H
#define HINTS_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hints/write_lock.h"

enum {
    HINTS_BOOT_ID = 40,    /* bytes */
    HINTS_INTEREST = 4096, /* slots; two streams in one slot cost a needless wake-up */
    HINTS_RING = 4096,     /* changes; a desk that falls further behind checks all its streams */
    HINTS_RENEWALS = 8192, /* slots; two streams in one slot cost a write to the database */
};

/* One published change. */
struct change {
    _Atomic uint64_t number; /* 1 + index; 0 while the change is being written */
    _Atomic int64_t stream_id;
};

/* One TTL renewal. Times are Unix milliseconds. */
struct renewal_slot {
    _Atomic int64_t stream_id; /* 0: the slot is free */
    _Atomic int64_t until_ms;  /* the stream lives until then, at least */
    _Atomic int64_t saved_ms;  /* the until_ms that the database has */
};

/* The file. */
struct hints_shared {
    _Atomic uint32_t magic, version;
    char boot[HINTS_BOOT_ID];     /* the kernel's boot_id when the content was created */
    _Atomic int64_t round_at;     /* Unix ms: when a CGI process last began a round of upkeep */
    _Atomic uint64_t wal_synced;  /* the state of the log that was last synced; 0: unknown */
    _Atomic int64_t tried_at;     /* Unix ms: when a CGI process last tried a checkpoint; 0 after
                                     one that succeeded */
    _Atomic int64_t delivered_at; /* Unix ms: when a process last delivered webhooks before it
                                     ended; 0: never */
    _Atomic uint32_t bell;        /* futex word */
    _Atomic uint32_t accepts;     /* how often an acceptor has announced itself */
    _Atomic uint64_t head;        /* changes published so far */
    struct write_hint write_hint;
    _Atomic uint32_t interest[HINTS_INTEREST];
    struct change ring[HINTS_RING];
    struct renewal_slot renewal[HINTS_RENEWALS];
};

/* A process's view. The address of `shared` never changes, even when the file does. */
struct hints {
    int fd;
    char *path, *database; /* of this file, and of the database that it belongs to */
    struct hints_shared *shared;
    struct write_lock write_lock;
    atomic_bool checkpoints; /* a thread has the checkpoint lock, or is changing the file */
    atomic_bool delivers;    /* this process has the duty of delivery */
    int64_t change_at;       /* monotonic ms: hints_mend() may try again to change the file */
    int save_at; /* the slot where renewal_collect() continues; only its caller's thread uses it */
    /* this process's own share of interest[], and the sum of it: the file may lose it */
    _Atomic uint32_t interests;
    _Atomic uint32_t counted[HINTS_INTEREST];
};

#endif
