/*
 * GET (protocol sections 5.6 to 5.8, 8, 10). A catch-up read is answered here, and so is a
 * long-poll that finds data. A long-poll that finds none, and every SSE read, goes to the live
 * desk.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "config/config.h"
#include "engine/upkeep.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_gzip.h"
#include "http/http_query.h"
#include "live/live.h"
#include "live/live_encode.h"
#include "live/read_head.h"
#include "protocol/cursor.h"
#include "protocol/expiry.h"
#include "protocol/fault.h"
#include "protocol/offset.h"
#include "server/op.h"
#include "server/server.h"
#include "store/store.h"

/* Bytes that are worth yielding the worker slot for: to read, and to compress. */
enum { LONG_READ = 64 * 1024, LONG_PACK = 8 * 1024 };

enum mode { CATCH_UP, LONG_POLL, SSE };

/* The parsed query of a GET. */
struct read_request {
    enum mode mode;
    enum offset_kind kind;  /* of the offset */
    int64_t from;           /* its position; for OFFSET_NOW the tail, once it is known */
    int64_t cursor;         /* the client's, or -1 */
    bool resumed;           /* from is an EventSource's Last-Event-ID, see sse.c */
    struct store_span span; /* of the data, once it is read */
};

/* What follows the look at the stream. */
enum outcome {
    HAS_DATA,  /* an answer with it, which may be empty: 200 or 304 */
    HAS_ENDED, /* an answer without any: 204 */
    MUST_WAIT, /* the live desk has the reader */
};

/*
 * A browser's EventSource reconnects to its original URL, and says in Last-Event-ID how far it has
 * read. A value that is not an offset is ignored, because EventSource would give up after a 400.
 */
static void take_last_event_id(const struct ds_exchange *exchange, struct read_request *read)
{
    const char *id = exchange->request.param[PARAM_LAST_EVENT_ID];
    int64_t from;

    if (id && offset_parse(id, strlen(id), &from) == OFFSET_POSITION) {
        read->kind = OFFSET_POSITION;
        read->from = from;
        read->resumed = true;
    }
}

static const char no_memory[] = "out of memory, try again";

/* Parses the query. NULL, or the reason for a 400, or no_memory for a 503. */
static const char *parse_query(struct ds_exchange *exchange, struct read_request *read)
{
    struct arena *arena = exchange->arena;
    const char *query = exchange->request.query;
    size_t len;
    unsigned count;
    const char *offset, *live, *cursor;

    live = http_query_get(arena, query, "live", &len, &count);
    if (count > 1)
        return "live must be given once";
    if (count > 0 && !live)
        return no_memory;
    if (live && strcmp(live, "long-poll") == 0)
        read->mode = LONG_POLL;
    else if (live && strcmp(live, "sse") == 0)
        read->mode = SSE;
    else if (live)
        return "live must be long-poll or sse";
    offset = http_query_get(arena, query, "offset", &len, &count);
    if (count > 1)
        return "offset must be given once";
    if (count > 0 && !offset)
        return no_memory;
    if (!offset && read->mode != CATCH_UP)
        return "a live read needs an offset";
    read->kind = offset ? offset_parse(offset, len, &read->from) : OFFSET_START;
    if (read->kind == OFFSET_INVALID)
        return "the offset is malformed";
    if (read->mode == SSE)
        take_last_event_id(exchange, read);
    cursor = http_query_get(arena, query, "cursor", &len, &count);
    if (count > 1)
        return "cursor must be given once";
    if (count > 0 && !cursor)
        return no_memory;
    read->cursor = cursor ? cursor_parse(cursor, len) : -1;
    return NULL;
}

/* Hands a live read over to the desk, or refuses it. */
static void park_reader(struct ds_exchange *exchange, const struct stream *stream,
                        const struct read_request *read)
{
    const char *condition = exchange->request.param[PARAM_IF_NONE_MATCH];
    struct live_reader reader = {
        .stream_id = stream->id,
        .position = read->from,
        .cursor = live_keep_cursor(exchange->config, read->cursor, read->mode == SSE),
        .kind = read->mode == SSE ? LIVE_SSE : LIVE_LONG_POLL,
        .only_now = read->kind == OFFSET_NOW,
    };

    if (read->mode == SSE) {
        live_begin_sse(exchange, stream, &reader);
    } else {
        reader.origin = exchange->request.origin;
        if (exchange->fault)
            reader.mangle = exchange->fault->mangle;
        if (condition)
            reader.if_none_match = strdup(condition);
    }
    if (live_park(exchange->server->live, exchange, &reader))
        return;
    free(reader.if_none_match);
    exchange_refuse(exchange, 503, "too many readers are waiting");
    exchange_finish(exchange);
}

