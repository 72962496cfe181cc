/*
 * Export: store_dump.h says what is exported, dump_line.h has the format.
 *
 * Rows go from SQLite to the file one at a time, so memory does not grow with the number of
 * messages.
 */
#include "store/tools/store_dump.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "dump/dump_line.h"
#include "store/sqlite/store_private.h"
#include "store/tools/store_dump_private.h"

enum { PROGRESS_ROWS = 256 }; /* rows between two reports of progress */

/*
 * The order of streams: each after its source and near its relatives, depth first. The registry is
 * the last of the streams that are not forks, since it lists all others. A fork whose source is
 * missing, or not older, counts as a stream without a source, so that it is not left out.
 */
static const char families_sql[] =
    "WITH RECURSIVE family (id, depth, registry) AS ("
    "SELECT id, 0, registry IS NOT NULL FROM stream AS s WHERE source_id IS NULL "
    "OR NOT EXISTS (SELECT 1 FROM stream AS source "
    "WHERE source.id = s.source_id AND source.id < s.id) "
    "UNION ALL "
    "SELECT fork.id, depth + 1, 0 FROM family JOIN stream AS fork ON fork.source_id = family.id "
    "AND fork.id > family.id "
    "ORDER BY 2 DESC, 3, 1) SELECT id FROM family";

static const char total_sql[] = "SELECT ifnull(sum(messages), 0) FROM stream";

/* The rows that a stream takes from one owner, itself or an ancestor: those before `to`. */
struct segment {
    struct segment *next; /* the next one in the stream */
    int64_t stream_id, to;
};

/* --- lines --- */

enum ds_status export_fail(struct export *export, enum ds_status status, const char *reason)
{
    (void)snprintf(export->dump->reason, sizeof export->dump->reason, "%s", reason);
    return status;
}

static enum ds_status fail_damaged_stream(struct export *export, const struct stream *stream)
{
    (void)snprintf(export->dump->reason, sizeof export->dump->reason,
                   "the stream %s is damaged (%s): dsctl check says more", stream->path,
                   stream->damage);
    return DS_FAILED;
}

static enum ds_status fail_write(struct export *export)
{
    int error = errno;

    (void)snprintf(export->dump->reason, sizeof export->dump->reason, "cannot write: %s",
                   strerror(error));
    return error == ENOSPC || error == EDQUOT ? DS_NO_SPACE : DS_FAILED;
}

enum ds_status export_put_line(struct export *export)
{
    struct buf *line = &export->line;
    enum ds_status status = DS_OK;

    dump_end_line(line);
    if (buf_failed(line))
        status = export_fail(export, DS_NO_MEMORY, "out of memory");
    else if (fwrite(line->data, 1, line->len, export->dump->file) != line->len)
        status = fail_write(export);
    buf_clear(line);
    return status;
}

void export_add_text(struct export *export, enum dump_field field, const char *text)
{
    dump_add_text(&export->line, field, text, strlen(text));
}

void export_add_number(struct export *export, enum dump_field field, int64_t value)
{
    dump_add_number(&export->line, field, value);
}

static enum ds_status put_head(struct export *export)
{
    export_add_text(export, DUMP_F_FORMAT, DUMP_FORMAT);
    export_add_number(export, DUMP_F_VERSION, DUMP_VERSION);
    export_add_text(export, DUMP_F_PROGRAM, DS_VERSION);
    export_add_number(export, DUMP_F_WRITTEN_AT, export->now);
    return export_put_line(export);
}

static enum ds_status put_end(struct export *export)
{
    export_add_text(export, DUMP_F_END, DUMP_FORMAT);
    export_add_number(export, DUMP_F_STREAMS, export->dump->streams);
    export_add_number(export, DUMP_F_ROWS, export->dump->rows);
    export_add_number(export, DUMP_F_PRODUCERS, export->dump->producers);
    if (export->dump->subscriptions > 0)
        export_add_number(export, DUMP_F_SUBSCRIPTIONS, export->dump->subscriptions);
    return export_put_line(export);
}

