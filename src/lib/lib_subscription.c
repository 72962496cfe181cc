/*
 * Subscriptions: describing, listing and deleting them, and their explicit streams. The decisions
 * are those of the engine (subscription.h).
 */
#include "lib/lib_subscription.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "store/store.h"

/* --- arguments --- */

enum ds_status lib_explain(enum ds_status status, const char *why, const char **reason)
{
    if (reason)
        *reason = status == DS_OK ? NULL : why ? why : ds_status_text(status);
    return status;
}

bool lib_is_name(const char *text)
{
    return text && subscription_is_name(text);
}

enum ds_status lib_linkable(const struct ds_store *store, struct arena *arena, const char *path,
                            const char **normal, const char **reason)
{
    size_t root = strlen(SUBSCRIPTION_ROOT);
    enum ds_status status = lib_path(store, arena, path, normal, reason);

    if (status != DS_OK)
        return status;
    *reason = "streams of subscriptions are below /v1/stream/";
    if (strncmp(*normal, SUBSCRIPTION_ROOT, root) != 0 || !(*normal)[root])
        return DS_INVALID;
    *reason = "the path is reserved";
    if (subscription_reserves(*normal))
        return DS_INVALID;
    *reason = NULL;
    return DS_OK;
}

enum ds_status lib_take_streams(const struct ds_store *store, struct arena *arena,
                                const char *const *streams, const char *const **normal, size_t *n,
                                const char **reason)
{
    const char **paths;
    enum ds_status status = DS_OK;

    for (*n = 0; streams && streams[*n]; ++*n)
        if (*n == SUBSCRIPTION_STREAMS_MOST) {
            *reason = "there are more than 1000 streams";
            return DS_INVALID;
        }
    *normal = paths = arena_alloc(arena, (*n + 1) * sizeof *paths);
    if (!paths)
        return DS_NO_MEMORY;
    for (size_t i = 0; status == DS_OK && i < *n; i++)
        status = lib_linkable(store, arena, streams[i], &paths[i], reason);
    return status;
}

/* --- descriptions --- */

size_t lib_text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

bool lib_block_new(struct lib_block *block, size_t size, const struct subscription_view *view,
                   size_t texts)
{
    size_t links = view->links * sizeof *block->link;

    for (size_t i = 0; i < view->links; i++)
        texts += lib_text_size(view->link[i].path);
    block->memory = calloc(1, size + links + texts);
    if (!block->memory)
        return false;
    block->link = (struct ds_subscription_link *)(void *)((char *)block->memory + size);
    block->at = (char *)block->memory + size + links;
    return true;
}

const char *lib_put_text(struct lib_block *block, const char *text)
{
    char *copy = block->at;

    if (!text)
        return NULL;
    block->at = stpcpy(copy, text) + 1;
    return copy;
}

const struct ds_subscription_link *lib_put_links(struct lib_block *block,
                                                 const struct subscription_view *view)
{
    for (size_t i = 0; i < view->links; i++) {
        const struct subscription_link *from = &view->link[i];
        struct ds_subscription_link *to = &block->link[i];

        to->path = lib_put_text(block, from->path);
        to->is_explicit = from->is_explicit;
        to->is_glob = from->is_glob;
        to->pending = from->pending;
        if (from->acked < 0)
            (void)strcpy(to->acked_offset, DS_START);
        else
            offset_format(from->acked, to->acked_offset);
        if (from->stream_id != 0)
            offset_format(from->tail, to->tail_offset);
    }
    return view->links > 0 ? block->link : NULL;
}

/* What the links of a view say only if it has all of them. */
struct totals {
    int64_t links;
    bool pending;
};

static enum ds_status read_totals(struct store_conn *conn, const struct subscription_view *view,
                                  struct totals *totals)
{
    enum ds_status status = store_link_count(conn, view->row.id, &totals->links);

    return status == DS_OK ? store_has_pending(conn, view->row.id, &totals->pending) : status;
}

static enum ds_status describe_subscription(const struct subscription_view *view,
                                            const struct totals *totals,
                                            struct ds_subscription **out)
{
    const struct subscription *row = &view->row;
    const char *texts[] = {row->name,        row->pattern, row->wake_stream, row->url,
                           row->description, row->wake_id, row->holder,      row->failure};
    struct ds_subscription *subscription;
    struct lib_block block;
    size_t size = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        size += lib_text_size(texts[i]);
    if (!lib_block_new(&block, sizeof *subscription, view, size))
        return DS_NO_MEMORY;
    subscription = block.memory;
    *subscription = (struct ds_subscription){
        .type = row->is_webhook ? DS_WEBHOOK : DS_PULL_WAKE,
        .lease_ttl_ms = row->lease_ttl_ms,
        .created_at = row->created_at,
        .generation = row->generation,
        .woken_at = row->woken_at,
        .lease_until = row->lease_until,
        .attempts = row->attempts,
        .next_attempt_at = row->next_attempt_at,
        .failed_at = row->failed_at,
        .link_count = totals->links,
        .pending = totals->pending,
        .link = lib_put_links(&block, view),
        .links = view->links,
    };
    subscription->name = lib_put_text(&block, row->name);
    subscription->pattern = lib_put_text(&block, row->pattern);
    subscription->wake_stream = lib_put_text(&block, row->wake_stream);
    subscription->url = lib_put_text(&block, row->url);
    subscription->description = lib_put_text(&block, row->description);
    subscription->wake_id = lib_put_text(&block, row->wake_id);
    subscription->holder = lib_put_text(&block, row->holder);
    subscription->failure = lib_put_text(&block, row->failure);
    *out = subscription;
    return DS_OK;
}

