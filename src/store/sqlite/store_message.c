/*
 * Rows of the table message, and reading across forks.
 *
 * A fork owns the positions from its fork_position on. The positions before that are read from its
 * source, and those before the source's own fork_position from the source's source:
 *
 *     source   0 ═══════════════════════════ 90 ─ ─ ─ (appended after the fork: not inherited)
 *     fork                        └ 60 ══════════════ 75
 *     fork of it                              └ 70 ═══════════ 120
 *
 *     a read of the last one at 10:  source [10,60)  fork [60,70)  own [70,120)
 *
 * Each read is split into such segments once, beginning with the fork itself.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/utf8.h"
#include "protocol/json_state.h"
#include "protocol/offset.h"
#include "store/sqlite/store_private.h"

struct segment {
    struct segment *next; /* the next one in the stream */
    int64_t stream_id, from, to;
};

enum ds_status store_insert_row(struct store_conn *conn, int64_t stream_id, int64_t position,
                                int part, const char *payload, size_t len, int64_t now)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_MESSAGE_INSERT, &status);

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, stream_id);
    (void)sqlite3_bind_int64(stmt, 2, position);
    (void)sqlite3_bind_int(stmt, 3, part);
    (void)sqlite3_bind_int64(stmt, 4, now);
    if (sqlite3_bind_blob64(stmt, 5, payload, len, SQLITE_STATIC) != SQLITE_OK)
        return DS_TOO_LARGE;
    status = stmt_run(conn, stmt);
    (void)sqlite3_clear_bindings(stmt); /* the caller owns the payload */
    return status;
}

enum ds_status store_append(struct store_conn *conn, struct stream *stream, const char *payload,
                            size_t len, int64_t now)
{
    size_t most = stream->kind == HTTP_TYPE_JSON ? len : STORE_PART_BYTES;
    enum ds_status status;

    if (len > INT32_MAX || stream->tail > OFFSET_POSITION_MAX - (int64_t)len)
        return DS_TOO_LARGE; /* its end would have no offset */
    for (int part = 0; len > 0; part++) {
        size_t piece = len < most ? len : most;

        status = store_insert_row(conn, stream->id, stream->tail, part, payload, piece, now);
        if (status != DS_OK)
            return status;
        stream->tail += (int64_t)piece;
        payload += piece;
        len -= piece;
    }
    stream->messages++;
    return DS_OK;
}

/* Finds a stream's source and fork position; 0 and 0 if it is not a fork. */
static enum ds_status find_source(struct store_conn *conn, int64_t id, int64_t *source_id,
                                  int64_t *fork_position)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = stmt_get(conn, STMT_STREAM_SOURCE, &status);
    bool row = false;

    if (!stmt)
        return status;
    (void)sqlite3_bind_int64(stmt, 1, id);
    status = stmt_step(conn, stmt, &row);
    if (row) {
        *source_id = sqlite3_column_int64(stmt, 0);
        *fork_position = *source_id == 0 ? 0 : sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    if (status == DS_OK && row &&
        (*source_id < 0 || *source_id >= id)) { /* guards against a circle of damaged rows */
        log_error("the stream with id %lld is forked from id %lld, which is not older: dsctl check "
                  "says more",
                  (long long)id, (long long)*source_id);
        return DS_FAILED;
    }
    return status == DS_OK && !row ? DS_NOT_FOUND : status;
}

/*
 * Makes the list of segments from `from` to the tail, for free_segments(). `own` is memory for the
 * last one, which is the only one of most reads.
 */
static enum ds_status split_read(struct store_conn *conn, const struct stream *stream, int64_t from,
                                 struct segment *own, struct segment **first)
{
    int64_t id = stream->id, source_id = stream->source_id, start = stream->fork_position;
    int64_t to = stream->tail;
    struct segment *segment = own;
    enum ds_status status;

    *first = NULL;
    for (;;) {
        if (start < to) { /* otherwise the fork begins before this source's own part */
            if (!segment)
                segment = malloc(sizeof *segment);
            if (!segment)
                return DS_NO_MEMORY;
            segment->next = *first;
            segment->stream_id = id;
            segment->from = from > start ? from : start;
            segment->to = to;
            *first = segment;
            to = start;
        }
        if (from >= to || source_id == 0)
            return DS_OK;
        segment = NULL;
        id = source_id;
        status = find_source(conn, id, &source_id, &start);
        if (status != DS_OK)
            return status == DS_NOT_FOUND ? DS_FAILED : status;
    }
}

