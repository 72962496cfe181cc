/*
 * Reading messages one by one.
 *
 * A page of messages is copied in one read transaction, and handed out after its end, so that the
 * caller's function may do with the store what it likes and may take its time. The store's own rows
 * are the boundaries: a read of one byte at most gives one row, which is a message or, in byte
 * streams, STORE_PART_BYTES of a larger one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "lib/lib.h"
#include "protocol/offset.h"
#include "store/store.h"

enum { PAGE_MESSAGES = 1024 };

/* A message of the page, or a part of a large one. */
struct mark {
    size_t at, len; /* in data */
    int64_t first, next;
    int64_t appended_at;
    bool more;
};

struct walk {
    struct ds_store *store;
    struct lib_place place; /* where the next page begins */
    int64_t stream_id;      /* 0: not found yet */
    int64_t message_end;    /* end of the last message that may have several rows */
    int64_t tail;           /* this and closed: when the page was read */
    bool closed;
    size_t count;
    struct mark marks[PAGE_MESSAGES];
    struct buf data; /* a NUL follows each message */
};

/* Is this row followed by another one of the same message? */
static enum ds_status has_more(struct walk *walk, struct store_conn *conn,
                               const struct stream *stream, const struct mark *mark, bool *more)
{
    enum ds_status status = DS_OK;

    *more = false;
    if (stream->kind == HTTP_TYPE_JSON || mark->len < STORE_PART_BYTES)
        return DS_OK;
    if (mark->first >= walk->message_end)
        status = store_message_end(conn, stream, mark->first, &walk->message_end);
    *more = status == DS_OK && mark->next < walk->message_end;
    return status;
}

/* Copies the row at walk->place, which moves to the next row. */
static enum ds_status take_message(struct walk *walk, struct store_conn *conn,
                                   const struct stream *stream)
{
    struct mark *mark = &walk->marks[walk->count];
    size_t before = walk->data.len;
    struct store_span span;
    enum ds_status status = store_read_span(conn, stream, walk->place.from, 1, &walk->data, &span);

    if (status != DS_OK)
        return status;
    *mark = (struct mark){before,    walk->data.len - before, span.first,
                          span.next, span.appended_at,        false};
    if (stream->kind == HTTP_TYPE_JSON) { /* strip the brackets of the array */
        mark->at++;
        mark->len -= 2;
        walk->data.data[walk->data.len - 1] = '\0';
    } else {
        buf_addc(&walk->data, '\0');
    }
    status =
        buf_failed(&walk->data) ? DS_NO_MEMORY : has_more(walk, conn, stream, mark, &mark->more);
    if (status != DS_OK)
        return status;
    walk->place.from = span.next;
    walk->count++;
    return DS_OK;
}

static enum ds_status fill_page(struct walk *walk, struct store_conn *conn, struct arena *arena)
{
    struct stream stream;
    enum ds_status status = lib_place_find(walk->store, conn, arena, &walk->place, &stream);

    if (status == DS_OK && walk->stream_id != 0 && walk->stream_id != stream.id)
        status = DS_NOT_FOUND; /* another stream has taken its path */
    if (status != DS_OK)
        return status;
    walk->stream_id = stream.id;
    walk->tail = stream.tail;
    walk->closed = stream.closed_at != 0;
    while (status == DS_OK && walk->place.from < stream.tail && walk->count < PAGE_MESSAGES &&
           walk->data.len < (size_t)walk->store->config.read_chunk_bytes)
        status = take_message(walk, conn, &stream);
    return walk->count > 0 ? DS_OK : status; /* the next page meets the failure again */
}

static enum ds_status read_page(struct walk *walk)
{
    struct arena *arena = arena_new();
    struct store_conn *conn = NULL;
    enum ds_status status = arena ? lib_acquire(walk->store, &conn) : DS_NO_MEMORY;

    buf_close(&walk->data);
    walk->count = 0;
    if (status == DS_OK) {
        status = fill_page(walk, conn, arena);
        store_end_read(conn);
        lib_release(walk->store, conn);
    }
    arena_free(arena);
    return status;
}

/* Calls fn for the page; *next becomes the position after the last message that fn got. */
static bool hand_out(const struct walk *walk, ds_message_fn *fn, void *arg, int64_t *next)
{
    for (size_t i = 0; i < walk->count; i++) {
        const struct mark *mark = &walk->marks[i];
        struct ds_message message = {
            .data = walk->data.data + mark->at,
            .len = mark->len,
            .appended_at = mark->appended_at,
            .more = mark->more,
        };

        offset_format(mark->first, message.offset);
        offset_format(mark->next, message.next_offset);
        *next = mark->next;
        if (!fn(arg, &message))
            return false;
    }
    return true;
}

static enum ds_status walk_messages(struct walk *walk, ds_message_fn *fn, void *arg,
                                    struct ds_read_end *end)
{
    int64_t next;
    bool goes_on;

    do {
        enum ds_status status = read_page(walk);

        if (status != DS_OK)
            return status;
        next = walk->place.from;
        goes_on = hand_out(walk, fn, arg, &next);
    } while (goes_on && next < walk->tail);
    if (end) {
        offset_format(next, end->next_offset);
        end->up_to_date = next == walk->tail;
        end->closed = end->up_to_date && walk->closed;
    }
    return DS_OK;
}

enum ds_status ds_read_messages(struct ds_store *store, const char *path, const char *offset,
                                ds_message_fn *fn, void *arg, struct ds_read_end *end)
{
    struct arena *arena = arena_new();
    struct walk *walk = calloc(1, sizeof *walk);
    enum ds_status status = DS_NO_MEMORY;

    if (arena && walk) {
        walk->store = store;
        status = lib_place_parse(store, arena, path, offset, &walk->place);
    }
    if (status == DS_OK)
        status = walk_messages(walk, fn, arg, end);
    if (walk)
        buf_close(&walk->data);
    free(walk);
    arena_free(arena);
    return status;
}
