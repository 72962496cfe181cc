/*
 * Rows of the table subscription: sql/subscriptions.sql has the columns and what triggers do.
 *
 * The tables exist only in databases with subscriptions. A connection learns that they do from the
 * schema, which it looks at again only after PRAGMA schema_version has changed.
 */
#include "store/store_subscription.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "protocol/offset.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/store_subscription_private.h"

/* --- the tables --- */

enum ds_status store_has_subscriptions(struct store_conn *conn, bool *has)
{
    int64_t version, tables;
    enum ds_status status;

    *has = conn->has_subscriptions;
    if (*has)
        return DS_OK;
    status = stmt_query_int(conn, STMT_SCHEMA_VERSION, 0, 0, &version);
    if (status != DS_OK || version == conn->schema_seen)
        return status;
    status = stmt_ask_int(
        conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'subscription'",
        &tables);
    if (status != DS_OK)
        return status;
    conn->schema_seen = version;
    *has = conn->has_subscriptions = tables != 0;
    return DS_OK;
}

enum ds_status store_make_subscriptions(struct store_conn *conn)
{
    bool has;
    enum ds_status status = store_has_subscriptions(conn, &has);

    if (status != DS_OK || has)
        return status;
    status = store_status(conn, sqlite3_exec(conn->db, schema_subscriptions, NULL, NULL, NULL),
                          "creating the tables of subscriptions");
    /* known for good only after the commit */
    conn->schema_seen = 0;
    return status;
}

/* --- reading rows --- */

const char *subscription_text(struct subscription_reading *reading, int column, bool needed)
{
    const char *text;
    int type = sqlite3_column_type(reading->stmt, column);

    if (type == SQLITE_NULL && !needed)
        return NULL;
    text = (const char *)sqlite3_column_text(reading->stmt, column);
    if (type != SQLITE_TEXT || !text ||
        strlen(text) != (size_t)sqlite3_column_bytes(reading->stmt, column)) {
        reading->damage = sqlite3_column_name(reading->stmt, column);
        return "";
    }
    text = arena_strndup(reading->arena, text, strlen(text));
    reading->failed |= !text;
    return text;
}

int64_t subscription_number(struct subscription_reading *reading, int column, int64_t least,
                            int64_t most, int64_t absent)
{
    int type = sqlite3_column_type(reading->stmt, column);
    int64_t value = sqlite3_column_int64(reading->stmt, column);

    if (type == SQLITE_NULL)
        return absent;
    if (type == SQLITE_INTEGER && value >= least && value <= most)
        return value;
    reading->damage = sqlite3_column_name(reading->stmt, column);
    return least;
}

/* A time, or 0 if there is none. */
static int64_t read_time(struct subscription_reading *reading, int column)
{
    return subscription_number(reading, column, 0, INT64_MAX / 2, 0);
}

static void read_wake(struct subscription_reading *reading, struct subscription *row)
{
    row->generation = subscription_number(reading, 11, 0, OFFSET_POSITION_MAX, 0);
    row->wake_id = subscription_text(reading, 12, false);
    row->token = subscription_text(reading, 13, false);
    row->woken_at = read_time(reading, 14);
    row->event_due = subscription_number(reading, 15, 0, 1, 0) == 1;
    row->holder = subscription_text(reading, 16, false);
    row->lease_until = read_time(reading, 17);
    row->attempts = subscription_number(reading, 18, 0, INT32_MAX, 0);
    row->next_attempt_at = read_time(reading, 19);
    row->failed_at = read_time(reading, 20);
    row->failure = subscription_text(reading, 21, false);
    row->unsettled = subscription_number(reading, 22, 0, 1, 0) == 1;
}

/* The columns of SUBSCRIPTION_COLUMNS. */
static enum ds_status read_row(struct arena *arena, sqlite3_stmt *stmt, struct subscription *row)
{
    struct subscription_reading reading = {.arena = arena, .stmt = stmt};
    const char *type;

