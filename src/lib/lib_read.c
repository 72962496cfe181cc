/* Reading: places in streams, and reading on from one. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "engine/upkeep.h"
#include "lib/lib.h"
#include "protocol/expiry.h"
#include "protocol/offset.h"
#include "store/store.h"

enum ds_status lib_place_parse(const struct ds_store *store, struct arena *arena, const char *path,
                               const char *offset, struct lib_place *place)
{
    const char *reason;

    *place = (struct lib_place){.kind = OFFSET_START};
    if (offset)
        place->kind = offset_parse(offset, strlen(offset), &place->from);
    if (place->kind == OFFSET_INVALID)
        return DS_INVALID;
    return lib_path(store, arena, path, &place->path, &reason);
}

enum ds_status lib_place_find(struct ds_store *store, struct store_conn *conn, struct arena *arena,
                              struct lib_place *place, struct stream *stream)
{
    int64_t now = clock_wall_ms();
    enum ds_status status = store_hold(conn, arena, place->path, now, stream);

    if (status != DS_OK)
        return status;
    if (place->kind == OFFSET_NOW) {
        place->from = stream->tail;
        place->kind = OFFSET_POSITION;
    }
    if (place->from > stream->tail)
        return DS_INVALID;
    if (stream->ttl_seconds >= 0)
        upkeep_renew(&store->engine, stream->id, expiry_after_ttl(now, stream->ttl_seconds));
    return DS_OK;
}

static enum ds_status read_from(struct ds_store *store, struct store_conn *conn,
                                struct arena *arena, struct lib_place *place, struct buf *data,
                                struct ds_read_result *result)
{
    struct stream stream;
    int64_t next = 0;
    enum ds_status status = lib_place_find(store, conn, arena, place, &stream);

    if (status == DS_OK)
        status = store_read(conn, &stream, place->from, (size_t)store->config.read_chunk_bytes,
                            data, &next);
    if (status != DS_OK)
        return status;
    result->len = data->len;
    buf_addc(data, '\0');
    if (buf_failed(data))
        return DS_NO_MEMORY;
    offset_format(next, result->next_offset);
    result->up_to_date = next == stream.tail;
    result->closed = result->up_to_date && stream.closed_at != 0;
    return DS_OK;
}

enum ds_status ds_read(struct ds_store *store, const char *path, const char *offset,
                       struct ds_read_result *result)
{
    struct arena *arena = arena_new();
    struct store_conn *conn = NULL;
    struct ds_read_result read = {.data = NULL};
    struct buf data = {0};
    struct lib_place place;
    size_t len;
    enum ds_status status =
        arena ? lib_place_parse(store, arena, path, offset, &place) : DS_NO_MEMORY;

    if (status == DS_OK)
        status = lib_acquire(store, &conn);
    if (status == DS_OK) {
        status = read_from(store, conn, arena, &place, &data, &read);
        store_end_read(conn);
        lib_release(store, conn);
    }
    if (status == DS_OK) {
        read.data = buf_take(&data, &len);
        *result = read;
    }
    buf_close(&data);
    arena_free(arena);
    return status;
}

void ds_read_free(struct ds_read_result *result)
{
    struct buf data = {.data = result->data};

    buf_close(&data);
    result->data = NULL;
    result->len = 0;
}
