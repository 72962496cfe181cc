/* Rows of the table producer; producer.h has the rules for them. */
#include "base/log.h"
#include "store/sqlite/store_private.h"

/* Checks the values, since a person may have written others at the sqlite3 prompt. */
static bool is_number(sqlite3_stmt *stmt, int column)
{
    int64_t value = sqlite3_column_int64(stmt, column);

    return sqlite3_column_type(stmt, column) == SQLITE_INTEGER && value >= 0 &&
           value <= PRODUCER_NUMBER_MAX;
}

enum ds_status store_producer_get(struct store_conn *conn, int64_t stream_id,
                                  const struct producer *producer, struct producer_state *state)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_PRODUCER_GET, &status);
    bool sound;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    (void)sqlite3_bind_text(stmt, 2, producer->id, (int)producer->id_len, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &state->exists);
    state->epoch = state->exists ? sqlite3_column_int64(stmt, 0) : 0;
    state->last_seq = state->exists ? sqlite3_column_int64(stmt, 1) : 0;
    sound = !state->exists || (is_number(stmt, 0) && is_number(stmt, 1));
    (void)sqlite3_reset(stmt);
    if (status == DS_OK && !sound) {
        log_error("a producer of the stream with id %lld is damaged: dsctl check says more",
                  (long long)stream_id);
        return DS_FAILED;
    }
    return status;
}

enum ds_status store_producer_put(struct store_conn *conn, int64_t stream_id,
                                  const struct producer *producer, int64_t now)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_PRODUCER_PUT, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    (void)sqlite3_bind_text(stmt, 2, producer->id, (int)producer->id_len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, producer->epoch);
    (void)sqlite3_bind_int64(stmt, 4, producer->seq);
    (void)sqlite3_bind_int64(stmt, 5, now);
    return stmt_run(conn, stmt);
}
