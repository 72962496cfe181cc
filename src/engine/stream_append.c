/*
 * Appending and closing: see stream_write.h.
 *
 * Checks run in this order, so that an append to a closed stream is always answered with that
 * reason, whatever else is wrong with it, and a retried request is recognised before its Stream-Seq
 * is compared:
 *
 *     missing, deleted → closed (unless this request closed it: done)
 *     → empty body, no type → other type → bad JSON → producer → Stream-Seq
 *
 * The Stream-Seq of a stream is the last value accepted from any writer.
 */
#include <string.h>

#include "base/arena.h"
#include "engine/stream_write.h"
#include "protocol/expiry.h"

static enum ds_status refuse_append(struct stream_append *append, enum ds_status verdict,
                                    const char *reason)
{
    append->verdict = verdict;
    append->reason = reason;
    return DS_OK;
}

/* Is this a retry of the request that closed the stream (5.2.1, Stream Closure)? */
static bool is_closing_request(const struct stream_append *append, const struct stream *stream)
{
    const struct producer *producer = &append->producer;

    return producer->id && stream->closed_producer &&
           strlen(stream->closed_producer) == producer->id_len &&
           memcmp(stream->closed_producer, producer->id, producer->id_len) == 0 &&
           stream->closed_epoch == producer->epoch && stream->closed_seq == producer->seq;
}

static enum ds_status judge_closed(struct batch *batch, struct stream_append *append,
                                   const struct stream *stream)
{
    bool close_only = append->closes && append->body.len == 0;

    append->duplicate = true;
    if (is_closing_request(append, stream))
        return store_producer_get(batch->conn, stream->id, &append->producer, &append->state);
    if (close_only && !append->producer.id)
        return DS_OK;
    append->duplicate = false;
    return refuse_append(append, DS_CLOSED, "the stream is closed");
}

/* False, with verdict and reason, if body and type do not fit this stream. */
static bool check_body(struct stream_append *append, const struct stream *stream)
{
    const char *type = append->content_type;
    struct stream_body *body = &append->body;

    if (body->len == 0) { /* then the type does not matter (5.2) */
        if (!append->closes)
            (void)refuse_append(append, DS_INVALID, "an append needs a body");
    } else if (!type && append->needs_type) {
        (void)refuse_append(append, DS_INVALID, "Content-Type is missing");
    } else if (type && !http_type_is_valid(type)) {
        (void)refuse_append(append, DS_INVALID, "Content-Type is malformed");
    } else if (type && !http_type_matches(type, stream->content_type)) {
        (void)refuse_append(append, DS_CONFLICT, "the Content-Type is not the stream's");
    } else if (stream->kind == HTTP_TYPE_JSON) {
        stream_body_check_json(body);
        (void)refuse_append(append, body->verdict, body->reason);
        if (body->verdict == DS_OK && stream_body_is_empty_json(body))
            (void)refuse_append(append, DS_INVALID, "an empty array holds no message");
    }
    return append->verdict == DS_OK;
}

/* False if the state of the producer decides against the request. */
static bool judge_producer(struct stream_append *append)
{
    switch (producer_judge(&append->producer, &append->state)) {
    case PRODUCER_ACCEPT:
        return true;
    case PRODUCER_DUPLICATE:
        append->duplicate = true;
        return false;
    case PRODUCER_STALE_EPOCH:
        (void)refuse_append(append, DS_FENCED, "a newer epoch of this producer is writing");
        return false;
    case PRODUCER_BAD_EPOCH_START:
        (void)refuse_append(append, DS_INVALID, "a new epoch must start with Producer-Seq 0");
        return false;
    case PRODUCER_GAP:
    default:
        (void)refuse_append(append, DS_GAP, "an earlier Producer-Seq is missing");
        return false;
    }
}

static bool is_regression(const char *seq, const struct stream *stream)
{
    size_t len = strlen(seq), common = len < stream->last_seq_len ? len : stream->last_seq_len;
    int order = stream->last_seq ? memcmp(seq, stream->last_seq, common) : 1;

    return order < 0 || (order == 0 && len <= stream->last_seq_len);
}

static enum ds_status close_stream(struct batch *batch, const struct stream_append *append,
                                   struct stream *stream)
{
    const struct producer *producer = &append->producer;

    stream->closed_at = batch->now;
    stream->closed_producer =
        producer->id ? arena_strndup(batch->arena, producer->id, producer->id_len) : NULL;
    stream->closed_epoch = producer->epoch;
    stream->closed_seq = producer->seq;
    return producer->id && !stream->closed_producer ? DS_NO_MEMORY : DS_OK;
}

/* Makes all changes of an accepted request in the batch's transaction (I2). */
static enum ds_status apply_append(struct batch *batch, struct stream_append *append,
                                   struct stream *stream)
{
    const struct producer *producer = &append->producer;
    enum ds_status status = DS_OK;

    if (append->body.len > 0)
        status = stream_body_append(batch, stream, &append->body);
    if (status == DS_OK && producer->id)
        status = store_producer_put(batch->conn, stream->id, producer, batch->now);
    if (status == DS_OK && append->closes)
        status = close_stream(batch, append, stream);
    if (status != DS_OK)
        return status;
    if (append->seq) {
        stream->last_seq = append->seq;
        stream->last_seq_len = strlen(append->seq);
    }
    if (stream->ttl_seconds >= 0)
        stream->expires_at = expiry_after_ttl(batch->now, stream->ttl_seconds);
    batch_changed(batch, stream,
                  append->closes || append->seq || stream->ttl_seconds >= 0 ? STREAM_CHANGED
                                                                            : STREAM_GREW);
    append->state = (struct producer_state){producer->id != NULL, producer->epoch, producer->seq};
    append->tail = stream->tail;
    append->closed = stream->closed_at != 0;
    return DS_OK;
}

enum ds_status stream_append(struct batch *batch, struct stream_append *append)
{
    struct stream *stream;
    enum ds_status status = batch_find(batch, append->path, &stream);

    append->duplicate = append->closed = false;
    append->tail = 0;
    append->state = (struct producer_state){.exists = false};
    (void)refuse_append(append, DS_OK, NULL);
    if (status == DS_NOT_FOUND)
        return refuse_append(append, status, "there is no such stream");
    if (status == DS_GONE)
        return refuse_append(append, status, "this stream was deleted; forks still read it");
    if (status != DS_OK)
        return status;
    if (stream->is_registry)
        return refuse_append(append, DS_FORBIDDEN,
                             "this is the registry: only the server writes it");
    append->tail = stream->tail;
    append->closed = stream->closed_at != 0;
    if (append->closed)
        return judge_closed(batch, append, stream);
    if (!check_body(append, stream))
        return DS_OK;
    if (append->producer.id) {
        status = store_producer_get(batch->conn, stream->id, &append->producer, &append->state);
        if (status != DS_OK || !judge_producer(append))
            return status;
    }
    if (append->seq && is_regression(append->seq, stream))
        return refuse_append(append, DS_CONFLICT,
                             "sequence conflict: Stream-Seq must be greater than the last one");
    return apply_append(batch, append, stream);
}
