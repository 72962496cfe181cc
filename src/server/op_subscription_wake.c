/*
 * What workers send (protocol section 7): claim a wake, or with its token ack it (a webhook by its
 * callback) or release it.
 *
 * The token is looked at before the body, and the body before the subscription, so that a request
 * without a token learns nothing.
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clock.h"
#include "engine/subscription.h"
#include "engine/subscription_json.h"
#include "exchange/exchange.h"
#include "protocol/json_string.h"
#include "protocol/offset.h"
#include "protocol/path.h"
#include "server/control_path.h"
#include "server/op.h"
#include "server/op_control.h"

/* --- claim --- */

struct claim {
    struct control control;
    struct subscription_claim asked;
};

static void refuse_claim(struct claim *claim)
{
    const struct subscription_claim *asked = &claim->asked;
    struct ds_exchange *exchange = claim->control.exchange;
    struct buf *body = &exchange->body;

    if (asked->verdict != DS_CLAIMED) {
        control_refuse_status(exchange, asked->verdict, asked->reason);
        return;
    }
    control_refuse_begin(exchange, 409, "ALREADY_CLAIMED", asked->reason);
    buf_adds(body, ",\"current_holder\":");
    json_add_text(body, asked->holder);
    buf_adds(body, ",\"generation\":");
    buf_add_int(body, asked->generation);
    control_refuse_end(exchange);
}

static enum ds_status apply_claim(struct batch *batch, struct commit_write *write)
{
    struct claim *claim = (struct claim *)write;
    struct buf *body = &claim->control.exchange->body;
    enum ds_status status = subscription_claim(batch, &claim->asked);

    if (status != DS_OK || claim->asked.verdict != DS_OK)
        return status;
    buf_clear(body); /* now, as long as lack of memory can undo the write */
    subscription_add_claim(body, &claim->asked);
    return buf_failed(body) ? DS_NO_MEMORY : DS_OK;
}

static void finish_claim(struct commit_write *write, enum ds_status status)
{
    struct claim *claim = (struct claim *)write;

    if (status != DS_OK)
        control_refuse_status(claim->control.exchange, status, NULL);
    else if (claim->asked.verdict != DS_OK)
        refuse_claim(claim);
    else
        control_answer(claim->control.exchange, 200);
}

static bool parse_claim(struct claim *claim)
{
    struct control *control = &claim->control;

    claim->asked.name = control->name;
    claim->asked.arena = control->exchange->arena;
    claim->asked.worker = control_text(control, json_get(control->body, "worker"));
    if (!claim->asked.worker || !subscription_is_name(claim->asked.worker))
        control_object(control,
                       "worker must be a name: at most 256 bytes, without control characters");
    return !control_refuse_body(control);
}

void op_subscription_claim(struct ds_exchange *exchange)
{
    struct claim *claim = control_begin(exchange, sizeof *claim);
    enum ds_status status;

    if (!claim || !control_read_body(&claim->control) || !parse_claim(claim))
        return;
    /* workers that poll, or lose a race, cost no write */
    status = subscription_claim_glance(exchange->conn, &claim->asked, clock_wall_ms());
    if (status != DS_OK)
        control_refuse_status(exchange, status, NULL);
    else if (claim->asked.verdict != DS_OK)
        refuse_claim(claim);
    else
        control_submit(&claim->control, apply_claim, finish_claim);
}

/* --- callback, ack, release --- */

struct reply {
    struct control control;
    struct subscription_answer asked;
};

/* The token of `Authorization: Bearer TOKEN`; NULL if there is none. */
static const char *find_token(const struct ds_exchange *exchange)
{
    const char *at = exchange->request.param[PARAM_AUTHORIZATION];

    if (!at || strncasecmp(at, "Bearer ", 7) != 0) /* RFC 9110 section 11.1 */
        return NULL;
    at += 7 + strspn(at + 7, " ");
    return *at ? at : NULL;
}

/* The path that an ack names, as it is, and without slashes at its ends: a stream may have them. */
static void parse_ack_path(struct control *control, struct json_value ack,
                           struct subscription_offset *offset)
{
    struct arena *arena = control->exchange->arena;
    struct json_value value = json_get(ack, "stream");
    const char *text, *full, *reason;

