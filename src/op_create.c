/*
 * PUT: create a stream or a fork (protocol sections 4.2, 5.1).
 *
 * Idempotent: the same PUT again answers 200, one that asks for anything else 409. For a fork the
 * same holds of its source, offset and sub-offset; what it inherits (type, expiry) may be left out
 * again. A body only counts when the stream is made.
 */
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "commit.h"
#include "config.h"
#include "digits.h"
#include "expiry.h"
#include "gateway.h"
#include "http_response.h"
#include "offset.h"
#include "op.h"
#include "op_body.h"
#include "server.h"

#define DEFAULT_TYPE   "application/octet-stream"
#define SUB_OFFSET_MAX INT64_C(9007199254740991)

struct create {
    struct write write;
    struct ds_exchange *exchange;
    const char *content_type; /* NULL: not sent */
    int64_t ttl_seconds;      /* -1: not sent */
    int64_t expires_at;       /* -1: not sent */
    const char *source;       /* path of the source, NULL: no fork */
    int64_t fork_offset;      /* -1: not sent, the source's tail */
    int64_t fork_sub_offset;
    bool closed;
    bool json_checked; /* the body was looked at before the transaction */

    /* set by apply() */
    int status;         /* of the answer */
    const char *reason; /* where it is an error */
    struct stream stream;
};

static enum ds_status refuse(struct create *create, int status, const char *reason)
{
    create->status = status;
    create->reason = reason;
    return DS_OK;
}

/* The answer names the type, and outlives the batch. */
static enum ds_status keep_type(struct create *create)
{
    const char *type = create->stream.content_type;

    create->stream.content_type = arena_strndup(create->exchange->arena, type, strlen(type));
    return create->stream.content_type ? DS_OK : DS_NO_MEMORY;
}

/* --- the request alone --- */

static const char *parse_expiry(struct create *create, const struct http_request *request)
{
    const char *ttl = request->param[PARAM_STREAM_TTL];
    const char *expires = request->param[PARAM_STREAM_EXPIRES_AT];

    create->ttl_seconds = create->expires_at = -1;
    if (ttl && expires)
        return "send Stream-TTL or Stream-Expires-At, not both";
    if (ttl && !expiry_parse_ttl(ttl, &create->ttl_seconds))
        return "Stream-TTL must be a number of seconds";
    if (expires && !expiry_parse_time(expires, &create->expires_at))
        return "Stream-Expires-At must be an RFC 3339 time";
    if (expires && create->expires_at < 1)
        create->expires_at = 1; /* long ago; 0 stands for never */
    return NULL;
}

static const char *parse_fork(struct create *create, struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    const char *source = request->param[PARAM_STREAM_FORKED_FROM];
    const char *offset = request->param[PARAM_STREAM_FORK_OFFSET];
    const char *sub = request->param[PARAM_STREAM_FORK_SUB_OFFSET];
    const char *reason;

    create->fork_offset = -1;
    if (!source)
        return offset || sub ? "Stream-Fork-Offset and Stream-Fork-Sub-Offset need "
                               "Stream-Forked-From"
                             : NULL;
    create->source =
        http_request_sibling(request, exchange->arena, exchange->server->config, source, &reason);
    if (!create->source)
        return "Stream-Forked-From must be the path of a stream";
    if (offset && offset_parse(offset, strlen(offset), &create->fork_offset) != OFFSET_POSITION)
        return "Stream-Fork-Offset is malformed";
    if (sub && ((sub[0] == '0' && sub[1]) ||
                !digits_parse(sub, strlen(sub), SUB_OFFSET_MAX, &create->fork_sub_offset)))
        return "Stream-Fork-Sub-Offset must be a whole number";
    return NULL;
}

/* NULL, or a reason for *status. */
static const char *parse(struct create *create, struct ds_exchange *exchange, int *status)
{
    const struct http_request *request = &exchange->request;
    const char *reason;

    *status = 400;
    create->content_type = request->param[PARAM_CONTENT_TYPE];
    if (create->content_type && !http_type_is_valid(create->content_type))
        return "Content-Type is malformed";
    reason = parse_expiry(create, request);
    if (!reason)
        reason = parse_fork(create, exchange);
    if (!reason && request->body_len > 0 && create->content_type &&
        http_type_kind(create->content_type) == HTTP_TYPE_JSON) {
        reason = op_body_check_json(exchange->server->config, request, status);
        create->json_checked = true;
    }
    create->closed = http_request_closes(request);
    return reason;
}

