/*
 * POST: append, close, or both (protocol sections 5.2, 5.2.1, 5.3).
 *
 * What is wrong with the request alone is refused before the queue; everything that depends on
 * the stream is decided inside the transaction, in this order, so that a closed stream says so
 * whatever else is wrong, and a retried request is recognised before its Stream-Seq is held
 * against it:
 *
 *     missing 404, deleted 410 → closed 409 (or the request that closed it, again: 204)
 *     → empty body, no type 400 → other type 409 → bad JSON 400 → producer → Stream-Seq 409
 *
 * Stream-Seq is kept per stream: the last value accepted from any writer.
 */
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "commit.h"
#include "config.h"
#include "gateway.h"
#include "http_response.h"
#include "op.h"
#include "op_body.h"
#include "producer.h"
#include "server.h"

enum outcome {
    ACCEPTED,
    REFUSED,       /* with `refusal` and `reason` */
    CLOSED_BEFORE, /* 409 */
    CLOSED_AGAIN,  /* 204: what this request asks for was done */
    DUPLICATE,
    STALE_EPOCH,
    SEQUENCE_GAP,
};

struct append {
    struct write write; /* first: the committer knows it by this */
    struct ds_exchange *exchange;
    struct producer producer;
    const char *json_error; /* NULL, or what is wrong with the body, */
    int json_status;        /*   and how that is answered */
    bool closes;

    /* set by apply() */
    enum outcome outcome;
    int refusal;
    const char *reason;
    int64_t tail;
    bool closed; /* the stream is, now */
    struct producer_state state;
};

static enum ds_status refuse(struct append *append, int status, const char *reason)
{
    append->outcome = REFUSED;
    append->refusal = status;
    append->reason = reason;
    return DS_OK;
}

/* Did this very request close the stream (5.2.1, Stream Closure)? */
static bool is_closing_request(const struct append *append, const struct stream *stream)
{
    const struct producer *producer = &append->producer;

    return producer->id && stream->closed_producer &&
           strlen(stream->closed_producer) == producer->id_len &&
           memcmp(stream->closed_producer, producer->id, producer->id_len) == 0 &&
           stream->closed_epoch == producer->epoch && stream->closed_seq == producer->seq;
}

static enum ds_status answer_closed(struct batch *batch, struct append *append,
                                    const struct stream *stream)
{
    bool close_only = append->closes && append->exchange->request.body_len == 0;

    append->outcome = CLOSED_BEFORE;
    if (is_closing_request(append, stream)) {
        append->outcome = CLOSED_AGAIN;
        return store_producer_get(batch->conn, stream->id, &append->producer, &append->state);
    }
    if (close_only && !append->producer.id)
        append->outcome = CLOSED_AGAIN;
    return DS_OK;
}

/* What the body and its type get wrong on this stream; NULL when nothing. */
static const char *check_body(const struct append *append, const struct stream *stream, int *status)
{
    const struct http_request *request = &append->exchange->request;
    const char *type = request->param[PARAM_CONTENT_TYPE];

    *status = 400;
    if (request->body_len == 0) /* a type is no matter then (5.2) */
        return append->closes ? NULL : "an append needs a body";
    if (!type)
        return "Content-Type is missing";
    if (!http_type_is_valid(type))
        return "Content-Type is malformed";
    if (!http_type_matches(type, stream->content_type)) {
        *status = 409;
        return "the Content-Type is not the stream's";
    }
    if (append->json_error) {
        *status = append->json_status;
        return append->json_error;
    }
    if (stream->kind == HTTP_TYPE_JSON && op_body_is_empty_json(request))
        return "an empty array holds no message";
    return NULL;
}

/* False when the producer's state decides against it. */
static bool judge_producer(struct append *append)
{
    switch (producer_judge(&append->producer, &append->state)) {
    case PRODUCER_ACCEPT:
        return true;
    case PRODUCER_DUPLICATE:
        append->outcome = DUPLICATE;
        return false;
    case PRODUCER_STALE_EPOCH:
        append->outcome = STALE_EPOCH;
        return false;
    case PRODUCER_BAD_EPOCH_START:
        (void)refuse(append, 400, "a new epoch must start with Producer-Seq 0");
        return false;
    case PRODUCER_GAP:
    default:
        append->outcome = SEQUENCE_GAP;
        return false;
    }
}

static bool is_regression(const char *seq, const struct stream *stream)
{
    size_t len = strlen(seq), common = len < stream->last_seq_len ? len : stream->last_seq_len;
    int order = stream->last_seq ? memcmp(seq, stream->last_seq, common) : 1;

    return order < 0 || (order == 0 && len <= stream->last_seq_len);
}

/* Everything that one accepted request changes, in the batch's transaction (I2). */
static enum ds_status change(struct batch *batch, struct append *append, struct stream *stream)
{
    const struct http_request *request = &append->exchange->request;
    const char *seq = request->param[PARAM_STREAM_SEQ];
    enum ds_status status = DS_OK;