static void add_fork(struct export *export, const struct stream *stream,
                     const struct stream *source)
{
    export_add_text(export, DUMP_F_SOURCE, source->path);
    export_add_number(export, DUMP_F_SOURCE_CREATED_AT, source->created_at);
    export_add_number(export, DUMP_F_FORK_POSITION, stream->fork_position);
    export_add_number(export, DUMP_F_FORK_OFFSET, stream->fork_offset);
    export_add_number(export, DUMP_F_FORK_SUB_OFFSET, stream->fork_sub_offset);
}

/* source: NULL if the stream is written as one without a source. */
static enum ds_status put_stream(struct export *export, const struct stream *stream,
                                 const struct stream *source, bool forked)
{
    struct buf *line = &export->line;

    export_add_text(export, DUMP_F_STREAM, stream->path);
    export_add_text(export, DUMP_F_CONTENT_TYPE, stream->content_type);
    export_add_number(export, DUMP_F_TAIL, stream->tail);
    export_add_number(export, DUMP_F_MESSAGES, stream->messages);
    export_add_number(export, DUMP_F_CREATED_AT, stream->created_at);
    if (stream->closed_at != 0)
        export_add_number(export, DUMP_F_CLOSED_AT, stream->closed_at);
    if (stream->closed_producer) {
        export_add_text(export, DUMP_F_CLOSED_PRODUCER, stream->closed_producer);
        export_add_number(export, DUMP_F_CLOSED_EPOCH, stream->closed_epoch);
        export_add_number(export, DUMP_F_CLOSED_SEQ, stream->closed_seq);
    }
    if (stream->ttl_seconds >= 0)
        export_add_number(export, DUMP_F_TTL_SECONDS, stream->ttl_seconds);
    if (stream->expires_at != 0)
        export_add_number(export, DUMP_F_EXPIRES_AT, stream->expires_at);
    if (stream->last_seq)
        dump_add_text(line, DUMP_F_LAST_SEQ, stream->last_seq, stream->last_seq_len);
    if (source)
        add_fork(export, stream, source);
    if (stream->deleted_at != 0)
        export_add_number(export, DUMP_F_DELETED_AT, stream->deleted_at);
    if (forked)
        export_add_number(export, DUMP_F_FORKED, 1);
    /* a registry that is exported by itself is an ordinary stream */
    if (stream->is_registry && !export->dump->path)
        export_add_number(export, DUMP_F_REGISTRY, 1);
    return export_put_line(export);
}

/* --- rows --- */

static enum ds_status put_row(struct export *export, sqlite3_stmt *stmt, int64_t to)
{
    int64_t position = sqlite3_column_int64(stmt, 0), part = sqlite3_column_int64(stmt, 1);
    const char *payload = sqlite3_column_blob(stmt, 3);
    int64_t len = sqlite3_column_bytes(stmt, 3);
    struct store_dump *dump = export->dump;

    if (position > to - len)
        len = to - position; /* the fork shares only a part of this message */
    export_add_number(export, DUMP_F_POSITION, position);
    if (part != 0)
        export_add_number(export, DUMP_F_PART, part);
    export_add_number(export, DUMP_F_APPENDED_AT, sqlite3_column_int64(stmt, 2));
    export_add_number(export, DUMP_F_BYTES, len);
    dump_add_text(&export->line, DUMP_F_DATA, payload ? payload : "", (size_t)len);
    dump->rows++;
    if (dump->progress && dump->rows % PROGRESS_ROWS == 0)
        dump->progress(dump->progress_arg, dump->rows, export->total);
    return export_put_line(export);
}

