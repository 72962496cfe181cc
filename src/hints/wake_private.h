/* What wake.c and wake_file.c share: the layout of the file, and what a process knows of it. */
#ifndef WAKE_PRIVATE_H
#define WAKE_PRIVATE_H

#include <stdatomic.h>

#include "hints/wake.h"
#include "hints/write_lock.h"

enum {
    BOOT_ID = 40,
    WAKE_INTEREST = 4096, /* slots; two streams in one slot cost a needless wake-up */
    WAKE_RING = 4096,     /* changes; a desk that falls further behind looks at all its streams */
    WAKE_TOUCH = 8192,    /* slots; two streams in one slot cost a write to the database */
};

struct change {
    _Atomic uint64_t number; /* 1 + index; 0 while being written */
    _Atomic int64_t stream_id;
};

struct touch {
    _Atomic int64_t stream_id; /* 0: free */
    _Atomic int64_t until_ms;
    _Atomic int64_t saved_ms; /* the value the database has */
};

struct shared {
    _Atomic uint32_t magic, version;
    char boot[BOOT_ID];       /* of the machine, when this was made */
    _Atomic int64_t round_at; /* when a CGI process last did a round of upkeep */
    _Atomic uint64_t synced;  /* the state of the log that was last synced; 0: not known */
    _Atomic int64_t tried_at; /* when one last began to checkpoint, unless it could */
    _Atomic uint32_t bell;
    _Atomic uint32_t doors; /* how often somebody has answered one */
    _Atomic uint64_t head;
    struct write_hint write_hint;
    _Atomic uint32_t interest[WAKE_INTEREST];
    struct change ring[WAKE_RING];
    struct touch touch[WAKE_TOUCH];
};

struct wake {
    int fd;
    char *path, *database;
    struct shared *shared;
    struct write_lock write_lock;
    atomic_bool checkpoints; /* a thread has that lock, or is at changing the file */
    int64_t change_at;       /* monotonic: when wake_look() may try again to change the file */
    int touch_at;            /* where wake_touch_sweep() goes on; of the one thread that calls it */
    /* what of interest[] is this process's, and its sum: the file may lose it */
    _Atomic uint32_t interests;
    _Atomic uint32_t counted[WAKE_INTEREST];
};

#endif