/* --- the same PUT again? --- */

static bool same_expiry(const struct create *create, const struct stream *stream,
                        const struct stream *source)
{
    int64_t ttl = create->ttl_seconds, expires = create->expires_at;

    if (ttl < 0 && expires < 0 && source) { /* as inherited */
        ttl = source->ttl_seconds;
        expires = source->ttl_seconds < 0 && source->expires_at != 0 ? source->expires_at : -1;
    }
    if (ttl != stream->ttl_seconds)
        return false;
    return ttl >= 0 || (expires < 0 ? stream->expires_at == 0 : stream->expires_at == expires);
}

/* source: the row that the existing stream was forked from, NULL if it is no fork. */
static bool same_config(const struct create *create, const struct stream *stream,
                        const struct stream *source)
{
    const char *type = create->content_type;

    if (!type && !create->source)
        type = DEFAULT_TYPE;
    if (!create->source != !source)
        return false;
    if (source && (strcmp(create->source, source->path) != 0 ||
                   (create->fork_offset >= 0 && create->fork_offset != stream->fork_offset) ||
                   create->fork_sub_offset != stream->fork_sub_offset))
        return false;
    return (!type || http_type_matches(type, stream->content_type)) &&
           create->closed == (stream->closed_at != 0) && same_expiry(create, stream, source);
}

static enum ds_status answer_existing(struct batch *batch, struct create *create,
                                      const struct stream *stream)
{
    struct stream source;
    enum ds_status status = DS_OK;

    if (stream->source_id != 0)
        status = store_load_id(batch->conn, batch->arena, stream->source_id, &source);
    if (status != DS_OK)
        return status == DS_NOT_FOUND ? DS_FAILED : status;
    if (!same_config(create, stream, stream->source_id != 0 ? &source : NULL))
        return refuse(create, 409, "the stream exists with another configuration");
    create->status = 200;
    create->stream = *stream;
    return keep_type(create);
}

/* --- making it --- */

/* Fills in what a fork gets from its source (the table of section 4.2). */
static enum ds_status inherit(struct batch *batch, struct create *create, struct stream *stream)
{
    struct stream source;
    enum ds_status status =
        store_find(batch->conn, batch->arena, create->source, batch->now, &source);

    if (status == DS_NOT_FOUND)
        return refuse(create, 404, "there is no stream at Stream-Forked-From");
    if (status == DS_GONE)
        return refuse(create, 409, "the stream at Stream-Forked-From was deleted");
    if (status != DS_OK)
        return status;
    if (create->content_type && !http_type_matches(create->content_type, source.content_type))
        return refuse(create, 409, "the Content-Type is not the source's");
    stream->source_id = source.id;
    stream->fork_offset = create->fork_offset >= 0 ? create->fork_offset : source.tail;
    stream->fork_sub_offset = create->fork_sub_offset;
    status = store_resolve(batch->conn, &source, stream->fork_offset, create->fork_sub_offset,
                           &stream->fork_position);
    if (status == DS_INVALID)
        return refuse(create, 400, "there is no such place in the source to fork from");
    if (!create->content_type)
        stream->content_type = source.content_type;
    stream->tail = stream->fork_position;
    if (create->ttl_seconds < 0 && create->expires_at < 0) {
        stream->ttl_seconds = source.ttl_seconds;
        stream->expires_at = source.ttl_seconds < 0 ? source.expires_at : 0;
    }
    return status;
}

/* The first messages. A body of unchecked JSON (a fork that inherits its type) is checked here. */
static enum ds_status fill(struct batch *batch, struct create *create, struct stream *stream)
{
    const struct http_request *request = &create->exchange->request;
    const char *reason;
    enum ds_status status;
    int refusal;