static void free_segments(struct segment *first, const struct segment *own)
{
    struct segment *next;

    for (; first && first != own; first = next) {
        next = first->next;
        free(first);
    }
}

/* Begins to read the rows of a segment, from the row that holds `from` on: payloads or lengths. */
static sqlite3_stmt *open_rows(struct store_conn *conn, enum stmt which,
                               const struct segment *segment, int64_t from, enum ds_status *status)
{
    sqlite3_stmt *stmt = stmt_get(conn, which, status);

    if (stmt) {
        (void)sqlite3_bind_int64(stmt, 1, segment->stream_id);
        (void)sqlite3_bind_int64(stmt, 2, from);
        (void)sqlite3_bind_int64(stmt, 3, segment->to);
    }
    return stmt;
}

/* A read under way. */
struct reading {
    enum http_type_kind kind;
    size_t limit; /* most payload bytes */
    size_t taken; /* payload bytes read so far */
    struct buf *out;
    struct store_span span; /* span.next: the position to continue from */
};

/* Adds a JSON message; a message of the state protocol gets the offset after it. */
static void add_message(struct buf *out, const char *payload, size_t len, int64_t next)
{
    struct json_place place;
    char offset[OFFSET_TEXT_SIZE];

    if (!json_state_place(payload, len, &place)) {
        buf_add(out, payload, len);
        return;
    }
    offset_format(next, offset);
    buf_add(out, payload, place.at);
    buf_printf(out, "%s\"%s\"", place.member ? ",\"offset\":" : "", offset);
    buf_add(out, payload + place.at + place.cut, len - place.at - place.cut);
}

/* Does the current row of stmt contain the position? */
static bool is_in_row(sqlite3_stmt *stmt, int64_t position)
{
    int64_t start = sqlite3_column_int64(stmt, 0);

    return start <= position && position < start + sqlite3_column_bytes(stmt, 1);
}

/* How many bytes of the row belong to the segment: a fork may share only a part of a message. */
static size_t row_length(const struct segment *segment, sqlite3_stmt *stmt)
{
    int64_t left = segment->to - sqlite3_column_int64(stmt, 0);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 1);

    return left < (int64_t)len ? (size_t)left : len;
}

/* Adds one row to the result, or the rest of one. */
static enum ds_status take_row(struct reading *reading, const struct segment *segment,
                               sqlite3_stmt *stmt)
{
    const char *payload = sqlite3_column_blob(stmt, 1);
    size_t len = row_length(segment, stmt), skip;

    /* rows were deleted at the sqlite3 prompt to keep only the newest (section 5.6) */
    if (!is_in_row(stmt, reading->span.next))
        return DS_PRUNED;
    skip = (size_t)(reading->span.next - sqlite3_column_int64(stmt, 0));
    reading->span.next += (int64_t)(len - skip);
    if (reading->kind == HTTP_TYPE_JSON) {
        buf_addc(reading->out, reading->taken == 0 ? '[' : ',');
        add_message(reading->out, payload, len, reading->span.next);
    } else {
        buf_add(reading->out, payload + skip, len - skip);
    }
    reading->taken += len - skip;
    reading->span.appended_at = sqlite3_column_int64(stmt, 2);
    return buf_failed(reading->out) ? DS_NO_MEMORY : DS_OK;
}

/* Is this a position inside a row that SSE has named, because it held back part of a character? */
static bool is_held_back(const struct reading *reading, const struct segment *segment,
                         sqlite3_stmt *stmt)
{
    const char *payload = sqlite3_column_blob(stmt, 1);
    size_t skip = (size_t)(reading->span.next - sqlite3_column_int64(stmt, 0));
    size_t rest = row_length(segment, stmt) - skip;

    return reading->kind == HTTP_TYPE_TEXT && utf8_incomplete_tail(payload + skip, rest) == rest;
}

