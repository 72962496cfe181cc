/* Bodies as messages: see stream_body.h. */
#include "engine/stream_body.h"

#include "protocol/json.h"

static enum ds_status refuse_body(struct stream_body *body, enum ds_status verdict,
                                  const char *reason)
{
    body->reason = reason;
    return verdict;
}

static enum ds_status check_body(struct stream_body *body)
{
    const char *reason = json_precheck(body->data, body->len), *message;
    struct json_split split;
    int64_t messages = 0;
    size_t len;

    if (reason)
        return refuse_body(body, DS_INVALID, reason);
    if (!json_is_valid(body->data, body->len))
        return refuse_body(body, DS_INVALID, "the body is not valid JSON");
    json_split_init(&split, body->data, body->len);
    while (json_split_next(&split, &message, &len))
        messages++;
    if (messages > body->max_messages)
        return refuse_body(body, DS_TOO_LARGE, "too many messages in one request");
    return refuse_body(body, DS_OK, NULL);
}

void stream_body_check_json(struct stream_body *body)
{
    if (!body->checked)
        body->verdict = check_body(body);
    body->checked = true;
}

bool stream_body_is_empty_json(const struct stream_body *body)
{
    struct json_split split;
    const char *message;
    size_t len;

    json_split_init(&split, body->data, body->len);
    return !json_split_next(&split, &message, &len);
}

enum ds_status stream_body_append(struct batch *batch, struct stream *stream,
                                  const struct stream_body *body)
{
    struct json_split split;
    const char *message;
    size_t len;
    enum ds_status status = DS_OK;

    if (stream->kind != HTTP_TYPE_JSON)
        return store_append(batch->conn, stream, body->data, body->len, batch->now);
    json_split_init(&split, body->data, body->len);
    while (status == DS_OK && json_split_next(&split, &message, &len))
        status = store_append(batch->conn, stream, message, len, batch->now);
    return status;
}
