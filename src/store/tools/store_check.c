/*
 * The check of a database: see store_check.h.
 *
 * It has three parts: rules in SQL, statements whose result rows are findings (those of
 * subscriptions are in store_check_subscription.c); the rows of each stream, in order, against the
 * counters of the stream; and the schema against that of a new database.
 *
 * Changes that a person may make at the sqlite3 prompt are not damage: deleting the first rows of a
 * stream to keep only the newest, and deleting streams or marking them deleted.
 */
#include "store/tools/store_check.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "protocol/http_type.h"
#include "protocol/json.h"
#include "protocol/offset.h"
#include "protocol/path.h"
#include "store/sqlite/database_file.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store/tools/store_check_private.h"

enum { LONGEST_NAME = 65536 }; /* as in store_stream.c */

static const struct check_rule rules[] = {
    {STORE_CHECK_DAMAGE, "SELECT NULL, 'the file: ' || integrity_check "
                         "FROM pragma_integrity_check WHERE integrity_check <> 'ok'"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('its source, the stream with id %d, does not exist', source_id) "
     "FROM pragma_foreign_key_check AS broken JOIN stream ON stream.id = broken.rowid "
     "WHERE broken.\"table\" = 'stream'"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('forked from a stream that is not older (id %d from %d)', id, source_id) "
     "FROM stream WHERE source_id >= id"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('its %s is not a valid number: %s', name, substr(quote(value), 1, 60)) "
     "FROM ("
     "SELECT path, 'tail' AS name, tail AS value FROM stream "
     "WHERE typeof(tail) <> 'integer' OR tail NOT BETWEEN 0 AND 9999999999999999 UNION ALL "
     "SELECT path, 'messages', messages FROM stream WHERE typeof(messages) <> 'integer' "
     "OR messages NOT BETWEEN 0 AND 9999999999999999 UNION ALL "
     "SELECT path, 'created_at', created_at FROM stream WHERE typeof(created_at) <> 'integer' "
     "UNION ALL SELECT path, 'closed_at', closed_at FROM stream "
     "WHERE typeof(closed_at) NOT IN ('null', 'integer') UNION ALL "
     "SELECT path, 'closed_epoch', closed_epoch FROM stream WHERE closed_epoch IS NOT NULL AND "
     "(typeof(closed_epoch) <> 'integer' OR closed_epoch NOT BETWEEN 0 AND 9007199254740991) "
     "UNION ALL SELECT path, 'closed_seq', closed_seq FROM stream WHERE closed_seq IS NOT NULL AND "
     "(typeof(closed_seq) <> 'integer' OR closed_seq NOT BETWEEN 0 AND 9007199254740991) UNION ALL "
     "SELECT path, 'ttl_seconds', ttl_seconds FROM stream WHERE ttl_seconds IS NOT NULL AND "
     "(typeof(ttl_seconds) <> 'integer' OR ttl_seconds NOT BETWEEN 0 AND 9007199254740991) "
     "UNION ALL SELECT path, 'expires_at', expires_at FROM stream "
     "WHERE typeof(expires_at) NOT IN ('null', 'integer') UNION ALL "
     "SELECT path, 'source_id', source_id FROM stream WHERE source_id IS NOT NULL AND "
     "(typeof(source_id) <> 'integer' OR source_id < 1) UNION ALL "
     "SELECT path, 'fork_position', fork_position FROM stream WHERE fork_position IS NOT NULL AND "
     "(typeof(fork_position) <> 'integer' OR fork_position NOT BETWEEN 0 AND tail) UNION ALL "
     "SELECT path, 'fork_offset', fork_offset FROM stream WHERE fork_offset IS NOT NULL AND "
     "(typeof(fork_offset) <> 'integer' OR fork_offset < 0) UNION ALL "
     "SELECT path, 'fork_sub_offset', fork_sub_offset FROM stream WHERE fork_sub_offset IS NOT "
     "NULL "
     "AND (typeof(fork_sub_offset) <> 'integer' "
     "OR fork_sub_offset NOT BETWEEN 0 AND 9999999999999999) UNION ALL "
     "SELECT path, 'deleted_at', deleted_at FROM stream "
     "WHERE typeof(deleted_at) NOT IN ('null', 'integer'))"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('its fork columns are incomplete: source %s, fork position %s, offset "
     "%s, sub-offset "
     "%s', quote(source_id), quote(fork_position), quote(fork_offset), quote(fork_sub_offset)) "
     "FROM stream WHERE (source_id IS NULL) + (fork_position IS NULL) + (fork_offset IS NULL) + "
     "(fork_sub_offset IS NULL) NOT IN (0, 4)"},
    {STORE_CHECK_DAMAGE,
     "SELECT s.path, printf('forked at %d, but %s ends at %d', s.fork_position, source.path, "
     "source.tail) FROM stream AS s JOIN stream AS source ON source.id = s.source_id "
     "WHERE s.fork_position NOT BETWEEN 0 AND source.tail"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('its fork position %d does not fit its fork offset %d', fork_position, "
     "fork_offset) FROM stream WHERE fork_offset NOT BETWEEN 0 AND fork_position"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('its closing columns contradict each other: closed at %s, by %s, epoch "
     "%s, sequence "
     "%s', quote(closed_at), quote(closed_producer), quote(closed_epoch), quote(closed_seq)) "
     "FROM stream WHERE (closed_producer IS NULL) + (closed_epoch IS NULL) + (closed_seq IS NULL) "
     "NOT IN (0, 3) OR (closed_producer IS NOT NULL AND closed_at IS NULL)"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('it has a TTL of %d seconds, but the deadline %s', ttl_seconds, "
     "quote(expires_at)) FROM stream WHERE ttl_seconds < 0 OR (ttl_seconds IS NOT NULL AND "
     "expires_at IS NULL)"},
    {STORE_CHECK_DAMAGE,
     "SELECT s.path, printf('producer %s: epoch %s, sequence %s', quote(producer_id), "
     "quote(epoch), quote(p.last_seq)) FROM producer AS p JOIN stream AS s ON s.id = p.stream_id "
     "WHERE typeof(epoch) <> 'integer' OR typeof(p.last_seq) <> 'integer' "
     "OR epoch NOT BETWEEN 0 AND 9007199254740991 "
     "OR p.last_seq NOT BETWEEN 0 AND 9007199254740991"},
    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('%d rows of messages, %d bytes, belong to no stream (id %d)', count(*), "
     "sum(length(payload)), stream_id) FROM message WHERE stream_id NOT IN (SELECT id FROM stream) "
     "AND stream_id NOT IN (SELECT stream_id FROM garbage) GROUP BY stream_id"},
    {STORE_CHECK_DAMAGE,
     "SELECT NULL, printf('%d producers belong to no stream (id %d)', count(*), stream_id) "
     "FROM producer WHERE stream_id NOT IN (SELECT id FROM stream) "
     "AND stream_id NOT IN (SELECT stream_id FROM garbage) GROUP BY stream_id"},
    {STORE_CHECK_DAMAGE,
     "SELECT path, printf('it exists, but its messages are marked for deletion (id %d)', id) "
     "FROM garbage JOIN stream ON stream.id = stream_id"},
    {STORE_CHECK_NOTE,
     "SELECT path, 'it is deleted and no fork reads it: the sweep will delete it' FROM stream AS s "
     "WHERE deleted_at IS NOT NULL AND NOT EXISTS "
     "(SELECT 1 FROM stream AS fork WHERE fork.source_id = s.id)"},
    {STORE_CHECK_NOTE,
     "SELECT NULL, printf('%d streams have expired: the sweep will delete them', count(*)) "
     "FROM stream WHERE expires_at <= ?1 AND deleted_at IS NULL HAVING count(*) > 0"},
    {STORE_CHECK_NOTE, "SELECT NULL, printf('messages of %d deleted streams are left: the sweep "
                       "will delete them', count(*)) "
                       "FROM garbage HAVING count(*) > 0"},
};

static const char streams_sql[] =
    "SELECT id, path, content_type, tail, messages, ifnull(fork_position, 0) FROM stream "
    "ORDER BY path";

/* ?2: also select the payload */
static const char rows_sql[] =
    "SELECT position, part, typeof(payload) = 'blob', length(CASE typeof(payload) "
    "WHEN 'blob' THEN payload ELSE CAST(payload AS BLOB) END), CASE WHEN ?2 THEN payload END "
    "FROM message WHERE stream_id = ?1 ORDER BY position";

/* One kind of mistake in the rows of a stream: how often it occurs, and where first. */
struct mistake {
    int64_t times, from, to;
};

/* What was found in the rows of one stream. */
struct walk {
    struct store_check *check;
    sqlite3_stmt *rows;
    int64_t id, tail, messages, start;
    const char *path;
    bool json;

    int64_t counted, whole; /* numbers of rows and of messages */
    int64_t next, part;     /* the position after the last row, and that row's part */
    int64_t first;          /* position of the first row */
    struct mistake gap, overlap, wrong_part, wrong_type, empty, no_json, no_place;
};

/* --- findings --- */

void check_tell(struct store_check *check, enum store_check_kind kind, const char *path,
                const char *format, ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (kind == STORE_CHECK_DAMAGE)
        check->damages++;
    else
        check->notes++;
    check->fn(check->arg, kind, path, text);
}

static enum ds_status check_fail(struct store_check *check, enum ds_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum ds_status check_fail(struct store_check *check, enum ds_status status,
                                 const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(check->reason, sizeof check->reason, format, args);
    va_end(args);
    return status;
}

enum ds_status check_stumble(struct store_check *check, sqlite3 *db)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* no such table or column */
        check_tell(check, STORE_CHECK_DAMAGE, NULL, "cannot be read: %s", sqlite3_errmsg(db));
        return DS_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return check_fail(check, DS_BUSY, "another program has locked the database");
    case SQLITE_NOMEM:
        return check_fail(check, DS_NO_MEMORY, "out of memory");
    default:
        return check_fail(check, DS_FAILED, "%s", sqlite3_errmsg(db));
    }
}

/* --- rules --- */

enum ds_status check_apply(struct store_check *check, sqlite3 *db, const struct check_rule *rule)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, rule->sql, -1, &stmt, NULL);

    if (code == SQLITE_OK && sqlite3_bind_parameter_count(stmt) > 0)
        (void)sqlite3_bind_int64(stmt, 1, check->now);
    while (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 1);

        check_tell(check, rule->kind, (const char *)sqlite3_column_text(stmt, 0), "%s",
                   text ? text : "out of memory");
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? DS_OK : check_stumble(check, db);
}

/* --- the rows of a stream --- */

static void note_mistake(struct mistake *mistake, int64_t from, int64_t to)
{
    if (mistake->times++ == 0) {
        mistake->from = from;
        mistake->to = to;
    }
}

static bool is_json(sqlite3_stmt *stmt)
{
    const char *text = sqlite3_column_blob(stmt, 4);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 4);

    return text && !json_precheck(text, len) && json_is_valid(text, len);
}

