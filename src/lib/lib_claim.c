/* Subscriptions for workers: claims, acks and releases, and waking workers again. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "lib/lib_subscription.h"
#include "protocol/offset.h"

/* --- claim --- */

static enum ds_status describe_claim(const struct subscription_claim *claim, struct ds_claim **out)
{
    const struct subscription_view *view = &claim->view;
    size_t texts = lib_text_size(view->row.wake_id) + lib_text_size(claim->token);
    struct lib_block block;

    if (!lib_block_new(&block, sizeof **out, view, texts))
        return DS_NO_MEMORY;
    *out = block.memory;
    **out = (struct ds_claim){
        .generation = claim->generation,
        .lease_ttl_ms = view->row.lease_ttl_ms,
        .link = lib_put_links(&block, view),
        .links = view->links,
        .more_links = view->more,
    };
    (*out)->wake_id = lib_put_text(&block, view->row.wake_id);
    (*out)->token = lib_put_text(&block, claim->token);
    return DS_OK;
}

void ds_claim_free(struct ds_claim *claim)
{
    free(claim);
}

struct claiming {
    struct subscription_claim claim;
    struct ds_claim *result;
};

/* Also makes the result: a lease without a claim to show would keep every worker waiting. */
static enum ds_status apply_claim(struct batch *batch, void *asked)
{
    struct claiming *claiming = asked;
    enum ds_status status = subscription_claim(batch, &claiming->claim);

    ds_claim_free(claiming->result); /* of an attempt that was rolled back */
    claiming->result = NULL;
    if (status == DS_OK && claiming->claim.verdict == DS_OK)
        status = describe_claim(&claiming->claim, &claiming->result);
    return status;
}

/* Most claims of a crowd of workers are refused, which needs no transaction that writes. */
static enum ds_status glance(struct ds_store *store, struct subscription_claim *claim)
{
    struct store_conn *conn;
    enum ds_status status = lib_acquire(store, &conn);

    if (status != DS_OK)
        return status;
    status = subscription_claim_glance(conn, claim, clock_wall_ms());
    lib_release(store, conn);
    return status;
}

static enum ds_status ask_claim(struct ds_store *store, struct claiming *claiming)
{
    struct subscription_claim *claim = &claiming->claim;
    enum ds_status status = DS_INVALID;

    if (!claim->arena)
        return DS_NO_MEMORY;
    if (!lib_is_name(claim->name) || !lib_is_name(claim->worker))
        claim->reason = "a name is 1 to 256 bytes of UTF-8 without control characters";
    else
        status = glance(store, claim);
    if (status == DS_OK && claim->verdict == DS_OK)
        status = lib_write(store, apply_claim, claiming, 0, false);
    return status == DS_OK ? claim->verdict : status;
}

enum ds_status ds_subscription_claim(struct ds_store *store, const char *name, const char *worker,
                                     struct ds_claim **out, const char **reason)
{
    struct claiming claiming = {.claim = {.name = name, .worker = worker, .arena = arena_new()}};
    enum ds_status status = ask_claim(store, &claiming);

    if (status == DS_OK)
        *out = claiming.result;
    else
        ds_claim_free(claiming.result);
    arena_free(claiming.claim.arena);
    return lib_explain(status, claiming.claim.reason, reason);
}

/* --- ack and release --- */

static enum ds_status apply_answer(struct batch *batch, void *asked)
{
    return subscription_answer(batch, asked);
}

static enum ds_status take_ack(const struct ds_store *store, struct arena *arena,
                               const struct ds_ack *ack, struct subscription_offset *offset,
                               const char **reason)
{
    enum offset_kind kind = ack->offset
                                ? offset_parse(ack->offset, strlen(ack->offset), &offset->position)
                                : OFFSET_INVALID;

    if (kind != OFFSET_POSITION && kind != OFFSET_START) {
        *reason = "an ack has an invalid offset";
        return DS_INVALID;
    }
    return lib_path(store, arena, ack->path, &offset->path, reason);
}

static enum ds_status take_acks(const struct ds_store *store, struct arena *arena,
                                const struct ds_ack *acks, size_t n,
                                struct subscription_answer *answer)
{
    struct subscription_offset *offsets;
    enum ds_status status = DS_OK;

    if (n > SUBSCRIPTION_STREAMS_MOST || (n > 0 && !acks)) {
        answer->reason = acks ? "there are more than 1000 acks" : "acks is NULL";
        return DS_INVALID;
    }
    answer->ack = offsets = arena_zalloc(arena, (n + 1) * sizeof *offsets);
    answer->acks = n;
    if (!offsets)
        return DS_NO_MEMORY;
    for (size_t i = 0; status == DS_OK && i < n; i++)
        status = take_ack(store, arena, &acks[i], &offsets[i], &answer->reason);
    return status;
}

static enum ds_status ask_answer(struct ds_store *store, const struct ds_claim *claim,
                                 const struct ds_ack *acks, size_t n,
                                 struct subscription_answer *answer)
{
    struct arena *arena = arena_new();
    enum ds_status status = arena ? DS_INVALID : DS_NO_MEMORY;

    if (arena && lib_is_name(answer->name) && claim) {
        answer->generation = claim->generation;
        answer->wake_id = claim->wake_id;
        answer->token = claim->token;
        status = take_acks(store, arena, acks, n, answer);
    }
    if (status == DS_OK)
        status = lib_write(store, apply_answer, answer, 0, false);
    arena_free(arena);
    return status == DS_OK ? answer->verdict : status;
}

enum ds_status ds_subscription_ack(struct ds_store *store, const char *name,
                                   const struct ds_claim *claim, const struct ds_ack *acks,
                                   size_t n, bool done, bool *next_wake, const char **reason)
{
    struct subscription_answer answer = {.name = name, .reply = SUBSCRIPTION_ACK, .done = done};
    enum ds_status status = ask_answer(store, claim, acks, n, &answer);

    if (status == DS_OK && next_wake)
        *next_wake = answer.next_wake;
    return lib_explain(status, answer.reason, reason);
}

enum ds_status ds_subscription_release(struct ds_store *store, const char *name,
                                       const struct ds_claim *claim)
{
    struct subscription_answer answer = {.name = name, .reply = SUBSCRIPTION_RELEASE};

    return ask_answer(store, claim, NULL, 0, &answer);
}

/* --- waking again --- */

static enum ds_status apply_nudge(struct batch *batch, void *asked)
{
    return subscription_nudge(batch, asked);
}

enum ds_status ds_subscription_nudge(struct ds_store *store, const char *name)
{
    struct subscription_nudge nudge = {.name = name};
    enum ds_status status =
        lib_is_name(name) ? lib_write(store, apply_nudge, &nudge, 0, false) : DS_INVALID;

    return status == DS_OK ? nudge.verdict : status;
}
