/*
 * The data structures of the live desk: its readers by stream, the streams to look at, and a heap
 * of times at which something is due. No I/O. Only the desk's thread uses them.
 */
#ifndef LIVE_TABLE_H
#define LIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

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
    PARKED_DRAINING, /* sends the rest of an answer in `out`; reads no more of the stream */
    PARKED_DELAYED,  /* an exchange that continues at ends_at; `out` is empty */
};

/* An exchange at the desk. */
struct parked {
    enum parked_state state;
    struct peer *peer;
    struct watch *watch;          /* of a reader that was admitted, else NULL */
    LIST_ENTRY(parked) link;      /* of the inbox, the readers of a watch, or those delayed */
    struct ds_exchange *exchange; /* PARKED_DELAYED only, */
    void (*resume)(struct ds_exchange *exchange); /*   and how it continues */
    struct live_reader reader;
    struct outgoing out;
    int64_t ends_at;  /* monotonic ms: when a long-poll, an SSE connection or a delay ends */
    int64_t due;      /* monotonic ms: when the desk looks at it next; 0: not in the heap */
    int64_t heap_due; /* its key in the heap: `due`, or an earlier value of it */
    int64_t backlog;  /* bytes: `out` while its socket is full, or a delayed request's body */
    size_t heap_at;   /* its index in the heap */
    bool wants_writable;
};

LIST_HEAD(parked_list, parked);

/* A stream with readers. */
struct watch {
    int64_t stream_id;
    struct parked_list readers;
    LIST_ENTRY(watch) in_table;
    LIST_ENTRY(watch) in_bucket;
    SLIST_ENTRY(watch) in_marked; /* while it is marked, and until it is visited */
    int64_t ttl_seconds;          /* at the last visit; -1: none */
    int64_t expires_at;           /* at the last visit, wall clock in ms; 0: never */
    bool again; /* the last visit could not serve every reader: visit again in a second */
    bool marked, visiting;
};

LIST_HEAD(watch_list, watch);

struct live_table {
    struct watch_list *bucket; /* a power of two of them */
    size_t buckets, count;
    struct watch_list watches; /* all of them */
    struct watch *round;       /* the next one of live_table_next(); NULL: the first */
    SLIST_HEAD(, watch) marked;
    struct parked **heap; /* the earliest first */
    size_t heap_used, heap_size;
};

/* Adds a reader to its stream; *fresh: it is the stream's first one. False when out of memory. */
bool live_table_add(struct live_table *table, struct parked *parked, bool *fresh);

/* Removes a reader from its stream. True when it was the last one: the watch is freed, or will be
   after the visit under way. */
bool live_table_remove(struct live_table *table, struct parked *parked);

/* Frees a watch that has no readers. */
void live_table_drop(struct live_table *table, struct watch *watch);

struct watch *live_table_find(struct live_table *table, int64_t stream_id);

/* Marks a stream that the desk must visit. */
void live_table_mark(struct live_table *table, struct watch *watch);
void live_table_mark_all(struct live_table *table);

/* The next stream, round and round. The table must not be empty. */
struct watch *live_table_next(struct live_table *table);

/* Removes and returns the marked streams, linked by in_marked. */
struct watch *live_table_take_marked(struct live_table *table);

/* Reserves a place in the heap for one exchange more. False when out of memory. */
bool live_table_reserve(struct live_table *table);

/* Sets when an exchange is due, in monotonic ms; 0 removes it. A place must have been reserved. */
void live_table_set_due(struct live_table *table, struct parked *parked, int64_t due);

/* An exchange that is due at `now`, the earliest first, or NULL. */
struct parked *live_table_first_due(struct live_table *table, int64_t now);

/* A time before which nothing is due, in monotonic ms; 0: nothing will be. */
int64_t live_table_next_due(const struct live_table *table);

void live_table_close(struct live_table *table);

#endif
