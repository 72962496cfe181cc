/*
 * The import of subscriptions and webhook keys: see store_dump.h.
 *
 * They follow all streams of the file, so a link finds its stream by path. The triggers have noted
 * each imported stream in subscription_arrival if the database had subscriptions before; when
 * upkeep takes that note, it finds the link of the import and leaves it alone.
 *
 * Each subscription is one transaction with all of its links. It gets no wake: it is marked as
 * unsettled, which upkeep clears.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "protocol/glob.h"
#include "store/tools/store_import_private.h"

#define ROOT "/v1/stream/"

static enum ds_status refuse(struct import *import, const char *reason)
{
    return dump_reader_refuse(&import->reader, DS_INVALID, "%s", reason);
}

/* --- the line of a subscription --- */

static enum ds_status take_configuration(struct import *import)
{
    struct subscription *row = &import->subscription;

    *row = (struct subscription){
        .name = import_keep(import, DUMP_F_SUBSCRIPTION, NULL),
        .is_webhook = import_is_text(import, DUMP_F_TYPE, "webhook"),
        .pattern = import_keep(import, DUMP_F_PATTERN, NULL),
        .url = import_keep(import, DUMP_F_URL, NULL),
        .wake_stream = import_keep(import, DUMP_F_WAKE_STREAM, NULL),
        .lease_ttl_ms = import_number(import, DUMP_F_LEASE_TTL_MS),
        .description = import_keep(import, DUMP_F_DESCRIPTION, NULL),
        .config = import_keep(import, DUMP_F_CONFIG, NULL),
        .base_url = import_keep(import, DUMP_F_BASE_URL, NULL),
        .created_at = import_number(import, DUMP_F_CREATED_AT),
    };
    if (!row->name || !(row->is_webhook ? row->url : row->wake_stream) || !row->config ||
        !row->base_url || (import_has(import, DUMP_F_PATTERN) && !row->pattern) ||
        (import_has(import, DUMP_F_DESCRIPTION) && !row->description))
        return DS_NO_MEMORY;
    return DS_OK;
}

/* Is the name free? */
static enum ds_status free_name(struct import *import)
{
    struct subscription there;
    enum ds_status status =
        store_subscription_find(import->conn, import->arena, import->subscription.name, &there);

    if (status == DS_NOT_FOUND)
        return DS_OK;
    if (status != DS_OK)
        return status;
    if (!import->dump->skip_existing)
        return dump_reader_refuse(&import->reader, DS_CONFLICT, "the subscription %s exists",
                                  import->subscription.name);
    import->skipping = true;
    return DS_OK;
}

/* Inserts the row. One that was deleted here or there goes on with the larger generation. */
static enum ds_status insert_row(struct import *import, struct subscription *row)
{
    int64_t generation = import_number(import, DUMP_F_GENERATION);
    enum ds_status status = store_subscription_insert(import->conn, row);

    if (status != DS_OK)
        return status;
    if (row->generation < generation)
        row->generation = generation;
    row->unsettled = true;
    return store_subscription_update(import->conn, row);
}

static enum ds_status begin_tables(struct import *import)
{
    enum ds_status status = import_begin(import);

    return status == DS_OK ? store_make_subscriptions(import->conn) : status;
}

static enum ds_status begin_subscription(struct import *import)
{
    enum ds_status status = take_configuration(import);

    import->links = 0;
    import->skipping = import->dump->skip_subscriptions;
    if (status != DS_OK || import->skipping)
        return status;
    status = begin_tables(import);
    if (status == DS_OK)
        status = free_name(import);
    if (status == DS_OK && !import->skipping)
        status = insert_row(import, &import->subscription);
    return status;
}

/* --- its links --- */

/* May a pattern link this stream? As in engine/subscription.c. */
static enum ds_status may_match(struct import *import, int64_t stream_id, const char *path,
                                bool *may)
{
    const char *pattern = import->subscription.pattern;
    bool excluded;
    enum ds_status status;

    *may = false;
    if (!pattern || strncmp(path, ROOT, strlen(ROOT)) != 0 ||
        !glob_matches(pattern, path + strlen(ROOT)) || stream_id == import->registry_id ||
        store_reserves(import->conn, path))
        return DS_OK;
    status = store_is_wake_stream(import->conn, path, &excluded);
    *may = !excluded;
    return status;
}

/* Finds the stream of the link, and whether its cursor counts there. */
static enum ds_status find_stream(struct import *import, struct subscription_link *link)
{
    struct stream stream;
    bool may = false;
    enum ds_status status =
        store_find(import->conn, import->arena, link->path, import->now, &stream);

