/* Claims, acks, callbacks and releases (protocol section 7): see subscription.h. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "engine/subscription_private.h"
#include "store/store.h"

/* --- claim --- */

static enum ds_status refuse_claim(struct subscription_claim *claim, enum ds_status verdict,
                                   const char *reason)
{
    claim->verdict = verdict;
    claim->reason = reason;
    return DS_OK;
}

/* The verdicts that need no write; DS_OK: the claim must be tried. */
static enum ds_status judge_claim(struct store_conn *conn, struct subscription_claim *claim,
                                  int64_t now)
{
    struct subscription *row = &claim->view.row;
    bool pending;
    enum ds_status status = subscription_find(conn, claim->arena, claim->name, row);

    (void)refuse_claim(claim, DS_OK, NULL);
    if (status == DS_NOT_FOUND)
        return refuse_claim(claim, status, "there is no such subscription");
    if (status != DS_OK)
        return status;
    if (row->is_webhook)
        return refuse_claim(claim, DS_INVALID, "a webhook subscription cannot be claimed");
    if (row->lease_until != 0 && !subscription_is_over(row, now)) {
        claim->holder = row->holder ? row->holder : "";
        claim->generation = row->generation;
        return refuse_claim(claim, DS_CLAIMED, "another worker holds the lease");
    }
    status = store_has_pending(conn, row->id, &pending);
    if (status == DS_OK && !pending && !row->wake_id)
        return refuse_claim(claim, DS_IDLE, "nothing is pending");
    return status;
}

enum ds_status subscription_claim_glance(struct store_conn *conn, struct subscription_claim *claim,
                                         int64_t now)
{
    enum ds_status status = store_begin_read(conn);

    if (status != DS_OK)
        return status;
    status = judge_claim(conn, claim, now);
    store_end_read(conn);
    return status;
}

/* The wake that is in flight, or a new one if its lease is over or there was none. */
static enum ds_status current_wake(struct batch *batch, struct subscription_claim *claim,
                                   bool *pending)
{
    struct subscription *row = &claim->view.row;
    enum ds_status status = store_has_pending(batch->conn, row->id, pending);

    if (status != DS_OK)
        return status;
    if (!*pending) /* what was pending has ended */
        return subscription_rest(batch, row, pending);
    if (row->wake_id && row->lease_until == 0)
        return DS_OK;
    return subscription_wake(batch, claim->arena, row);
}

enum ds_status subscription_claim(struct batch *batch, struct subscription_claim *claim)
{
    struct subscription *row = &claim->view.row;
    bool pending = false;
    enum ds_status status = batch_flush(batch);

    if (status == DS_OK)
        status = judge_claim(batch->conn, claim, batch->now);
    if (status != DS_OK || claim->verdict != DS_OK)
        return status;
    status = current_wake(batch, claim, &pending);
    if (status != DS_OK)
        return status;
    if (!pending)
        return refuse_claim(claim, DS_IDLE, "nothing is pending");
    row->holder = claim->worker;
    row->lease_until = batch->now + row->lease_ttl_ms;
    row->event_due = row->unsettled = false;
    claim->generation = row->generation;
    claim->token = subscription_token(claim->arena, row);
    if (!claim->token)
        return DS_NO_MEMORY;
    status = store_subscription_update(batch->conn, row);
    return status == DS_OK ? subscription_view_links(batch->conn, claim->arena, true,
                                                     SUBSCRIPTION_WAKE_LINKS, &claim->view)
                           : status;
}

/* --- callback, ack, release --- */

static enum ds_status refuse_answer(struct subscription_answer *answer, enum ds_status verdict,
                                    const char *reason)
{
    answer->verdict = verdict;
    answer->reason = reason;
    return DS_OK;
}

/* A number up to a full stop; NULL if there is none. */
static const char *read_part(const char *text, int64_t *number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18 || text[digits] != '.' || (text[0] == '0' && digits > 1))
        return NULL;
    *number = strtoll(text, NULL, 10);
    return text + digits + 1;
}

