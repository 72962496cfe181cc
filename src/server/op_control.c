/* What the operations below /v1/stream/__ds share: see op_control.h. */
#include "server/op_control.h"

#include "base/arena.h"
#include "base/buf.h"
#include "engine/subscription.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "protocol/json_string.h"
#include "protocol/path.h"
#include "server/control_path.h"
#include "server/server.h"

enum {
    LONG_BODY = 64 * 1024, /* bytes of JSON whose check is worth yielding the slot for */
    SHORT_ANSWER = 256     /* bytes of an answer's body whose length is known beforehand */
};

/* --- answers --- */

void control_answer_empty(struct ds_exchange *exchange)
{
    exchange_answer(exchange, 204);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_end(&exchange->head, -1);
    exchange_finish(exchange);
}

void control_answer(struct ds_exchange *exchange, int status)
{
    exchange_answer(exchange, status);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_add(&exchange->head, "Content-Type", "application/json");
    http_end(&exchange->head, (int64_t)exchange->body.len);
    exchange_finish(exchange);
}

void control_refuse_begin(struct ds_exchange *exchange, int status, const char *code,
                          const char *message)
{
    exchange->refused = true;
    exchange_answer(exchange, status);
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_add(&exchange->head, "Content-Type", "application/json");
    buf_clear(&exchange->body);
    buf_printf(&exchange->body, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    json_add_text(&exchange->body, message);
}

void control_refuse_end(struct ds_exchange *exchange)
{
    buf_adds(&exchange->body, "}}");
    http_end(&exchange->head, (int64_t)exchange->body.len);
    exchange_finish(exchange);
}

void control_refuse(struct ds_exchange *exchange, int status, const char *code, const char *message)
{
    control_refuse_begin(exchange, status, code, message);
    control_refuse_end(exchange);
}

/* The codes of sections 6 and 7, and ours for what they do not name. */
static const struct {
    int http;
    const char *code;
    const char *message; /* NULL: that of exchange_reason() */
} refusals[] = {
    [DS_INVALID] = {400, "INVALID_REQUEST", NULL},
    [DS_NOT_FOUND] = {404, "SUBSCRIPTION_NOT_FOUND", "there is no such subscription"},
    [DS_FORBIDDEN] = {400, "WEBHOOK_URL_REJECTED", "webhooks may not be sent to this URL"},
    [DS_CONFLICT] = {409, "SUBSCRIPTION_ALREADY_EXISTS", NULL},
    [DS_FENCED] = {409, "FENCED", "a newer wake was made, or the lease is over"},
    [DS_CLAIMED] = {409, "ALREADY_CLAIMED", NULL},
    [DS_IDLE] = {409, "NO_PENDING_WORK", NULL},
    [DS_DENIED] = {401, "TOKEN_INVALID", NULL},
    [DS_TOO_LARGE] = {413, "REQUEST_TOO_LARGE", NULL},
    [DS_BUSY] = {503, "UNAVAILABLE", NULL},
    [DS_NO_MEMORY] = {503, "UNAVAILABLE", NULL},
    [DS_NO_SPACE] = {507, "STORAGE_FULL", NULL},
    [DS_FAILED] = {500, "INTERNAL_ERROR", NULL},
};

void control_refuse_status(struct ds_exchange *exchange, enum ds_status status, const char *message)
{
    struct buf *head = &exchange->head;

    if ((size_t)status >= sizeof refusals / sizeof *refusals || !refusals[status].code)
        status = DS_FAILED; /* no operation returns another one */
    if (!message)
        message = refusals[status].message;
    control_refuse_begin(exchange, refusals[status].http, refusals[status].code,
                         message ? message : exchange_reason(status));
    if (refusals[status].http == 503)
        http_add(head, "Retry-After", "1");
    else if (refusals[status].http == 401)
        http_add(head, "WWW-Authenticate", "Bearer"); /* RFC 9110 section 11.6.1 */
    control_refuse_end(exchange);
}

/* --- the request --- */

void *control_begin(struct ds_exchange *exchange, size_t size)
{
    struct control *control = arena_zalloc(exchange->arena, size);

    if (!control || !exchange_reserve(exchange, 0) || !buf_reserve(&exchange->body, SHORT_ANSWER)) {
        control_refuse_status(exchange, DS_NO_MEMORY, NULL);
        return NULL;
    }
    control->exchange = exchange;
    control->name = control_path_name(exchange->arena, exchange->request.path);
    if (!control->name) {
        control_refuse_status(exchange, DS_NO_MEMORY, NULL);
        return NULL;
    }
    if (!subscription_is_name(control->name)) {
        control_refuse_status(exchange, DS_INVALID,
                              "an ID has at most 256 bytes of UTF-8, and no control characters");
        return NULL;
    }
    return control;
}

bool control_read_body(struct control *control)
{
    struct ds_exchange *exchange = control->exchange;
    const char *text = exchange->request.body_len > 0 ? exchange->request.body : "{}";
    size_t len = exchange->request.body_len > 0 ? exchange->request.body_len : 2;

    if (len > CONTROL_BODY_MOST) {
        control_refuse_status(exchange, DS_TOO_LARGE, NULL);
        return false;
    }
    if (len > LONG_BODY)
        exchange_yield_slot(exchange);
    control->reason = json_precheck(text, len);
    if (!control->reason && !json_is_valid(text, len))
        control->reason = "the body is not JSON";
    if (!control->reason) {
        control->body = json_value_of(text, len);
        if (json_kind(control->body) != JSON_OBJECT)
            control->reason = "the body must be a JSON object";
    }
    return !control_refuse_body(control);
}

bool control_refuse_body(struct control *control)
{
    if (!control->no_memory && !control->reason)
        return false;
    if (control->no_memory)
        control_refuse_status(control->exchange, DS_NO_MEMORY, NULL);
    else
        control_refuse_status(control->exchange, DS_INVALID, control->reason);
    return true;
}

void control_object(struct control *control, const char *reason)
{
    if (reason == path_no_memory)
        control->no_memory = true;
    else if (!control->reason)
        control->reason = reason;
}

const char *control_text(struct control *control, struct json_value value)
{
    const char *text = json_text(control->exchange->arena, value);

    if (!text && json_is_text(value))
        control->no_memory = true;
    return text;
}

const char *control_stream(struct control *control, const char *text)
{
    struct ds_exchange *exchange = control->exchange;
    const char *reason;
    const char *path = control_path_stream(exchange->arena, exchange->config, text, &reason);

    if (!path)
        control_object(control, reason);
    return path;
}

const char *const *control_streams(struct control *control, struct json_value array, size_t *n)
{
    const char **streams =
        arena_alloc(control->exchange->arena, SUBSCRIPTION_STREAMS_MOST * sizeof *streams);
    struct json_value value;
    struct json_each each;

    *n = 0;
    control->no_memory |= !streams;
    json_each_init(&each, array);
    while (!control->no_memory && !control->reason && json_each_next(&each, &value)) {
        const char *text = control_text(control, value);

        if (*n == SUBSCRIPTION_STREAMS_MOST)
            control_object(control, "a request has at most 1000 streams");
        else if (text)
            streams[(*n)++] = control_stream(control, text);
        else
            control_object(control, "streams must be an array of paths");
    }
    return streams;
}

void control_submit(struct control *control,
                    enum ds_status (*apply)(struct batch *batch, struct commit_write *write),
                    void (*finish)(struct commit_write *write, enum ds_status status))
{
    const struct http_request *request = &control->exchange->request;

    control->write.apply = apply;
    control->write.finish = finish;
    control->write.bytes = request->body_len;
    control->write.kill_after = request->param[PARAM_TEST_KILL] != NULL;
    commit_submit(control->exchange->server->engine.commit, &control->write);
}