    if (request->body_len > 0)
        status = op_body_append(batch, stream, request);
    if (status == DS_OK && append->producer.id)
        status = store_producer_put(batch->conn, stream->id, &append->producer, batch->now);
    if (status != DS_OK)
        return status;
    if (seq) {
        stream->last_seq = seq;
        stream->last_seq_len = strlen(seq);
    }
    if (append->closes) {
        stream->closed_at = batch->now;
        stream->closed_producer =
            append->producer.id
                ? arena_strndup(batch->arena, append->producer.id, append->producer.id_len)
                : NULL;
        stream->closed_epoch = append->producer.epoch;
        stream->closed_seq = append->producer.seq;
        if (append->producer.id && !stream->closed_producer)
            return DS_NO_MEMORY;
    }
    if (stream->ttl_seconds >= 0)
        stream->expires_at = batch->now + stream->ttl_seconds * 1000;
    batch_changed(batch, stream);
    append->outcome = ACCEPTED;
    append->tail = stream->tail;
    append->closed = stream->closed_at != 0;
    return DS_OK;
}

static enum ds_status apply(struct batch *batch, struct write *write)
{
    struct append *append = (struct append *)write;
    const struct http_request *request = &append->exchange->request;
    const char *seq = request->param[PARAM_STREAM_SEQ], *reason;
    struct stream *stream;
    int refusal;
    enum ds_status status = batch_find(batch, request->path, &stream);

    if (status == DS_NOT_FOUND)
        return refuse(append, 404, "there is no such stream");
    if (status == DS_GONE)
        return refuse(append, 410, "this stream was deleted; forks still read it");
    if (status != DS_OK)
        return status;
    append->tail = stream->tail;
    append->closed = stream->closed_at != 0;
    if (append->closed)
        return answer_closed(batch, append, stream);
    reason = check_body(append, stream, &refusal);
    if (reason)
        return refuse(append, refusal, reason);
    if (append->producer.id) {
        status = store_producer_get(batch->conn, stream->id, &append->producer, &append->state);
        if (status != DS_OK || !judge_producer(append))
            return status;
    }
    if (seq && is_regression(seq, stream))
        return refuse(append, 409, "Stream-Seq must be greater than the last one");
    return change(batch, append, stream);
}

/* --- answers --- */

static void answer_success(struct append *append)
{
    struct ds_exchange *exchange = append->exchange;
    const struct producer *producer = &append->producer;
    bool fresh_data = append->outcome == ACCEPTED && exchange->request.body_len > 0;
    int status = producer->id && fresh_data ? 200 : 204;
    int64_t highest = append->outcome == ACCEPTED ? producer->seq : append->state.last_seq;

    http_begin(&exchange->head, exchange->server->config, status);
    http_add_offset(&exchange->head, append->tail);
    if (producer->id) {
        http_add_int(&exchange->head, "Producer-Epoch", producer->epoch);
        http_add_int(&exchange->head, "Producer-Seq", highest);
    }
    if (append->closed)
        http_add(&exchange->head, "Stream-Closed", "true");
    http_add(&exchange->head, "Cache-Control", "no-store");
    http_end(&exchange->head, status == 200 ? 0 : -1);
}

static void answer(struct append *append)
{
    struct ds_exchange *exchange = append->exchange;
    struct buf *head = &exchange->head;

    switch (append->outcome) {
    case ACCEPTED:
    case CLOSED_AGAIN:
    case DUPLICATE:
        answer_success(append);
        return;
    case REFUSED:
        http_refuse(exchange, append->refusal, append->reason);
        return;
    case CLOSED_BEFORE:
        http_refuse_begin(exchange, 409);
        http_add(head, "Stream-Closed", "true");
        http_add_offset(head, append->tail);
        http_refuse_end(exchange, "the stream is closed");
        return;
    case STALE_EPOCH:
        http_refuse_begin(exchange, 403);
        http_add_int(head, "Producer-Epoch", append->state.epoch);
        http_refuse_end(exchange, "a newer epoch of this producer is writing");
        return;
    case SEQUENCE_GAP:
        http_refuse_begin(exchange, 409);
        http_add_int(head, "Producer-Expected-Seq",
                     append->state.exists ? append->state.last_seq + 1 : 0);
        http_add_int(head, "Producer-Received-Seq", append->producer.seq);
        http_refuse_end(exchange, "an earlier Producer-Seq is missing");
        return;
    }
}

static void finish(struct write *write, enum ds_status status)
{
    struct append *append = (struct append *)write;
    struct ds_exchange *exchange = append->exchange;

    if (status == DS_OK)
        answer(append);
    else
        http_refuse_status(exchange, status);
    exchange_finish(exchange); /* and with it this write */
}

void op_append(struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    const char *type = request->param[PARAM_CONTENT_TYPE], *reason;
    struct append *append = arena_zalloc(exchange->arena, sizeof *append);

    if (!append) {
        exchange_drop(exchange);
        return;
    }
    reason =
        producer_parse(&append->producer, request->param[PARAM_PRODUCER_ID],
                       request->param[PARAM_PRODUCER_EPOCH], request->param[PARAM_PRODUCER_SEQ]);
    if (reason) {
        http_refuse(exchange, 400, reason);
        exchange_finish(exchange);
        return;
    }
    append->write.apply = apply;
    append->write.finish = finish;
    append->write.bytes = request->body_len;
    append->write.kill_after = request->param[PARAM_TEST_KILL] != NULL;
    append->exchange = exchange;
    append->closes = http_request_closes(request);
    if (request->body_len > 0 && type && http_type_kind(type) == HTTP_TYPE_JSON)
        append->json_error =
            op_body_check_json(exchange->server->config, request, &append->json_status);
    commit_submit(exchange->server->commit, &append->write);
}