static enum ds_status start_rows(struct store_conn *conn, const struct reading *reading,
                                 enum stmt which, const struct segment *segment,
                                 sqlite3_stmt **stmt, bool *row)
{
    enum ds_status status = DS_FAILED;

    *stmt = open_rows(conn, which, segment, reading->span.next, &status);
    return *stmt ? stmt_step(conn, *stmt, row) : status;
}

/*
 * Finds the first row of a read. Usually a row begins at the position that was asked for; if none
 * does, the row that contains the position is searched for.
 */
static enum ds_status first_row(struct store_conn *conn, struct reading *reading,
                                const struct segment *segment, sqlite3_stmt **stmt, bool *row)
{
    enum ds_status status = start_rows(conn, reading, STMT_MESSAGE_READ, segment, stmt, row);

    if (status != DS_OK || (*row && sqlite3_column_int64(*stmt, 0) == reading->span.next))
        return status;
    (void)sqlite3_reset(*stmt);
    status = start_rows(conn, reading, STMT_MESSAGE_READ_INSIDE, segment, stmt, row);
    if (status != DS_OK || !*row || !is_in_row(*stmt, reading->span.next) ||
        is_held_back(reading, segment, *stmt))
        return status;
    (void)sqlite3_reset(*stmt);
    *row = false;
    status = stmt_query_int(conn, STMT_MESSAGE_START, segment->stream_id, reading->span.next,
                            &reading->span.next);
    return status == DS_OK ? start_rows(conn, reading, STMT_MESSAGE_READ, segment, stmt, row)
                           : status;
}

static enum ds_status read_segment(struct store_conn *conn, struct reading *reading,
                                   const struct segment *segment)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum ds_status status = first_row(conn, reading, segment, &stmt, &row);

    if (reading->taken == 0)
        reading->span.first = reading->span.next;
    while (status == DS_OK && row) {
        /* a row that would exceed the limit is left to the next read */
        if (reading->taken > 0 && row_length(segment, stmt) > reading->limit - reading->taken) {
            reading->limit = reading->taken;
            break;
        }
        status = take_row(reading, segment, stmt);
        if (status != DS_OK || reading->span.next >= segment->to ||
            reading->taken >= reading->limit)
            break;
        status = stmt_step(conn, stmt, &row);
    }
    (void)sqlite3_reset(stmt);
    if (status == DS_OK && !row)
        return DS_PRUNED;
    return status;
}

/* Messages are missing: DS_NOT_FOUND if the stream was deleted with them, since its row was
   read. */
static enum ds_status why_missing(struct store_conn *conn, const struct stream *stream)
{
    int64_t source_id, position;
    enum ds_status status = find_source(conn, stream->id, &source_id, &position);

    return status == DS_OK ? DS_PRUNED : status;
}

enum ds_status store_read_span(struct store_conn *conn, const struct stream *stream, int64_t from,
                               size_t limit, struct buf *out, struct store_span *span)
{
    struct reading reading = {
        .kind = stream->kind, .limit = limit, .out = out, .span = {from, from, 0}};
    struct segment own, *first = NULL, *segment;
    enum ds_status status = DS_OK;

    if (from > stream->tail)
        return DS_INVALID;
    if (from < stream->tail) {
        int64_t left = stream->tail - from;

        /* reserves what there is, but never more than was asked for */
        buf_reserve(out, (left < (int64_t)limit ? (size_t)left : limit) + 2);
        status = split_read(conn, stream, from, &own, &first);
    }
    for (segment = first; status == DS_OK && segment && reading.taken < reading.limit;
         segment = segment->next)
        status = read_segment(conn, &reading, segment);
    if (status == DS_OK && stream->kind == HTTP_TYPE_JSON)
        buf_adds(out, reading.taken == 0 ? "[]" : "]");
    if (status == DS_OK && buf_failed(out))
        status = DS_NO_MEMORY;
    if (status == DS_OK && from < stream->tail && reading.span.next == from) {
        /* rows overlap: the reader would read the same range forever */
        log_error("stream %s: its rows are damaged at %lld", stream->path, (long long)from);
        status = DS_FAILED;
    }
    *span = reading.span;
    free_segments(first, &own);
    if (status == DS_PRUNED && store_is_idle(conn))
        return why_missing(conn, stream);
    return status;
}