/* Checks one row against those before it. */
static void look_at_row(struct walk *walk)
{
    int64_t position = sqlite3_column_int64(walk->rows, 0);
    int64_t part = sqlite3_column_int64(walk->rows, 1);
    int64_t len = sqlite3_column_int64(walk->rows, 3);
    bool first = walk->counted == 0, follows = !first && position == walk->next;

    if (sqlite3_column_type(walk->rows, 0) != SQLITE_INTEGER || position < 0 ||
        position > OFFSET_POSITION_MAX) {
        note_mistake(&walk->no_place, position, 0);
        return;
    }
    walk->counted++;
    if (first)
        walk->first = position;
    else if (position > walk->next)
        note_mistake(&walk->gap, walk->next, position);
    else if (position < walk->next)
        note_mistake(&walk->overlap, position, walk->next);
    /* after a gap, the first row may be any part of a message */
    if (part < 0 || part > INT32_MAX || sqlite3_column_type(walk->rows, 1) != SQLITE_INTEGER ||
        (walk->json && part > 0) || (follows && part > 0 && part != walk->part + 1))
        note_mistake(&walk->wrong_part, position, part);
    if (!sqlite3_column_int(walk->rows, 2))
        note_mistake(&walk->wrong_type, position, 0);
    if (len == 0)
        note_mistake(&walk->empty, position, 0);
    else if (walk->json && !is_json(walk->rows))
        note_mistake(&walk->no_json, position, 0);
    if (part == 0)
        walk->whole++;
    walk->part = part;
    walk->next = position + len;
}

