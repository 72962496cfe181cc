/*
 * A subscription (protocol sections 6.2, 6.3): PUT creates or confirms it, GET and HEAD show it,
 * DELETE ends it.
 *
 * PUT checks the fields in a fixed order and reports the first that is wrong. Whether a webhook may
 * be sent, and is delivered, matters only if the subscription does not exist yet, so that comes
 * last.
 */
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "engine/subscription.h"
#include "engine/subscription_json.h"
#include "exchange/exchange.h"
#include "hints/duty.h"
#include "protocol/glob.h"
#include "protocol/webhook_url.h"
#include "server/op.h"
#include "server/op_control.h"
#include "server/server.h"
#include "store/store.h"

struct put {
    struct control control;
    struct subscription_put asked;
    char kid[WEBHOOK_KID_SIZE]; /* of the key that signs now; "": there is none */
};

/* --- what is asked --- */

static void parse_type(struct put *put)
{
    const char *type = control_text(&put->control, json_get(put->control.body, "type"));

    put->asked.is_webhook = type && strcmp(type, "webhook") == 0;
    if (!put->asked.is_webhook && (!type || strcmp(type, "pull-wake") != 0))
        control_object(&put->control, "type must be \"webhook\" or \"pull-wake\"");
}

/* What is not an array counts as absent, and so does a pattern that is no string, or empty. */
static void parse_watched(struct put *put)
{
    struct control *control = &put->control;
    struct json_value pattern = json_get(control->body, "pattern");
    const char *text = control_text(control, pattern), *reason;

    put->asked.stream =
        control_streams(control, json_get(control->body, "streams"), &put->asked.streams);
    if (json_kind(pattern) == JSON_STRING && !json_is_text(pattern))
        control_object(control, "pattern contains U+0000");
    if (text && text[strspn(text, "/")]) {
        put->asked.pattern = glob_normalize(control->exchange->arena, text, strlen(text), &reason);
        if (!put->asked.pattern)
            control_object(control, reason);
    } else if (put->asked.streams == 0) {
        control_object(control, "a subscription needs a pattern or streams");
    }
}

static void parse_lease(struct put *put)
{
    struct json_value lease = json_get(put->control.body, "lease_ttl_ms");

    put->asked.lease_ttl_ms = SUBSCRIPTION_LEASE_MS;
    if (json_kind(lease) != JSON_NONE && (!json_integer(lease, &put->asked.lease_ttl_ms) ||
                                          put->asked.lease_ttl_ms < SUBSCRIPTION_LEASE_LEAST_MS ||
                                          put->asked.lease_ttl_ms > SUBSCRIPTION_LEASE_MOST_MS))
        control_object(&put->control, "lease_ttl_ms must be an integer from 1000 to 600000");
}

static void parse_delivery(struct put *put)
{
    struct control *control = &put->control;
    struct json_value webhook = json_get(control->body, "webhook");
    const char *text;

    if (put->asked.is_webhook) {
        put->asked.url = control_text(control, json_get(webhook, "url"));
        if (!put->asked.url || !put->asked.url[0])
            control_object(control, "a webhook subscription needs webhook.url");
        else if (strlen(put->asked.url) > SUBSCRIPTION_URL_MOST)
            control_object(control, "webhook.url is longer than 2048 bytes");
        return;
    }
    text = control_text(control, json_get(control->body, "wake_stream"));
    if (text)
        put->asked.wake_stream = control_stream(control, text);
    else
        control_object(control, "a pull-wake subscription needs wake_stream");
}

/* What is not a string counts as absent. */
static void parse_description(struct put *put)
{
    struct json_value value = json_get(put->control.body, "description");

    put->asked.description = control_text(&put->control, value);
    if (json_kind(value) == JSON_STRING && !json_is_text(value))
        control_object(&put->control, "description contains U+0000");
    else if (put->asked.description &&
             strlen(put->asked.description) > SUBSCRIPTION_DESCRIPTION_MOST)
        control_object(&put->control, "description is longer than 1024 bytes");
}

/* Why a new webhook subscription is refused; NULL: it is not. */
static const char *judge_webhook(struct put *put)
{
    const struct ds_exchange *exchange = put->control.exchange;
    const struct config *config = exchange->config;
    const struct webhook_rules rules = {.local = config->webhook_local != 0,
                                        .allow = config->webhook_allow,
                                        .deny = config->webhook_deny};
    const char *reason;

    put->asked.unfit = DS_INVALID;
    if (!config->webhooks)
        return "webhooks are switched off (DS_WEBHOOKS=off); use type \"pull-wake\"";
    reason = webhook_url_check(put->asked.url, &rules);
    if (reason) {
        put->asked.unfit = DS_FORBIDDEN;
        return reason;
    }
    if (!duty_delivers(store_hints(exchange->server->engine.store), clock_wall_ms()))
        return "no process delivers webhooks: start durable-streams.fcgi --deliver";
    if (!put->kid[0])
        return "there is no key yet that signs webhooks, try again in a moment";
    put->asked.unfit = DS_OK;
    return NULL;
}