enum ds_status store_read(struct store_conn *conn, const struct stream *stream, int64_t from,
                          size_t limit, struct buf *out, int64_t *next)
{
    struct store_span span = {.next = from};
    enum ds_status status = store_read_span(conn, stream, from, limit, out, &span);

    *next = span.next;
    return status;
}

enum ds_status store_read_byte(struct store_conn *conn, const struct stream *stream,
                               int64_t position, char *byte)
{
    struct reading reading = {.kind = stream->kind, .span.next = position};
    struct segment own, *first = NULL;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum ds_status status = split_read(conn, stream, position, &own, &first);

    if (status == DS_OK && first)
        status = start_rows(conn, &reading, STMT_MESSAGE_READ_INSIDE, first, &stmt, &row);
    row = row && is_in_row(stmt, position);
    if (row)
        *byte =
            ((const char *)sqlite3_column_blob(stmt, 1))[position - sqlite3_column_int64(stmt, 0)];
    (void)sqlite3_reset(stmt);
    free_segments(first, &own);
    return status == DS_OK && !row ? DS_PRUNED : status;
}

/* --- positions between and inside messages --- */

/* Moves `*position`, the start of a message, by `sub` messages within a segment. */
static enum ds_status walk_messages(struct store_conn *conn, const struct segment *segment,
                                    int64_t *sub, int64_t *position)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = open_rows(conn, STMT_MESSAGE_PLACES, segment, *position, &status);
    bool row = true;

    if (!stmt)
        return status;
    status = DS_OK;
    while (*position < segment->to) {
        status = stmt_step(conn, stmt, &row);
        if (status != DS_OK || !row)
            break;
        if (sqlite3_column_int64(stmt, 0) != *position) {
            status = DS_INVALID;
            break;
        }
        if (*sub == 0)
            break;
        *position += sqlite3_column_int64(stmt, 2);
        --*sub;
    }
    (void)sqlite3_reset(stmt);
    return status;
}

/* Finds the end of the message that contains the position, after all its parts, in a segment. */
static enum ds_status message_end(struct store_conn *conn, const struct segment *segment,
                                  int64_t position, int64_t *end)
{
    enum ds_status status = DS_FAILED;
    sqlite3_stmt *stmt = open_rows(conn, STMT_MESSAGE_PLACES, segment, position, &status);
    bool row = true, first = true;
    int64_t at;

    if (!stmt)
        return status;
    for (;;) {
        status = stmt_step(conn, stmt, &row);
        if (status != DS_OK || !row || (!first && sqlite3_column_int(stmt, 1) == 0))
            break;
        first = false;
        at = sqlite3_column_int64(stmt, 0);
        if (at >= 0 && at < segment->to) /* otherwise the row is damaged */
            *end = at + sqlite3_column_int64(stmt, 2);
    }
    (void)sqlite3_reset(stmt);
    if (*end > segment->to)
        *end = segment->to;
    return status;
}

enum ds_status store_message_end(struct store_conn *conn, const struct stream *stream, int64_t from,
                                 int64_t *end)
{
    struct segment own, *first = NULL;
    enum ds_status status = split_read(conn, stream, from, &own, &first);

    *end = from;
    if (status == DS_OK && first)
        status = message_end(conn, first, from, end);
    free_segments(first, &own);
    return status == DS_OK && *end == from ? DS_PRUNED : status;
}

enum ds_status store_resolve(struct store_conn *conn, const struct stream *stream, int64_t from,
                             int64_t sub, int64_t *position)
{
    struct segment own, *first, *segment;
    enum ds_status status;
    int64_t end = from;

    if (from > stream->tail || sub > stream->tail - from) /* because no message is empty */
        return DS_INVALID;
    *position = from;
    status = split_read(conn, stream, from, &own, &first);
    segment = first;
    if (stream->kind == HTTP_TYPE_JSON) {
        for (; status == DS_OK && segment; segment = segment->next) {
            status = walk_messages(conn, segment, &sub, position);
            if (sub == 0)
                break;
        }
        if (status == DS_OK && sub > 0)
            status = DS_INVALID;
    } else if (status == DS_OK && sub > 0) {
        if (segment)
            status = message_end(conn, segment, from, &end);
        if (status == DS_OK && sub > end - from)
            status = DS_INVALID;
        *position = from + sub;
    }
    free_segments(first, &own);
    return status;
}
