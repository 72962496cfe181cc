/* Creating, reading and deleting subscriptions, and their explicit streams: see subscription.h. */
#include "engine/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine/subscription_json.h"
#include "engine/subscription_private.h"
#include "protocol/glob.h"
#include "store/store.h"

enum ds_status subscription_find(struct store_conn *conn, struct arena *arena, const char *name,
                                 struct subscription *row)
{
    bool has;
    enum ds_status status = store_has_subscriptions(conn, &has);

    if (status == DS_OK && !has)
        return DS_NOT_FOUND;
    return status == DS_OK ? store_subscription_find(conn, arena, name, row) : status;
}

/* --- views --- */

static enum ds_status read_links(struct store_conn *conn, struct arena *arena, bool wake,
                                 size_t most, struct subscription_view *view)
{
    struct subscription_link *others = NULL, *all;
    size_t n = 0;
    enum ds_status status =
        store_links(conn, arena, view->row.id, wake ? STORE_LINKS_PENDING : STORE_LINKS_ALL, most,
                    &view->link, &view->links);

    if (status != DS_OK || !wake || view->links == most)
        return status;
    status =
        store_links(conn, arena, view->row.id, STORE_LINKS_OTHERS, most - view->links, &others, &n);
    if (status != DS_OK || n == 0)
        return status;
    all = arena_alloc(arena, (view->links + n) * sizeof *all);
    if (!all)
        return DS_NO_MEMORY;
    if (view->links > 0)
        memcpy(all, view->link, view->links * sizeof *all);
    memcpy(all + view->links, others, n * sizeof *all);
    view->link = all;
    view->links += n;
    return DS_OK;
}

enum ds_status subscription_view_links(struct store_conn *conn, struct arena *arena, bool wake,
                                       size_t most, struct subscription_view *view)
{
    int64_t count;
    enum ds_status status = read_links(conn, arena, wake, most, view);

    view->more = false;
    if (status != DS_OK || view->links < most)
        return status;
    status = store_link_count(conn, view->row.id, &count);
    view->more = count > (int64_t)view->links;
    return status;
}

enum ds_status subscription_read(struct store_conn *conn, struct arena *arena, const char *name,
                                 struct subscription_view *view)
{
    enum ds_status status = store_begin_read(conn);

    if (status != DS_OK)
        return status;
    status = subscription_find(conn, arena, name, &view->row);
    if (status == DS_OK)
        status = subscription_view_links(conn, arena, false, SUBSCRIPTION_SHOWN_LINKS, view);
    store_end_read(conn);
    return status;
}

/* --- create or re-confirm --- */