#define MISTAKE(mistake, format, ...)                                                              \
    do {                                                                                           \
        if ((mistake).times > 0)                                                                   \
            check_tell(walk->check, STORE_CHECK_DAMAGE, walk->path, format " (%lld in all)",       \
                       __VA_ARGS__, (long long)(mistake).times);                                   \
    } while (0)

static void tell_mistakes(const struct walk *walk)
{
    MISTAKE(walk->gap, "no row contains the bytes from %lld to %lld", (long long)walk->gap.from,
            (long long)walk->gap.to);
    MISTAKE(walk->overlap, "two rows contain the bytes from %lld to %lld",
            (long long)walk->overlap.from, (long long)walk->overlap.to);
    MISTAKE(walk->wrong_part, "the row at %lld is part %lld, which is out of order",
            (long long)walk->wrong_part.from, (long long)walk->wrong_part.to);
    MISTAKE(walk->wrong_type, "the payload at %lld is not a BLOB",
            (long long)walk->wrong_type.from);
    MISTAKE(walk->empty, "the row at %lld is empty", (long long)walk->empty.from);
    MISTAKE(walk->no_place, "a row has an impossible position, %lld",
            (long long)walk->no_place.from);
    MISTAKE(walk->no_json, "the message at %lld is not JSON", (long long)walk->no_json.from);
}