    if (request->body_len == 0)
        return DS_OK;
    if (stream->kind == HTTP_TYPE_JSON && !create->json_checked) {
        reason = op_body_check_json(create->exchange->server->config, request, &refusal);
        if (reason)
            return refuse(create, refusal, reason);
    }
    status = store_insert(batch->conn, stream);
    if (status == DS_OK)
        status = op_body_append(batch, stream, request);
    if (status == DS_OK)
        status = store_update(batch->conn, stream);
    return status;
}

static enum ds_status make(struct batch *batch, struct create *create)
{
    struct stream *stream = &create->stream;
    enum ds_status status = DS_OK;

    *stream = (struct stream){
        .path = create->exchange->request.path,
        .content_type = create->content_type ? create->content_type : DEFAULT_TYPE,
        .created_at = batch->now,
        .ttl_seconds = create->ttl_seconds,
        .expires_at = create->expires_at < 0 ? 0 : create->expires_at,
        .closed_at = create->closed ? batch->now : 0,
    };
    create->status = 201;
    if (create->source)
        status = inherit(batch, create, stream);
    if (status != DS_OK || create->reason)
        return status;
    stream->kind = http_type_kind(stream->content_type);
    if (stream->ttl_seconds >= 0)
        stream->expires_at = batch->now + stream->ttl_seconds * 1000;
    status = keep_type(create);
    if (status != DS_OK)
        return status;
    status = fill(batch, create, stream);
    if (status == DS_OK && !create->reason && stream->id == 0)
        status = store_insert(batch->conn, stream);
    return status;
}

static enum ds_status apply(struct batch *batch, struct write *write)
{
    struct create *create = (struct create *)write;
    const char *path = create->exchange->request.path;
    struct stream *stream;
    enum ds_status status = batch_find(batch, path, &stream);

    create->reason = NULL;
    if (status == DS_OK)
        return answer_existing(batch, create, stream);
    if (status == DS_GONE)
        return refuse(create, 409, "a stream of this path was deleted, but forks still read it");
    if (status != DS_NOT_FOUND)
        return status;
    status = batch_flush(batch);              /* the source may be among the changed ones */
    if (status == DS_OK && stream->id != 0) { /* an expired one is in the way */
        batch_ended(batch, stream->id);
        status = store_delete(batch->conn, stream, batch->now);
    }
    return status == DS_OK ? make(batch, create) : status;
}

/* --- the answer --- */

static void answer(struct create *create)
{
    struct ds_exchange *exchange = create->exchange;
    const struct http_request *request = &exchange->request;
    struct buf *head = &exchange->head;
    const char *url;

    if (create->reason) {
        http_refuse(exchange, create->status, create->reason);
        return;
    }
    http_begin(head, exchange->server->config, create->status);
    if (create->status == 201) { /* some servers make a redirect of a 200 with Location */
        url = http_request_url(request, exchange->arena, exchange->server->config);
        http_add(head, "Location", url ? url : request->path);
    }
    http_add(head, "Content-Type", create->stream.content_type);
    http_add_offset(head, create->stream.tail);
    if (create->stream.closed_at != 0)
        http_add(head, "Stream-Closed", "true");
    http_add(head, "Cache-Control", "no-store");
    http_end(head, 0);
}

static void finish(struct write *write, enum ds_status status)
{
    struct create *create = (struct create *)write;
    struct ds_exchange *exchange = create->exchange;

    if (status == DS_OK)
        answer(create);
    else
        http_refuse_status(exchange, status);
    exchange_finish(exchange);
}

void op_create(struct ds_exchange *exchange)
{
    struct create *create = arena_zalloc(exchange->arena, sizeof *create);
    const char *reason;
    int status;

    if (!create) {
        exchange_drop(exchange);
        return;
    }
    reason = parse(create, exchange, &status);
    if (reason) {
        http_refuse(exchange, status, reason);
        exchange_finish(exchange);
        return;
    }
    create->write.apply = apply;
    create->write.finish = finish;
    create->write.bytes = exchange->request.body_len;
    create->write.kill_after = exchange->request.param[PARAM_TEST_KILL] != NULL;
    create->exchange = exchange;
    commit_submit(exchange->server->commit, &create->write);
}
