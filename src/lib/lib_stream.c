/*
 * Whole streams: creating, forking, describing, listing, deleting.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "engine/stream_write.h"
#include "lib/lib.h"
#include "protocol/offset.h"
#include "store/store_list.h"

/* --- descriptions --- */

/* A stream followed by its texts, so that one free() is enough. */
struct block {
    struct ds_stream stream; /* first: what the caller frees */
    char texts[];
};

/* Copies a text to *at, which moves on; NULL stays NULL. */
static const char *put_text(char **at, const char *text)
{
    char *copy = *at;

    if (!text)
        return NULL;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

static enum ds_status describe_stream(const struct stream *stream, const char *source,
                                      struct ds_stream **out)
{
    size_t texts = strlen(stream->path) + strlen(stream->content_type) + 2;
    struct block *block = malloc(sizeof *block + texts + (source ? strlen(source) + 1 : 0));
    char *at;

    if (!block)
        return DS_NO_MEMORY;
    at = block->texts;
    block->stream = (struct ds_stream){
        .path = put_text(&at, stream->path),
        .content_type = put_text(&at, stream->content_type),
        .bytes = stream->tail,
        .messages = stream->messages,
        .created_at = stream->created_at,
        .closed = stream->closed_at != 0,
        .ttl_seconds = stream->ttl_seconds,
        .expires_at = stream->expires_at,
        .forked_from = put_text(&at, source),
    };
    offset_format(stream->tail, block->stream.tail);
    *out = &block->stream;
    return DS_OK;
}

void ds_stream_free(struct ds_stream *stream)
{
    free(stream);
}

/* The path of the stream that this one was forked from, in the arena; NULL if it is not a fork. */
static enum ds_status find_source(struct store_conn *conn, struct arena *arena,
                                  const struct stream *stream, const char **path)
{
    struct stream source;
    enum ds_status status = DS_OK;

    *path = NULL;
    if (stream->source_id == 0)
        return DS_OK;
    status = store_load_id(conn, arena, stream->source_id, &source);
    *path = status == DS_OK ? source.path : NULL;
    return status == DS_NOT_FOUND ? DS_OK : status;
}

/* Within a read transaction. */
static enum ds_status describe_path(struct store_conn *conn, struct arena *arena, const char *path,
                                    struct ds_stream **out)
{
    struct stream stream;
    const char *source;
    enum ds_status status = store_find(conn, arena, path, clock_wall_ms(), &stream);

    if (status == DS_OK)
        status = find_source(conn, arena, &stream, &source);
    return status == DS_OK ? describe_stream(&stream, source, out) : status;
}

enum ds_status ds_get(struct ds_store *store, const char *path, struct ds_stream **out)
{
    struct arena *arena = arena_new();
    struct store_conn *conn = NULL;
    const char *normal, *reason;
    enum ds_status status = arena ? lib_path(store, arena, path, &normal, &reason) : DS_NO_MEMORY;

    if (status == DS_OK)
        status = lib_acquire(store, &conn);
    if (status == DS_OK) {
        status = store_begin_read(conn);
        if (status == DS_OK)
            status = describe_path(conn, arena, normal, out);
        store_end_read(conn);
        lib_release(store, conn);
    }
    arena_free(arena);
    return status;
}

/* --- lists --- */

/* Collected before fn is called, so that no transaction is open while fn runs. */
struct list {
    struct ds_stream **streams;
    size_t count, room;
    enum ds_status status;
};

static bool collect_stream(void *arg, const struct stream *stream, const char *source,
                           enum ds_status life)
{
    struct list *list = arg;

    (void)life;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        struct ds_stream **streams = reallocarray(list->streams, room, sizeof(struct ds_stream *));

        list->status = streams ? DS_OK : DS_NO_MEMORY;
        if (!streams)
            return false;
        list->streams = streams;
        list->room = room;
    }
    list->status = describe_stream(stream, source, &list->streams[list->count]);
    list->count += list->status == DS_OK;
    return list->status == DS_OK;
}

enum ds_status ds_list(struct ds_store *store, const char *prefix, ds_stream_fn *fn, void *arg)
{
    const struct store_list wanted = {.prefix = prefix};
    struct list list = {.streams = NULL};
    struct store_conn *conn;
    enum ds_status status = lib_acquire(store, &conn);
    bool more = true;

    if (status != DS_OK)
        return status;
    status = store_list(conn, &wanted, clock_wall_ms(), collect_stream, &list);
    lib_release(store, conn);
    if (status == DS_OK)
        status = list.status;
    for (size_t i = 0; i < list.count; i++) {
        more = more && status == DS_OK && fn(arg, list.streams[i]);
        ds_stream_free(list.streams[i]);
    }
    free(list.streams);
    return status;
}