    if (status == DS_OK) {
        link->stream_id = stream.id;
        link->tail = stream.tail;
        if (!import_has(import, DUMP_F_CREATED_AT) ||
            import_number(import, DUMP_F_CREATED_AT) != stream.created_at)
            link->acked = -1;
        status = may_match(import, stream.id, link->path, &may);
    } else if (status == DS_NOT_FOUND || status == DS_GONE) {
        status = DS_OK;
    }
    if (link->acked > link->tail) /* the stream was imported from an older export, for example */
        link->acked = link->tail;
    link->pending = link->tail > (link->acked > 0 ? link->acked : 0);
    link->is_glob &= may && !stream.is_registry;
    return status;
}

static enum ds_status take_link(struct import *import)
{
    const char *wake_stream = import->subscription.wake_stream;
    struct subscription_link link = {
        .path = import_keep(import, DUMP_F_LINK, NULL),
        .is_explicit = import_number(import, DUMP_F_EXPLICIT) == 1,
        .is_glob = import_number(import, DUMP_F_GLOB) == 1,
        .acked = import_has(import, DUMP_F_ACKED) ? import_number(import, DUMP_F_ACKED) : -1,
    };
    enum ds_status status;

    if (!link.path)
        return DS_NO_MEMORY;
    if (link.is_explicit && wake_stream && strcmp(link.path, wake_stream) == 0)
        return refuse(import, "the wake stream cannot be linked");
    import->links++;
    if (import->skipping)
        return DS_OK;
    status = find_stream(import, &link);
    if (status != DS_OK || (!link.is_explicit && !link.is_glob))
        return status;
    return store_link_put(import->conn, import->subscription.id, &link);
}

/* --- streams that have no link in the file --- */

struct backfill {
    struct import *import;
    struct buf found; /* struct subscription_link */
};

static enum ds_status add_candidate(void *arg, int64_t stream_id, const char *path, int64_t tail)
{
    struct backfill *fill = arg;
    struct import *import = fill->import;
    struct subscription_link link = {.stream_id = stream_id, .is_glob = true, .tail = tail};
    bool may;
    enum ds_status status = may_match(import, stream_id, path, &may);

    if (status != DS_OK || !may)
        return status;
    link.path = arena_strndup(import->arena, path, strlen(path));
    link.acked = stream_id <= import->last_id ? tail : -1;
    link.pending = tail > 0 && link.acked < tail;
    buf_add(&fill->found, &link, sizeof link);
    return link.path && !buf_failed(&fill->found) ? DS_OK : DS_NO_MEMORY;
}

static enum ds_status find_candidates(struct import *import, struct backfill *fill)
{
    const char *pattern = import->subscription.pattern;
    size_t prefixes = pattern ? glob_prefixes(pattern) : 0;
    enum ds_status status = DS_OK;

    for (size_t i = 0; status == DS_OK && i < prefixes; i++) {
        const char *prefix = glob_prefix(import->arena, pattern, i);

        if (prefix)
            prefix = arena_printf(import->arena, ROOT "%s", prefix);
        status = prefix ? store_candidates(import->conn, import->arena, prefix, import->now,
                                           add_candidate, fill)
                        : DS_NO_MEMORY;
    }
    return status;
}

static enum ds_status link_others(struct import *import)
{
    struct backfill fill = {.import = import};
    enum ds_status status = find_candidates(import, &fill);
    const struct subscription_link *found = (const void *)fill.found.data;

    for (size_t i = 0; status == DS_OK && i < fill.found.len / sizeof *found; i++) {
        struct subscription_link link;

        status = store_link_get(import->conn, import->arena, import->subscription.id, found[i].path,
                                &link);
        if (status == DS_NOT_FOUND)
            link = found[i];
        link.is_glob = true;
        if (status == DS_OK || status == DS_NOT_FOUND)
            status = store_link_put(import->conn, import->subscription.id, &link);
    }
    buf_close(&fill.found);
    return status;
}

static enum ds_status end_subscription(struct import *import)
{
    const struct subscription *row = &import->subscription;
    enum ds_status status = DS_OK;

    if (!import_is_text(import, DUMP_F_END_OF_SUBSCRIPTION, row->name))
        return refuse(import, "this is the end of another subscription");
    if (import_number(import, DUMP_F_LINKS) != import->links)
        return refuse(import, "lines of this subscription are missing");
    import->subscriptions++;
    if (import->skipping) {
        import->dump->skipped_subscriptions++;
    } else {
        status = link_others(import);
        if (status == DS_OK && row->wake_stream)
            status = store_links_unglob(import->conn, row->wake_stream);
    }
    if (status == DS_OK)
        status = import_commit(import);
    if (status == DS_OK && !import->skipping)
        import->dump->subscriptions++;
    return status;
}

