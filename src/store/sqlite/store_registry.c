/*
 * The registry: a stream that lists the streams. Database triggers write it (sql/registry.sql).
 * This file switches it on and off, which creates and drops the triggers.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"

/*
 * Appends the events that a registry lacks, because it is new or was off for a while: compares all
 * streams with the last event of each in the registry. Runs only when the registry is switched on.
 */
static const char catch_up_sql[] =
    "CREATE TEMP TABLE said AS "
    "SELECT CASE WHEN key GLOB '/*' THEN key ELSE '/v1/stream/' || key END AS path, operation, "
    "max(position) FROM (SELECT position, json_extract(event, '$.key') AS key, "
    "json_extract(event, '$.headers.operation') AS operation "
    "FROM (SELECT position, CAST(payload AS TEXT) AS event FROM message WHERE stream_id = "
    "(SELECT id FROM stream WHERE registry = 1)) "
    "WHERE CASE WHEN json_valid(event) THEN json_extract(event, '$.type') = 'stream' END) "
    "WHERE typeof(key) = 'text' GROUP BY 1 HAVING operation = 'insert';"
    "INSERT INTO registry_event (operation, path) "
    "SELECT 'delete', path FROM said WHERE path NOT IN "
    "(SELECT path FROM stream WHERE deleted_at IS NULL AND registry IS NULL);"
    "INSERT INTO registry_event (operation, path, content_type, created_at) "
    "SELECT 'insert', path, content_type, created_at FROM stream "
    "WHERE deleted_at IS NULL AND registry IS NULL AND path NOT IN (SELECT path FROM said) "
    "ORDER BY id;"
    "DROP TABLE said;";

static const char take_away_sql[] =
    "DROP TRIGGER IF EXISTS registry_stream_made; DROP TRIGGER IF EXISTS registry_stream_deleted; "
    "DROP TRIGGER IF EXISTS registry_stream_changed; "
    "DROP VIEW IF EXISTS registry_event;"; /* drops its trigger registry_append too */

enum { TRIGGERS = 4 }; /* defined in registry.sql */

static bool is_off(const char *wanted)
{
    return strcmp(wanted, "off") == 0;
}

bool store_reserves(const struct store_conn *conn, const char *path)
{
    const char *registry = conn->store->config->registry;

    return registry && strcmp(registry, path) == 0;
}

static enum ds_status run_registry_sql(struct store_conn *conn, const char *sql, const char *doing)
{
    return store_status(conn, sqlite3_exec(conn->db, sql, NULL, NULL, NULL), doing);
}

/* Creates the triggers if there is a registry, else drops them. Inside a write transaction. */
static enum ds_status place_triggers(struct store_conn *conn)
{
    int64_t id;
    enum ds_status status =
        run_registry_sql(conn, take_away_sql, "dropping the registry's triggers");

    if (status == DS_OK)
        status = stmt_query_int(conn, STMT_REGISTRY, 0, 0, &id);
    if (status == DS_OK && id != 0)
        status = run_registry_sql(conn, schema_registry, "creating the registry's triggers");
    return status;
}

enum ds_status store_appoint_registry(struct store_conn *conn, int64_t id)
{
    enum ds_status status = stmt_run_ids(conn, STMT_REGISTRY_ON, id, 0);

    return status == DS_OK ? place_triggers(conn) : status;
}

/*
 * Is the registry as the settings say? Id 0 means that there is none. A person may have removed the
 * stream or the triggers at the sqlite3 prompt.
 */
static enum ds_status is_registry_settled(struct store_conn *conn, struct arena *arena,
                                          const char *wanted, bool *settled)
{
    struct stream stream = {.id = 0};
    int64_t id, triggers = 0;
    enum ds_status status = stmt_query_int(conn, STMT_REGISTRY, 0, 0, &id);

    if (status == DS_OK && id != 0)
        status = store_load_id(conn, arena, id, &stream);
    if (status == DS_OK)
        status = stmt_ask_int(conn,
                              "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND "
                              "name GLOB 'registry_*'",
                              &triggers);
    *settled = stream.id == 0 ? is_off(wanted) && triggers == 0
                              : strcmp(stream.path, wanted) == 0 && triggers == TRIGGERS;
    return status;
}

/* The reason why a stream cannot become the registry, or NULL. */
static const char *why_unfit(const struct stream *stream, enum ds_status life)
{
    if (life == DS_GONE)
        return "was deleted, and forks still read it";
    if (stream->kind != HTTP_TYPE_JSON)
        return "exists and is not of application/json";
    if (stream->closed_at != 0)
        return "exists and is closed";
    return stream->expires_at != 0 ? "exists and expires" : NULL;
}

/* Finds the stream that will be the registry, or creates it. */
static enum ds_status find_or_make(struct store_conn *conn, struct arena *arena, const char *path,
                                   int64_t now, struct stream *stream)
{
    enum ds_status status = store_find(conn, arena, path, now, stream);
    const char *reason;

    if (status == DS_OK || status == DS_GONE) {
        reason = why_unfit(stream, status);
        if (reason)
            log_error("DS_REGISTRY: the stream %s %s", path, reason);
        return reason ? DS_FAILED : DS_OK;
    }
    if (status == DS_NOT_FOUND && stream->id != 0) /* an expired stream has the path */
        status = store_delete(conn, stream, now);
    if (status != DS_OK && status != DS_NOT_FOUND)
        return status;
    *stream = (struct stream){
        .path = path, .content_type = "application/json", .created_at = now, .ttl_seconds = -1};
    return store_insert(conn, stream);
}

static enum ds_status switch_registry_on(struct store_conn *conn, struct arena *arena,
                                         const char *path)
{
    struct stream stream;
    enum ds_status status = find_or_make(conn, arena, path, clock_wall_ms(), &stream);

    if (status == DS_OK)
        status = store_appoint_registry(conn, stream.id);
    if (status == DS_OK)
        status = run_registry_sql(conn, catch_up_sql, "writing the registry");
    conn->has_events = true;
    return status;
}

static enum ds_status settle_registry(struct store_conn *conn, struct arena *arena,
                                      const char *wanted)
{
    bool settled = false;
    enum ds_status status = is_registry_settled(conn, arena, wanted, &settled);

    if (status != DS_OK || settled)
        return status;
    status = store_begin_write(conn);
    if (status != DS_OK)
        return status;
    /* another process may have been faster */
    status = is_registry_settled(conn, arena, wanted, &settled);
    if (status == DS_OK && !settled)
        status = stmt_run_ids(conn, STMT_REGISTRY_OFF, 0, 0);
    if (status == DS_OK && !settled)
        status = place_triggers(conn); /* no registry now */
    if (status == DS_OK && !settled && !is_off(wanted))
        status = switch_registry_on(conn, arena, wanted);
    if (status == DS_OK)
        status = store_commit(conn);
    else
        store_rollback(conn);
    if (status == DS_OK && !settled)
        log_info("the registry is %s", wanted);
    return status;
}

enum ds_status store_settle_registry(struct store_conn *conn)
{
    const char *wanted = conn->store->config->registry;
    struct arena *arena;
    enum ds_status status;

    if (!wanted || !wanted[0])
        return DS_OK;
    arena = arena_new();
    if (!arena)
        return DS_NO_MEMORY;
    status = settle_registry(conn, arena, wanted);
    arena_free(arena);
    return status;
}