    if (json_kind(value) != JSON_STRING)
        value = json_get(ack, "path");
    text = control_text(control, value);
    if (!text)
        return;
    full = arena_printf(arena, SUBSCRIPTION_ROOT "%s", text);
    reason = path_no_memory;
    offset->path = full ? path_normalize(arena, full, strlen(full), &reason) : NULL;
    control->no_memory |= !offset->path && reason == path_no_memory;
    if (!full || (text[0] != '/' && full[strlen(full) - 1] != '/'))
        return;
    offset->second = control_path_stream(arena, control->exchange->config, text, &reason);
    control->no_memory |= !offset->second && reason == path_no_memory;
}

static void parse_ack_offset(struct control *control, struct json_value ack,
                             struct subscription_offset *offset)
{
    const char *text = control_text(control, json_get(ack, "offset"));

    offset->position = -1;
    if (text && offset_parse(text, strlen(text), &offset->position) != OFFSET_POSITION)
        offset->position = -1; /* "-1" and "now" name no place that was read */
}

static void parse_acks(struct reply *reply)
{
    struct control *control = &reply->control;
    struct json_value array = json_get(control->body, "acks"), ack;
    struct subscription_offset *acks;
    struct json_each each;

    if (json_kind(array) == JSON_NONE)
        return;
    if (json_kind(array) != JSON_ARRAY)
        control_object(control, "acks must be an array of objects");
    acks = arena_zalloc(control->exchange->arena, SUBSCRIPTION_STREAMS_MOST * sizeof *acks);
    control->no_memory |= !acks;
    json_each_init(&each, array);
    while (!control->no_memory && !control->reason && json_each_next(&each, &ack)) {
        if (json_kind(ack) != JSON_OBJECT) {
            control_object(control, "acks must be an array of objects");
        } else if (reply->asked.acks == SUBSCRIPTION_STREAMS_MOST) {
            control_object(control, "a request has at most 1000 acks");
        } else {
            parse_ack_path(control, ack, &acks[reply->asked.acks]);
            parse_ack_offset(control, ack, &acks[reply->asked.acks++]);
        }
    }
    reply->asked.ack = acks;
}

static bool parse_reply(struct reply *reply)
{
    struct control *control = &reply->control;
    int64_t generation;

    reply->asked.name = control->name;
    reply->asked.wake_id = control_text(control, json_get(control->body, "wake_id"));
    reply->asked.generation = -1;
    if (json_integer(json_get(control->body, "generation"), &generation) && generation >= 0)
        reply->asked.generation = generation;
    if (reply->asked.reply != SUBSCRIPTION_RELEASE) {
        parse_acks(reply);
        reply->asked.done = json_is_true(json_get(control->body, "done"));
    }
    return !control_refuse_body(control);
}

static enum ds_status apply_reply(struct batch *batch, struct commit_write *write)
{
    return subscription_answer(batch, &((struct reply *)write)->asked);
}

static void finish_reply(struct commit_write *write, enum ds_status status)
{
    struct reply *reply = (struct reply *)write;
    struct ds_exchange *exchange = reply->control.exchange;
    const struct subscription_answer *asked = &reply->asked;

    if (status != DS_OK) {
        control_refuse_status(exchange, status, NULL);
    } else if (asked->verdict == DS_CONFLICT) {
        control_refuse(exchange, 409, "INVALID_OFFSET", asked->reason);
    } else if (asked->verdict != DS_OK) {
        control_refuse_status(exchange, asked->verdict, asked->reason);
    } else if (asked->reply == SUBSCRIPTION_RELEASE) {
        control_answer_empty(exchange);
    } else {
        buf_adds(&exchange->body, asked->next_wake ? "{\"ok\":true,\"next_wake\":true}"
                                                   : "{\"ok\":true,\"next_wake\":false}");
        control_answer(exchange, 200);
    }
}

static void take_reply(struct ds_exchange *exchange, enum subscription_reply kind)
{
    struct reply *reply = control_begin(exchange, sizeof *reply);

    if (!reply)
        return;
    reply->asked.reply = kind;
    reply->asked.token = find_token(exchange);
    if (!reply->asked.token)
        control_refuse_status(exchange, DS_DENIED, "send Authorization: Bearer, and the token");
    else if (control_read_body(&reply->control) && parse_reply(reply))
        control_submit(&reply->control, apply_reply, finish_reply);
}

void op_subscription_callback(struct ds_exchange *exchange)
{
    take_reply(exchange, SUBSCRIPTION_CALLBACK);
}

void op_subscription_ack(struct ds_exchange *exchange)
{
    take_reply(exchange, SUBSCRIPTION_ACK);
}

void op_subscription_release(struct ds_exchange *exchange)
{
    take_reply(exchange, SUBSCRIPTION_RELEASE);
}
