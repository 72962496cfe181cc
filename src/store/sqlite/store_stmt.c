/*
 * Every SQL statement that a request can reach, and the functions that run them.
 *
 * To add a statement, add its name to enum stmt (store_stmt.h) and its SQL here. test_store.c
 * prepares all of them, and fails if one scans a table.
 */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config_environment.h"
#include "store/sqlite/store_private.h"

enum { MINUTE_MS = 60000 };

#define STREAM_COLUMNS                                                                             \
    "SELECT id, path, content_type, tail, messages, created_at, closed_at, closed_producer, "      \
    "closed_epoch, closed_seq, ttl_seconds, expires_at, last_seq, source_id, fork_position, "      \
    "fork_offset, fork_sub_offset, deleted_at, registry, subscribed FROM stream "

/* from the row that contains position ?2 up to position ?3 */
#define MESSAGES_FROM                                                                              \
    "FROM message WHERE stream_id = ?1 AND position >= "                                           \
    "ifnull((SELECT max(position) FROM message WHERE stream_id = ?1 AND position <= ?2), ?2) "     \
    "AND position < ?3 ORDER BY position"

/* the columns of read_row() in store_fault.c */
#define FAULT_COLUMNS                                                                              \
    "SELECT path, method, count, probability, delay_ms, jitter_ms, drop_connection, status, "      \
    "retry_after, truncate_body_bytes, corrupt_body, sse_event_type, sse_event_data FROM faults "

/* the columns of read_row() in store_subscription.c */
#define SUBSCRIPTION_COLUMNS                                                                       \
    "SELECT id, name, type, pattern, url, wake_stream, lease_ttl_ms, description, config, "        \
    "base_url, created_at, generation, wake_id, token, woken_at, event_due, holder, lease_until, " \
    "attempts, next_attempt_at, failed_at, failure, unsettled FROM subscription "

/* the columns of read_link() in store_subscription_link.c */
#define LINK_COLUMNS                                                                               \
    "SELECT l.path, l.stream_id, l.is_explicit, l.is_glob, l.pending, l.acked, s.tail "            \
    "FROM subscription_link AS l LEFT JOIN stream AS s ON s.id = l.stream_id "

#define JSON_FIELD(name) ", json_type(?1, '$." name "'), json_extract(?1, '$." name "')"

