/*
 * Reading, and waiting for what there is to read.
 *
 * ds_wait() is a live reader without a desk: it counts its interest, notes bell and head of the
 * changes, looks at the database, and only then sleeps (invariant I3). The bell rings for every
 * stream that anybody waits for, so a wake-up asks the changes first whether it was for this one,
 * and the database once in a second at least whatever they say.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "engine/upkeep.h"
#include "hints/hints.h"
#include "hints/wake.h"
#include "lib/lib.h"
#include "protocol/offset.h"
#include "store/store.h"

/* A reader's place; from is set by the first look when kind is OFFSET_NOW. */
struct place {
    const char *path; /* normalised */
    enum offset_kind kind;
    int64_t from;
};

static enum ds_status parse_place(const struct ds_store *store, struct arena *arena,
                                  const char *path, const char *offset, struct place *place)
{
    const char *reason;

    *place = (struct place){.kind = OFFSET_START};
    if (offset)
        place->kind = offset_parse(offset, strlen(offset), &place->from);
    if (place->kind == OFFSET_INVALID)
        return DS_INVALID;
    return lib_path(store, arena, path, &place->path, &reason);
}

/* Finds the stream for a read transaction, and sees to its TTL: somebody reads it. */
static enum ds_status find_stream(struct ds_store *store, struct store_conn *conn,
                                  struct arena *arena, struct place *place, struct stream *stream)
{
    int64_t now = clock_wall_ms();
    enum ds_status status = store_hold(conn, arena, place->path, now, stream);

    if (status != DS_OK)
        return status;
    if (place->kind == OFFSET_NOW) {
        place->from = stream->tail;
        place->kind = OFFSET_POSITION;
    }
    if (place->from > stream->tail)
        return DS_INVALID;
    if (stream->ttl_seconds >= 0)
        upkeep_renew(&store->engine, stream->id, now + stream->ttl_seconds * 1000);
    return DS_OK;
}

/* --- reading --- */

static enum ds_status read_from(struct ds_store *store, struct store_conn *conn,
                                struct arena *arena, struct place *place, struct buf *data,
                                struct ds_read_result *result)
{
    struct stream stream;
    int64_t next = 0;
    enum ds_status status = find_stream(store, conn, arena, place, &stream);

    if (status == DS_OK)
        status = store_read(conn, &stream, place->from, (size_t)store->config.read_chunk_bytes,
                            data, &next);
    if (status != DS_OK)
        return status;
    result->len = data->len;
    buf_addc(data, '\0');
    if (buf_failed(data))
        return DS_NO_MEMORY;
    offset_format(next, result->next_offset);
    result->up_to_date = next == stream.tail;
    result->closed = result->up_to_date && stream.closed_at != 0;
    return DS_OK;
}

enum ds_status ds_read(struct ds_store *store, const char *path, const char *offset,
                       struct ds_read_result *result)
{
    struct arena *arena = arena_new();
    struct store_conn *conn = NULL;
    struct ds_read_result read = {.data = NULL};
    struct buf data = {0};
    struct place place;
    size_t len;
    enum ds_status status = arena ? parse_place(store, arena, path, offset, &place) : DS_NO_MEMORY;

    if (status == DS_OK)
        status = lib_acquire(store, &conn);
    if (status == DS_OK) {
        status = read_from(store, conn, arena, &place, &data, &read);
        store_end_read(conn);
        lib_release(store, conn);
    }
    if (status == DS_OK) {
        read.data = buf_take(&data, &len);
        *result = read;
    }
    buf_close(&data);
    arena_free(arena);
    return status;
}

void ds_read_free(struct ds_read_result *result)
{
    struct buf data = {.data = result->data};

    buf_close(&data);
    result->data = NULL;
    result->len = 0;
}

/* --- waiting --- */

struct wait {
    struct ds_store *store;
    struct hints *hints;
    struct place place;
    int64_t stream_id; /* 0 before it was found */
    int64_t recheck_ms;
    uint64_t seen; /* of the changes */
    int64_t until; /* monotonic */
};

/* DS_OK: there is something. DS_TIMEOUT: not yet. */
static enum ds_status look_for_data(struct wait *wait)
{
    struct arena *arena = arena_new();
    struct store_conn *conn;
    struct stream stream;
    enum ds_status status = arena ? lib_acquire(wait->store, &conn) : DS_NO_MEMORY;

    if (status == DS_OK) {
        status = find_stream(wait->store, conn, arena, &wait->place, &stream);
        store_end_read(conn);
        lib_release(wait->store, conn);
    }
    arena_free(arena);
    if (status != DS_OK)
        return status;
    if (wait->stream_id != 0 && wait->stream_id != stream.id)
        return DS_NOT_FOUND; /* it ended, and another one took its path */
    wait->stream_id = stream.id;
    /* a TTL of a second must not run out between two looks */
    wait->recheck_ms = stream.ttl_seconds >= 0 && stream.ttl_seconds <= 2 ? HINTS_RECHECK_MS / 5
                                                                          : HINTS_RECHECK_MS;
    return stream.tail > wait->place.from || stream.closed_at != 0 ? DS_OK : DS_TIMEOUT;
}

/* Has the stream changed since? What cannot be known counts as yes. */
static bool has_changed(struct wait *wait)
{
    int64_t stream_id;

    for (;;) {
        switch (wake_next(wait->hints, &wait->seen, &stream_id)) {
        case WAKE_NONE:
            return false;
        case WAKE_LOST:
            return true;
        case WAKE_STREAM:
            if (stream_id == wait->stream_id)
                return true;
        }
    }
}

/* Sleeps until the stream may have changed, or for a bounded while; false when time is up. */
static bool sleep_on_bell(struct wait *wait)
{
    int64_t now = clock_monotonic_ms(), recheck = now + wait->recheck_ms;

    if (recheck > wait->until)
        recheck = wait->until;
    for (; now < recheck; now = clock_monotonic_ms()) {
        uint32_t bell = wake_bell(wait->hints);

        if (has_changed(wait))
            return true;
        wake_wait(wait->hints, bell, recheck - now);
    }
    return now < wait->until;
}

static enum ds_status wait_for_data(struct wait *wait)
{
    enum ds_status status = look_for_data(wait);

    if (status != DS_TIMEOUT || clock_monotonic_ms() >= wait->until)
        return status;
    wake_interest(wait->hints, wait->stream_id, 1);
    do /* the first time: what came before the interest was counted */
        status = look_for_data(wait);
    while (status == DS_TIMEOUT && sleep_on_bell(wait));
    if (status == DS_TIMEOUT) /* a last time: not every writer rings the bell */
        status = look_for_data(wait);
    wake_interest(wait->hints, wait->stream_id, -1);
    return status;
}

enum ds_status ds_wait(struct ds_store *store, const char *path, const char *offset,
                       int64_t timeout_ms)
{
    struct arena *arena = arena_new();
    struct wait wait = {
        .store = store,
        .hints = store_hints(store->engine.store),
        .until = clock_monotonic_ms(),
    };
    enum ds_status status = DS_NO_MEMORY;

    if (timeout_ms > 0 && __builtin_add_overflow(wait.until, timeout_ms, &wait.until))
        wait.until = INT64_MAX;
    wait.seen = wake_head(wait.hints);
    if (arena)
        status = offset ? parse_place(store, arena, path, offset, &wait.place) : DS_INVALID;
    if (status == DS_OK)
        status = wait_for_data(&wait);
    arena_free(arena);
    return status;
}
