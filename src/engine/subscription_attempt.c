/* Attempts to deliver a webhook: see subscription.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "engine/subscription_private.h"

enum {
    FIRST_PAUSE_MS = 1000,
    LAST_PAUSE_MS = 60000,
    DAMAGED_PAUSE_MS = 60000, /* until a row that is damaged is looked at again, and logged */
    LEAST_LEASE_MS = 500, /* an attempt that has less of the lease left waits for the next lease */
};

int64_t subscription_backoff(int64_t attempts, double draw)
{
    int64_t pause = FIRST_PAUSE_MS;

    if (attempts <= 0)
        return 0;
    for (; attempts > 1 && pause < LAST_PAUSE_MS; attempts--)
        pause *= 2;
    if (pause > LAST_PAUSE_MS)
        pause = LAST_PAUSE_MS;
    return (int64_t)((double)pause * (0.8 + 0.4 * draw));
}

int64_t subscription_pause(int64_t attempts)
{
    uint32_t random = 0;

    (void)!getrandom(&random, sizeof random, 0); /* without it, pauses are not spread */
    return subscription_backoff(attempts, random / 4294967296.0);
}

/* Plans the attempt after the current one. */
static void plan_next(struct subscription *row, int64_t now)
{
    row->next_attempt_at = now + subscription_pause(row->attempts);
    if (row->lease_until > now && row->next_attempt_at < row->lease_until &&
        row->lease_until - row->next_attempt_at < LEAST_LEASE_MS)
        row->next_attempt_at = row->lease_until;
}

/* A new generation whose attempt is made now, whatever the pause. */
static enum ds_status renew_wake(struct batch *batch, struct arena *arena, struct subscription *row)
{
    int64_t attempts = row->attempts;
    enum ds_status status;

    row->attempts = 0;
    status = subscription_wake(batch, arena, row);
    row->attempts = attempts;
    return status;
}

/* Prepares the attempt. *made: false if it has become needless. */
static enum ds_status begin_one(struct batch *batch, struct arena *arena, int64_t id,
                                struct subscription_attempt *attempt, bool *made)
{
    struct subscription *row = &attempt->view.row;
    bool pending;
    enum ds_status status = store_subscription_load(batch->conn, arena, id, row);

    *made = false;
    if (subscription_is_damaged(status, row))
        return store_subscription_postpone(batch->conn, id, batch->now + DAMAGED_PAUSE_MS);
    if (status == DS_OK)
        status = store_has_pending(batch->conn, id, &pending);
    if (status != DS_OK)
        return status == DS_NOT_FOUND ? DS_OK : status;
    if (!row->is_webhook || !row->wake_id || !pending)
        return subscription_rest(batch, row, &pending);
    if (subscription_is_over(row, batch->now))
        status = renew_wake(batch, arena, row);
    row->attempts++;
    plan_next(row, batch->now);
    if (status == DS_OK)
        status = store_subscription_update(batch->conn, row);
    if (status == DS_OK)
        status = subscription_view_links(batch->conn, arena, true, SUBSCRIPTION_WAKE_LINKS,
                                         &attempt->view);
    attempt->deadline = row->lease_until;
    attempt->token = subscription_token(arena, row);
    *made = status == DS_OK;
    return status == DS_OK && !attempt->token ? DS_NO_MEMORY : status;
}

/* Ids of the subscriptions to begin, on the arena. */
static enum ds_status choose(struct batch *batch, const struct subscription_begin *begin,
                             int64_t **ids, size_t *n)
{
    const struct store_attempt_filter all = {.look = begin->most};
    bool has = false;
    enum ds_status status = store_has_subscriptions(batch->conn, &has);

    *n = 0;
    *ids = arena_alloc(begin->arena, (begin->most + 1) * sizeof **ids);
    if (!*ids)
        return DS_NO_MEMORY;
    if (status != DS_OK || !has)
        return status;
    if (begin->only == 0)
        return store_subscriptions_to_attempt(batch->conn, batch->now, &all, *ids, begin->most, n);
    (*ids)[(*n)++] = begin->only;
    return DS_OK;
}

enum ds_status subscription_begin(struct batch *batch, struct subscription_begin *begin)
{
    int64_t *ids = NULL;
    size_t n = 0;
    enum ds_status status = batch_flush(batch);
    bool made;

    begin->attempts = 0;
    begin->attempt = arena_zalloc(begin->arena, (begin->most + 1) * sizeof *begin->attempt);
    if (!begin->attempt)
        return DS_NO_MEMORY;
    if (status == DS_OK)
        status = choose(batch, begin, &ids, &n);
    for (size_t i = 0; status == DS_OK && i < n && begin->attempts < begin->most; i++) {
        status = begin_one(batch, begin->arena, ids[i], &begin->attempt[begin->attempts], &made);
        if (status == DS_OK && made)
            begin->attempts++;
    }
    return status;
}

/* --- the end of an attempt --- */

/* Acks what the attempt has shown, where the stream is still the same one. */
static enum ds_status ack_shown(struct batch *batch, const struct subscription_view *shown)
{
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < shown->links; i++) {
        struct subscription_link link;

        if (!shown->link[i].pending)
            continue;
        status =
            store_link_get(batch->conn, batch->arena, shown->row.id, shown->link[i].path, &link);
        if (status == DS_OK && link.stream_id == shown->link[i].stream_id)
            status = subscription_move(batch->conn, shown->row.id, &link, shown->link[i].tail);
        else if (status == DS_NOT_FOUND)
            status = DS_OK;
    }
    return status;
}

static void forgive(struct subscription *row)
{
    row->attempts = row->failed_at = 0;
    row->failure = NULL;
}

static enum ds_status end_one(struct batch *batch, struct subscription_end *end,
                              struct subscription *row)
{
    enum ds_status status;

    switch (end->outcome) {
    case SUBSCRIPTION_DONE:
        forgive(row);
        status = ack_shown(batch, &end->attempt->view);
        return status == DS_OK ? subscription_rest(batch, row, &end->next_wake) : status;
    case SUBSCRIPTION_TAKEN:
        row->next_attempt_at = row->failed_at = 0;
        row->failure = NULL;
        break;
    case SUBSCRIPTION_FAILED:
    default:
        if (row->next_attempt_at == 0) /* it has called back, so it has the wake */
            return DS_OK;
        row->failed_at = batch->now;
        row->failure = end->failure;
        plan_next(row, batch->now);
        break;
    }
    return store_subscription_update(batch->conn, row);
}

enum ds_status subscription_end(struct batch *batch, struct subscription_end *end)
{
    const struct subscription *shown = &end->attempt->view.row;
    struct subscription row;
    enum ds_status status = batch_flush(batch);

    end->fenced = true;
    end->next_wake = false;
    if (status == DS_OK)
        status = store_subscription_load(batch->conn, batch->arena, shown->id, &row);
    if (status == DS_NOT_FOUND)
        return DS_OK;
    if (status != DS_OK || row.generation != shown->generation || !row.wake_id ||
        strcmp(row.wake_id, shown->wake_id) != 0)
        return status;
    if (end->outcome != SUBSCRIPTION_FAILED && subscription_is_over(&row, batch->now))
        return subscription_recheck(batch, &row);
    end->fenced = false;
    return end_one(batch, end, &row);
}