const char *const stmt_sql[STMT_COUNT] = {
    [STMT_BEGIN_READ] = "BEGIN",
    [STMT_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_STREAM_BY_PATH] = STREAM_COLUMNS "WHERE path = ?1",
    [STMT_STREAM_BY_ID] = STREAM_COLUMNS "WHERE id = ?1",
    [STMT_STREAM_SOURCE] = "SELECT source_id, fork_position FROM stream WHERE id = ?1",
    [STMT_STREAM_INSERT] =
        "INSERT INTO stream (path, content_type, tail, messages, created_at, closed_at, "
        "ttl_seconds, expires_at, source_id, fork_position, fork_offset, fork_sub_offset) "
        "VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [STMT_STREAM_RESTORE] =
        "INSERT INTO stream (path, content_type, tail, messages, created_at, closed_at, "
        "closed_producer, closed_epoch, closed_seq, ttl_seconds, expires_at, last_seq, source_id, "
        "fork_position, fork_offset, fork_sub_offset, deleted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    [STMT_STREAM_UPDATE] =
        "UPDATE stream SET tail = ?2, messages = ?3, closed_at = ?4, closed_producer = ?5, "
        "closed_epoch = ?6, closed_seq = ?7, expires_at = ?8, last_seq = ?9 WHERE id = ?1",
    [STMT_STREAM_GROW] = "UPDATE stream SET tail = ?2, messages = ?3 WHERE id = ?1",
    [STMT_STREAM_RENEW] = "UPDATE stream SET expires_at = ?2 "
                          "WHERE id = ?1 AND ttl_seconds IS NOT NULL AND expires_at < ?2 "
                          "AND ?2 <= ?3 + ttl_seconds * 1000",
    [STMT_STREAM_DELETE] = "DELETE FROM stream WHERE id = ?1",
    [STMT_STREAM_MARK_DELETED] = "UPDATE stream SET deleted_at = ?2 WHERE id = ?1",
    /* deletes the source of a deleted fork, if that is deleted too and has no other fork */
    [STMT_STREAM_COLLECT] =
        "DELETE FROM stream WHERE id = ?1 AND deleted_at IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM stream AS fork WHERE fork.source_id = ?1)",
    [STMT_STREAM_HAS_FORKS] = "SELECT EXISTS (SELECT 1 FROM stream WHERE source_id = ?1)",
    [STMT_STREAM_EXPIRED] = "SELECT id FROM stream WHERE expires_at <= ?1 AND deleted_at IS NULL "
                            "ORDER BY expires_at LIMIT ?2",
    /* deleted streams whose last fork was removed at the sqlite3 prompt */
    [STMT_STREAM_ORPHANED] =
        "SELECT id FROM stream AS s WHERE deleted_at IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM stream AS fork WHERE fork.source_id = s.id) LIMIT ?1",
    [STMT_MESSAGE_INSERT] = "INSERT INTO message (stream_id, position, part, appended_at, payload) "
                            "VALUES (?1, ?2, ?3, ?4, ?5)",
    [STMT_MESSAGE_READ] =
        "SELECT position, payload, appended_at FROM message "
        "WHERE stream_id = ?1 AND position >= ?2 AND position < ?3 ORDER BY position",
    [STMT_MESSAGE_READ_INSIDE] = "SELECT position, payload, appended_at " MESSAGES_FROM,
    [STMT_MESSAGE_START] = "SELECT position FROM message WHERE stream_id = ?1 AND position <= ?2 "
                           "AND part = 0 ORDER BY position DESC LIMIT 1",
    [STMT_MESSAGE_PLACES] = "SELECT position, part, length(payload) " MESSAGES_FROM,
    [STMT_MESSAGE_SLICE] =
        "SELECT position FROM message WHERE stream_id = ?1 ORDER BY position LIMIT ?2",
    [STMT_MESSAGE_ALL] = "SELECT position, part, appended_at, payload FROM message "
                         "WHERE stream_id = ?1 AND position < ?2 ORDER BY position",
    [STMT_MESSAGE_COUNT] =
        "SELECT count(*) FROM message WHERE stream_id = ?1 AND position < ?2 AND part = 0",
    /* by id, since a comparison would never match a damaged position */
    [STMT_MESSAGE_DELETE] =
        "DELETE FROM message WHERE id IN "
        "(SELECT id FROM message WHERE stream_id = ?1 ORDER BY position LIMIT ?2)",
    [STMT_PRODUCER_GET] =
        "SELECT epoch, last_seq FROM producer WHERE stream_id = ?1 AND producer_id = ?2",
    [STMT_PRODUCER_PUT] =
        "INSERT INTO producer (stream_id, producer_id, epoch, last_seq, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (stream_id, producer_id) DO UPDATE SET "
        "epoch = excluded.epoch, last_seq = excluded.last_seq, updated_at = excluded.updated_at",
    [STMT_PRODUCER_ALL] = "SELECT producer_id, epoch, last_seq, updated_at FROM producer "
                          "WHERE stream_id = ?1 ORDER BY producer_id",
    [STMT_PRODUCER_DELETE] = "DELETE FROM producer WHERE stream_id = ?1 AND producer_id IN "
                             "(SELECT producer_id FROM producer WHERE stream_id = ?1 LIMIT ?2)",
    [STMT_GARBAGE_NEXT] = "SELECT min(stream_id) FROM garbage WHERE stream_id > 0",
    [STMT_GARBAGE_DONE] = "DELETE FROM garbage WHERE stream_id = ?1",
    [STMT_REGISTRY] = "SELECT id FROM stream WHERE registry = 1",
    [STMT_REGISTRY_ON] = "UPDATE stream SET registry = 1 WHERE id = ?1",
    [STMT_REGISTRY_OFF] = "UPDATE stream SET registry = NULL WHERE registry = 1",
    [STMT_FAULT_FIND] = FAULT_COLUMNS "WHERE path = ?1",
    [STMT_FAULT_AFTER] = FAULT_COLUMNS "WHERE path > ?1 ORDER BY path LIMIT 1",
    [STMT_FAULT_LAST] = "DELETE FROM faults WHERE path = ?1 AND count <= 1",
    [STMT_FAULT_COUNT] = "UPDATE faults SET count = count - 1 WHERE path = ?1 AND count > 1",
    [STMT_FAULT_SET] =
        "REPLACE INTO faults (path, count, method, probability, delay_ms, jitter_ms, "
        "drop_connection, status, retry_after, truncate_body_bytes, corrupt_body, sse_event_type, "
        "sse_event_data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [STMT_FAULT_CLEAR] = "DELETE FROM faults WHERE path = ?1",
    [STMT_FAULT_CLEAR_ALL] = "DELETE FROM faults",
    /* json_patch() removes members that are null */
    [STMT_FAULT_LIST] =
        "SELECT json_group_array(json_patch('{}', json_object('path', path, 'method', method, "
        "'count', count, 'probability', nullif(probability, 1), 'delayMs', delay_ms, "
        "'jitterMs', nullif(jitter_ms, 0), "
        "'dropConnection', CASE WHEN drop_connection THEN json('true') END, "
        "'status', status, 'retryAfter', retry_after, 'truncateBodyBytes', truncate_body_bytes, "
        "'corruptBody', CASE WHEN corrupt_body THEN json('true') END, "
        "'injectSseEvent', CASE WHEN sse_event_type IS NOT NULL THEN "
        "json_object('eventType', sse_event_type, 'data', sse_event_data) END))) "
        "FROM faults WHERE path >= '/'", /* all faults, by path */
    /* type and value of each field, in the order of fields[] in store_fault.c */
    [STMT_FAULT_PARSE] = "SELECT json_type(?1)" JSON_FIELD("path") JSON_FIELD("method")
        JSON_FIELD("count") JSON_FIELD("probability") JSON_FIELD("delayMs") JSON_FIELD("jitterMs")
            JSON_FIELD("dropConnection") JSON_FIELD("status") JSON_FIELD("retryAfter")
                JSON_FIELD("truncateBodyBytes") JSON_FIELD("corruptBody")
                    JSON_FIELD("injectSseEvent") JSON_FIELD("injectSseEvent.eventType")
                        JSON_FIELD("injectSseEvent.data"),
    [STMT_SUBSCRIPTION_BY_NAME] = SUBSCRIPTION_COLUMNS "WHERE name = ?1",
    [STMT_SUBSCRIPTION_BY_ID] = SUBSCRIPTION_COLUMNS "WHERE id = ?1",
    [STMT_SUBSCRIPTION_AFTER] = SUBSCRIPTION_COLUMNS "WHERE name > ?1 ORDER BY name LIMIT 1",
    [STMT_SUBSCRIPTION_INSERT] =
        "INSERT INTO subscription (id, generation, name, type, pattern, url, wake_stream, "
        "lease_ttl_ms, description, config, base_url, created_at) "
        "VALUES ((SELECT id FROM subscription_tombstone WHERE name = ?1), "
        "ifnull((SELECT generation FROM subscription_tombstone WHERE name = ?1), 0), "
        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [STMT_SUBSCRIPTION_LIFE] = "SELECT id, generation FROM subscription WHERE name = ?1",
    [STMT_SUBSCRIPTION_UPDATE] =
        "UPDATE subscription SET generation = ?2, wake_id = ?3, token = ?4, woken_at = ?5, "
        "event_due = ?6, holder = ?7, lease_until = ?8, attempts = ?9, next_attempt_at = ?10, "
        "failed_at = ?11, failure = ?12, unsettled = ?13 WHERE id = ?1",
    [STMT_SUBSCRIPTION_POSTPONE] = "UPDATE subscription SET next_attempt_at = ?2 WHERE id = ?1",
    [STMT_SUBSCRIPTION_DELETE] = "DELETE FROM subscription WHERE id = ?1",
    [STMT_SUBSCRIPTION_UNBURY] = "DELETE FROM subscription_tombstone WHERE name = ?1",
    [STMT_SUBSCRIPTION_COUNT] = "SELECT count(*) FROM subscription WHERE name >= ''",
    [STMT_TOMBSTONE_DATE] = "UPDATE subscription_tombstone SET deleted_at = ?2 WHERE name = ?1",
    /* A webhook whose next attempt is planned is looked at by that attempt. No time is so far away
       (72 s to an attempt, 600 s of a lease) unless the clock was set back. */
    [STMT_SUBSCRIPTION_DUE] =
        "SELECT id FROM subscription WHERE unsettled = 1 UNION ALL "
        "SELECT id FROM subscription WHERE lease_until <= ?1 AND next_attempt_at IS NULL UNION ALL "
        "SELECT id FROM subscription WHERE lease_until > ?1 + 672000 AND next_attempt_at IS NULL "
        "UNION ALL "
        "SELECT id FROM subscription WHERE next_attempt_at > ?1 + 72000 LIMIT ?2",
    [STMT_SUBSCRIPTION_TO_ATTEMPT] =
        "SELECT id, CAST(url AS TEXT) FROM subscription WHERE next_attempt_at <= ?1 "
        "ORDER BY next_attempt_at LIMIT ?2",
    [STMT_SUBSCRIPTION_WITH_EVENT] =
        "SELECT id FROM subscription WHERE wake_stream = ?1 AND event_due = 1 LIMIT ?2",
    [STMT_SUBSCRIPTION_NEXT_ATTEMPT] =
        "SELECT min(next_attempt_at) FROM subscription WHERE next_attempt_at > 0",
    [STMT_SUBSCRIPTION_NEXT_LEASE_END] =
        "SELECT lease_until FROM subscription WHERE lease_until > 0 "
        "AND next_attempt_at IS NULL ORDER BY lease_until LIMIT 1",
    [STMT_SUBSCRIPTION_NEED] =
        "SELECT EXISTS (SELECT 1 FROM subscription_arrival WHERE stream_id > 0) "
        "OR EXISTS (SELECT 1 FROM subscription WHERE unsettled = 1) "
        "OR EXISTS (SELECT 1 FROM subscription WHERE lease_until <= ?1 AND next_attempt_at IS "
        "NULL) OR EXISTS (SELECT 1 FROM subscription WHERE lease_until > ?1 + 672000 "
        "AND next_attempt_at IS NULL) "
        "OR EXISTS (SELECT 1 FROM subscription WHERE next_attempt_at > ?1 + 72000)",
    [STMT_SUBSCRIPTION_PATTERNS] =
        "SELECT id, pattern FROM subscription WHERE pattern >= ?1 AND pattern < ?2",
    [STMT_SUBSCRIPTION_IS_WAKE_STREAM] =
        "SELECT EXISTS (SELECT 1 FROM subscription WHERE wake_stream = ?1)",
    [STMT_SUBSCRIPTION_CANDIDATES] =
        "SELECT id, path, tail FROM stream WHERE path >= ?1 AND path < ?2 "
        "AND deleted_at IS NULL AND registry IS NULL "
        "AND (expires_at IS NULL OR expires_at > ?3) ORDER BY path",
    [STMT_ARRIVAL_NEXT] = "SELECT min(stream_id) FROM subscription_arrival WHERE stream_id > 0",
    [STMT_ARRIVAL_DONE] = "DELETE FROM subscription_arrival WHERE stream_id = ?1",
    [STMT_LINK_GET] = LINK_COLUMNS "WHERE subscription_id = ?1 AND l.path = ?2",
    [STMT_LINK_PUT] = "INSERT INTO subscription_link (subscription_id, path, stream_id, "
                      "is_explicit, is_glob, acked, pending) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                      "ON CONFLICT (subscription_id, path) DO UPDATE SET "
                      "stream_id = excluded.stream_id, is_explicit = excluded.is_explicit, "
                      "is_glob = excluded.is_glob, acked = excluded.acked, "
                      "pending = excluded.pending",
    [STMT_LINK_MATCH] =
        "INSERT INTO subscription_link (subscription_id, path, stream_id, is_glob, acked, pending) "
        "VALUES (?1, ?2, ?3, 1, -1, ?4) ON CONFLICT (subscription_id, path) DO UPDATE SET "
        "is_glob = 1 WHERE is_glob = 0",
    [STMT_LINK_DELETE] = "DELETE FROM subscription_link WHERE subscription_id = ?1 AND path = ?2",
    /* the planner would look at all links of the subscription for the few that are pending */
    [STMT_LINK_PENDING] = LINK_COLUMNS
    "WHERE subscription_id = ?1 AND l.path IN (SELECT path FROM subscription_link "
    "WHERE subscription_id = ?1 AND pending = 1 ORDER BY path LIMIT ?2) ORDER BY l.path",
    [STMT_LINK_OTHERS] =
        LINK_COLUMNS "WHERE subscription_id = ?1 AND pending = 0 ORDER BY l.path LIMIT ?2",
    [STMT_LINK_ALL] = LINK_COLUMNS "WHERE subscription_id = ?1 ORDER BY l.path LIMIT ?2",
    [STMT_LINK_HAS_ENDED] = "SELECT EXISTS (SELECT 1 FROM subscription_ended "
                            "WHERE subscription_id = ?1 AND generation = ?2 AND path = ?3)",
    [STMT_LINK_COUNT] = "SELECT count(*) FROM subscription_link WHERE subscription_id = ?1",
    [STMT_LINK_HAS_PENDING] = "SELECT EXISTS (SELECT 1 FROM subscription_link "
                              "WHERE subscription_id = ?1 AND pending = 1)",
    /* a request of the same batch may have acked what has grown */
    [STMT_LINK_LOOK] = "SELECT l.subscription_id, l.pending, s.wake_id IS NULL "
                       "FROM stream AS t CROSS JOIN subscription_link AS l "
                       "ON l.stream_id = t.id AND l.acked < t.tail "
                       "CROSS JOIN subscription AS s ON s.id = l.subscription_id "
                       "WHERE t.id = ?1 AND t.tail > 0",
    [STMT_LINK_GROW] =
        "UPDATE subscription_link SET pending = 1 WHERE stream_id = ?1 "
        "AND pending = 0 AND max(acked, 0) < (SELECT tail FROM stream WHERE id = ?1)",
    [STMT_LINK_UNGLOB_SUBSCRIPTION] =
        "UPDATE subscription SET unsettled = 1 WHERE id IN "
        "(SELECT subscription_id FROM subscription_link WHERE is_explicit = 0 AND pending = 1 "
        "AND stream_id = (SELECT id FROM stream WHERE path = ?1))",
    [STMT_LINK_UNGLOB] = "DELETE FROM subscription_link WHERE is_explicit = 0 "
                         "AND stream_id = (SELECT id FROM stream WHERE path = ?1)",
    [STMT_LINK_ONLY_EXPLICIT] = "UPDATE subscription_link SET is_glob = 0 "
                                "WHERE stream_id = (SELECT id FROM stream WHERE path = ?1)",
    [STMT_LINK_ARRIVE] = "UPDATE subscription_link SET stream_id = ?2 "
                         "WHERE path = ?1 AND stream_id IS NULL",
    [STMT_WEBHOOK_KEYS] = "SELECT kid, x, seed, created_at, signs_from, signs_until "
                          "FROM webhook_key WHERE kid >= '' ORDER BY signs_from LIMIT ?1",
    [STMT_WEBHOOK_KEY_PUT] = "INSERT OR REPLACE INTO webhook_key (kid, x, seed, created_at, "
                             "signs_from, signs_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [STMT_WEBHOOK_KEY_DELETE] = "DELETE FROM webhook_key WHERE kid = ?1",
    [STMT_SCHEMA_VERSION] = "PRAGMA schema_version",
    [STMT_UPKEEP_CHECKPOINT] = "INSERT INTO upkeep (id, checkpoints) VALUES (1, 1) "
                               "ON CONFLICT (id) DO UPDATE SET checkpoints = checkpoints + 1",
    [STMT_DATA_VERSION] = "PRAGMA data_version",
    [STMT_PAGE_COUNT] = "PRAGMA page_count",
};