enum ds_status lib_describe_view(struct ds_store *store, const struct subscription_view *view,
                                 struct ds_subscription **out)
{
    struct totals totals = {.links = (int64_t)view->links};
    struct store_conn *conn;
    enum ds_status status = DS_OK;

    for (size_t i = 0; i < view->links; i++)
        totals.pending |= view->link[i].pending;
    if (view->more) {
        status = lib_acquire(store, &conn);
        if (status != DS_OK)
            return status;
        status = read_totals(conn, view, &totals);
        lib_release(store, conn);
    }
    return status == DS_OK ? describe_subscription(view, &totals, out) : status;
}

void ds_subscription_free(struct ds_subscription *subscription)
{
    free(subscription);
}

/* --- describe, list, delete --- */

enum ds_status ds_subscription_get(struct ds_store *store, const char *name,
                                   struct ds_subscription **out)
{
    struct arena *arena = arena_new();
    struct subscription_view view = {.links = 0};
    struct store_conn *conn = NULL;
    enum ds_status status = !arena ? DS_NO_MEMORY : lib_is_name(name) ? DS_OK : DS_INVALID;

    if (status == DS_OK)
        status = lib_acquire(store, &conn);
    if (status == DS_OK) {
        status = subscription_read(conn, arena, name, &view);
        lib_release(store, conn);
    }
    if (status == DS_OK)
        status = lib_describe_view(store, &view, out);
    arena_free(arena);
    return status;
}

/* The one after this name, within a read transaction. */
static enum ds_status describe_after(struct store_conn *conn, struct arena *arena, const char *name,
                                     struct ds_subscription **out)
{
    struct subscription_view view = {.links = 0};
    struct totals totals;
    bool has;
    enum ds_status status = store_has_subscriptions(conn, &has);

    if (status == DS_OK && !has)
        return DS_NOT_FOUND;
    if (status == DS_OK)
        status = store_subscription_after(conn, arena, name, &view.row);
    if (status == DS_OK)
        status = read_totals(conn, &view, &totals);
    return status == DS_OK ? describe_subscription(&view, &totals, out) : status;
}

static enum ds_status find_after(struct ds_store *store, const char *name,
                                 struct ds_subscription **out)
{
    struct arena *arena = arena_new();
    struct store_conn *conn = NULL;
    enum ds_status status = arena ? lib_acquire(store, &conn) : DS_NO_MEMORY;

    if (status == DS_OK) {
        status = store_begin_read(conn);
        if (status == DS_OK)
            status = describe_after(conn, arena, name, out);
        store_end_read(conn);
        lib_release(store, conn);
    }
    arena_free(arena);
    return status;
}

enum ds_status ds_subscription_list(struct ds_store *store, ds_subscription_fn *fn, void *arg)
{
    struct ds_subscription *last = NULL, *next = NULL;
    enum ds_status status;

    while ((status = find_after(store, last ? last->name : "", &next)) == DS_OK) {
        ds_subscription_free(last);
        last = next;
        if (!fn(arg, last))
            break;
    }
    ds_subscription_free(last);
    return status == DS_NOT_FOUND ? DS_OK : status;
}

static enum ds_status apply_delete(struct batch *batch, void *asked)
{
    return subscription_delete(batch, asked);
}

enum ds_status ds_subscription_delete(struct ds_store *store, const char *name)
{
    struct subscription_delete deletion = {.name = name};
    enum ds_status status =
        lib_is_name(name) ? lib_write(store, apply_delete, &deletion, 0, true) : DS_INVALID;

    return status == DS_OK ? deletion.verdict : status;
}

/* --- explicit streams --- */

static enum ds_status apply_streams(struct batch *batch, void *asked)
{
    return subscription_streams(batch, asked);
}

static enum ds_status ask_streams(struct ds_store *store, struct arena *arena, const char *name,
                                  const char *const *streams, bool removes, const char **reason)
{
    struct subscription_streams asked = {.name = name, .removes = removes};
    enum ds_status status = lib_is_name(name) ? DS_OK : DS_INVALID;

    if (status == DS_OK)
        status = lib_take_streams(store, arena, streams, &asked.stream, &asked.streams, reason);
    if (status == DS_OK)
        status = lib_write(store, apply_streams, &asked, 0, false);
    if (status != DS_OK)
        return status;
    *reason = asked.reason;
    return asked.verdict;
}

enum ds_status ds_subscription_add_streams(struct ds_store *store, const char *name,
                                           const char *const *streams, const char **reason)
{
    struct arena *arena = arena_new();
    const char *why = NULL;
    enum ds_status status =
        arena ? ask_streams(store, arena, name, streams, false, &why) : DS_NO_MEMORY;

    arena_free(arena);
    return lib_explain(status, why, reason);
}

enum ds_status ds_subscription_remove_stream(struct ds_store *store, const char *name,
                                             const char *path)
{
    const char *const streams[] = {path, NULL};
    struct arena *arena = arena_new();
    const char *why = NULL;
    enum ds_status status = !arena ? DS_NO_MEMORY
                            : path ? ask_streams(store, arena, name, streams, true, &why)
                                   : DS_INVALID;

    arena_free(arena);
    return status;
}
