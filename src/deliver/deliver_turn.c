/* Attempts: begun and ended in the database, and under way in libcurl. See deliver_private.h. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/deliver_private.h"
#include "engine/commit.h"
#include "engine/subscription.h"
#include "store/store.h"

enum {
    RETRY_MS = 1000,   /* after a transaction that failed */
    OVERDUE_MS = 2000, /* a lease that has ended so long ago is ended by this process */
};

/* One transaction. */
struct turn {
    struct commit_write write;
    struct deliver *deliver;
    struct posts begun;
    bool settles; /* ends leases too */
    bool more;    /* there are further leases to end */
    enum ds_status status;
};

/* --- the transaction --- */

static void drop_begun(struct turn *turn)
{
    struct post *post;

    while ((post = TAILQ_FIRST(&turn->begun))) {
        TAILQ_REMOVE(&turn->begun, post, link);
        post_free(post);
    }
}

/* Begins one attempt, which has an arena of its own, unless it has become needless. */
static enum ds_status begin_one(struct batch *batch, struct turn *turn, int64_t id)
{
    struct subscription_begin begin = {.arena = arena_new(), .only = id, .most = 1};
    struct post *post = NULL;
    enum ds_status status = begin.arena ? subscription_begin(batch, &begin) : DS_NO_MEMORY;

    if (status == DS_OK && begin.attempts > 0) {
        post = post_new(begin.arena, &begin.attempt[0], &turn->deliver->rules);
        status = post ? DS_OK : DS_NO_MEMORY;
    }
    if (!post) {
        arena_free(begin.arena);
        return status;
    }
    TAILQ_INSERT_TAIL(&turn->begun, post, link);
    return DS_OK;
}

static enum ds_status begin_due(struct batch *batch, struct turn *turn, size_t room)
{
    int64_t ids[POSTS_MOST];
    size_t n = 0;
    bool has = false;
    enum ds_status status = store_has_subscriptions(batch->conn, &has);

    if (status == DS_OK && has && room > 0)
        status = deliver_choose(turn->deliver, batch->conn, batch->now, ids, room, &n);
    for (size_t i = 0; status == DS_OK && i < n; i++)
        status = begin_one(batch, turn, ids[i]);
    return status;
}

static size_t room_for_posts(const struct deliver *deliver)
{
    size_t ended = 0;
    const struct post *post;

    if (!deliver->delivers || deliver->stopping)
        return 0;
    TAILQ_FOREACH(post, &deliver->ended, link)
        ended++;
    return POSTS_MOST - (deliver->posts - ended);
}

static enum ds_status apply_turn(struct batch *batch, struct commit_write *write)
{
    struct turn *turn = (struct turn *)write;
    enum ds_status status = DS_OK;
    struct post *post;

    drop_begun(turn); /* of a try that was rolled back */
    TAILQ_FOREACH(post, &turn->deliver->ended, link)
        if (status == DS_OK)
            status = subscription_end(batch, &post->end);
    if (status == DS_OK && turn->settles)
        status = subscription_upkeep(batch, &turn->more);
    return status == DS_OK ? begin_due(batch, turn, room_for_posts(turn->deliver)) : status;
}

static void finish_turn(struct commit_write *write, enum ds_status status)
{
    ((struct turn *)write)->status = status;
}

/* --- before and after it --- */

/* Reads whether an attempt may begin, and when the next one is due. */
static enum ds_status read_due(struct deliver *deliver, int64_t now, bool *due, int64_t *next)
{
    int64_t id;
    size_t n;
    enum ds_status status = deliver_choose(deliver, deliver->conn, now, &id, 1, &n);

    *due = status == DS_OK && n > 0;
    return status == DS_OK ? store_next_attempt(deliver->conn, next) : status;
}

/* May an attempt begin? If not, sets the time to look again. */
static bool is_due(struct deliver *deliver)
{
    int64_t now = clock_wall_ms(), next = INT64_MAX;
    bool has = false, due = false;
    enum ds_status status = store_has_subscriptions(deliver->conn, &has);

    if (status == DS_OK && has)
        status = store_begin_read(deliver->conn);
    if (status == DS_OK && has) {
        status = read_due(deliver, now, &due, &next);
        store_end_read(deliver->conn);
    }
    if (status != DS_OK)
        next = now + RETRY_MS;
    /* those that are due wait for the end of a POST, but a later one may become due before that */
    deliver->look_at = next > now ? next : now + RETRY_MS / 10;
    return due;
}

