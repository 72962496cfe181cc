/*
 * Rows of the table stream: finding, inserting, changing and deleting them.
 *
 * Three things decide which state of a stream clients see (store_life()):
 *
 *                      nothing reads it        forks read it
 *     live             200 …                   200 …
 *     expired          404, path free          410, path taken
 *     deleted          no row                  410, path taken   (deleted_at)
 *
 * The row of an expired stream stays until its path is needed or the sweep finds it; clients see no
 * difference. Whether a stream has forks is looked up in an index, since a stored count could be
 * wrong.
 *
 * A damaged file, or a statement at the sqlite3 prompt, may have put any value into a row. Must
 * hold: values from read_row() are within the bounds that all callers rely on, and a source is
 * older than its forks, so that following sources always ends. A row with other values is reported
 * as DS_FAILED, but it can be deleted.
 */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "hints/duty.h"
#include "hints/hints.h"
#include "hints/renewal.h"
#include "protocol/offset.h"
#include "store/sqlite/row_cache.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/stream_events.h"

enum { LONGEST_NAME = 65536 }; /* the highest DS_MAX_HEADER_BYTES and DS_MAX_PATH_BYTES */

#define NOT_NULL    INT64_MIN                 /* this column is never NULL */
#define MOST_NUMBER INT64_C(9007199254740991) /* for producers and for seconds: 2^53-1 */

/* The row under read_row(). */
struct reading {
    struct arena *arena;
    sqlite3_stmt *stmt;
    const char *damage; /* the first column with an invalid value, or NULL */
    bool failed;        /* out of memory */
};

static void blame_column(struct reading *reading, int column)
{
    if (!reading->damage)
        reading->damage = sqlite3_column_name(reading->stmt, column);
}

static const char *copy_bytes(struct reading *reading, int column, size_t *len)
{
    const void *bytes = sqlite3_column_blob(reading->stmt, column);
    const char *copy;

    *len = (size_t)sqlite3_column_bytes(reading->stmt, column);
    copy = arena_strndup(reading->arena, bytes ? bytes : "", *len);
    reading->failed |= !copy;
    return copy;
}

/* NULL if the column is NULL. */
static const char *read_optional_text(struct reading *reading, int column)
{
    size_t len;

    if (sqlite3_column_type(reading->stmt, column) == SQLITE_NULL)
        return NULL;
    return copy_bytes(reading, column, &len);
}

/* A text of one line, which a header can carry. */
static const char *read_line(struct reading *reading, int column)
{
    const char *text = read_optional_text(reading, column);
    size_t n = 0;

    while (text && n <= LONGEST_NAME && (unsigned char)text[n] >= ' ' && text[n] != 0x7f)
        n++;
    if (n > 0 && text[n] == '\0' && sqlite3_column_type(reading->stmt, column) == SQLITE_TEXT)
        return text;
    if (!reading->failed)
        blame_column(reading, column);
    return "";
}

/* `absent` if the column is NULL; 0 if it is not a number in range. */
static int64_t read_number(struct reading *reading, int column, int64_t least, int64_t most,
                           int64_t absent)
{
    int type = sqlite3_column_type(reading->stmt, column);
    int64_t value = type == SQLITE_NULL ? absent : sqlite3_column_int64(reading->stmt, column);

    if ((type == SQLITE_INTEGER && value >= least && value <= most) ||
        (type == SQLITE_NULL && absent != NOT_NULL))
        return value;
    blame_column(reading, column);
    return 0;
}

/* A time, or 0 if there is none. */
static int64_t read_optional_time(struct reading *reading, int column)
{
    int64_t value = read_number(reading, column, INT64_MIN, INT64_MAX, 0);

    return value == 0 && sqlite3_column_type(reading->stmt, column) != SQLITE_NULL ? 1 : value;
}

static void read_fork(struct reading *reading, struct stream *stream)
{
    stream->source_id = read_number(reading, 13, 1, stream->id - 1, 0);
    if (stream->source_id == 0)
        return;
    stream->fork_position = read_number(reading, 14, 0, stream->tail, NOT_NULL);
    stream->fork_offset = read_number(reading, 15, 0, OFFSET_POSITION_MAX, NOT_NULL);
    stream->fork_sub_offset = read_number(reading, 16, 0, OFFSET_POSITION_MAX, NOT_NULL);
}