    row->id = sqlite3_column_int64(stmt, 0);
    row->name = subscription_text(&reading, 1, true);
    type = subscription_text(&reading, 2, true);
    row->is_webhook = type && strcmp(type, "webhook") == 0;
    row->pattern = subscription_text(&reading, 3, false);
    row->url = subscription_text(&reading, 4, row->is_webhook);
    row->wake_stream = subscription_text(&reading, 5, !row->is_webhook);
    row->lease_ttl_ms = subscription_number(&reading, 6, 1, INT32_MAX, 1);
    row->description = subscription_text(&reading, 7, false);
    row->config = subscription_text(&reading, 8, true);
    row->base_url = subscription_text(&reading, 9, true);
    row->created_at = read_time(&reading, 10);
    read_wake(&reading, row);
    if (reading.failed)
        return DS_NO_MEMORY;
    if (!reading.damage)
        return DS_OK;
    log_error("the row of the subscription with id %lld is damaged (%s): dsctl check says more",
              (long long)row->id, reading.damage);
    return DS_FAILED;
}

static enum ds_status load_row(struct store_conn *conn, struct arena *arena, sqlite3_stmt *stmt,
                               struct subscription *row)
{
    bool found = false;
    enum ds_status status = stmt_step(conn, stmt, &found);

    memset(row, 0, sizeof *row);
    if (status == DS_OK)
        status = found ? read_row(arena, stmt, row) : DS_NOT_FOUND;
    (void)sqlite3_reset(stmt);
    return status;
}

static enum ds_status load_name(struct store_conn *conn, struct arena *arena, enum stmt which,
                                const char *name, struct subscription *row)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, which, &status);

    row->id = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    return load_row(conn, arena, stmt, row);
}

enum ds_status store_subscription_find(struct store_conn *conn, struct arena *arena,
                                       const char *name, struct subscription *subscription)
{
    return load_name(conn, arena, STMT_SUBSCRIPTION_BY_NAME, name, subscription);
}

enum ds_status store_subscription_after(struct store_conn *conn, struct arena *arena,
                                        const char *name, struct subscription *subscription)
{
    return load_name(conn, arena, STMT_SUBSCRIPTION_AFTER, name, subscription);
}

enum ds_status store_subscription_load(struct store_conn *conn, struct arena *arena, int64_t id,
                                       struct subscription *subscription)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_BY_ID, &status);

    subscription->id = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, id);
    return load_row(conn, arena, stmt, subscription);
}

/* --- writing rows --- */

static enum ds_status load_life(struct store_conn *conn, struct subscription *row)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_LIFE, &status);
    bool found = false;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, row->name, -1, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &found);
    if (found) {
        row->id = sqlite3_column_int64(stmt, 0);
        row->generation = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    return status == DS_OK && !found ? DS_FAILED : status;
}

enum ds_status store_subscription_insert(struct store_conn *conn, struct subscription *row)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_INSERT, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, row->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, row->is_webhook ? "webhook" : "pull-wake", -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 3, row->pattern, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 4, row->url, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 5, row->wake_stream, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 6, row->lease_ttl_ms);
    (void)sqlite3_bind_text(stmt, 7, row->description, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 8, row->config, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 9, row->base_url, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 10, row->created_at);
    status = stmt_run(conn, stmt);
    if (status == DS_OK)
        status = load_life(conn, row);
    return status == DS_OK ? stmt_run_text(conn, STMT_SUBSCRIPTION_UNBURY, row->name) : status;
}

static void bind_if(sqlite3_stmt *stmt, int index, int64_t value)
{
    if (value != 0)
        (void)sqlite3_bind_int64(stmt, index, value);
    else
        (void)sqlite3_bind_null(stmt, index);
}

enum ds_status store_subscription_update(struct store_conn *conn, const struct subscription *row)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_UPDATE, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, row->id);
    (void)sqlite3_bind_int64(stmt, 2, row->generation);
    (void)sqlite3_bind_text(stmt, 3, row->wake_id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 4, row->token, -1, SQLITE_STATIC);
    bind_if(stmt, 5, row->woken_at);
    bind_if(stmt, 6, row->event_due);
    (void)sqlite3_bind_text(stmt, 7, row->holder, -1, SQLITE_STATIC);
    bind_if(stmt, 8, row->lease_until);
    (void)sqlite3_bind_int64(stmt, 9, row->attempts);
    bind_if(stmt, 10, row->next_attempt_at);
    bind_if(stmt, 11, row->failed_at);
    (void)sqlite3_bind_text(stmt, 12, row->failure, -1, SQLITE_STATIC);
    bind_if(stmt, 13, row->unsettled);
    return stmt_run(conn, stmt);
}

