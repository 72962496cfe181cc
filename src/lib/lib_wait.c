/*
 * Waiting for data, and ending a wait from another thread.
 *
 * ds_wait() is a live reader without a desk: it counts its interest, notes the bell and the number
 * of changes, looks at the database, and only then sleeps (invariant I3). The bell rings for every
 * stream that anybody waits for, so after a wake-up the list of changes says whether this stream is
 * among them. The waiter also looks at the database once a second, whatever the list says.
 *
 * No cancellation is lost, for the same reason: a waiter notes the bell and then reads is_set;
 * ds_cancel_set() writes is_set and then rings the bell. Either the waiter sees is_set, or the bell
 * has moved on from the value that it sleeps on.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "hints/hints.h"
#include "hints/wake.h"
#include "lib/lib.h"
#include "store/store.h"

struct ds_cancel {
    struct hints *hints;
    atomic_bool is_set;
};

struct wait {
    struct ds_store *store;
    struct hints *hints;
    const struct ds_cancel *cancel; /* or NULL */
    struct lib_place place;
    int64_t stream_id; /* 0: not found yet */
    int64_t recheck_ms;
    uint64_t seen; /* of the changes */
    int64_t until; /* monotonic */
};

/* DS_OK: there is data, or the stream is closed. DS_TIMEOUT: not yet. */
static enum ds_status look_for_data(struct wait *wait)
{
    struct arena *arena = arena_new();
    struct store_conn *conn;
    struct stream stream;
    enum ds_status status = arena ? lib_acquire(wait->store, &conn) : DS_NO_MEMORY;

    if (status == DS_OK) {
        status = lib_place_find(wait->store, conn, arena, &wait->place, &stream);
        store_end_read(conn);
        lib_release(wait->store, conn);
    }
    arena_free(arena);
    if (status != DS_OK)
        return status;
    if (wait->stream_id != 0 && wait->stream_id != stream.id)
        return DS_NOT_FOUND; /* another stream has taken its path */
    wait->stream_id = stream.id;
    wait->recheck_ms = lib_is_brief(stream.ttl_seconds) ? LIB_BRIEF_RECHECK_MS : HINTS_RECHECK_MS;
    return stream.tail > wait->place.from || stream.closed_at != 0 ? DS_OK : DS_TIMEOUT;
}

/* Has the stream changed since the last call? True also if the list of changes has a gap. */
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

static bool is_cancelled(const struct wait *wait)
{
    return wait->cancel && atomic_load(&wait->cancel->is_set);
}

/* Sleeps until the stream may have changed, or for a bounded while; false when the wait is over. */
static bool sleep_on_bell(struct wait *wait)
{
    int64_t now = clock_monotonic_ms(), recheck = now + wait->recheck_ms;

    if (recheck > wait->until)
        recheck = wait->until;
    for (; now < recheck; now = clock_monotonic_ms()) {
        uint32_t bell = wake_bell(wait->hints);

        if (is_cancelled(wait))
            return false;
        if (has_changed(wait))
            return true;
        wake_wait(wait->hints, bell, recheck - now);
    }
    return now < wait->until;
}

static enum ds_status wait_for_data(struct wait *wait)
{
    enum ds_status status = is_cancelled(wait) ? DS_CANCELLED : look_for_data(wait);

    if (status != DS_TIMEOUT || clock_monotonic_ms() >= wait->until)
        return status;
    wake_interest(wait->hints, wait->stream_id, 1);
    do /* the first time for commits before the interest was counted */
        status = look_for_data(wait);
    while (status == DS_TIMEOUT && sleep_on_bell(wait));
    if (status == DS_TIMEOUT && is_cancelled(wait))
        status = DS_CANCELLED;
    if (status == DS_TIMEOUT) /* once more: not every writer rings the bell */
        status = look_for_data(wait);
    wake_interest(wait->hints, wait->stream_id, -1);
    return status;
}

enum ds_status ds_wait_cancellable(struct ds_store *store, const char *path, const char *offset,
                                   int64_t timeout_ms, const struct ds_cancel *cancel)
{
    struct arena *arena = arena_new();
    struct wait wait = {
        .store = store,
        .hints = store_hints(store->engine.store),
        .cancel = cancel,
        .until = clock_monotonic_ms(),
    };
    enum ds_status status = DS_NO_MEMORY;

    if (timeout_ms > 0 && __builtin_add_overflow(wait.until, timeout_ms, &wait.until))
        wait.until = INT64_MAX;
    wait.seen = wake_head(wait.hints);
    if (arena)
        status = offset ? lib_place_parse(store, arena, path, offset, &wait.place) : DS_INVALID;
    if (status == DS_OK)
        status = wait_for_data(&wait);
    arena_free(arena);
    return status;
}

enum ds_status ds_wait(struct ds_store *store, const char *path, const char *offset,
                       int64_t timeout_ms)
{
    return ds_wait_cancellable(store, path, offset, timeout_ms, NULL);
}

/* --- cancellation --- */

enum ds_status ds_cancel_new(struct ds_store *store, struct ds_cancel **out)
{
    struct ds_cancel *cancel = calloc(1, sizeof *cancel);

    if (!cancel)
        return DS_NO_MEMORY;
    cancel->hints = store_hints(store->engine.store);
    *out = cancel;
    return DS_OK;
}

void ds_cancel_free(struct ds_cancel *cancel)
{
    free(cancel);
}

void ds_cancel_set(struct ds_cancel *cancel)
{
    int error = errno; /* that of the code that a signal handler interrupted */

    atomic_store(&cancel->is_set, true);
    wake_ring(cancel->hints);
    errno = error;
}

void ds_cancel_clear(struct ds_cancel *cancel)
{
    atomic_store(&cancel->is_set, false);
}