static bool is_of_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Is this one of SQLite's errors that mean a full disk: a quota, a file size limit, no room for the
   log's index? */
static bool is_no_room(struct store_conn *conn, int code)
{
    int last = errno, error; /* SQLite keeps no errno of a failed COMMIT */

    if ((code & 0xff) != SQLITE_IOERR && (code & 0xff) != SQLITE_CANTOPEN)
        return (code & 0xff) == SQLITE_FULL;
    error = conn && conn->db ? sqlite3_system_errno(conn->db) : 0;
    return is_of_space(last) || is_of_space(error);
}

/* Every request meets a full disk, so this logs it rarely; the reserve logs it once
 * (store_reserve.c). */
static enum ds_status say_full(const struct store_conn *conn, const char *doing)
{
    static _Atomic int64_t next;
    int64_t now = clock_monotonic_ms();

    if ((conn && conn->store && store_has_reserve(conn->store)) || now < atomic_load(&next)) {
        log_debug("disk full while %s", doing);
    } else {
        atomic_store(&next, now + MINUTE_MS);
        log_error("disk full while %s", doing);
    }
    return DS_NO_SPACE;
}

enum ds_status store_status(struct store_conn *conn, int code, const char *doing)
{
    if (is_no_room(conn, code))
        return say_full(conn, doing);
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return DS_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        log_warn("database busy while %s", doing);
        return DS_BUSY;
    case SQLITE_NOMEM:
        log_error("out of memory while %s", doing);
        return DS_NO_MEMORY;
    default:
        log_error("SQLite error %d while %s: %s", code, doing,
                  conn && conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(code));
        return DS_FAILED;
    }
}