static void read_closing(struct reading *reading, struct stream *stream)
{
    stream->closed_at = read_optional_time(reading, 6);
    stream->closed_producer = read_optional_text(reading, 7);
    if (!stream->closed_producer)
        return;
    stream->closed_epoch = read_number(reading, 8, 0, MOST_NUMBER, NOT_NULL);
    stream->closed_seq = read_number(reading, 9, 0, MOST_NUMBER, NOT_NULL);
}

/* The columns of STREAM_COLUMNS. */
static enum ds_status read_row(struct arena *arena, sqlite3_stmt *stmt, struct stream *stream)
{
    struct reading reading = {.arena = arena, .stmt = stmt};

    stream->id = sqlite3_column_int64(stmt, 0);
    stream->path = read_line(&reading, 1);
    stream->content_type = read_line(&reading, 2);
    stream->tail = read_number(&reading, 3, 0, OFFSET_POSITION_MAX, NOT_NULL);
    stream->messages = read_number(&reading, 4, 0, OFFSET_POSITION_MAX, NOT_NULL);
    stream->created_at = read_number(&reading, 5, INT64_MIN, INT64_MAX, NOT_NULL);
    read_closing(&reading, stream);
    stream->ttl_seconds = read_number(&reading, 10, 0, MOST_NUMBER, -1);
    stream->expires_at = read_optional_time(&reading, 11);
    if (sqlite3_column_type(stmt, 12) != SQLITE_NULL)
        stream->last_seq = copy_bytes(&reading, 12, &stream->last_seq_len);
    read_fork(&reading, stream);
    stream->deleted_at = read_optional_time(&reading, 17);
    stream->is_registry = sqlite3_column_int(stmt, 18) == 1;
    stream->is_subscribed = sqlite3_column_int(stmt, 19) == 1;
    if (reading.failed) {
        stream->id = 0;
        return DS_NO_MEMORY;
    }
    stream->damage = reading.damage;
    stream->kind = http_type_kind(stream->content_type);
    return DS_OK;
}

/* hold: the statement is not reset, so the read transaction lasts until store_end_read(). */
static enum ds_status load_row(struct store_conn *conn, struct arena *arena, sqlite3_stmt *stmt,
                               bool hold, struct stream *stream)
{
    bool row = false;
    enum ds_status status;

    assert(!conn->held);
    status = stmt_step(conn, stmt, &row);
    if (status == DS_OK)
        status = row ? read_row(arena, stmt, stream) : DS_NOT_FOUND;
    if (hold && status == DS_OK)
        conn->held = stmt;
    else
        (void)sqlite3_reset(stmt);
    return status;
}

static enum ds_status load_path(struct store_conn *conn, struct arena *arena, const char *path,
                                bool hold, struct stream *stream)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_BY_PATH, &status);

    memset(stream, 0, sizeof *stream);
    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    return load_row(conn, arena, stmt, hold, stream);
}

static enum ds_status load_id(struct store_conn *conn, struct arena *arena, int64_t id, bool hold,
                              struct stream *stream)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_BY_ID, &status);

    memset(stream, 0, sizeof *stream);
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, id);
    return load_row(conn, arena, stmt, hold, stream);
}

enum ds_status store_load_id(struct store_conn *conn, struct arena *arena, int64_t id,
                             struct stream *stream)
{
    return load_id(conn, arena, id, false, stream);
}

static enum ds_status has_forks(struct store_conn *conn, int64_t id, bool *has)
{
    int64_t found;
    enum ds_status status = stmt_query_int(conn, STMT_STREAM_HAS_FORKS, id, 0, &found);

    *has = found != 0;
    return status;
}

int64_t store_renewed(struct store_conn *conn, const struct stream *stream, int64_t now)
{
    int64_t until = stream->ttl_seconds < 0 ? 0 : renewal_find(conn->store->hints, stream->id);

    /* a later time than a read would set now can only be damage */
    return until > now && (until - now - HINTS_SLACK_MS + 999) / 1000 > stream->ttl_seconds ? 0
                                                                                            : until;
}

