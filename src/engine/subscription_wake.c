/* Wakes: how they are made and end, and the events on wake streams. See subscription.h. */
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine/stream_write.h"
#include "engine/subscription_json.h"
#include "engine/subscription_private.h"

enum { WAKE_ID_BYTES = 12, TOKEN_BYTES = 16 };

static const char hex[] = "0123456789abcdef";

/* Random bytes in hexadecimal after a prefix, in the arena. */
static enum ds_status random_text(struct arena *arena, const char *prefix, size_t n,
                                  const char **text)
{
    unsigned char bytes[TOKEN_BYTES];
    size_t len = strlen(prefix);
    char *to = arena_alloc(arena, len + 2 * n + 1);

    if (!to)
        return DS_NO_MEMORY;
    if (getrandom(bytes, n, 0) != (ssize_t)n)
        return DS_FAILED;
    *text = to;
    memcpy(to, prefix, len);
    for (size_t i = 0; i < n; i++) {
        to[len + 2 * i] = hex[bytes[i] >> 4];
        to[len + 2 * i + 1] = hex[bytes[i] & 15];
    }
    to[len + 2 * n] = '\0';
    return DS_OK;
}

const char *subscription_token(struct arena *arena, const struct subscription *row)
{
    return arena_printf(arena, "%lld.%lld.%s", (long long)row->id, (long long)row->generation,
                        row->token ? row->token : "");
}

/* --- the event of a pull-wake --- */

/* The stream that the event names: one that is pending, "" if there is none. */
static enum ds_status name_stream(struct batch *batch, const struct subscription *row,
                                  const char **path)
{
    struct subscription_link *link;
    size_t n;
    enum ds_status status =
        store_links(batch->conn, batch->arena, row->id, STORE_LINKS_PENDING, 1, &link, &n);

    *path = status == DS_OK && n > 0 ? subscription_path(link[0].path) : "";
    return status;
}

static enum ds_status write_event(struct batch *batch, const struct subscription *row,
                                  const char *stream, const char **event, size_t *len)
{
    struct buf buf = {0};
    bool failed;

    subscription_add_event_json(&buf, row, stream, batch->now);
    failed = buf_failed(&buf);
    *len = buf.len;
    *event = failed ? NULL : arena_strndup(batch->arena, buf.data, buf.len);
    buf_close(&buf);
    return *event ? DS_OK : DS_NO_MEMORY;
}

enum ds_status subscription_add_event(struct batch *batch, struct subscription *row)
{
    struct stream_append append = {.path = row->wake_stream, .body = {.max_messages = INT64_MAX}};
    const char *stream;
    enum ds_status status = name_stream(batch, row, &stream);

    if (status == DS_OK)
        status = write_event(batch, row, stream, &append.body.data, &append.body.len);
    if (status == DS_OK)
        status = batch_make_room(batch);
    if (status == DS_OK)
        status = stream_append(batch, &append);
    /* a wake stream that is missing or closed gets the event when it is made again */
    row->event_due = status == DS_OK && append.verdict != DS_OK;
    return status;
}

/* --- the life of a wake --- */

static void end_wake(struct subscription *row)
{
    row->wake_id = row->holder = NULL;
    row->lease_until = row->next_attempt_at = 0;
    row->event_due = row->unsettled = false;
}

enum ds_status subscription_wake(struct batch *batch, struct arena *arena, struct subscription *row)
{
    enum ds_status status;

    end_wake(row);
    row->generation++;
    row->woken_at = batch->now;
    status = random_text(arena, "w_", WAKE_ID_BYTES, &row->wake_id);
    if (status == DS_OK)
        status = random_text(arena, "", TOKEN_BYTES, &row->token);
    if (status == DS_OK && !row->is_webhook)
        status = subscription_add_event(batch, row);
    if (status != DS_OK)
        return status;
    if (row->is_webhook) {
        row->next_attempt_at = batch->now + subscription_pause(row->attempts);
        row->lease_until = row->next_attempt_at + row->lease_ttl_ms;
        batch_wake(batch, SUBSCRIPTION_WAKE_ID);
    }
    return store_subscription_update(batch->conn, row);
}

enum ds_status subscription_rest(struct batch *batch, struct subscription *row, bool *next)
{
    enum ds_status status = store_has_pending(batch->conn, row->id, next);

    if (status != DS_OK)
        return status;
    if (*next)
        return subscription_wake(batch, batch->arena, row);
    end_wake(row);
    return store_subscription_update(batch->conn, row);
}

bool subscription_is_over(const struct subscription *row, int64_t now)
{
    return row->lease_until != 0 && row->lease_until <= now;
}

/* A clock that was set back must not make a lease, or the time to the next attempt, any longer. */
static bool shorten(struct subscription *row, int64_t now)
{
    int64_t attempt = now + SUBSCRIPTION_PAUSE_MOST_MS;
    int64_t lease = row->lease_ttl_ms + (row->next_attempt_at > now ? attempt : now);
    bool shorter = row->next_attempt_at > attempt || row->lease_until > lease;

    if (row->next_attempt_at > attempt)
        row->next_attempt_at = attempt;
    if (row->lease_until > lease)
        row->lease_until = lease;
    return shorter;
}

enum ds_status subscription_recheck(struct batch *batch, struct subscription *row)
{
    bool changed = shorten(row, batch->now) || row->unsettled, woken = row->wake_id != NULL;
    bool pending = woken;
    enum ds_status status = DS_OK;

    /* a webhook that is tried again is looked at then */
    if (subscription_is_over(row, batch->now) && row->next_attempt_at == 0)
        return subscription_rest(batch, row, &pending);
    row->unsettled = false;
    if (!woken || row->lease_until == 0)
        status = store_has_pending(batch->conn, row->id, &pending);
    if (status == DS_OK && pending != woken)
        return subscription_rest(batch, row, &pending);
    return status == DS_OK && changed ? store_subscription_update(batch->conn, row) : status;
}

/* --- cursors --- */

enum ds_status subscription_move(struct store_conn *conn, int64_t subscription_id,
                                 struct subscription_link *link, int64_t position)
{
    if (position > link->acked)
        link->acked = position;
    link->pending = link->stream_id != 0 && link->tail > (link->acked > 0 ? link->acked : 0);
    return store_link_put(conn, subscription_id, link);
}