sqlite3_stmt *stmt_get(struct store_conn *conn, enum stmt which, enum ds_status *status)
{
    if (!conn->stmt[which]) {
        int code = sqlite3_prepare_v3(conn->db, stmt_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &conn->stmt[which], NULL);

        *status = store_status(conn, code, stmt_sql[which]);
    }
    return conn->stmt[which];
}

sqlite3_stmt *stmt_prepare(struct store_conn *conn, const char *sql, enum ds_status *status)
{
    sqlite3_stmt *stmt = NULL;

    *status = store_status(conn, sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL), sql);
    return stmt;
}

/* For proofs: the process dies between two statements of write transactions, at one chosen by
   chance among the first DS_TEST_KILL_STEPS. */
static void die_at_step(const struct store_conn *conn)
{
#ifdef DS_TEST_HOOKS
    static _Atomic int64_t left;
    int64_t none = 0, steps = conn->writing ? config_test_kill_steps() : 0;

    if (steps <= 0)
        return;
    (void)atomic_compare_exchange_strong(&left, &none, 1 + (int64_t)clock_random() % steps);
    if (atomic_fetch_sub(&left, 1) == 1)
        (void)raise(SIGKILL);
#else
    (void)conn;
#endif
}

enum ds_status stmt_step(struct store_conn *conn, sqlite3_stmt *stmt, bool *row)
{
    int code;