static bool has_expired(struct store_conn *conn, const struct stream *stream, int64_t now)
{
    if (stream->expires_at == 0 || stream->expires_at > now)
        return false;
    return store_renewed(conn, stream, now) <= now;
}

/* Applies the table at the top of this file. */
enum ds_status store_life(struct store_conn *conn, const struct stream *stream, int64_t now)
{
    bool forks = false;
    enum ds_status status;

    if (stream->damage) {
        log_error("the row of the stream with id %lld is damaged (%s): dsctl check says more",
                  (long long)stream->id, stream->damage);
        return DS_FAILED;
    }
    if (stream->deleted_at != 0)
        return DS_GONE;
    if (!has_expired(conn, stream, now))
        return DS_OK;
    status = has_forks(conn, stream->id, &forks);
    if (status != DS_OK)
        return status;
    return forks ? DS_GONE : DS_NOT_FOUND;
}

enum ds_status store_find(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream)
{
    enum ds_status status = load_path(conn, arena, path, false, stream);

    return status == DS_OK ? store_life(conn, stream, now) : status;
}

enum ds_status store_hold(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream)
{
    enum ds_status status;

    assert(store_is_idle(conn));
    if (row_cache_get(conn, arena, path, stream) && !has_expired(conn, stream, now))
        return DS_OK;
    status = load_path(conn, arena, path, true, stream);
    if (status != DS_OK)
        return status;
    /* only if it is not a fork: reading a fork takes several statements of one transaction */
    if (stream->source_id == 0 && stream->deleted_at == 0 && !stream->damage)
        row_cache_put(conn, stream);
    return store_life(conn, stream, now);
}

enum ds_status store_hold_id(struct store_conn *conn, struct arena *arena, int64_t id, int64_t now,
                             struct stream *stream)
{
    enum ds_status status = load_id(conn, arena, id, true, stream);

    return status == DS_OK ? store_life(conn, stream, now) : status;
}

static void bind_or_null(sqlite3_stmt *stmt, int index, int64_t value, bool present)
{
    if (present)
        (void)sqlite3_bind_int64(stmt, index, value);
    else
        (void)sqlite3_bind_null(stmt, index);
}

enum ds_status store_insert(struct store_conn *conn, struct stream *stream)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_INSERT, &status);
    bool fork = stream->source_id != 0;

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, stream->path, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, stream->content_type, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, stream->tail);
    (void)sqlite3_bind_int64(stmt, 4, stream->created_at);
    bind_or_null(stmt, 5, stream->closed_at, stream->closed_at != 0);
    bind_or_null(stmt, 6, stream->ttl_seconds, stream->ttl_seconds >= 0);
    bind_or_null(stmt, 7, stream->expires_at, stream->expires_at != 0);
    bind_or_null(stmt, 8, stream->source_id, fork);
    bind_or_null(stmt, 9, stream->fork_position, fork);
    bind_or_null(stmt, 10, stream->fork_offset, fork);
    bind_or_null(stmt, 11, stream->fork_sub_offset, fork);
    status = stmt_run(conn, stmt);
    if (status == DS_OK) {
        stream->id = sqlite3_last_insert_rowid(conn->db);
        stream_events_note(conn, DS_EVENT_CREATED, stream, stream->created_at);
    }
    return status;
}

