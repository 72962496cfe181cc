/*
 * Injected faults in the database: sql/faults.sql has the table, fault.h what they do. The table is
 * created only when it is wanted, because every process that opens the database parses its whole
 * schema.
 *
 * Must hold: a request that meets a fault counts it in a write transaction in which the fault still
 * exists. So the count is exact over all processes, and a change of the row at the sqlite3 prompt
 * is obeyed at once.
 */
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "protocol/fault.h"
#include "protocol/json.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"

/* --- the table --- */

static enum ds_status end_fault_write(struct store_conn *conn, enum ds_status status)
{
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

static enum ds_status look_for_table(struct store_conn *conn, bool *there)
{
    int64_t n;
    enum ds_status status = stmt_ask_int(
        conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'faults'", &n);

    *there = n != 0;
    return status;
}

static enum ds_status make_table(struct store_conn *conn)
{
    bool there;
    enum ds_status status = look_for_table(conn, &there);

    if (status == DS_OK && !there)
        status = store_status(conn, sqlite3_exec(conn->db, schema_faults, NULL, NULL, NULL),
                              "creating the table of faults");
    return status;
}

enum ds_status store_make_faults(struct store_conn *conn)
{
    bool there;
    enum ds_status status = look_for_table(conn, &there);

    if (status != DS_OK || there)
        return status;
    status = store_begin_write(conn);
    return status == DS_OK ? end_fault_write(conn, make_table(conn)) : status;
}

/* --- meeting them --- */

static const char *copy_text(struct arena *arena, sqlite3_stmt *stmt, int column, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    if (!text) {
        *failed |= sqlite3_column_type(stmt, column) != SQLITE_NULL;
        return NULL;
    }
    text = arena_strndup(arena, text, strlen(text));
    *failed |= !text;
    return text;
}

static int64_t column_or(sqlite3_stmt *stmt, int column, int64_t absent)
{
    return sqlite3_column_type(stmt, column) == SQLITE_NULL ? absent
                                                            : sqlite3_column_int64(stmt, column);
}

/* Rounds up to whole seconds, so that no client comes back too early. */
static int64_t round_up(double number)
{
    /* NaN becomes INT64_MAX */
    int64_t whole = number > -1e15 && number < 1e15 ? (int64_t)number : INT64_MAX;

    return (double)whole < number ? whole + 1 : whole;
}

static bool is_within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

/* Checks the constraints of the table, which a writer at the prompt may have switched off. */
static bool is_sound(const struct fault *fault)
{
    return fault->path && is_within(fault->count, -FAULT_MOST, FAULT_MOST) &&
           fault->probability >= 0 && fault->probability <= 1 &&
           is_within(fault->delay_ms, -1, FAULT_MOST_MS) &&
           is_within(fault->jitter_ms, 0, FAULT_MOST_MS) &&
           (fault->status == 0 || is_within(fault->status, 200, 599)) &&
           is_within(fault->retry_after, -1, FAULT_MOST_AGE) &&
           is_within(fault->mangle.bytes, -1, FAULT_MOST) &&
           (!fault->event_type || (!strpbrk(fault->event_type, "\r\n") && fault->event_data));
}

static enum ds_status read_row(struct arena *arena, sqlite3_stmt *stmt, struct fault *fault)
{
    bool failed = false;