static bool parse_put(struct put *put)
{
    struct ds_exchange *exchange = put->control.exchange;

    put->asked.name = put->control.name;
    put->asked.arena = exchange->arena;
    put->asked.most = exchange->config->max_subscriptions;
    put->asked.base_url = http_request_base(&exchange->request, exchange->arena, exchange->config);
    put->control.no_memory = !put->asked.base_url;
    parse_type(put);
    parse_watched(put);
    parse_lease(put);
    parse_delivery(put);
    parse_description(put);
    if (control_refuse_body(&put->control))
        return false;
    if (put->asked.is_webhook)
        put->asked.unfit_reason = judge_webhook(put);
    return true;
}

/* Reads the id of the key that signs now; "" if there is none. */
static enum ds_status read_kid(struct ds_exchange *exchange, char kid[static WEBHOOK_KID_SIZE])
{
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    const struct webhook_key *key;
    size_t n;
    enum ds_status status = store_webhook_keys(exchange->conn, keys, &n);

    kid[0] = '\0';
    if (status != DS_OK)
        return status;
    key = subscription_signing_key(keys, n, clock_wall_ms());
    if (key)
        memcpy(kid, key->kid, WEBHOOK_KID_SIZE);
    return DS_OK;
}

/* --- PUT --- */

static enum ds_status apply_put(struct batch *batch, struct commit_write *write)
{
    struct put *put = (struct put *)write;
    struct buf *body = &put->control.exchange->body;
    enum ds_status status = subscription_put(batch, &put->asked);

    if (status != DS_OK || put->asked.verdict != DS_OK)
        return status;
    buf_clear(body); /* now, as long as lack of memory can undo the write */
    subscription_add_json(body, &put->asked.view, put->kid[0] ? put->kid : NULL);
    return buf_failed(body) ? DS_NO_MEMORY : DS_OK;
}

static void finish_put(struct commit_write *write, enum ds_status status)
{
    struct put *put = (struct put *)write;

    if (status == DS_OK && put->asked.verdict == DS_OK)
        control_answer(put->control.exchange, put->asked.created ? 201 : 200);
    else
        control_refuse_status(put->control.exchange, status == DS_OK ? put->asked.verdict : status,
                              status == DS_OK ? put->asked.reason : NULL);
}

void op_subscription_put(struct ds_exchange *exchange)
{
    struct put *put = control_begin(exchange, sizeof *put);
    enum ds_status status;

    if (!put || !control_read_body(&put->control))
        return;
    status = read_kid(exchange, put->kid);
    if (status != DS_OK)
        control_refuse_status(exchange, status, NULL);
    else if (parse_put(put))
        control_submit(&put->control, apply_put, finish_put);
}

/* --- GET, HEAD --- */

void op_subscription_get(struct ds_exchange *exchange)
{
    struct control *control = control_begin(exchange, sizeof *control);
    struct subscription_view view;
    char kid[WEBHOOK_KID_SIZE] = "";
    enum ds_status status;

    if (!control)
        return;
    status = subscription_read(exchange->conn, exchange->arena, control->name, &view);
    if (status == DS_OK && view.row.is_webhook)
        status = read_kid(exchange, kid);
    if (status != DS_OK) {
        control_refuse_status(exchange, status, NULL);
        return;
    }
    subscription_add_json(&exchange->body, &view, kid[0] ? kid : NULL);
    control_answer(exchange, 200);
}

/* --- DELETE --- */

struct ending {
    struct control control;
    struct subscription_delete asked;
};

static enum ds_status apply_ending(struct batch *batch, struct commit_write *write)
{
    return subscription_delete(batch, &((struct ending *)write)->asked);
}

/* 204 also if there was none: a repeated DELETE has the same answer. */
static void finish_ending(struct commit_write *write, enum ds_status status)
{
    struct ending *ending = (struct ending *)write;

    if (status == DS_OK)
        control_answer_empty(ending->control.exchange);
    else
        control_refuse_status(ending->control.exchange, status, NULL);
}

void op_subscription_delete(struct ds_exchange *exchange)
{
    struct ending *ending = control_begin(exchange, sizeof *ending);

    if (!ending)
        return;
    ending->asked.name = ending->control.name;
    ending->control.write.makes_room = true;
    control_submit(&ending->control, apply_ending, finish_ending);
}