enum ds_status store_subscription_postpone(struct store_conn *conn, int64_t id, int64_t until)
{
    return stmt_run_ids(conn, STMT_SUBSCRIPTION_POSTPONE, id, until);
}

enum ds_status store_subscription_delete(struct store_conn *conn, int64_t id)
{
    return stmt_run_ids(conn, STMT_SUBSCRIPTION_DELETE, id, 0);
}

enum ds_status store_tombstone_date(struct store_conn *conn, const char *name, int64_t deleted_at)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_TOMBSTONE_DATE, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, deleted_at);
    return stmt_run(conn, stmt);
}

enum ds_status store_subscription_count(struct store_conn *conn, int64_t *count)
{
    return stmt_query_int(conn, STMT_SUBSCRIPTION_COUNT, 0, 0, count);
}

/* --- work that is due --- */

static enum ds_status read_ids(struct store_conn *conn, sqlite3_stmt *stmt, size_t most,
                               int64_t *ids, size_t *n)
{
    bool row = true;
    enum ds_status status = DS_OK;

    for (*n = 0; *n < most && (status = stmt_step(conn, stmt, &row)) == DS_OK && row;)
        ids[(*n)++] = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return status;
}

static enum ds_status ids_at(struct store_conn *conn, enum stmt which, int64_t now, int64_t *ids,
                             size_t most, size_t *n)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, which, &status);

    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, now);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)most);
    return read_ids(conn, stmt, most, ids, n);
}

enum ds_status store_subscriptions_due(struct store_conn *conn, int64_t now, int64_t *ids,
                                       size_t most, size_t *n)
{
    return ids_at(conn, STMT_SUBSCRIPTION_DUE, now, ids, most, n);
}

static bool passes(const struct store_attempt_filter *filter, sqlite3_stmt *stmt)
{
    const char *url = (const char *)sqlite3_column_text(stmt, 1);

    return !filter->passes ||
           filter->passes(filter->arg, sqlite3_column_int64(stmt, 0), url ? url : "");
}

enum ds_status store_subscriptions_to_attempt(struct store_conn *conn, int64_t now,
                                              const struct store_attempt_filter *filter,
                                              int64_t *ids, size_t most, size_t *n)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_TO_ATTEMPT, &status);
    bool row = true;

    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, now);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)filter->look);
    status = DS_OK;
    while (*n < most && (status = stmt_step(conn, stmt, &row)) == DS_OK && row)
        if (passes(filter, stmt))
            ids[(*n)++] = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_subscriptions_with_event(struct store_conn *conn, const char *wake_stream,
                                              int64_t *ids, size_t most, size_t *n)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_SUBSCRIPTION_WITH_EVENT, &status);

    *n = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, wake_stream, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)most);
    return read_ids(conn, stmt, most, ids, n);
}

static enum ds_status next_time(struct store_conn *conn, enum stmt which, int64_t *at)
{
    enum ds_status status = stmt_query_int(conn, which, 0, 0, at);

    if (*at == 0)
        *at = INT64_MAX;
    return status;
}

enum ds_status store_next_attempt(struct store_conn *conn, int64_t *at)
{
    return next_time(conn, STMT_SUBSCRIPTION_NEXT_ATTEMPT, at);
}

enum ds_status store_next_lease_end(struct store_conn *conn, int64_t *at)
{
    return next_time(conn, STMT_SUBSCRIPTION_NEXT_LEASE_END, at);
}

enum ds_status store_subscriptions_need(struct store_conn *conn, int64_t now, bool *need)
{
    int64_t value = 0;
    enum ds_status status = stmt_query_int(conn, STMT_SUBSCRIPTION_NEED, now, 0, &value);

    *need = value != 0;
    return status;
}