    fault->path = copy_text(arena, stmt, 0, &failed);
    fault->method = copy_text(arena, stmt, 1, &failed);
    fault->count = sqlite3_column_int64(stmt, 2);
    fault->probability = sqlite3_column_double(stmt, 3);
    fault->delay_ms = column_or(stmt, 4, -1);
    fault->jitter_ms = sqlite3_column_int64(stmt, 5);
    fault->drop = sqlite3_column_int(stmt, 6) != 0;
    fault->status = sqlite3_column_int64(stmt, 7);
    fault->retry_after = column_or(stmt, 8, -1);
    if (fault->retry_after >= 0) /* the table allows fractions */
        fault->retry_after = round_up(sqlite3_column_double(stmt, 8));
    fault->mangle.bytes = column_or(stmt, 9, -1);
    fault->mangle.truncate = fault->mangle.bytes >= 0;
    fault->mangle.corrupt = sqlite3_column_int(stmt, 10) != 0;
    fault->event_type = copy_text(arena, stmt, 11, &failed);
    fault->event_data = copy_text(arena, stmt, 12, &failed);
    if (failed)
        return DS_NO_MEMORY;
    if (is_sound(fault))
        return DS_OK;
    log_error("the row of %s in the table faults is not valid", fault->path ? fault->path : "NULL");
    return DS_FAILED;
}

/* Reads the fault that one of these two statements finds. */
static enum ds_status find_fault(struct store_conn *conn, struct arena *arena, enum stmt which,
                                 const char *path, struct fault *fault)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, which, &status);
    bool row = false;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    status = stmt_step(conn, stmt, &row);
    if (status == DS_OK)
        status = row ? read_row(arena, stmt, fault) : DS_NOT_FOUND;
    (void)sqlite3_reset(stmt);
    return status;
}

enum ds_status store_fault_after(struct store_conn *conn, struct arena *arena, const char *path,
                                 struct fault *fault)
{
    bool there;
    enum ds_status status = look_for_table(conn, &there);

    if (status == DS_OK && !there)
        return DS_NOT_FOUND;
    return status == DS_OK ? find_fault(conn, arena, STMT_FAULT_AFTER, path, fault) : status;
}

static enum ds_status run_for_path(struct store_conn *conn, enum stmt which, const char *path)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, which, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    return stmt_run(conn, stmt);
}

static enum ds_status find_met(struct store_conn *conn, struct arena *arena, const char *path,
                               const char *method, double draw, struct fault *fault)
{
    enum ds_status status = find_fault(conn, arena, STMT_FAULT_FIND, path, fault);

    return status == DS_OK && !fault_is_met(fault, method, draw) ? DS_NOT_FOUND : status;
}

enum ds_status store_fault_meet(struct store_conn *conn, struct arena *arena, const char *path,
                                const char *method, double draw, struct fault *fault)
{
    enum ds_status status = find_met(conn, arena, path, method, draw, fault);

    if (status == DS_OK)
        status = store_begin_write(conn);
    if (status != DS_OK)
        return status;
    /* another request may have used it up */
    status = find_met(conn, arena, path, method, draw, fault);
    if (status == DS_OK) /* before the row is counted, which may delete it */
        status = run_for_path(conn, STMT_FAULT_LAST, path);
    if (status == DS_OK)
        status = run_for_path(conn, STMT_FAULT_COUNT, path);
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

/* --- setting them --- */

static void bind_or_null(sqlite3_stmt *stmt, int index, int64_t value, int64_t absent)
{
    if (value == absent)
        (void)sqlite3_bind_null(stmt, index);
    else
        (void)sqlite3_bind_int64(stmt, index, value);
}

static enum ds_status put_fault(struct store_conn *conn, const struct fault *fault)
{
    enum ds_status status = make_table(conn);
    sqlite3_stmt *stmt = status == DS_OK ? stmt_get(conn, STMT_FAULT_SET, &status) : NULL;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, fault->path, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, fault->count);
    (void)sqlite3_bind_text(stmt, 3, fault->method, -1, SQLITE_STATIC);
    (void)sqlite3_bind_double(stmt, 4, fault->probability);
    bind_or_null(stmt, 5, fault->delay_ms, -1);
    (void)sqlite3_bind_int64(stmt, 6, fault->jitter_ms);
    (void)sqlite3_bind_int(stmt, 7, fault->drop);
    bind_or_null(stmt, 8, fault->status, 0);
    bind_or_null(stmt, 9, fault->retry_after, -1);
    bind_or_null(stmt, 10, fault->mangle.truncate ? fault->mangle.bytes : -1, -1);
    (void)sqlite3_bind_int(stmt, 11, fault->mangle.corrupt);
    (void)sqlite3_bind_text(stmt, 12, fault->event_type, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 13, fault->event_data ? fault->event_data : "", -1,
                            SQLITE_STATIC);
    return stmt_run(conn, stmt);
}

