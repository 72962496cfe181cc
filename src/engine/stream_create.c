/*
 * Creating streams and forks: see stream_write.h.
 *
 * Creating is idempotent: the same request again succeeds without a change, and a different one is
 * a conflict. For a fork, source, offset and sub-offset must be the same too; type and expiry,
 * which it inherits, may be left out. The body counts only when the stream is really created.
 */
#include <string.h>

#include "base/arena.h"
#include "engine/stream_write.h"
#include "engine/subscription.h"
#include "protocol/expiry.h"

#define DEFAULT_TYPE "application/octet-stream"

static enum ds_status refuse_create(struct stream_create *create, enum ds_status verdict,
                                    const char *reason)
{
    create->verdict = verdict;
    create->reason = reason;
    return DS_OK;
}

/* Copies the texts that the answer needs after the batch. */
static enum ds_status keep_texts(struct stream_create *create)
{
    struct stream *stream = &create->stream;

    stream->path = create->path;
    stream->content_type =
        arena_strndup(create->arena, stream->content_type, strlen(stream->content_type));
    stream->closed_producer = stream->last_seq = NULL;
    return stream->content_type ? DS_OK : DS_NO_MEMORY;
}

/* --- is it the same request again? --- */

static bool same_expiry(const struct stream_create *create, const struct stream *stream,
                        const struct stream *source)
{
    int64_t ttl = create->ttl_seconds, expires = create->expires_at;

    if (ttl < 0 && expires < 0 && source) { /* absent: as inherited */
        ttl = source->ttl_seconds;
        expires = source->ttl_seconds < 0 && source->expires_at != 0 ? source->expires_at : -1;
    }
    if (ttl != stream->ttl_seconds)
        return false;
    return ttl >= 0 || (expires < 0 ? stream->expires_at == 0 : stream->expires_at == expires);
}

/* source: the source of the existing stream, or NULL if it is not a fork. */
static bool same_config(const struct stream_create *create, const struct stream *stream,
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

static enum ds_status compare_existing(struct batch *batch, struct stream_create *create,
                                       const struct stream *stream)
{
    struct stream source;
    enum ds_status status = DS_OK;

    if (stream->source_id != 0)
        status = store_load_id(batch->conn, batch->arena, stream->source_id, &source);
    if (status != DS_OK)
        return status == DS_NOT_FOUND ? DS_FAILED : status;
    if (!same_config(create, stream, stream->source_id != 0 ? &source : NULL))
        return refuse_create(create, DS_CONFLICT, "the stream exists with another configuration");
    create->stream = *stream;
    return keep_texts(create);
}

/* --- creating it --- */

/* Fills in what a fork inherits from its source (the table of section 4.2). */
static enum ds_status inherit(struct batch *batch, struct stream_create *create,
                              struct stream *stream)
{
    struct stream source;
    enum ds_status status =
        store_find(batch->conn, batch->arena, create->source, batch->now, &source);

    if (status == DS_NOT_FOUND)
        return refuse_create(create, status, "there is no stream at Stream-Forked-From");
    if (status == DS_GONE)
        return refuse_create(create, DS_CONFLICT, "the stream at Stream-Forked-From was deleted");
    if (status != DS_OK)
        return status;
    if (create->content_type && !http_type_matches(create->content_type, source.content_type))
        return refuse_create(create, DS_CONFLICT, "the Content-Type is not the source's");
    stream->source_id = source.id;
    stream->fork_offset = create->fork_offset >= 0 ? create->fork_offset : source.tail;
    stream->fork_sub_offset = create->fork_sub_offset;
    status = store_resolve(batch->conn, &source, stream->fork_offset, create->fork_sub_offset,
                           &stream->fork_position);
    if (status == DS_INVALID)
        return refuse_create(create, status, "there is no such place in the source to fork from");
    if (!create->content_type)
        stream->content_type = source.content_type;
    stream->tail = stream->fork_position;
    if (create->ttl_seconds < 0 && create->expires_at < 0) {
        stream->ttl_seconds = source.ttl_seconds;
        stream->expires_at = source.ttl_seconds < 0 ? source.expires_at : 0;
    }
    return status;
}

/* Inserts the row and the first messages. */
static enum ds_status write_rows(struct batch *batch, struct stream_create *create,
                                 struct stream *stream)
{
    enum ds_status status = store_insert(batch->conn, stream);

    if (status != DS_OK || create->body.len == 0)
        return status;
    status = stream_body_append(batch, stream, &create->body);
    return status == DS_OK ? store_update(batch->conn, stream) : status;
}

static enum ds_status insert_stream(struct batch *batch, struct stream_create *create)
{
    struct stream *stream = &create->stream;
    struct stream_body *body = &create->body;
    enum ds_status status = DS_OK;

    *stream = (struct stream){
        .path = create->path,
        .content_type = create->content_type ? create->content_type : DEFAULT_TYPE,
        .created_at = batch->now,
        .ttl_seconds = create->ttl_seconds,
        .expires_at = create->expires_at < 0 ? 0 : create->expires_at,
        .closed_at = create->closed ? batch->now : 0,
    };
    if (create->source)
        status = inherit(batch, create, stream);
    if (status != DS_OK || create->verdict != DS_OK)
        return status;
    stream->kind = http_type_kind(stream->content_type);
    if (stream->ttl_seconds >= 0)
        stream->expires_at = expiry_after_ttl(batch->now, stream->ttl_seconds);
    if (body->len > 0 && stream->kind == HTTP_TYPE_JSON) { /* a fork inherits the type only here */
        stream_body_check_json(body);
        if (body->verdict != DS_OK)
            return refuse_create(create, body->verdict, body->reason);
    }
    create->created = true;
    batch_made(batch);
    status = keep_texts(create);
    return status == DS_OK ? write_rows(batch, create, stream) : status;
}

enum ds_status stream_create(struct batch *batch, struct stream_create *create)
{
    struct stream *stream;
    enum ds_status status = batch_find(batch, create->path, &stream);

    create->created = false;
    (void)refuse_create(create, DS_OK, NULL);
    if (status == DS_OK)
        return compare_existing(batch, create, stream);
    if (status == DS_GONE)
        return refuse_create(create, DS_CONFLICT,
                             "a stream of this path was deleted, but forks still read it");
    if (status != DS_NOT_FOUND)
        return status;
    if (subscription_reserves(create->path))
        return refuse_create(create, DS_FORBIDDEN, "this path is reserved for subscriptions");
    if (store_reserves(batch->conn, create->path)) /* the registry was deleted at the prompt */
        return refuse_create(create, DS_FORBIDDEN,
                             "this is the registry's path: only the server creates it");
    status = batch_flush(batch);              /* the batch may have changed the source */
    if (status == DS_OK && stream->id != 0) { /* an expired stream has the path */
        batch_ended(batch, stream->id);
        status = store_delete(batch->conn, stream, batch->now);
    }
    return status == DS_OK ? insert_stream(batch, create) : status;
}