enum ds_status store_restore(struct store_conn *conn, struct stream *stream)
{
    bool fork = stream->source_id != 0, by_producer = stream->closed_producer != NULL;
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_RESTORE, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_text(stmt, 1, stream->path, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, stream->content_type, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, stream->tail);
    (void)sqlite3_bind_int64(stmt, 4, stream->messages);
    (void)sqlite3_bind_int64(stmt, 5, stream->created_at);
    bind_or_null(stmt, 6, stream->closed_at, stream->closed_at != 0);
    (void)sqlite3_bind_text(stmt, 7, stream->closed_producer, -1, SQLITE_STATIC);
    bind_or_null(stmt, 8, stream->closed_epoch, by_producer);
    bind_or_null(stmt, 9, stream->closed_seq, by_producer);
    bind_or_null(stmt, 10, stream->ttl_seconds, stream->ttl_seconds >= 0);
    bind_or_null(stmt, 11, stream->expires_at, stream->expires_at != 0);
    (void)sqlite3_bind_blob64(stmt, 12, stream->last_seq, stream->last_seq_len, SQLITE_STATIC);
    bind_or_null(stmt, 13, stream->source_id, fork);
    bind_or_null(stmt, 14, stream->fork_position, fork);
    bind_or_null(stmt, 15, stream->fork_offset, fork);
    bind_or_null(stmt, 16, stream->fork_sub_offset, fork);
    bind_or_null(stmt, 17, stream->deleted_at, stream->deleted_at != 0);
    status = stmt_run(conn, stmt);
    if (status != DS_OK)
        return status;
    stream->id = sqlite3_last_insert_rowid(conn->db);
    if (stream->deleted_at == 0)
        stream_events_note(conn, DS_EVENT_CREATED, stream, stream->created_at);
    return DS_OK;
}

enum ds_status store_update(struct store_conn *conn, const struct stream *stream)
{
    bool grew = stream->change == STREAM_GREW, by_producer = stream->closed_producer != NULL;
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, grew ? STMT_STREAM_GROW : STMT_STREAM_UPDATE, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream->id);
    (void)sqlite3_bind_int64(stmt, 2, stream->tail);
    (void)sqlite3_bind_int64(stmt, 3, stream->messages);
    if (grew)
        return stmt_run(conn, stmt);
    bind_or_null(stmt, 4, stream->closed_at, stream->closed_at != 0);
    (void)sqlite3_bind_text(stmt, 5, stream->closed_producer, -1, SQLITE_STATIC);
    bind_or_null(stmt, 6, stream->closed_epoch, by_producer);
    bind_or_null(stmt, 7, stream->closed_seq, by_producer);
    bind_or_null(stmt, 8, stream->expires_at, stream->expires_at != 0);
    (void)sqlite3_bind_blob64(stmt, 9, stream->last_seq, stream->last_seq_len, SQLITE_STATIC);
    return stmt_run(conn, stmt);
}

enum ds_status store_renew(struct store_conn *conn, int64_t id, int64_t expires_at, int64_t now)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_RENEW, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, expires_at);
    (void)sqlite3_bind_int64(stmt, 3, now + HINTS_SLACK_MS);
    return stmt_run(conn, stmt);
}

/* Deletes the deleted ancestors that no fork reads any more, the nearest first. */
static enum ds_status collect_sources(struct store_conn *conn, struct arena *arena, int64_t id)
{
    struct stream source;
    enum ds_status status;

    while (id != 0) {
        status = store_load_id(conn, arena, id, &source);
        if (status != DS_OK)
            return status == DS_NOT_FOUND ? DS_OK : status;
        status = stmt_run_ids(conn, STMT_STREAM_COLLECT, id, 0);
        if (status != DS_OK || sqlite3_changes(conn->db) == 0)
            return status;
        id = source.source_id;
    }
    return DS_OK;
}

enum ds_status store_delete(struct store_conn *conn, const struct stream *stream, int64_t now)
{
    bool forks = false;
    enum ds_status status = has_forks(conn, stream->id, &forks);
    struct arena *arena;

    if (status == DS_OK)
        status = forks ? stmt_run_ids(conn, STMT_STREAM_MARK_DELETED, stream->id, now)
                       : stmt_run_ids(conn, STMT_STREAM_DELETE, stream->id, 0);
    /* an earlier mark as deleted has noted the event */
    if (status == DS_OK && stream->deleted_at == 0)
        stream_events_note(conn, DS_EVENT_DELETED, stream, now);
    duty_round_soon(conn->store->hints); /* the sweep will delete its messages */
    if (forks)
        return status;
    if (status != DS_OK || stream->source_id == 0)
        return status;
    arena = arena_new();
    if (!arena)
        return DS_NO_MEMORY;
    status = collect_sources(conn, arena, stream->source_id);
    arena_free(arena);
    return status;
}