enum ds_status store_fault_set(struct store_conn *conn, const struct fault *fault)
{
    enum ds_status status = store_begin_write(conn);

    return status == DS_OK ? end_fault_write(conn, put_fault(conn, fault)) : status;
}

enum ds_status store_fault_clear(struct store_conn *conn, const char *path)
{
    bool there;
    enum ds_status status = look_for_table(conn, &there);

    if (status != DS_OK || !there)
        return status;
    status = store_begin_write(conn);
    if (status != DS_OK)
        return status;
    return end_fault_write(conn, path ? run_for_path(conn, STMT_FAULT_CLEAR, path)
                                      : stmt_run_ids(conn, STMT_FAULT_CLEAR_ALL, 0, 0));
}

enum ds_status store_fault_list(struct store_conn *conn, struct buf *out)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_FAULT_LIST, &status);
    bool row = false;

    if (!stmt)
        return status;
    status = stmt_step(conn, stmt, &row);
    if (row)
        buf_add(out, sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
    (void)sqlite3_reset(stmt);
    return status;
}

/* --- as JSON --- */

enum kind { TEXT, LINE, NUMBER, NUMBER_UP, FRACTION, FLAG, OBJECT };

/* The fields of the JSON, in the order of STMT_FAULT_PARSE. */
static const struct field {
    enum kind kind;
    size_t at; /* in struct fault */
    int64_t least, most;
    const char *reason; /* the reason to refuse any other value */
} fields[] = {
    {TEXT, offsetof(struct fault, path), 0, 0, "path must be a string"},
    {LINE, offsetof(struct fault, method), 0, 0, "method must be a string"},
    {NUMBER, offsetof(struct fault, count), -FAULT_MOST, FAULT_MOST, "count must be a number"},
    {FRACTION, offsetof(struct fault, probability), 0, 1,
     "probability must be a number from 0 to 1"},
    {NUMBER, offsetof(struct fault, delay_ms), 0, FAULT_MOST_MS,
     "delayMs must be a number from 0 to 86400000"},
    {NUMBER, offsetof(struct fault, jitter_ms), 0, FAULT_MOST_MS,
     "jitterMs must be a number from 0 to 86400000"},
    {FLAG, offsetof(struct fault, drop), 0, 0, "dropConnection must be true or false"},
    {NUMBER, offsetof(struct fault, status), 200, 599, "status must be a number from 200 to 599"},
    {NUMBER_UP, offsetof(struct fault, retry_after), 0, FAULT_MOST_AGE,
     "retryAfter must be a number of seconds"},
    {NUMBER, offsetof(struct fault, mangle.bytes), 0, FAULT_MOST,
     "truncateBodyBytes must be a number, 0 or more"},
    {FLAG, offsetof(struct fault, mangle.corrupt), 0, 0, "corruptBody must be true or false"},
    {OBJECT, 0, 0, 0, "injectSseEvent must be an object with eventType and data"},
    {LINE, offsetof(struct fault, event_type), 0, 0, "eventType must be a string of one line"},
    {TEXT, offsetof(struct fault, event_data), 0, 0, "data must be a string"},
};

enum { FIELDS = sizeof fields / sizeof fields[0], SSE_EVENT = FIELDS - 3 };

static bool is_number(sqlite3_stmt *stmt, int column, const struct field *field)
{
    double value = sqlite3_column_double(stmt, column);

    return sqlite3_column_type(stmt, column) != SQLITE_TEXT && value >= (double)field->least &&
           value <= (double)field->most;
}

/* A string without NUL bytes; a LINE also has no end of line. */
static bool is_text(const char *text, size_t len, enum kind kind)
{
    return text && strlen(text) == len && (kind == TEXT || !strpbrk(text, "\r\n"));
}