/* --- creating --- */

static enum ds_status apply_create(struct batch *batch, void *asked)
{
    return stream_create(batch, asked);
}

static bool is_number(int64_t value)
{
    return value >= 0 && value <= PRODUCER_NUMBER_MAX; /* 2^53-1, as over HTTP */
}

static enum ds_status take_expiry(const struct ds_create_options *options,
                                  struct stream_create *create)
{
    create->ttl_seconds = create->expires_at = -1;
    if (options->has_ttl) {
        if (!is_number(options->ttl_seconds) || options->expires_at != 0)
            return DS_INVALID;
        create->ttl_seconds = options->ttl_seconds;
    } else if (options->expires_at != 0) {
        create->expires_at = options->expires_at < 1 ? 1 : options->expires_at; /* before 1970 */
    }
    return DS_OK;
}

static enum ds_status take_fork(const struct ds_store *store, struct arena *arena,
                                const struct ds_create_options *options,
                                struct stream_create *create)
{
    const char *offset = options->fork_offset, *reason;

    create->fork_offset = -1;
    if (!options->fork_of)
        return offset || options->fork_sub_offset ? DS_INVALID : DS_OK;
    /* DS_NOW leaves it at -1, which is the tail */
    if (offset && offset_parse(offset, strlen(offset), &create->fork_offset) == OFFSET_INVALID)
        return DS_INVALID;
    if (!is_number(options->fork_sub_offset))
        return DS_INVALID;
    create->fork_sub_offset = options->fork_sub_offset;
    return lib_path(store, arena, options->fork_of, &create->source, &reason);
}

static enum ds_status take_content(const struct ds_store *store,
                                   const struct ds_create_options *options,
                                   struct stream_create *create)
{
    const char *type = options->content_type;

    if (options->len > (size_t)store->config.max_body_bytes ||
        (type && strlen(type) > (size_t)store->config.max_header_bytes))
        return DS_TOO_LARGE;
    if (options->len > 0 && !options->data)
        return DS_INVALID;
    create->body.data = options->data;
    create->body.len = options->len;
    create->body.max_messages = store->config.max_messages;
    if (create->body.len > 0 && type && http_type_kind(type) == HTTP_TYPE_JSON)
        stream_body_check_json(&create->body);
    return create->body.reason ? create->body.verdict : DS_OK;
}

static enum ds_status ask_create(struct ds_store *store, struct arena *arena, const char *path,
                                 const struct ds_create_options *options,
                                 struct stream_create *create)
{
    const char *type = options->content_type, *reason;
    enum ds_status status = lib_path(store, arena, path, &create->path, &reason);

    if (status == DS_OK && type && !http_type_is_valid(type))
        status = DS_INVALID;
    if (status == DS_OK)
        status = take_expiry(options, create);
    if (status == DS_OK)
        status = take_fork(store, arena, options, create);
    if (status == DS_OK)
        status = take_content(store, options, create);
    create->content_type = type;
    create->closed = options->closed;
    create->arena = arena;
    if (status == DS_OK)
        status = lib_write(store, apply_create, create, create->body.len, false);
    return status == DS_OK ? create->verdict : status;
}

enum ds_status ds_create(struct ds_store *store, const char *path,
                         const struct ds_create_options *options, bool *created,
                         struct ds_stream **stream)
{
    static const struct ds_create_options none;
    struct stream_create create = {.path = NULL};
    struct arena *arena = arena_new();
    enum ds_status status =
        arena ? ask_create(store, arena, path, options ? options : &none, &create) : DS_NO_MEMORY;

    if (status == DS_OK && stream)
        status = describe_stream(&create.stream, create.source, stream);
    if (status == DS_OK && created)
        *created = create.created;
    arena_free(arena);
    return status;
}

enum ds_status ds_fork(struct ds_store *store, const char *source, const char *path,
                       const char *offset, struct ds_stream **stream)
{
    const struct ds_create_options options = {.fork_of = source, .fork_offset = offset};

    return source ? ds_create(store, path, &options, NULL, stream) : DS_INVALID;
}

/* --- deleting --- */

static enum ds_status apply_delete(struct batch *batch, void *asked)
{
    return stream_delete(batch, asked);
}

enum ds_status ds_delete(struct ds_store *store, const char *path)
{
    struct arena *arena = arena_new();
    struct stream_delete deletion = {.path = NULL};
    const char *reason;
    enum ds_status status =
        arena ? lib_path(store, arena, path, &deletion.path, &reason) : DS_NO_MEMORY;

    if (status == DS_OK)
        status = lib_write(store, apply_delete, &deletion, 0, true);
    arena_free(arena);
    return status == DS_OK ? deletion.verdict : status;
}
