/* The keys that sign webhooks: sql/webhook_keys.sql. */
#include <string.h>

#include "base/log.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store/store_subscription.h"

static enum ds_status has_table(struct store_conn *conn, bool *has)
{
    int64_t tables = 0;
    enum ds_status status = stmt_ask_int(
        conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'webhook_key'",
        &tables);

    *has = tables != 0;
    return status;
}

static bool copy_text(sqlite3_stmt *stmt, int column, char *to, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    if (!text || strlen(text) >= size)
        return false;
    memcpy(to, text, strlen(text) + 1);
    return true;
}

/* False if a person has written something else into the row. */
static bool read_key(sqlite3_stmt *stmt, struct webhook_key *key)
{
    const void *seed = sqlite3_column_blob(stmt, 2);

    memset(key, 0, sizeof *key);
    if (!copy_text(stmt, 0, key->kid, sizeof key->kid) ||
        !copy_text(stmt, 1, key->x, sizeof key->x) || !seed ||
        sqlite3_column_bytes(stmt, 2) != WEBHOOK_KEY_BYTES)
        return false;
    memcpy(key->seed, seed, WEBHOOK_KEY_BYTES);
    key->created_at = sqlite3_column_int64(stmt, 3);
    key->signs_from = sqlite3_column_int64(stmt, 4);
    key->signs_until = sqlite3_column_int64(stmt, 5);
    return true;
}

enum ds_status store_webhook_keys(struct store_conn *conn,
                                  struct webhook_key keys[static WEBHOOK_KEYS_MOST], size_t *n)
{
    sqlite3_stmt *stmt;
    bool has, row = true;
    enum ds_status status = has_table(conn, &has);

    *n = 0;
    if (status != DS_OK || !has)
        return status;
    stmt = stmt_get(conn, STMT_WEBHOOK_KEYS, &status);
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, WEBHOOK_KEYS_MOST);
    while (*n < WEBHOOK_KEYS_MOST && (status = stmt_step(conn, stmt, &row)) == DS_OK && row) {
        if (read_key(stmt, &keys[*n]))
            ++*n;
        else
            log_error("a key that signs webhooks is damaged: dsctl check says more");
    }
    (void)sqlite3_reset(stmt);
    return status;
}

static enum ds_status make_table(struct store_conn *conn)
{
    bool has;
    enum ds_status status = has_table(conn, &has);

    if (status != DS_OK || has)
        return status;
    return store_status(conn, sqlite3_exec(conn->db, schema_webhook_keys, NULL, NULL, NULL),
                        "creating the table of webhook keys");
}

static enum ds_status put_key(struct store_conn *conn, const struct webhook_key *key)
{
    enum ds_status status = make_table(conn);
    sqlite3_stmt *stmt = status == DS_OK ? stmt_get(conn, STMT_WEBHOOK_KEY_PUT, &status) : NULL;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, key->kid, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, key->x, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 3, key->seed, WEBHOOK_KEY_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 4, key->created_at);
    (void)sqlite3_bind_int64(stmt, 5, key->signs_from);
    if (key->signs_until != 0)
        (void)sqlite3_bind_int64(stmt, 6, key->signs_until);
    else
        (void)sqlite3_bind_null(stmt, 6);
    return stmt_run(conn, stmt);
}

static enum ds_status end_write(struct store_conn *conn, enum ds_status status)
{
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

enum ds_status store_webhook_key_put(struct store_conn *conn, const struct webhook_key *key)
{
    enum ds_status status = store_begin_write(conn);

    return status == DS_OK ? end_write(conn, put_key(conn, key)) : status;
}

enum ds_status store_webhook_key_delete(struct store_conn *conn, const char *kid)
{
    enum ds_status status = store_begin_write(conn);

    return status == DS_OK ? end_write(conn, stmt_run_text(conn, STMT_WEBHOOK_KEY_DELETE, kid))
                           : status;
}