/* Copies one field, which is present and not null. False if it has another type. */
static bool take_field(sqlite3_stmt *stmt, struct arena *arena, int column,
                       const struct field *field, const char *type, struct fault *fault)
{
    void *at = (char *)fault + field->at;
    bool number = strcmp(type, "integer") == 0 || strcmp(type, "real") == 0;

    switch (field->kind) {
    case TEXT:
    case LINE: {
        const char *text = (const char *)sqlite3_column_text(stmt, column);
        size_t len = (size_t)sqlite3_column_bytes(stmt, column);

        if (strcmp(type, "text") != 0 || !is_text(text, len, field->kind))
            return false;
        *(const char **)at = arena_strndup(arena, text, len);
        return true;
    }
    case NUMBER:
        *(int64_t *)at = sqlite3_column_int64(stmt, column);
        return number && is_number(stmt, column, field);
    case NUMBER_UP:
        if (!number || !is_number(stmt, column, field))
            return false;
        *(int64_t *)at = round_up(sqlite3_column_double(stmt, column));
        return true;
    case FRACTION:
        *(double *)at = sqlite3_column_double(stmt, column);
        return number && is_number(stmt, column, field);
    case FLAG:
        *(bool *)at = strcmp(type, "true") == 0;
        return *(bool *)at || strcmp(type, "false") == 0;
    case OBJECT:
        return strcmp(type, "object") == 0;
    }
    return false;
}

/* Copies the columns of STMT_FAULT_PARSE. NULL, or the reason to refuse them. */
static const char *take_fields(sqlite3_stmt *stmt, struct arena *arena, struct fault *fault)
{
    const char *top = (const char *)sqlite3_column_text(stmt, 0);
    bool event = false;

    if (!top || strcmp(top, "object") != 0)
        return "the body must be a JSON object";
    for (int i = 0; i < FIELDS; i++) {
        const char *type = (const char *)sqlite3_column_text(stmt, 1 + 2 * i);

        if (type && strcmp(type, "null") != 0) {
            if (!take_field(stmt, arena, 2 + 2 * i, &fields[i], type, fault))
                return fields[i].reason;
            event |= i == SSE_EVENT;
        }
    }
    if (event && (!fault->event_type || !fault->event_data))
        return fields[SSE_EVENT].reason;
    return NULL;
}

static const char *check_fault(struct fault *fault)
{
    fault->mangle.truncate = fault->mangle.bytes >= 0;
    if (!fault->path || !fault->path[0])
        return "path is missing";
    if (fault->status == 0 && fault->delay_ms < 0 && !fault->drop &&
        !mangle_is_any(&fault->mangle) && !fault->event_type)
        return "one of status, delayMs, dropConnection, truncateBodyBytes, corruptBody and "
               "injectSseEvent must be given";
    return NULL;
}

enum ds_status store_fault_parse(struct store_conn *conn, struct arena *arena, const char *json,
                                 size_t len, struct fault *fault, const char **reason)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_FAULT_PARSE, &status);
    bool row = false;

    *fault = (struct fault){
        .count = 1, .probability = 1, .delay_ms = -1, .retry_after = -1, .mangle = {.bytes = -1}};
    *reason = len > 0 ? json_precheck(json, len) : "the body is empty";
    if (!*reason && !json_is_valid(json, len))
        *reason = "the body is not valid JSON";
    if (*reason)
        return DS_INVALID;
    if (!stmt)
        return status;
    (void)sqlite3_bind_text64(stmt, 1, json, len, SQLITE_STATIC, SQLITE_UTF8);
    status = stmt_step(conn, stmt, &row);
    if (status == DS_OK)
        *reason = take_fields(stmt, arena, fault);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    if (status == DS_OK && !*reason)
        *reason = check_fault(fault);
    return status == DS_OK && *reason ? DS_INVALID : status;
}
