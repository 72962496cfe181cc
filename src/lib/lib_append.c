/*
 * Appending and closing.
 *
 * A JSON body is checked before the transaction, because no process can write during it. If the
 * caller has not named the content type and the body is large, the stream's type is looked up
 * first.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "engine/stream_write.h"
#include "lib/lib.h"
#include "protocol/offset.h"
#include "protocol/producer.h"

enum { WORTH_A_LOOK = 64 * 1024 };

static enum ds_status apply_append(struct batch *batch, void *asked)
{
    return stream_append(batch, asked);
}

static enum ds_status refuse_append(struct stream_append *append, enum ds_status status,
                                    const char *reason)
{
    append->reason = reason;
    return status;
}

static enum ds_status take_producer(const struct ds_append_options *options,
                                    struct stream_append *append)
{
    struct producer *producer = &append->producer;
    const char *id = options->producer_id;

    if (!id)
        return DS_OK;
    producer->id = id;
    producer->id_len = strlen(id);
    producer->epoch = options->producer_epoch;
    producer->seq = options->producer_seq;
    append->reason = producer_check(producer);
    return append->reason ? DS_INVALID : DS_OK;
}

static enum ds_status take_body(const struct ds_store *store, const void *data, size_t len,
                                const struct ds_append_options *options,
                                struct stream_append *append)
{
    if (options->seq && strlen(options->seq) > (size_t)store->config.max_header_bytes)
        return refuse_append(append, DS_TOO_LARGE, "Stream-Seq is too long");
    if (len > (size_t)store->config.max_body_bytes)
        return refuse_append(append, DS_TOO_LARGE, "the data is too large");
    if (len > 0 && !data)
        return refuse_append(append, DS_INVALID, "data is NULL");
    append->body.data = data;
    append->body.len = len;
    append->body.max_messages = store->config.max_messages;
    return DS_OK;
}

/* The answer is for this moment; the transaction decides by the type that the stream has then. */
static bool is_json_stream(struct ds_store *store, struct arena *arena, const char *path)
{
    struct store_conn *conn;
    struct stream stream;
    enum ds_status status = lib_acquire(store, &conn);

    if (status != DS_OK)
        return false;
    status = store_find(conn, arena, path, clock_wall_ms(), &stream);
    lib_release(store, conn);
    return status == DS_OK && stream.kind == HTTP_TYPE_JSON;
}

static void check_early(struct ds_store *store, struct arena *arena, struct stream_append *append)
{
    const char *type = append->content_type;

    if (append->body.len > 0 && type
            ? http_type_kind(type) == HTTP_TYPE_JSON
            : append->body.len >= WORTH_A_LOOK && is_json_stream(store, arena, append->path))
        stream_body_check_json(&append->body);
}

static enum ds_status ask_append(struct ds_store *store, struct arena *arena, const char *path,
                                 const void *data, size_t len,
                                 const struct ds_append_options *options,
                                 struct stream_append *append, bool *decided)
{
    enum ds_status status = lib_path(store, arena, path, &append->path, &append->reason);

    if (status == DS_OK)
        status = take_producer(options, append);
    if (status == DS_OK)
        status = take_body(store, data, len, options, append);
    if (status != DS_OK)
        return status;
    append->content_type = options->content_type;
    append->seq = options->seq;
    append->closes = options->close;
    check_early(store, arena, append);
    status = lib_write(store, apply_append, append, len, false);
    *decided = status == DS_OK;
    return *decided ? append->verdict : refuse_append(append, status, NULL);
}

/* decided: the transaction ran. If it did not, only the reason is known. */
static void fill_result(const struct stream_append *append, enum ds_status status, bool decided,
                        struct ds_append_result *result)
{
    *result = (struct ds_append_result){.producer_seq = -1};
    if (status != DS_OK)
        result->reason = append->reason ? append->reason : ds_status_text(status);
    if (!decided || status == DS_NOT_FOUND || status == DS_GONE)
        return;
    offset_format(append->tail, result->next_offset);
    result->closed = append->closed;
    result->duplicate = append->duplicate;
    if (append->state.exists) {
        result->producer_epoch = append->state.epoch;
        result->producer_seq = append->state.last_seq;
    }
}

enum ds_status ds_append(struct ds_store *store, const char *path, const void *data, size_t len,
                         const struct ds_append_options *options, struct ds_append_result *result)
{
    static const struct ds_append_options none;
    struct stream_append append = {.path = NULL};
    struct arena *arena = arena_new();
    enum ds_status status = DS_NO_MEMORY;
    bool decided = false;

    if (arena)
        status =
            ask_append(store, arena, path, data, len, options ? options : &none, &append, &decided);
    if (result)
        fill_result(&append, status, decided, result);
    arena_free(arena);
    return status;
}

enum ds_status ds_close_stream(struct ds_store *store, const char *path,
                               struct ds_append_result *result)
{
    const struct ds_append_options options = {.close = true};

    return ds_append(store, path, NULL, 0, &options, result);
}