/* Compares the counters of the stream with its rows. */
static void compare_counts(const struct walk *walk)
{
    struct store_check *check = walk->check;
    bool pruned = walk->counted > 0 ? walk->first > walk->start
                                    : walk->messages > 0 && walk->tail > walk->start;

    if (walk->counted > 0 && walk->first < walk->start)
        check_tell(check, STORE_CHECK_DAMAGE, walk->path,
                   "a row at %lld lies before the fork position, %lld", (long long)walk->first,
                   (long long)walk->start);
    if (pruned)
        check_tell(check, STORE_CHECK_NOTE, walk->path, "its first rows were deleted: %lld to %lld",
                   (long long)walk->start, (long long)(walk->counted ? walk->first : walk->tail));
    if (walk->counted > 0 ? walk->next != walk->tail : !pruned && walk->tail != walk->start)
        check_tell(check, STORE_CHECK_DAMAGE, walk->path,
                   "the tail is %lld, but the rows end at %lld", (long long)walk->tail,
                   (long long)walk->next);
    if (pruned || walk->gap.times > 0 ? walk->messages < walk->whole
                                      : walk->messages != walk->whole)
        check_tell(check, STORE_CHECK_DAMAGE, walk->path,
                   "it counts %lld messages, but there are %lld", (long long)walk->messages,
                   (long long)walk->whole);
}

/* Can a request name this path, and a header carry this type? */
static void look_at_names(struct store_check *check, const char *path, const char *type)
{
    struct arena *arena = arena_new();
    const char *reason;
    const char *normal = arena ? path_normalize(arena, path, strlen(path), &reason) : path;

    if (path[0] != '/' || !normal || strcmp(normal, path) != 0 || strlen(path) > LONGEST_NAME)
        check_tell(check, STORE_CHECK_DAMAGE, path, "no URL can have this path");
    if (!http_type_is_valid(type) || strlen(type) > LONGEST_NAME)
        check_tell(check, STORE_CHECK_DAMAGE, path, "its content type is not valid: %.200s", type);
    arena_free(arena);
}

static int walk_rows(struct walk *walk)
{
    int code;

    (void)sqlite3_bind_int64(walk->rows, 1, walk->id);
    (void)sqlite3_bind_int(walk->rows, 2, walk->json);
    while ((code = sqlite3_step(walk->rows)) == SQLITE_ROW)
        look_at_row(walk);
    (void)sqlite3_reset(walk->rows);
    walk->check->streams++;
    walk->check->rows += walk->counted;
    if (code == SQLITE_DONE) {
        tell_mistakes(walk);
        compare_counts(walk);
    }
    return code;
}