/* A host that is down is named once; the reason is in the row of each subscription. */
static void log_failure(const struct post *post)
{
    static _Atomic int64_t next;
    const struct subscription *row = &post->attempt.view.row;

    if (post->end.outcome == SUBSCRIPTION_FAILED && !post->end.fenced && row->failed_at == 0 &&
        log_is_due(&next))
        log_warn("cannot deliver to %s: %s: trying again (subscription %s)",
                 post->host[0] ? post->host : "the webhook", post->failure, row->name);
}

static void forget_ended(struct deliver *deliver)
{
    struct post *post;

    while ((post = TAILQ_FIRST(&deliver->ended))) {
        log_failure(post);
        TAILQ_REMOVE(&deliver->ended, post, link);
        deliver->posts--;
        post_free(post);
    }
}

static void start_begun(struct deliver *deliver, struct turn *turn)
{
    struct post *post;

    while ((post = TAILQ_FIRST(&turn->begun))) {
        bool sent = post_start(post, deliver->multi, deliver->keys.signer, clock_wall_ms());

        TAILQ_REMOVE(&turn->begun, post, link);
        if (sent)
            TAILQ_INSERT_TAIL(&deliver->under_way, post, link);
        else
            TAILQ_INSERT_TAIL(&deliver->ended, post, link);
        deliver->posts++;
    }
}

static bool run_turn(struct deliver *deliver, struct turn *turn)
{
    turn->write = (struct commit_write){.apply = apply_turn, .finish = finish_turn};
    turn->deliver = deliver;
    TAILQ_INIT(&turn->begun);
    commit_submit(deliver->engine.commit, &turn->write); /* runs it */
    if (turn->status != DS_OK) {
        drop_begun(turn);
        deliver->look_at = clock_wall_ms() + RETRY_MS;
        return false;
    }
    forget_ended(deliver);
    start_begun(deliver, turn);
    return true;
}

void deliver_turn(struct deliver *deliver)
{
    bool may_begin = room_for_posts(deliver) > 0;

    /* an attempt that could not be sent has ended, so there may be another turn at once */
    for (bool again = true; again;) {
        struct turn turn = {0};
        bool needed = !TAILQ_EMPTY(&deliver->ended) || (may_begin && is_due(deliver));

        again = needed && run_turn(deliver, &turn);
        may_begin = room_for_posts(deliver) > 0;
    }
    if (!may_begin)
        deliver->look_at = INT64_MAX; /* until a POST ends, or the next second */
}

void deliver_settle(struct deliver *deliver)
{
    struct turn turn = {.settles = true};
    bool has = false, need = false;

    if (store_has_subscriptions(deliver->conn, &has) == DS_OK && has &&
        store_subscriptions_need(deliver->conn, clock_wall_ms() - OVERDUE_MS, &need) == DS_OK &&
        need)
        (void)run_turn(deliver, &turn);
}

/* --- transfers --- */

static void end_post(struct deliver *deliver, struct post *post)
{
    (void)curl_multi_remove_handle(deliver->multi, post->easy);
    TAILQ_REMOVE(&deliver->under_way, post, link);
}

void deliver_collect(struct deliver *deliver)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(deliver->multi, &left))) {
        CURLcode result = message->data.result;
        char *arg = NULL;
        struct post *post;

        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &arg);
        post = (struct post *)(void *)arg;
        end_post(deliver, post); /* message is invalid from now on */
        post_end(post, result);
        TAILQ_INSERT_TAIL(&deliver->ended, post, link);
    }
}

/* Is the attempt's wake still the one of its subscription? True if that cannot be read. */
static bool is_current(const struct deliver *deliver, struct arena *arena,
                       const struct subscription *shown)
{
    struct subscription row;
    enum ds_status status = store_subscription_load(deliver->conn, arena, shown->id, &row);

    if (status != DS_OK)
        return status != DS_NOT_FOUND;
    return row.generation == shown->generation && row.wake_id &&
           strcmp(row.wake_id, shown->wake_id) == 0;
}

void deliver_cancel(struct deliver *deliver)
{
    struct arena *arena = TAILQ_EMPTY(&deliver->under_way) ? NULL : arena_new();
    struct post *post, *next;

    if (!arena)
        return;
    for (post = TAILQ_FIRST(&deliver->under_way); post; post = next) {
        next = TAILQ_NEXT(post, link);
        if (is_current(deliver, arena, &post->attempt.view.row))
            continue;
        end_post(deliver, post);
        deliver->posts--;
        post_free(post);
    }
    arena_free(arena);
}

void deliver_drop(struct deliver *deliver)
{
    struct post *post;

    while ((post = TAILQ_FIRST(&deliver->under_way))) {
        end_post(deliver, post);
        post_free(post);
    }
    while ((post = TAILQ_FIRST(&deliver->ended))) {
        TAILQ_REMOVE(&deliver->ended, post, link);
        post_free(post);
    }
    deliver->posts = 0;
}