/* Compares in a time that does not depend on where the texts differ. */
static bool is_same_secret(const char *a, const char *b)
{
    size_t len = strlen(b);
    unsigned char difference = 0;

    if (len == 0 || strlen(a) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

/* DS_OK, DS_DENIED, or DS_FENCED if the token is of an earlier wake. */
static enum ds_status judge_token(const char *token, const struct subscription *row)
{
    int64_t id, generation;
    const char *at = token ? read_part(token, &id) : NULL;

    at = at ? read_part(at, &generation) : NULL;
    if (!at || id != row->id || generation > row->generation || generation == 0)
        return DS_DENIED;
    /* without a token, the last wake was one of an earlier life */
    if (generation < row->generation || !row->token)
        return DS_FENCED;
    return is_same_secret(at, row->token) ? DS_OK : DS_DENIED;
}

static enum ds_status judge_answer(struct subscription_answer *answer,
                                   const struct subscription *row, int64_t now)
{
    bool callback = answer->reply == SUBSCRIPTION_CALLBACK;
    enum ds_status token = judge_token(answer->token, row);

    if (row->is_webhook != callback)
        return refuse_answer(answer, DS_INVALID,
                             callback ? "a pull-wake subscription has no callback: use ack"
                                      : "a webhook subscription is acked by its callback");
    if (token == DS_DENIED)
        return refuse_answer(answer, token, "the token is not one of this subscription");
    if (token == DS_FENCED || answer->generation != row->generation)
        return refuse_answer(answer, DS_FENCED, "a newer wake was made");
    if (!row->wake_id || !answer->wake_id || strcmp(answer->wake_id, row->wake_id) != 0)
        return refuse_answer(answer, DS_FENCED, "this wake has ended");
    if (row->lease_until == 0 || subscription_is_over(row, now))
        return refuse_answer(answer, DS_FENCED, "the lease is over");
    return DS_OK;
}

static enum ds_status find_acked(struct batch *batch, const struct subscription *row,
                                 const struct subscription_offset *ack,
                                 struct subscription_link *link)
{
    enum ds_status status =
        ack->path ? store_link_get(batch->conn, batch->arena, row->id, ack->path, link)
                  : DS_NOT_FOUND;

    if (status == DS_NOT_FOUND && ack->second)
        status = store_link_get(batch->conn, batch->arena, row->id, ack->second, link);
    return status;
}

/* Checks all acks before the first is applied: all of them count or none. */
static enum ds_status judge_acks(struct batch *batch, struct subscription_answer *answer,
                                 const struct subscription *row, struct subscription_link *links)
{
    for (size_t i = 0; i < answer->acks; i++) {
        enum ds_status status = find_acked(batch, row, &answer->ack[i], &links[i]);
        bool ended = false;

        if (status == DS_NOT_FOUND)
            return refuse_answer(answer, DS_CONFLICT, "an ack names a stream that is not linked");
        if (status == DS_OK)
            status =
                store_link_has_ended(batch->conn, row->id, row->generation, links[i].path, &ended);
        if (status != DS_OK)
            return status;
        if (ended)
            return refuse_answer(answer, DS_CONFLICT,
                                 "the stream of an ack has ended under this lease: another one "
                                 "has its path");
        if (answer->ack[i].position < 0)
            return refuse_answer(answer, DS_CONFLICT, "an ack has an invalid offset");
        if (answer->ack[i].position < links[i].acked || answer->ack[i].position > links[i].tail)
            return refuse_answer(answer, DS_CONFLICT,
                                 "an ack is before the cursor or beyond the tail of its stream");
    }
    return DS_OK;
}

static enum ds_status apply_acks(struct batch *batch, const struct subscription_answer *answer,
                                 const struct subscription *row, struct subscription_link *links)
{
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < answer->acks; i++) {
        /* again, since an ack before it may name the same stream */
        status = store_link_get(batch->conn, batch->arena, row->id, links[i].path, &links[i]);
        if (status == DS_OK)
            status = subscription_move(batch->conn, row->id, &links[i], answer->ack[i].position);
    }
    return status;
}

static enum ds_status apply_answer(struct batch *batch, struct subscription_answer *answer,
                                   struct subscription *row)
{
    if (answer->done || answer->reply == SUBSCRIPTION_RELEASE) {
        row->attempts = row->failed_at = 0;
        row->failure = NULL;
        return subscription_rest(batch, row, &answer->next_wake);
    }
    row->attempts = row->next_attempt_at = row->failed_at = 0;
    row->failure = NULL;
    row->lease_until = batch->now + row->lease_ttl_ms;
    return store_subscription_update(batch->conn, row);
}

enum ds_status subscription_answer(struct batch *batch, struct subscription_answer *answer)
{
    struct subscription row;
    struct subscription_link *links =
        arena_zalloc(batch->arena, (answer->acks + 1) * sizeof *links);
    enum ds_status status = links ? batch_flush(batch) : DS_NO_MEMORY;

    answer->next_wake = false;
    (void)refuse_answer(answer, DS_OK, NULL);
    if (status == DS_OK)
        status = subscription_find(batch->conn, batch->arena, answer->name, &row);
    if (status == DS_NOT_FOUND)
        return refuse_answer(answer, status, "there is no such subscription");
    if (status == DS_OK)
        status = judge_answer(answer, &row, batch->now);
    if (status == DS_OK && answer->verdict == DS_OK)
        status = judge_acks(batch, answer, &row, links);
    if (status != DS_OK || answer->verdict != DS_OK)
        return status;
    status = apply_acks(batch, answer, &row, links);
    return status == DS_OK ? apply_answer(batch, answer, &row) : status;
}

/* --- for a person --- */

enum ds_status subscription_nudge(struct batch *batch, struct subscription_nudge *nudge)
{
    struct subscription row;
    bool pending = false;
    enum ds_status status = batch_flush(batch);

    if (status == DS_OK)
        status = subscription_find(batch->conn, batch->arena, nudge->name, &row);
    nudge->verdict = status == DS_NOT_FOUND ? status : DS_OK;
    if (status == DS_OK)
        status = store_has_pending(batch->conn, row.id, &pending);
    if (status != DS_OK)
        return status == DS_NOT_FOUND ? DS_OK : status;
    if (!pending || (row.holder && !subscription_is_over(&row, batch->now))) {
        nudge->verdict = pending ? DS_CLAIMED : DS_IDLE;
        return DS_OK;
    }
    if (!row.wake_id || (subscription_is_over(&row, batch->now) && !row.is_webhook))
        return subscription_wake(batch, batch->arena, &row);
    if (row.is_webhook) {
        row.next_attempt_at = batch->now;
        batch_wake(batch, SUBSCRIPTION_WAKE_ID);
    } else {
        status = subscription_add_event(batch, &row);
    }
    return status == DS_OK ? store_subscription_update(batch->conn, &row) : status;
}