/* Reads the data that is there. */
static enum ds_status read_data(struct ds_exchange *exchange, const struct stream *stream,
                                struct read_request *read)
{
    if (stream->tail - read->from > LONG_READ)
        exchange_yield_slot(exchange);
    return store_read_span(exchange->conn, stream, read->from,
                           (size_t)exchange->config->read_chunk_bytes, &exchange->body,
                           &read->span);
}

/* Compresses the body for a client without a web server before it, which would do so. The worker
   is busy meanwhile, and holds no transaction that would keep the log from being cut. */
static void pack_body(struct ds_exchange *exchange, struct read_view *view)
{
    struct buf *body = &exchange->body;

    view->may_be_packed = exchange->config->gzip && exchange->peer->kind == PEER_HTTP &&
                          http_gzip_suits(view->stream->kind, body->len);
    view->packed =
        view->may_be_packed && http_gzip_is_wanted(exchange->request.param[PARAM_ACCEPT_ENCODING]);
    if (!view->packed || read_head_is_unchanged(view))
        return;
    if (body->len > LONG_PACK)
        exchange_yield_slot(exchange);
    view->packed = http_gzip_pack(body);
}

/* Makes the answer of the data that was read. */
static void answer_read(struct ds_exchange *exchange, const struct stream *stream,
                        const struct read_request *read, int64_t now)
{
    const struct config *config = exchange->config;
    struct read_view view = {
        .stream = stream,
        .from = read->from,
        .span = read->span,
        .cursor = -1,
        .only_now = read->kind == OFFSET_NOW,
        .mangled = exchange->fault && mangle_is_any(&exchange->fault->mangle),
        .if_none_match = exchange->request.param[PARAM_IF_NONE_MATCH],
        .origin = exchange->request.origin,
        .now = now,
    };

    if (read->mode == LONG_POLL)
        view.cursor = live_cursor(config, read->cursor, now);
    if (view.mangled)
        mangle_body(&exchange->fault->mangle, &exchange->body);
    pack_body(exchange, &view);
    view.body_len = (int64_t)exchange->body.len;
    if (!read_head_write(&exchange->head, config, &view))
        buf_clear(&exchange->body);
}

/* Can data be read here? An SSE answer begins with 200, after which no error can be reported. */
static enum ds_status try_read(struct store_conn *conn, const struct stream *stream, int64_t from)
{
    struct buf data = {0};
    int64_t next;
    enum ds_status status = store_read(conn, stream, from, 1, &data, &next);

    buf_close(&data);
    return status;
}

/* Finds the stream, and reads its data or tells what else is to be done. The caller must call
   store_end_read(). */
static enum ds_status look_at_stream(struct ds_exchange *exchange, struct read_request *read,
                                     int64_t now, struct stream *stream, enum outcome *outcome)
{
    enum ds_status status =
        store_hold(exchange->conn, exchange->arena, exchange->request.path, now, stream);

    if (status != DS_OK)
        return status;
    if (read->kind == OFFSET_NOW)
        read->from = stream->tail;
    /* not one of our offsets, but clients make such offsets: see offset.h */
    if (read->from > stream->tail)
        read->from = stream->tail;
    if (read->mode == SSE && read->from < stream->tail) {
        status = try_read(exchange->conn, stream, read->from);
        if (status != DS_OK)
            return status;
    }
    if (stream->ttl_seconds >= 0)
        upkeep_renew(&exchange->server->engine, stream->id,
                     expiry_after_ttl(now, stream->ttl_seconds));
    if (read->mode == CATCH_UP || (read->mode == LONG_POLL && read->from < stream->tail)) {
        *outcome = HAS_DATA;
        return read_data(exchange, stream, read);
    }
    *outcome = MUST_WAIT;
    /* an EventSource that has read a closed stream reconnects forever, unless it gets a 204 */
    if (stream->closed_at != 0 && read->from == stream->tail &&
        (read->mode == LONG_POLL || read->resumed))
        *outcome = HAS_ENDED;
    return DS_OK;
}

void op_read(struct ds_exchange *exchange)
{
    struct read_request read = {.mode = CATCH_UP};
    const char *reason = parse_query(exchange, &read);
    int64_t now = clock_wall_ms();
    enum outcome outcome = HAS_DATA;
    struct stream stream;
    enum ds_status status;

    if (reason) {
        exchange_refuse(exchange, reason == no_memory ? 503 : 400, reason);
        exchange_finish(exchange);
        return;
    }
    status = look_at_stream(exchange, &read, now, &stream, &outcome);
    store_end_read(exchange->conn);
    if (status == DS_OK && outcome == MUST_WAIT) {
        park_reader(exchange, &stream, &read);
        return;
    }
    if (status != DS_OK)
        exchange_refuse_status(exchange, status);
    else if (outcome == HAS_DATA)
        answer_read(exchange, &stream, &read, now);
    else
        read_head_write_nothing(&exchange->head, exchange->config, exchange->request.origin,
                                &stream, read.from, -1);
    exchange_finish(exchange);
}
