/* Bodies as messages: see op_body.h. */
#include "op_body.h"

#include "config.h"
#include "http_request.h"
#include "json.h"

const char *op_body_check_json(const struct config *config, const struct http_request *request,
                               int *status)
{
    const char *reason = json_precheck(request->body, request->body_len), *message;
    struct json_split split;
    int64_t messages = 0;
    size_t len;

    *status = 400;
    if (reason)
        return reason;
    if (!json_is_valid(request->body, request->body_len))
        return "the body is not valid JSON";
    json_split_init(&split, request->body, request->body_len);
    while (json_split_next(&split, &message, &len))
        messages++;
    if (messages <= config->max_messages)
        return NULL;
    *status = 413;
    return "too many messages in one request";
}

bool op_body_is_empty_json(const struct http_request *request)
{
    struct json_split split;
    const char *message;
    size_t len;

    json_split_init(&split, request->body, request->body_len);
    return !json_split_next(&split, &message, &len);
}

enum ds_status op_body_append(struct batch *batch, struct stream *stream,
                              const struct http_request *request)
{
    struct json_split split;
    const char *message;
    size_t len;
    enum ds_status status = DS_OK;

    if (stream->kind != HTTP_TYPE_JSON)
        return store_append(batch->conn, stream, request->body, request->body_len, batch->now);
    json_split_init(&split, request->body, request->body_len);
    while (status == DS_OK && json_split_next(&split, &message, &len))
        status = store_append(batch->conn, stream, message, len, batch->now);
    return status;
}
