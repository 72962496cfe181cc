/* Bodies as messages: see op_body.h. */
#include "op_body.h"

#include "http_request.h"
#include "json.h"

const char *op_body_check_json(struct store_conn *conn, const struct http_request *request)
{
    const char *reason = json_precheck(request->body, request->body_len);
    bool valid = false;

    if (reason)
        return reason;
    if (store_json_valid(conn, request->body, request->body_len, &valid) != DS_OK || !valid)
        return "the body is not valid JSON";
    return NULL;
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
