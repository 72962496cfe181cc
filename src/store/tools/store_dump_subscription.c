/* The export of subscriptions and webhook keys: see store_dump.h. */
#include <string.h>

#include "base/arena.h"
#include "protocol/offset.h"
#include "store/sqlite/store_private.h"
#include "store/store_subscription.h"
#include "store/tools/store_dump_private.h"

/* created_at tells the stream from a later one at the same path. */
static const char links_sql[] =
    "SELECT l.path, l.is_explicit = 1, l.is_glob = 1, l.acked, s.created_at "
    "FROM subscription_link AS l LEFT JOIN stream AS s ON s.id = l.stream_id "
    "WHERE l.subscription_id = ?1 ORDER BY l.path";

static const char tombstones_sql[] =
    "SELECT name, generation, deleted_at FROM subscription_tombstone ORDER BY name";

/* --- subscriptions --- */

static void add_if(struct export *export, enum dump_field field, const char *text)
{
    if (text)
        export_add_text(export, field, text);
}

static enum ds_status put_subscription(struct export *export, const struct subscription *row)
{
    export_add_text(export, DUMP_F_SUBSCRIPTION, row->name);
    export_add_text(export, DUMP_F_TYPE, row->is_webhook ? "webhook" : "pull-wake");
    add_if(export, DUMP_F_PATTERN, row->pattern);
    if (row->is_webhook)
        export_add_text(export, DUMP_F_URL, row->url);
    else
        export_add_text(export, DUMP_F_WAKE_STREAM, row->wake_stream);
    export_add_number(export, DUMP_F_LEASE_TTL_MS, row->lease_ttl_ms);
    add_if(export, DUMP_F_DESCRIPTION, row->description);
    export_add_text(export, DUMP_F_CONFIG, row->config);
    export_add_text(export, DUMP_F_BASE_URL, row->base_url);
    export_add_number(export, DUMP_F_CREATED_AT, row->created_at);
    export_add_number(export, DUMP_F_GENERATION, row->generation);
    return export_put_line(export);
}

static enum ds_status put_link(struct export *export, sqlite3_stmt *stmt)
{
    const char *path = (const char *)sqlite3_column_text(stmt, 0);
    int64_t acked = sqlite3_column_int64(stmt, 3);

    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT ||
        sqlite3_column_type(stmt, 3) != SQLITE_INTEGER || acked < -1 || acked > OFFSET_POSITION_MAX)
        return export_fail(export, DS_FAILED,
                           "a link of a subscription is damaged: dsctl check says more");
    if (!path)
        return DS_NO_MEMORY;
    export_add_text(export, DUMP_F_LINK, path);
    if (sqlite3_column_type(stmt, 4) == SQLITE_INTEGER && sqlite3_column_int64(stmt, 4) >= 0)
        export_add_number(export, DUMP_F_CREATED_AT, sqlite3_column_int64(stmt, 4));
    if (sqlite3_column_int(stmt, 1))
        export_add_number(export, DUMP_F_EXPLICIT, 1);
    if (sqlite3_column_int(stmt, 2))
        export_add_number(export, DUMP_F_GLOB, 1);
    if (acked >= 0)
        export_add_number(export, DUMP_F_ACKED, acked);
    return export_put_line(export);
}

static enum ds_status put_links(struct export *export, const struct subscription *row)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_prepare(export->conn, links_sql, &status);
    int64_t links = 0;
    bool more = true;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, row->id);
    while ((status = stmt_step(export->conn, stmt, &more)) == DS_OK && more) {
        status = put_link(export, stmt);
        if (status != DS_OK)
            break;
        links++;
    }
    (void)sqlite3_finalize(stmt);
    if (status != DS_OK)
        return status;
    export_add_text(export, DUMP_F_END_OF_SUBSCRIPTION, row->name);
    export_add_number(export, DUMP_F_LINKS, links);
    export->dump->subscriptions++;
    return export_put_line(export);
}

/* Writes the first subscription after `name`, which becomes its name, in the other arena. */
static enum ds_status put_next(struct export *export, struct arena *arena, const char *after,
                               const char **name)
{
    struct subscription row;
    enum ds_status status = store_subscription_after(export->conn, arena, after, &row);

    if (status == DS_FAILED)
        (void)export_fail(export, status, "a subscription is damaged: dsctl check says more");
    if (status == DS_OK)
        status = put_subscription(export, &row);
    if (status == DS_OK)
        status = put_links(export, &row);
    *name = row.name;
    return status;
}

static enum ds_status put_all(struct export *export)
{
    struct arena *kept = NULL, *arena;
    const char *name = "";
    enum ds_status status = DS_OK;

    while (status == DS_OK) {
        arena = arena_new();
        status = arena ? put_next(export, arena, name, &name) : DS_NO_MEMORY;
        arena_free(kept);
        kept = arena; /* has the name */
    }
    arena_free(kept);
    return status == DS_NOT_FOUND ? DS_OK : status;
}

/* --- deleted ones --- */

static enum ds_status put_tombstone(struct export *export, sqlite3_stmt *stmt)
{
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    int64_t generation = sqlite3_column_int64(stmt, 1), deleted_at = sqlite3_column_int64(stmt, 2);

    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT || generation < 0 || deleted_at < 0)
        return export_fail(export, DS_FAILED,
                           "a deleted subscription is damaged: dsctl check says more");
    if (!name)
        return DS_NO_MEMORY;
    export_add_text(export, DUMP_F_TOMBSTONE, name);
    export_add_number(export, DUMP_F_GENERATION, generation);
    export_add_number(export, DUMP_F_DELETED_AT, deleted_at);
    return export_put_line(export);
}

static enum ds_status put_tombstones(struct export *export)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_prepare(export->conn, tombstones_sql, &status);
    bool more = true;

    while (stmt && (status = stmt_step(export->conn, stmt, &more)) == DS_OK && more) {
        status = put_tombstone(export, stmt);
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* --- keys --- */

static enum ds_status put_keys(struct export *export)
{
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    size_t n;
    enum ds_status status = store_webhook_keys(export->conn, keys, &n);

    for (size_t i = 0; status == DS_OK && i < n; i++) {
        if (keys[i].created_at < 0 || keys[i].signs_from < 0 || keys[i].signs_until < 0) {
            status =
                export_fail(export, DS_FAILED, "a webhook key is damaged: dsctl check says more");
            break;
        }
        export_add_text(export, DUMP_F_WEBHOOK_KEY, keys[i].kid);
        export_add_text(export, DUMP_F_X, keys[i].x);
        dump_add_text(&export->line, DUMP_F_SEED, (const char *)keys[i].seed, WEBHOOK_KEY_BYTES);
        export_add_number(export, DUMP_F_CREATED_AT, keys[i].created_at);
        export_add_number(export, DUMP_F_SIGNS_FROM, keys[i].signs_from);
        if (keys[i].signs_until != 0)
            export_add_number(export, DUMP_F_SIGNS_UNTIL, keys[i].signs_until);
        status = export_put_line(export);
    }
    explicit_bzero(keys, sizeof keys);
    return status;
}

enum ds_status export_subscriptions(struct export *export)
{
    bool has;
    enum ds_status status = store_has_subscriptions(export->conn, &has);

    if (status == DS_OK && has)
        status = put_all(export);
    if (status == DS_OK && has)
        status = put_tombstones(export);
    return status == DS_OK && export->dump->keys ? put_keys(export) : status;
}