/* --- deleted subscriptions, and keys --- */

/* A subscription that is made and deleted leaves a tombstone with an id that no other one has. */
static enum ds_status bury(struct import *import, const char *name)
{
    struct subscription row = {.name = name,
                               .wake_stream = ROOT,
                               .lease_ttl_ms = 1000,
                               .config = "{}",
                               .base_url = ""},
                        there;
    enum ds_status status = begin_tables(import);

    if (status == DS_OK)
        status = store_subscription_find(import->conn, import->arena, name, &there);
    if (status != DS_NOT_FOUND) /* it lives here */
        return status;
    status = insert_row(import, &row);
    if (status == DS_OK)
        status = store_subscription_delete(import->conn, row.id);
    if (status == DS_OK)
        status = store_tombstone_date(import->conn, name, import_number(import, DUMP_F_DELETED_AT));
    return status;
}

static enum ds_status take_tombstone(struct import *import)
{
    const char *name = import_keep(import, DUMP_F_TOMBSTONE, NULL);
    enum ds_status status = DS_OK;

    if (!name)
        return DS_NO_MEMORY;
    if (!import->dump->skip_subscriptions)
        status = bury(import, name);
    return status == DS_OK ? import_commit(import) : status;
}

static enum ds_status put_key(struct import *import, const struct webhook_key *key)
{
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    size_t n;
    enum ds_status status = store_webhook_keys(import->conn, keys, &n);
    bool has = false;

    for (size_t i = 0; status == DS_OK && i < n; i++)
        has |= strcmp(keys[i].kid, key->kid) == 0;
    explicit_bzero(keys, sizeof keys);
    if (status != DS_OK || has)
        return status;
    if (n == WEBHOOK_KEYS_MOST)
        return dump_reader_refuse(&import->reader, DS_CONFLICT,
                                  "the database has %d webhook keys already", WEBHOOK_KEYS_MOST);
    return store_webhook_key_put(import->conn, key);
}

static enum ds_status take_key(struct import *import)
{
    const struct dump_value *value = import->reader.line.value;
    struct webhook_key key = {
        .created_at = import_number(import, DUMP_F_CREATED_AT),
        .signs_from = import_number(import, DUMP_F_SIGNS_FROM),
        .signs_until = import_number(import, DUMP_F_SIGNS_UNTIL),
    };
    enum ds_status status;

    if (import->dump->skip_subscriptions)
        return DS_OK;
    memcpy(key.kid, value[DUMP_F_WEBHOOK_KEY].text, value[DUMP_F_WEBHOOK_KEY].len);
    memcpy(key.x, value[DUMP_F_X].text, value[DUMP_F_X].len);
    memcpy(key.seed, value[DUMP_F_SEED].text, sizeof key.seed);
    status = put_key(import, &key);
    explicit_bzero(&key, sizeof key);
    return status;
}

/* --- lines --- */

static enum ds_status begin_line(struct import *import, bool inside)
{
    if (inside && (!import->arena || !import->after_streams))
        return refuse(import, "this line belongs to no subscription");
    if (!inside && import->arena)
        return refuse(import, import->after_streams
                                  ? "this line comes before the end of a subscription"
                                  : "this line comes before the end of a stream");
    import->after_streams = true;
    if (inside)
        return DS_OK;
    import->now = clock_wall_ms();
    import->arena = arena_new();
    return import->arena ? import_commit(import) : DS_NO_MEMORY;
}

static enum ds_status take(struct import *import)
{
    switch (import->reader.line.kind) {
    case DUMP_SUBSCRIPTION:
        return begin_subscription(import);
    case DUMP_LINK:
        return take_link(import);
    case DUMP_END_OF_SUBSCRIPTION:
        return end_subscription(import);
    case DUMP_TOMBSTONE:
        return take_tombstone(import);
    default:
        return take_key(import);
    }
}

enum ds_status import_subscription_line(struct import *import)
{
    enum dump_kind kind = import->reader.line.kind;
    bool inside = kind == DUMP_LINK || kind == DUMP_END_OF_SUBSCRIPTION;
    enum ds_status status = begin_line(import, inside);
    const char *reason;

    if (status != DS_OK)
        return status;
    reason = dump_subscription_judge(&import->reader.line, import->arena);
    status = reason ? refuse(import, reason) : take(import);
    if (status == DS_OK && kind != DUMP_SUBSCRIPTION && kind != DUMP_LINK) {
        arena_free(import->arena);
        import->arena = NULL;
    }
    return status;
}
