/*
 * PUT: create a stream or a fork (protocol sections 4.2, 5.1). The same PUT again is answered 200.
 * stream_create() decides everything that depends on existing streams, inside the transaction.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digits.h"
#include "config/config.h"
#include "engine/stream_write.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "protocol/expiry.h"
#include "protocol/offset.h"
#include "server/op.h"
#include "server/server.h"

#define SUB_OFFSET_MAX INT64_C(9007199254740991)

enum { MOST_ORIGIN = 300 }; /* bytes of scheme, host and port that a request can name */

struct create {
    struct commit_write write;
    struct stream_create asked;
    struct ds_exchange *exchange;
};

/* --- the request by itself --- */

static const char *parse_expiry(struct stream_create *asked, const struct http_request *request)
{
    const char *ttl = request->param[PARAM_STREAM_TTL];
    const char *expires = request->param[PARAM_STREAM_EXPIRES_AT];

    asked->ttl_seconds = asked->expires_at = -1;
    if (ttl && expires)
        return "send Stream-TTL or Stream-Expires-At, not both";
    if (ttl && !expiry_parse_ttl(ttl, &asked->ttl_seconds))
        return "Stream-TTL must be a number of seconds";
    if (expires && !clock_parse_time(expires, &asked->expires_at))
        return "Stream-Expires-At must be an RFC 3339 time";
    if (expires && asked->expires_at < 1)
        asked->expires_at = 1; /* long ago; 0 stands for never */
    return NULL;
}

static const char no_memory[] = "out of memory"; /* in the words of path_normalize() */

static const char *parse_fork(struct stream_create *asked, struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    const char *source = request->param[PARAM_STREAM_FORKED_FROM];
    const char *offset = request->param[PARAM_STREAM_FORK_OFFSET];
    const char *sub = request->param[PARAM_STREAM_FORK_SUB_OFFSET];
    const char *reason;

    asked->fork_offset = -1;
    if (!source)
        return offset || sub ? "Stream-Fork-Offset and Stream-Fork-Sub-Offset need "
                               "Stream-Forked-From"
                             : NULL;
    asked->source =
        http_request_sibling(request, exchange->arena, exchange->config, source, &reason);
    if (!asked->source)
        return strcmp(reason, no_memory) == 0 ? no_memory
                                              : "Stream-Forked-From must be the path of a stream";
    if (offset && offset_parse(offset, strlen(offset), &asked->fork_offset) != OFFSET_POSITION)
        return "Stream-Fork-Offset is malformed";
    if (sub && ((sub[0] == '0' && sub[1]) ||
                !digits_parse(sub, strlen(sub), SUB_OFFSET_MAX, &asked->fork_sub_offset)))
        return "Stream-Fork-Sub-Offset must be a whole number";
    return NULL;
}

/* DS_OK, or the status to answer with and its *reason. */
static enum ds_status parse_create(struct stream_create *asked, struct ds_exchange *exchange,
                                   const char **reason)
{
    const struct http_request *request = &exchange->request;
    const char *type = request->param[PARAM_CONTENT_TYPE];

    *reason = NULL;
    asked->path = request->path;
    asked->content_type = type;
    asked->body.data = request->body;
    asked->body.len = request->body_len;
    asked->body.max_messages = exchange->config->max_messages;
    asked->arena = exchange->arena;
    asked->closed = http_request_closes(request);
    if (type && !http_type_is_valid(type))
        *reason = "Content-Type is malformed";
    if (!*reason)
        *reason = parse_expiry(asked, request);
    if (!*reason)
        *reason = parse_fork(asked, exchange);
    if (*reason)
        return *reason == no_memory ? DS_NO_MEMORY : DS_INVALID;
    if (request->body_len > 0 && type && http_type_kind(type) == HTTP_TYPE_JSON) {
        stream_body_check_json(&asked->body);
        *reason = asked->body.reason;
        return asked->body.verdict;
    }
    return DS_OK;
}

/* Reserves room for the answer, which repeats the stream's type and the whole URL. */
static bool reserve_answer(const struct create *create)
{
    struct ds_exchange *exchange = create->exchange;

    return exchange_reserve(exchange, strlen(create->asked.stream.content_type) +
                                          strlen(exchange->request.prefix) +
                                          strlen(exchange->config->base_url) + MOST_ORIGIN);
}

static enum ds_status apply_create(struct batch *batch, struct commit_write *write)
{
    struct create *create = (struct create *)write;
    enum ds_status status = stream_create(batch, &create->asked);

    if (status == DS_OK && create->asked.verdict == DS_OK && !reserve_answer(create))
        return DS_NO_MEMORY;
    return status;
}

/* --- the answer --- */

static void answer_create(struct ds_exchange *exchange, const struct stream_create *asked)
{
    const struct http_request *request = &exchange->request;
    const struct stream *stream = &asked->stream;
    struct buf *head = &exchange->head;
    const char *url;

    if (asked->verdict != DS_OK) {
        exchange_refuse(exchange, exchange_http_status(asked->verdict), asked->reason);
        return;
    }
    exchange_answer(exchange, asked->created ? 201 : 200);
    if (asked->created) { /* some web servers turn a 200 with Location into a redirect */
        url = http_request_url(request, exchange->arena, exchange->config);
        http_add(head, "Location", url ? url : request->path);
    }
    http_add(head, "Content-Type", stream->content_type);
    http_add_offset(head, stream->tail);
    if (stream->closed_at != 0)
        http_add(head, "Stream-Closed", "true");
    http_add(head, "Cache-Control", "no-store");
    http_end(head, 0);
}

static void finish_create(struct commit_write *write, enum ds_status status)
{
    struct create *create = (struct create *)write;
    struct ds_exchange *exchange = create->exchange;

    if (status == DS_OK)
        answer_create(exchange, &create->asked);
    else
        exchange_refuse_status(exchange, status);
    exchange_finish(exchange);
}

void op_create(struct ds_exchange *exchange)
{
    struct create *create = arena_zalloc(exchange->arena, sizeof *create);
    enum ds_status status;
    const char *reason;

    if (!create || !exchange_reserve(exchange, 0)) {
        exchange_answer_no_memory(exchange);
        return;
    }
    status = parse_create(&create->asked, exchange, &reason);
    if (status != DS_OK) {
        exchange_refuse(exchange, exchange_http_status(status), reason);
        exchange_finish(exchange);
        return;
    }
    create->write.apply = apply_create;
    create->write.finish = finish_create;
    create->write.bytes = exchange->request.body_len;
    create->write.kill_after = exchange->request.param[PARAM_TEST_KILL] != NULL;
    create->exchange = exchange;
    commit_submit(exchange->server->engine.commit, &create->write);
}
