/*
 * Who waits for what at the live desk: readers by stream, a list of streams to look at, and a heap
 * of the times at which something is due. Plain data structures of one thread; no I/O.
 */
#ifndef LIVE_TABLE_H
#define LIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live/live.h"

/*
 * What an exchange at the desk is waiting for:
 *
 *     live_park ──▶ WAITING ◀────────────────┐
 *                     │ something for it      │ it is out, and more may follow (SSE)
 *                     ▼                       │
 *                   SENDING ──────────────────┤
 *                                             └──▶ gone: that was the end of the answer,
 *     live_drain ─▶ DRAINING ─────────────────────▶      or the client has left
 *     live_delay ─▶ DELAYED ──▶ resume(), or gone
 */
enum parked_state {
    PARKED_WAITING,  /* a reader that has been sent all there is; `out` is empty */
    PARKED_SENDING,  /* a reader whose socket has not taken all of `out` yet */
    PARKED_DRAINING, /* the rest of an answer in `out`; nobody reads the stream any more */
    PARKED_DELAYED,  /* an exchange that goes on at ends_at; `out` is empty */
};

/* An exchange at the desk. */
struct parked {
    enum parked_state state;
    struct peer *peer;
    struct watch *watch;          /* of a reader that was admitted, else NULL */
    struct parked *next, *prev;   /* among the readers of a watch; next: in the inbox, or delayed */
    struct ds_exchange *exchange; /* PARKED_DELAYED only, */
    void (*resume)(struct ds_exchange *exchange); /*   and how it goes on */
    struct live_reader reader;
    struct outgoing out;
    int64_t ends_at;  /* monotonic ms: a long-poll's answer, an SSE connection's end, a delay's */
    int64_t due;      /* monotonic ms: when the desk looks at it next; 0: not in the heap */
    int64_t heap_due; /* by what it stands in the heap: `due`, or an earlier one that it had */
    int64_t backlog;  /* bytes of `out` while its socket is full; a delayed request's body */
    size_t heap_at;   /* its place in the heap */
    bool wants_writable;
};

/* A stream with readers. */
struct watch {
    int64_t stream_id;
    struct parked *first;
    struct watch *next, *prev; /* all of them */
    struct watch *next_bucket; /* in the hash table */
    struct watch *next_marked;
    int64_t ttl_seconds; /* -1: none; as of the last look */
    int64_t expires_at;  /* 0: never */
    bool again;          /* the last look could not serve everybody: another one within a second */
    bool marked, visiting;
};

struct live_table {
    struct watch **bucket; /* a power of two of them */
    size_t buckets, count;
    struct watch *watches; /* all */
    struct watch *round;   /* where live_table_next() is; NULL: at the first one */
    struct watch *marked;
    struct parked **heap; /* the earliest first */
    size_t heap_used, heap_size;
};

/* Puts a reader to its stream; *fresh: it is the first one there. False when out of memory. */
bool live_table_add(struct live_table *table, struct parked *parked, bool *fresh);

/* Takes a reader from its stream. True when it was the last one, and the watch is gone or going. */
bool live_table_remove(struct live_table *table, struct parked *parked);

/* Frees a watch that has no readers. */
void live_table_drop(struct live_table *table, struct watch *watch);

struct watch *live_table_find(struct live_table *table, int64_t stream_id);

/* Notes that a stream is to be looked at. */
void live_table_mark(struct live_table *table, struct watch *watch);
void live_table_mark_all(struct live_table *table);

/* One after the other, round and round; there must be one. */
struct watch *live_table_next(struct live_table *table);

/* The marked ones, linked by next_marked; the list is empty afterwards. */
struct watch *live_table_take_marked(struct live_table *table);

/* Makes room in the heap for one more. False when out of memory. */
bool live_table_reserve(struct live_table *table);

/* Sets when an exchange is due; 0 takes it out. Room must have been reserved. */
void live_table_set_due(struct live_table *table, struct parked *parked, int64_t due);

/* The first one that is due at `now`, or NULL. */
struct parked *live_table_first_due(struct live_table *table, int64_t now);

/* Before then nobody is due; 0: nobody ever. */
int64_t live_table_next_due(const struct live_table *table);

void live_table_close(struct live_table *table);

#endif