static enum ds_status refuse_put(struct subscription_put *put, enum ds_status verdict,
                                 const char *reason)
{
    put->verdict = verdict;
    put->reason = reason;
    return DS_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The explicit streams in order, each once, in the batch's arena. */
static enum ds_status sort_streams(struct batch *batch, const struct subscription_put *put,
                                   const char ***streams, size_t *n)
{
    const char **sorted = arena_alloc(batch->arena, (put->streams + 1) * sizeof *sorted);

    if (!sorted)
        return DS_NO_MEMORY;
    for (size_t i = 0; i < put->streams; i++)
        sorted[i] = put->stream[i];
    qsort(sorted, put->streams, sizeof *sorted, compare_paths);
    *n = 0;
    for (size_t i = 0; i < put->streams; i++)
        if (i == 0 || strcmp(sorted[i], sorted[*n - 1]) != 0)
            sorted[(*n)++] = sorted[i];
    *streams = sorted;
    return DS_OK;
}

static enum ds_status describe_config(struct batch *batch, const struct subscription_put *put,
                                      const char *const *streams, size_t n, const char **config)
{
    struct subscription row = {.is_webhook = put->is_webhook,
                               .pattern = put->pattern,
                               .url = put->url,
                               .wake_stream = put->wake_stream,
                               .lease_ttl_ms = put->lease_ttl_ms,
                               .description = put->description};
    struct buf buf = {0};

    subscription_add_config(&buf, &row, streams, n);
    *config = buf_failed(&buf) ? NULL : arena_strndup(batch->arena, buf.data, buf.len);
    buf_close(&buf);
    return *config ? DS_OK : DS_NO_MEMORY;
}

/* The streams that a new pattern matches. */
struct backfill {
    struct batch *batch;
    const char *pattern;
    struct subscription_link *link;
    size_t n, room;
};

static enum ds_status add_match(void *arg, int64_t stream_id, const char *path, int64_t tail)
{
    struct backfill *fill = arg;
    struct arena *arena = fill->batch->arena;
    struct subscription_link *more;
    bool excluded;
    enum ds_status status;

    if (!glob_matches(fill->pattern, subscription_path(path)))
        return DS_OK;
    status = store_is_wake_stream(fill->batch->conn, path, &excluded);
    if (status != DS_OK || excluded || store_reserves(fill->batch->conn, path))
        return status;
    if (fill->n == SUBSCRIPTION_BACKFILL_MOST)
        return DS_CANCELLED;
    if (fill->n == fill->room) {
        fill->room = fill->room == 0 ? 64 : 2 * fill->room;
        more = arena_alloc(arena, fill->room * sizeof *more);
        if (!more)
            return DS_NO_MEMORY;
        if (fill->n > 0)
            memcpy(more, fill->link, fill->n * sizeof *more);
        fill->link = more;
    }
    fill->link[fill->n] =
        (struct subscription_link){.path = arena_strndup(arena, path, strlen(path)),
                                   .stream_id = stream_id,
                                   .is_glob = true,
                                   .acked = tail,
                                   .tail = tail};
    return fill->link[fill->n++].path ? DS_OK : DS_NO_MEMORY;
}

static enum ds_status find_matches(struct batch *batch, const struct subscription_put *put,
                                   struct backfill *fill)
{
    size_t prefixes = put->pattern ? glob_prefixes(put->pattern) : 0;
    enum ds_status status = DS_OK;

    *fill = (struct backfill){.batch = batch, .pattern = put->pattern};
    for (size_t i = 0; status == DS_OK && i < prefixes; i++) {
        const char *prefix = glob_prefix(batch->arena, put->pattern, i);

        if (prefix)
            prefix = arena_printf(batch->arena, SUBSCRIPTION_ROOT "%s", prefix);
        status = prefix ? store_candidates(batch->conn, batch->arena, prefix, batch->now, add_match,
                                           fill)
                        : DS_NO_MEMORY;
    }
    return status;
}

/* Links a stream that a client has named, which may exist or not. */
static enum ds_status link_explicit(struct batch *batch, int64_t subscription_id, const char *path)
{
    struct subscription_link link;
    struct stream stream;
    enum ds_status status = store_link_get(batch->conn, batch->arena, subscription_id, path, &link);

    if (status == DS_NOT_FOUND) {
        status = store_find(batch->conn, batch->arena, path, batch->now, &stream);
        link = (struct subscription_link){.path = path};
        if (status == DS_OK) {
            link.stream_id = stream.id;
            link.acked = stream.tail;
        } else if (status != DS_NOT_FOUND && status != DS_GONE) {
            return status;
        }
        status = DS_OK;
    }
    link.is_explicit = true;
    return status == DS_OK ? store_link_put(batch->conn, subscription_id, &link) : status;
}

/* Links what was found; `linked`: streams that a client has named may be linked already. */
static enum ds_status link_backfill(struct batch *batch, int64_t subscription_id, bool linked,
                                    const struct backfill *fill, const char *wake_stream)
{
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < fill->n; i++) {
        struct subscription_link *found = &fill->link[i], link;

        if (wake_stream && strcmp(found->path, wake_stream) == 0)
            continue;
        status =
            linked ? store_link_get(batch->conn, batch->arena, subscription_id, found->path, &link)
                   : DS_NOT_FOUND;
        if (status == DS_OK)
            found->is_explicit = true; /* linked a moment ago, at the same tail */
        if (status == DS_OK || status == DS_NOT_FOUND)
            status = store_link_put(batch->conn, subscription_id, found);
    }
    return status;
}

static enum ds_status insert_row(struct batch *batch, struct subscription_put *put,
                                 const char *config)
{
    struct subscription *row = &put->view.row;

    *row = (struct subscription){.name = put->name,
                                 .is_webhook = put->is_webhook,
                                 .pattern = put->pattern,
                                 .url = put->url,
                                 .wake_stream = put->wake_stream,
                                 .lease_ttl_ms = put->lease_ttl_ms,
                                 .description = put->description,
                                 .config = config,
                                 .base_url = put->base_url,
                                 .created_at = batch->now};
    return store_subscription_insert(batch->conn, row);
}