static enum ds_status check_streams(struct store_check *check, sqlite3 *db)
{
    sqlite3_stmt *streams = NULL, *rows = NULL;
    int code = sqlite3_prepare_v2(db, streams_sql, -1, &streams, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, rows_sql, -1, &rows, NULL);
    if (code == SQLITE_OK)
        code = SQLITE_DONE;
    while (code == SQLITE_DONE && (code = sqlite3_step(streams)) == SQLITE_ROW) {
        const char *path = (const char *)sqlite3_column_text(streams, 1);
        const char *type = (const char *)sqlite3_column_text(streams, 2);
        struct walk walk = {
            .check = check,
            .rows = rows,
            .id = sqlite3_column_int64(streams, 0),
            .tail = sqlite3_column_int64(streams, 3),
            .messages = sqlite3_column_int64(streams, 4),
            .start = sqlite3_column_int64(streams, 5),
            .path = path ? path : "",
        };

        look_at_names(check, walk.path, type ? type : "");
        walk.json = http_type_kind(type ? type : "") == HTTP_TYPE_JSON;
        walk.next = walk.start;
        code = walk_rows(&walk);
        if (code == SQLITE_DONE)
            continue;
        break;
    }
    if (code != SQLITE_DONE) {
        enum ds_status status = check_stumble(check, db);

        (void)sqlite3_finalize(streams);
        (void)sqlite3_finalize(rows);
        return status;
    }
    (void)sqlite3_finalize(streams);
    (void)sqlite3_finalize(rows);
    return DS_OK;
}

/* --- the file --- */

static enum ds_status fail_foreign(struct store_check *check, sqlite3 *db, int64_t application)
{
    database_file_describe_foreign(db, check->database, application, check->reason,
                                   sizeof check->reason);
    return DS_FAILED;
}

static enum ds_status check_version(struct store_check *check, sqlite3 *db)
{
    int64_t application = check_pragma(db, "PRAGMA application_id");
    int64_t version = check_pragma(db, "PRAGMA user_version");

    if (application < 0)
        return check_fail(check, DS_FAILED, "%s: %s", check->database, sqlite3_errmsg(db));
    if (application != STORE_APPLICATION_ID)
        return fail_foreign(check, db, application);
    if (version > SCHEMA_VERSION)
        return check_fail(check, DS_FAILED, STORE_NEWER, check->database);
    if (version < SCHEMA_VERSION)
        return check_fail(check, DS_FAILED, STORE_UNRELEASED, check->database);
    if (check_pragma(db, "SELECT journal_mode <> 'wal' FROM pragma_journal_mode") == 1)
        check_tell(check, STORE_CHECK_NOTE, NULL,
                   "the journal is not in WAL mode: the next start of a server switches it");
    return DS_OK;
}

static enum ds_status check_all(struct store_check *check, sqlite3 *db)
{
    enum ds_status status;

    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return check_fail(check, DS_FAILED, "%s: %s", check->database, sqlite3_errmsg(db));
    status = check_version(check, db);
    if (status == DS_OK)
        status = check_schema(check, db);
    for (size_t i = 0; status == DS_OK && i < sizeof rules / sizeof rules[0]; i++)
        status = check_apply(check, db, &rules[i]);
    if (status == DS_OK)
        status = check_subscriptions(check, db);
    return status == DS_OK ? check_streams(check, db) : status;
}

enum ds_status store_check(struct store_check *check)
{
    sqlite3 *db = NULL;
    enum ds_status status;
    int code;

    check->streams = check->rows = check->damages = check->notes = 0;
    check->reason[0] = '\0';
    if (access(check->database, F_OK) != 0)
        return check_fail(check, DS_NOT_FOUND, "there is no file %s", check->database);
    code = sqlite3_open_v2(check->database, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, (int)check->busy_timeout_ms);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        status = check_all(check, db);
    } else {
        status = check_fail(check, DS_FAILED, "%s: %s", check->database, sqlite3_errstr(code));
    }
    (void)sqlite3_close(db); /* also ends the read transaction */
    return status;
}
