/* Faults for servers of the same database: see fault.h for their meaning. */
#include <string.h>

#include "base/arena.h"
#include "lib/lib.h"
#include "protocol/fault.h"
#include "store/store.h"

static bool in_range(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

static bool is_line(const char *text)
{
    return !strpbrk(text, "\r\n");
}

static bool injects_something(const struct ds_fault *fault)
{
    return fault->status != 0 || fault->delay_ms != 0 || fault->jitter_ms != 0 ||
           fault->drop_connection || fault->has_truncate || fault->corrupt_body ||
           fault->sse_event_type;
}

static bool is_fault_valid(const struct ds_fault *fault)
{
    return injects_something(fault) &&
           (fault->status == 0 || (fault->status >= 200 && fault->status <= 599)) &&
           in_range(fault->count, FAULT_MOST) && in_range(fault->retry_after, FAULT_MOST_AGE) &&
           in_range(fault->delay_ms, FAULT_MOST_MS) && in_range(fault->jitter_ms, FAULT_MOST_MS) &&
           in_range(fault->truncate_body_bytes, FAULT_MOST) &&
           (!fault->has_probability || (fault->probability >= 0 && fault->probability <= 1)) &&
           (!fault->method || is_line(fault->method)) &&
           (fault->sse_event_type ? is_line(fault->sse_event_type) : !fault->sse_event_data);
}

/* Fields that are not set become the defaults of the table. */
static struct fault fault_to_row(const char *path, const struct ds_fault *fault)
{
    bool delayed = fault->delay_ms != 0 || fault->jitter_ms != 0;

    return (struct fault){
        .path = path,
        .method = fault->method,
        .count = fault->count == 0 ? 1 : fault->count,
        .probability = fault->has_probability ? fault->probability : 1,
        .delay_ms = delayed ? fault->delay_ms : -1,
        .jitter_ms = fault->jitter_ms,
        .drop = fault->drop_connection,
        .status = fault->status,
        .retry_after = fault->has_retry_after ? fault->retry_after : -1,
        .mangle = {fault->has_truncate, fault->truncate_body_bytes, fault->corrupt_body},
        .event_type = fault->sse_event_type,
        .event_data = fault->sse_event_data,
    };
}

static struct ds_fault fault_from_row(const struct fault *row)
{
    return (struct ds_fault){
        .status = (int)row->status,
        .count = row->count < 1 ? 1 : row->count, /* a statement at the sqlite3 prompt can set 0 */
        .has_retry_after = row->retry_after >= 0,
        .retry_after = row->retry_after >= 0 ? row->retry_after : 0,
        .delay_ms = row->delay_ms >= 0 ? row->delay_ms : 0,
        .jitter_ms = row->jitter_ms,
        .drop_connection = row->drop,
        .has_truncate = row->mangle.truncate,
        .truncate_body_bytes = row->mangle.truncate ? row->mangle.bytes : 0,
        .has_probability = row->probability < 1,
        .probability = row->probability,
        .method = row->method,
        .corrupt_body = row->mangle.corrupt,
        .sse_event_type = row->event_type,
        .sse_event_data = row->event_type ? row->event_data : NULL,
    };
}

/* Sets the fault. row NULL: clears it; path NULL: clears all. */
static enum ds_status write_fault(struct ds_store *store, const char *path, const struct fault *row)
{
    struct store_conn *conn;
    enum ds_status status = lib_acquire(store, &conn);

    if (status != DS_OK)
        return status;
    status = row ? store_fault_set(conn, row) : store_fault_clear(conn, path);
    lib_release(store, conn);
    return status;
}

enum ds_status ds_fault_set(struct ds_store *store, const char *path, const struct ds_fault *fault)
{
    struct arena *arena = arena_new();
    const char *normal = NULL, *reason;
    struct fault row;
    enum ds_status status = arena ? lib_path(store, arena, path, &normal, &reason) : DS_NO_MEMORY;

    if (status == DS_OK && (!fault || !is_fault_valid(fault)))
        status = DS_INVALID;
    if (status == DS_OK) {
        row = fault_to_row(normal, fault);
        status = write_fault(store, normal, &row);
    }
    arena_free(arena);
    return status;
}

enum ds_status ds_fault_clear(struct ds_store *store, const char *path)
{
    struct arena *arena = arena_new();
    const char *normal = NULL, *reason;
    enum ds_status status = arena ? DS_OK : DS_NO_MEMORY;

    if (status == DS_OK && path)
        status = lib_path(store, arena, path, &normal, &reason);
    if (status == DS_OK)
        status = write_fault(store, normal, NULL);
    arena_free(arena);
    return status;
}

/* The fault of the path after this one. */
static enum ds_status find_fault_after(struct ds_store *store, struct arena *arena,
                                       const char *path, struct fault *row)
{
    struct store_conn *conn;
    enum ds_status status = lib_acquire(store, &conn);

    if (status != DS_OK)
        return status;
    status = store_fault_after(conn, arena, path, row);
    lib_release(store, conn);
    return status;
}

enum ds_status ds_fault_list(struct ds_store *store, ds_fault_fn *fn, void *arg)
{
    struct arena *arena = arena_new();
    struct fault row = {.path = ""};
    enum ds_status status = DS_NO_MEMORY;

    while (arena && (status = find_fault_after(store, arena, row.path, &row)) == DS_OK) {
        struct ds_fault fault = fault_from_row(&row);

        if (!fn(arg, row.path, &fault))
            break;
    }
    arena_free(arena);
    return status == DS_NOT_FOUND ? DS_OK : status;
}