static enum ds_status create(struct batch *batch, struct subscription_put *put, const char *config,
                             const char *const *streams, size_t n)
{
    struct backfill fill;
    int64_t count;
    enum ds_status status = store_subscription_count(batch->conn, &count);

    if (status == DS_OK && count >= put->most)
        return refuse_put(put, DS_INVALID, "there are too many subscriptions");
    for (size_t i = 0; put->wake_stream && i < n; i++)
        if (strcmp(streams[i], put->wake_stream) == 0)
            return refuse_put(put, DS_INVALID, "wake_stream cannot be one of the streams");
    if (status == DS_OK)
        status = find_matches(batch, put, &fill);
    if (status == DS_CANCELLED)
        return refuse_put(put, DS_INVALID, "the pattern matches too many existing streams");
    if (status == DS_OK)
        status = insert_row(batch, put, config);
    for (size_t i = 0; status == DS_OK && i < n; i++)
        status = link_explicit(batch, put->view.row.id, streams[i]);
    if (status == DS_OK)
        status = link_backfill(batch, put->view.row.id, n > 0, &fill, put->wake_stream);
    if (status == DS_OK && put->wake_stream)
        status = store_links_unglob(batch->conn, put->wake_stream);
    batch_made(batch); /* settles subscriptions that have lost a link by that */
    put->created = true;
    return status == DS_OK ? batch_reread(batch) : status;
}

enum ds_status subscription_put(struct batch *batch, struct subscription_put *put)
{
    struct subscription *row = &put->view.row;
    const char **streams, *config;
    size_t n;
    enum ds_status status = batch_flush(batch);

    put->created = false;
    (void)refuse_put(put, DS_OK, NULL);
    if (status == DS_OK)
        status = sort_streams(batch, put, &streams, &n);
    if (status == DS_OK)
        status = describe_config(batch, put, streams, n, &config);
    if (status != DS_OK)
        return status;
    status = subscription_find(batch->conn, put->arena, put->name, row);
    if (status == DS_OK && strcmp(row->config, config) != 0)
        return refuse_put(put, DS_CONFLICT, "the subscription exists with another configuration");
    if (status == DS_NOT_FOUND) {
        if (put->unfit != DS_OK)
            return refuse_put(put, put->unfit, put->unfit_reason);
        status = store_make_subscriptions(batch->conn);
        if (status == DS_OK)
            status = create(batch, put, config, streams, n);
    }
    if (status != DS_OK || put->verdict != DS_OK)
        return status;
    return subscription_view_links(batch->conn, put->arena, false, SUBSCRIPTION_SHOWN_LINKS,
                                   &put->view);
}

enum ds_status subscription_delete(struct batch *batch, struct subscription_delete *deletion)
{
    struct subscription row;
    enum ds_status status = subscription_find(batch->conn, batch->arena, deletion->name, &row);

    deletion->verdict = status;
    if (status == DS_NOT_FOUND)
        return DS_OK;
    if (status == DS_OK)
        status = store_subscription_delete(batch->conn, row.id);
    return status == DS_OK ? batch_reread(batch) : status;
}

/* --- explicit streams --- */

static enum ds_status unlink_explicit(struct batch *batch, struct subscription *row,
                                      const char *path)
{
    struct subscription_link link;
    enum ds_status status = store_link_get(batch->conn, batch->arena, row->id, path, &link);

    if (status == DS_NOT_FOUND || (status == DS_OK && !link.is_explicit))
        return DS_OK;
    if (status != DS_OK)
        return status;
    if (link.is_glob) {
        link.is_explicit = false;
        return store_link_put(batch->conn, row->id, &link);
    }
    row->unsettled |= link.pending;
    return store_link_delete(batch->conn, row->id, path);
}

static enum ds_status refuse_streams(struct subscription_streams *streams, enum ds_status verdict,
                                     const char *reason)
{
    streams->verdict = verdict;
    streams->reason = reason;
    return DS_OK;
}

enum ds_status subscription_streams(struct batch *batch, struct subscription_streams *streams)
{
    struct subscription row;
    enum ds_status status = batch_flush(batch);

    (void)refuse_streams(streams, DS_OK, NULL);
    if (status == DS_OK)
        status = subscription_find(batch->conn, batch->arena, streams->name, &row);
    if (status == DS_NOT_FOUND)
        return refuse_streams(streams, status, "there is no such subscription");
    for (size_t i = 0; status == DS_OK && row.wake_stream && i < streams->streams; i++)
        if (!streams->removes && strcmp(streams->stream[i], row.wake_stream) == 0)
            return refuse_streams(streams, DS_INVALID, "the wake stream cannot be linked");
    for (size_t i = 0; status == DS_OK && i < streams->streams; i++)
        status = streams->removes ? unlink_explicit(batch, &row, streams->stream[i])
                                  : link_explicit(batch, row.id, streams->stream[i]);
    if (status == DS_OK && row.unsettled)
        status = subscription_recheck(batch, &row);
    return status == DS_OK ? batch_reread(batch) : status;
}