/* Writes the rows of a stream before a position. */
static enum ds_status put_rows(struct export *export, int64_t stream_id, int64_t to)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(export->conn, STMT_MESSAGE_ALL, &status);
    bool row = true;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    (void)sqlite3_bind_int64(stmt, 2, to);
    while ((status = stmt_step(export->conn, stmt, &row)) == DS_OK && row) {
        status = put_row(export, stmt, to);
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

static enum ds_status put_producers(struct export *export, int64_t stream_id, int64_t *count)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(export->conn, STMT_PRODUCER_ALL, &status);
    bool row = true;

    *count = 0;
    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    while ((status = stmt_step(export->conn, stmt, &row)) == DS_OK && row) {
        const char *id = sqlite3_column_blob(stmt, 0);

        dump_add_text(&export->line, DUMP_F_PRODUCER, id ? id : "",
                      (size_t)sqlite3_column_bytes(stmt, 0));
        export_add_number(export, DUMP_F_EPOCH, sqlite3_column_int64(stmt, 1));
        export_add_number(export, DUMP_F_SEQ, sqlite3_column_int64(stmt, 2));
        export_add_number(export, DUMP_F_UPDATED_AT, sqlite3_column_int64(stmt, 3));
        ++*count;
        status = export_put_line(export);
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

/* Writes what follows the line of a stream: rows, producers, and the line that ends it. */
static enum ds_status put_content(struct export *export, const struct stream *stream,
                                  const struct segment *first)
{
    int64_t rows = export->dump->rows, producers = 0;
    enum ds_status status = DS_OK;

    for (; status == DS_OK && first; first = first->next)
        status = put_rows(export, first->stream_id, first->to);
    if (status == DS_OK)
        status = put_producers(export, stream->id, &producers);
    if (status != DS_OK)
        return status;
    export_add_text(export, DUMP_F_END_OF, stream->path);
    export_add_number(export, DUMP_F_ROWS, export->dump->rows - rows);
    export_add_number(export, DUMP_F_PRODUCERS, producers);
    export->dump->producers += producers;
    export->dump->streams++;
    return export_put_line(export);
}

/* --- all streams --- */

/* Marks an expired stream as deleted: see the drawing in store_stream.c. */
static void settle_expiry(struct export *export, struct stream *stream, enum ds_status life)
{
    int64_t renewed;

    if (life == DS_GONE && stream->deleted_at == 0)
        stream->deleted_at = stream->expires_at;
    renewed = store_renewed(export->conn, stream, export->now);
    if (renewed > stream->expires_at)
        stream->expires_at = renewed;
}

static enum ds_status export_one_of_all(struct export *export, struct arena *arena, int64_t id)
{
    struct stream stream, source;
    struct segment own = {NULL, id, INT64_MAX};
    int64_t forked = 0;
    enum ds_status life = store_load_id(export->conn, arena, id, &stream), status;

    if (life == DS_OK)
        life = store_life(export->conn, &stream, export->now);
    if (life == DS_NOT_FOUND) /* expired, and without forks */
        return DS_OK;
    if (life == DS_FAILED && stream.damage)
        return fail_damaged_stream(export, &stream);
    if (life != DS_OK && life != DS_GONE)
        return life;
    settle_expiry(export, &stream, life);
    status = stmt_query_int(export->conn, STMT_STREAM_HAS_FORKS, id, 0, &forked);
    if (status == DS_OK && stream.source_id != 0)
        status = store_load_id(export->conn, arena, stream.source_id, &source);
    if (status == DS_NOT_FOUND) {
        (void)snprintf(export->dump->reason, sizeof export->dump->reason,
                       "the source of the fork %s is missing: dsctl check says more", stream.path);
        return DS_FAILED;
    }
    if (status == DS_OK)
        status = put_stream(export, &stream, stream.source_id != 0 ? &source : NULL, forked != 0);
    return status == DS_OK ? put_content(export, &stream, &own) : status;
}

static enum ds_status export_all(struct export *export)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_prepare(export->conn, families_sql, &status);
    bool row = true;

    while (stmt && (status = stmt_step(export->conn, stmt, &row)) == DS_OK && row) {
        struct arena *arena = arena_new();

        status =
            arena ? export_one_of_all(export, arena, sqlite3_column_int64(stmt, 0)) : DS_NO_MEMORY;
        arena_free(arena);
        if (status != DS_OK)
            break;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* --- one stream --- */

/*
 * Finds whose rows a stream consists of, from the oldest ancestor to the stream itself. *inherited:
 * how many messages belong to ancestors.
 */
static enum ds_status trace_segments(struct export *export, struct arena *arena,
                                     const struct stream *stream, struct segment **first,
                                     int64_t *inherited)
{
    struct stream owner = *stream;
    int64_t to = INT64_MAX;

    *first = NULL;
    *inherited = 0;
    for (;;) {
        struct segment *segment = arena_alloc(arena, sizeof *segment);
        int64_t messages = 0;
        enum ds_status status = DS_OK;

        if (!segment)
            return DS_NO_MEMORY;
        *segment = (struct segment){*first, owner.id, to};
        *first = segment;
        if (owner.id != stream->id)
            status = stmt_query_int(export->conn, STMT_MESSAGE_COUNT, owner.id, to, &messages);
        *inherited += messages;
        if (status != DS_OK || owner.source_id == 0)
            return status;
        if (owner.fork_position < to)
            to = owner.fork_position;
        status = store_load_id(export->conn, arena, owner.source_id, &owner);
        if (status == DS_NOT_FOUND)
            return export_fail(export, DS_FAILED,
                               "the source of this fork is missing: dsctl check says more");
        if (status == DS_OK && owner.damage) /* damaged: a source that is not older, for example */
            return fail_damaged_stream(export, &owner);
        if (status != DS_OK)
            return status;
    }
}

static enum ds_status export_one(struct export *export)
{
    struct arena *arena = arena_new();
    struct segment *first;
    struct stream stream;
    int64_t inherited;
    enum ds_status status = DS_NO_MEMORY;

    if (arena)
        status = store_find(export->conn, arena, export->dump->path, export->now, &stream);
    if (status == DS_FAILED && arena && stream.damage)
        (void)fail_damaged_stream(export, &stream);
    if (status == DS_OK)
        status = trace_segments(export, arena, &stream, &first, &inherited);
    if (status == DS_OK) {
        settle_expiry(export, &stream, DS_OK);
        stream.messages += inherited;
        if (stream.messages == 0 && stream.tail > 0)
            stream.messages = 1; /* all rows were pruned: a tail without any row would be damage */
        export->total = stream.messages;
        status = put_stream(export, &stream, NULL, false);
    }
    if (status == DS_OK)
        status = put_content(export, &stream, first);
    arena_free(arena);
    return status;
}

/* --- the file --- */

static enum ds_status count_rows(struct export *export)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_prepare(export->conn, total_sql, &status);
    bool row = false;

    if (stmt)
        status = stmt_step(export->conn, stmt, &row);
    if (row)
        export->total = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum ds_status export_file(struct export *export)
{
    struct store_dump *dump = export->dump;
    enum ds_status status = DS_OK;

    if (dump->progress && !dump->path)
        status = count_rows(export);
    if (status == DS_OK)
        status = put_head(export);
    if (status == DS_OK)
        status = dump->path ? export_one(export) : export_all(export);
    if (status == DS_OK && !dump->path)
        status = export_subscriptions(export);
    if (status == DS_OK)
        status = put_end(export);
    if (status == DS_OK && fflush(dump->file) != 0)
        status = fail_write(export);
    return status;
}

enum ds_status store_export(struct store_conn *conn, struct store_dump *dump)
{
    struct export export = {.conn = conn, .dump = dump, .now = clock_wall_ms()};
    enum ds_status status = store_begin_read(conn);

    dump->streams = dump->rows = dump->producers = dump->subscriptions = dump->skipped = 0;
    dump->reason[0] = '\0';
    if (status == DS_OK) {
        status = export_file(&export);
        store_end_read(conn);
    }
    buf_close(&export.line);
    if (status != DS_OK && !dump->reason[0])
        (void)export_fail(&export, status, ds_status_text(status));
    return status;
}