    die_at_step(conn);
    errno = 0;
    code = sqlite3_step(stmt);
    *row = code == SQLITE_ROW;
    return store_status(conn, code, sqlite3_sql(stmt));
}

enum ds_status stmt_run(struct store_conn *conn, sqlite3_stmt *stmt)
{
    bool row;
    enum ds_status status = stmt_step(conn, stmt, &row);

    (void)sqlite3_reset(stmt);
    return status;
}

static sqlite3_stmt *get_bound(struct store_conn *conn, enum stmt which, int64_t a, int64_t b,
                               enum ds_status *status)
{
    sqlite3_stmt *stmt = stmt_get(conn, which, status);
    int wanted = stmt ? sqlite3_bind_parameter_count(stmt) : 0;

    if (wanted > 0)
        (void)sqlite3_bind_int64(stmt, 1, a);
    if (wanted > 1)
        (void)sqlite3_bind_int64(stmt, 2, b);
    return stmt;
}

enum ds_status stmt_run_ids(struct store_conn *conn, enum stmt which, int64_t a, int64_t b)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = get_bound(conn, which, a, b, &status);

    return stmt ? stmt_run(conn, stmt) : status;
}

enum ds_status stmt_run_text(struct store_conn *conn, enum stmt which, const char *text)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, which, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
    return stmt_run(conn, stmt);
}

enum ds_status stmt_query_int(struct store_conn *conn, enum stmt which, int64_t a, int64_t b,
                              int64_t *value)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = get_bound(conn, which, a, b, &status);
    bool row = false;

    *value = 0;
    if (!stmt)
        return status;
    status = stmt_step(conn, stmt, &row);
    if (row)
        *value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status stmt_ask_int(struct store_conn *conn, const char *sql, int64_t *value)
{
    enum ds_status status;
    sqlite3_stmt *stmt = stmt_prepare(conn, sql, &status);
    bool row = false;

    if (stmt)
        status = stmt_step(conn, stmt, &row);
    *value = row ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_finalize(stmt);
    return status;
}
