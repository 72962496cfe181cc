/*
 * The live desk's tables: see live_table.h.
 *
 * Must hold: a watch is freed only when it has no reader, is not marked and is not being visited;
 * the code that ends the visit or the mark of a watch without readers frees it.
 */
#include "live/live_table.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 64, FIRST_HEAP = 64 };

/* --- readers by stream --- */

static struct watch_list *bucket_of(const struct live_table *table, int64_t stream_id)
{
    return &table->bucket[(uint64_t)stream_id & (table->buckets - 1)];
}

/* Doubles the hash table when it is full; a smaller one works too, so lack of memory is not an
   error. */
static bool grow(struct live_table *table)
{
    size_t buckets = table->buckets ? table->buckets * 2 : FIRST_BUCKETS;
    struct watch_list *bucket;
    struct watch *watch;

    if (table->count < table->buckets)
        return true;
    bucket = calloc(buckets, sizeof *bucket);
    if (!bucket)
        return table->buckets != 0;
    free(table->bucket);
    table->bucket = bucket;
    table->buckets = buckets;
    LIST_FOREACH(watch, &table->watches, in_table)
        LIST_INSERT_HEAD(bucket_of(table, watch->stream_id), watch, in_bucket);
    return true;
}

struct watch *live_table_find(struct live_table *table, int64_t stream_id)
{
    struct watch *watch;

    if (table->buckets == 0)
        return NULL;
    LIST_FOREACH(watch, bucket_of(table, stream_id), in_bucket)
        if (watch->stream_id == stream_id)
            break;
    return watch;
}

static struct watch *new_watch(struct live_table *table, int64_t stream_id)
{
    struct watch *watch;

    if (!grow(table))
        return NULL;
    watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->stream_id = stream_id;
    watch->ttl_seconds = -1;
    LIST_INSERT_HEAD(bucket_of(table, stream_id), watch, in_bucket);
    LIST_INSERT_HEAD(&table->watches, watch, in_table);
    table->count++;
    return watch;
}

bool live_table_add(struct live_table *table, struct parked *parked, bool *fresh)
{
    struct watch *watch = live_table_find(table, parked->reader.stream_id);

    if (!watch)
        watch = new_watch(table, parked->reader.stream_id);
    if (!watch)
        return false;
    *fresh = LIST_EMPTY(&watch->readers);
    parked->watch = watch;
    LIST_INSERT_HEAD(&watch->readers, parked, link);
    return true;
}

void live_table_drop(struct live_table *table, struct watch *watch)
{
    if (table->round == watch)
        table->round = LIST_NEXT(watch, in_table);
    LIST_REMOVE(watch, in_bucket);
    LIST_REMOVE(watch, in_table);
    table->count--;
    free(watch);
}

bool live_table_remove(struct live_table *table, struct parked *parked)
{
    struct watch *watch = parked->watch;

    LIST_REMOVE(parked, link);
    parked->watch = NULL;
    if (!LIST_EMPTY(&watch->readers))
        return false;
    if (!watch->marked && !watch->visiting)
        live_table_drop(table, watch);
    return true;
}

/* --- streams to look at --- */

void live_table_mark(struct live_table *table, struct watch *watch)
{
    if (watch->marked)
        return;
    watch->marked = true;
    SLIST_INSERT_HEAD(&table->marked, watch, in_marked);
}

void live_table_mark_all(struct live_table *table)
{
    struct watch *watch;

    LIST_FOREACH(watch, &table->watches, in_table)
        live_table_mark(table, watch);
}

struct watch *live_table_next(struct live_table *table)
{
    struct watch *watch = table->round ? table->round : LIST_FIRST(&table->watches);

    table->round = LIST_NEXT(watch, in_table);
    return watch;
}

struct watch *live_table_take_marked(struct live_table *table)
{
    struct watch *marked = SLIST_FIRST(&table->marked);

    SLIST_INIT(&table->marked);
    return marked;
}

/* --- times --- */

bool live_table_reserve(struct live_table *table)
{
    size_t size = table->heap_size ? table->heap_size * 2 : FIRST_HEAP;
    struct parked **heap;

    if (table->heap_used < table->heap_size)
        return true;
    heap = realloc(table->heap, size * sizeof *heap);
    if (!heap)
        return false;
    table->heap = heap;
    table->heap_size = size;
    return true;
}

static void place(struct live_table *table, size_t at, struct parked *parked)
{
    table->heap[at] = parked;
    parked->heap_at = at;
}

/* Moves an entry up or down until its parent is earlier and its children are later. */
static void settle(struct live_table *table, struct parked *parked)
{
    size_t at = parked->heap_at, child;

    while (at > 0 && table->heap[(at - 1) / 2]->heap_due > parked->heap_due) {
        place(table, at, table->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    while ((child = 2 * at + 1) < table->heap_used) {
        if (child + 1 < table->heap_used &&
            table->heap[child + 1]->heap_due < table->heap[child]->heap_due)
            child++;
        if (table->heap[child]->heap_due >= parked->heap_due)
            break;
        place(table, at, table->heap[child]);
        at = child;
    }
    place(table, at, parked);
}

void live_table_set_due(struct live_table *table, struct parked *parked, int64_t due)
{
    bool inside = parked->due != 0;

    parked->due = due;
    if (due != 0) {
        if (inside && due >= parked->heap_due)
            return; /* a thousand readers whose next keep-alive moves on need not be sorted again */
        parked->heap_due = due;
        if (!inside)
            parked->heap_at = table->heap_used++;
        place(table, parked->heap_at, parked);
        settle(table, parked);
    } else if (inside) {
        struct parked *last = table->heap[--table->heap_used];

        if (last != parked) {
            place(table, parked->heap_at, last);
            settle(table, last);
        }
    }
}

struct parked *live_table_first_due(struct live_table *table, int64_t now)
{
    while (table->heap_used > 0 && table->heap[0]->heap_due <= now) {
        if (table->heap[0]->due <= now)
            return table->heap[0];
        table->heap[0]->heap_due = table->heap[0]->due; /* it has moved on meanwhile */
        settle(table, table->heap[0]);
    }
    return NULL;
}

int64_t live_table_next_due(const struct live_table *table)
{
    return table->heap_used > 0 ? table->heap[0]->heap_due : 0;
}

void live_table_close(struct live_table *table)
{
    while (!LIST_EMPTY(&table->watches))
        live_table_drop(table, LIST_FIRST(&table->watches));
    free(table->bucket);
    free(table->heap);
    *table = (struct live_table){0};
}
