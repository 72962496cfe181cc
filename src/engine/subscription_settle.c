/*
 * What a batch owes to subscriptions before its commit, and what upkeep does about time and about
 * statements at the sqlite3 prompt. See subscription.h.
 *
 *     streams made     ──▶ links, by pattern and by explicit path ──┐
 *     streams that grew ──▶ links marked as pending ────────────────┼──▶ idle ones: wakes
 *     streams ended    ──▶ (triggers) wakes that became needless    │        │
 *            ▲                                                      │        │ events are appends
 *            └──────────────────────────────────────────────────────┴────────┘
 *
 * The circle ends, since every subscription is woken once at most: then it is no longer idle.
 */
#include <string.h>

#include "base/arena.h"
#include "engine/subscription_json.h"
#include "engine/subscription_private.h"
#include "protocol/glob.h"

enum { SLICE = 64 }; /* subscriptions that one step looks at */

/* --- wakes --- */

static enum ds_status wake_idle(struct batch *batch, const int64_t *ids, size_t n)
{
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < n; i++) {
        struct subscription row;

        status = store_subscription_load(batch->conn, batch->arena, ids[i], &row);
        if (subscription_is_damaged(status, &row))
            status = DS_OK;
        else if (status == DS_OK && !row.wake_id)
            status = subscription_wake(batch, batch->arena, &row);
    }
    return status;
}

static enum ds_status settle_grown(struct batch *batch, int64_t stream_id)
{
    int64_t *idle;
    size_t n;
    enum ds_status status = store_links_grow(batch->conn, batch->arena, stream_id, &idle, &n);

    return status == DS_OK ? wake_idle(batch, idle, n) : status;
}

/* --- streams that were made --- */

struct match {
    const char *path; /* without the root */
    struct batch *batch;
    int64_t *ids; /* of the subscriptions whose pattern matches */
    size_t n, room;
};

static enum ds_status match_pattern(void *arg, int64_t subscription_id, const char *pattern)
{
    struct match *match = arg;
    int64_t *more;

    if (!glob_matches(pattern, match->path))
        return DS_OK;
    if (match->n == match->room) {
        match->room = match->room == 0 ? SLICE : 2 * match->room;
        more = arena_alloc(match->batch->arena, match->room * sizeof *more);
        if (!more)
            return DS_NO_MEMORY;
        if (match->n > 0)
            memcpy(more, match->ids, match->n * sizeof *more);
        match->ids = more;
    }
    match->ids[match->n++] = subscription_id;
    return DS_OK;
}

/* Finds the patterns that match; the cost does not grow with the number of other patterns. */
static enum ds_status find_patterns(struct match *match)
{
    struct store_conn *conn = match->batch->conn;
    size_t ranges = glob_ranges(match->path);
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < ranges; i++) {
        struct glob_range range;

        status = glob_range(match->batch->arena, match->path, i, &range) ? DS_OK : DS_NO_MEMORY;
        if (status == DS_OK)
            status = store_patterns(conn, range.first, range.end, match_pattern, match);
    }
    return status;
}

static enum ds_status link_matches(struct batch *batch, const struct stream *stream)
{
    struct match match = {.path = subscription_path(stream->path), .batch = batch};
    bool excluded = false;
    enum ds_status status = DS_OK;

    if (strncmp(stream->path, SUBSCRIPTION_ROOT, strlen(SUBSCRIPTION_ROOT)) == 0 &&
        !stream->is_registry && !store_reserves(batch->conn, stream->path))
        status = find_patterns(&match);
    if (status == DS_OK && match.n > 0)
        status = store_is_wake_stream(batch->conn, stream->path, &excluded);
    if (excluded)
        return status;
    for (size_t i = 0; status == DS_OK && i < match.n; i++)
        status = store_link_match(batch->conn, match.ids[i], stream);
    return status;
}

/* Writes the events that waited for this wake stream. */
static enum ds_status write_due_events(struct batch *batch, const char *path)
{
    int64_t ids[SLICE];
    size_t n = SLICE;
    enum ds_status status = DS_OK;

    while (status == DS_OK && n == SLICE) {
        status = store_subscriptions_with_event(batch->conn, path, ids, SLICE, &n);
        for (size_t i = 0; status == DS_OK && i < n; i++) {
            struct subscription row;

            status = store_subscription_load(batch->conn, batch->arena, ids[i], &row);
            if (subscription_is_damaged(status, &row))
                return DS_OK;
            if (status == DS_OK)
                status = subscription_add_event(batch, &row);
            if (row.event_due) /* the stream takes none: they all wait on */
                return status;
            if (status == DS_OK)
                status = store_subscription_update(batch->conn, &row);
        }
    }
    return status;
}

static enum ds_status settle_made(struct batch *batch, const struct stream *stream)
{
    bool pending = stream->tail > 0;
    int64_t *idle;
    size_t n;
    enum ds_status status = link_matches(batch, stream);

    if (status == DS_OK)
        status = store_links_arrive(batch->conn, batch->arena, stream->path, stream->id, pending,
                                    &idle, &n);
    if (status == DS_OK)
        status = wake_idle(batch, idle, n);
    return status == DS_OK ? write_due_events(batch, stream->path) : status;
}

/* *left: at most so many streams; 0 when it returns means that there may be more. */
static enum ds_status settle_arrivals(struct batch *batch, size_t *left)
{
    struct stream stream;
    enum ds_status status = DS_OK;

    for (; *left > 0; --*left) {
        status = store_arrival_take(batch->conn, batch->arena, &stream);
        if (status == DS_OK)
            status = settle_made(batch, &stream);
        if (status != DS_OK)
            break;
    }
    return status == DS_NOT_FOUND ? DS_OK : status;
}

/* --- leases and ends --- */

static enum ds_status settle_due(struct batch *batch, bool *more)
{
    int64_t ids[SLICE];
    size_t n;
    enum ds_status status = store_subscriptions_due(batch->conn, batch->now, ids, SLICE, &n);

    for (size_t i = 0; status == DS_OK && i < n; i++) {
        struct subscription row;

        status = store_subscription_load(batch->conn, batch->arena, ids[i], &row);
        if (subscription_is_damaged(status, &row))
            status = DS_OK;
        else if (status == DS_OK)
            status = subscription_recheck(batch, &row);
    }
    *more = n == SLICE;
    return status;
}

/* --- both callers --- */

static enum ds_status settle_all_grown(struct batch *batch)
{
    int64_t stream_id;
    enum ds_status status;

    /* a wake event may make another stream grow */
    while ((status = batch_flush(batch)) == DS_OK && batch_take_grown(batch, &stream_id)) {
        status = settle_grown(batch, stream_id);
        if (status != DS_OK)
            break;
    }
    return status;
}

enum ds_status subscription_settle(struct batch *batch)
{
    size_t left = SIZE_MAX;
    bool has = false, more;
    enum ds_status status = DS_OK;

    if (batch_take_lives(batch))
        status = store_has_subscriptions(batch->conn, &has);
    if (status == DS_OK && has)
        status = settle_arrivals(batch, &left);
    if (status == DS_OK && has)
        status = settle_due(batch, &more); /* upkeep does the rest */
    return status == DS_OK ? settle_all_grown(batch) : status;
}

enum ds_status subscription_upkeep(struct batch *batch, bool *more)
{
    size_t left = SLICE;
    bool has = false;
    enum ds_status status = batch_flush(batch);

    *more = false;
    if (status == DS_OK)
        status = store_has_subscriptions(batch->conn, &has);
    if (status != DS_OK || !has)
        return status;
    status = settle_due(batch, more);
    if (status == DS_OK)
        status = settle_arrivals(batch, &left);
    *more |= left == 0;
    return status == DS_OK ? settle_all_grown(batch) : status;
}
