/*
 * Import: store_dump.h has its promises, dump_line.h the lines.
 *
 *              ┌─ end: the counts must match
 *     head ──▶ outside ── stream ──▶ inside ── message, producer ─┐
 *                 ▲                    │ ▲────────────────────────┘
 *                 └────── end_of ──────┘
 *
 * The write transaction of a stream begins with its line and is committed at its end. If its next
 * fork must be part of the same transaction, it is committed at the end of that one (waits). A
 * skipped stream is read like any other, and not written.
 */
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "hints/wake.h"
#include "protocol/json.h"
#include "store/sqlite/store_private.h"
#include "store/tools/store_import_private.h"

enum {
    PROGRESS_LINES = 256, /* rows between two reports of progress */
    SOON_MS =
        60000, /* a stream that expires sooner might be deleted before its forks are imported */
    BREATH_AFTER_MS = 50, /* ms of writing after which other writers get a turn, */
    BREATH_MS = 2,        /*   of this many ms */
};

static enum ds_status next_line(struct import *import, bool *more)
{
    const struct store_dump *dump = import->dump;
    const struct dump_reader *reader = &import->reader;

    if (dump->progress && reader->number % PROGRESS_LINES == 0)
        dump->progress(dump->progress_arg, reader->bytes, reader->size);
    return dump_reader_next(&import->reader, more);
}

/* --- the transaction --- */

enum ds_status import_begin(struct import *import)
{
    enum ds_status status = import->open ? DS_OK : store_begin_write(import->conn);

    import->open = status == DS_OK;
    if (status == DS_OK) /* a stream may be large */
        status = store_keep_room(import->conn, false);
    return status;
}

/* Lets other writers in: the lock goes to the first one that asks. */
static void breathe(struct import *import)
{
    const struct timespec pause = {0, BREATH_MS * 1000000};

    if (clock_monotonic_ms() - import->breathed_at < BREATH_AFTER_MS)
        return;
    (void)nanosleep(&pause, NULL);
    import->breathed_at = clock_monotonic_ms();
}

enum ds_status import_commit(struct import *import)
{
    const struct config *config = import->conn->store->config;
    struct store_dump *dump = import->dump;
    enum ds_status status;

    if (!import->open)
        return DS_OK;
    import->open = false;
    status = store_keep_room(import->conn, false);
    if (status == DS_OK)
        status = store_commit(import->conn);
    else
        store_rollback(import->conn);
    if (status != DS_OK)
        return status;
    wake_publish(import->conn->store->hints, (const int64_t *)(const void *)import->changed.data,
                 import->changed.len / sizeof(int64_t));
    buf_clear(&import->changed);
    dump->streams += import->open_streams;
    dump->rows += import->open_rows;
    dump->producers += import->open_producers;
    import->open_streams = import->open_rows = import->open_producers = 0;
    if (config->checkpoint &&
        (store_wal_bytes(import->conn) > config->wal_bytes || store_is_low(import->conn->store)))
        /* a later checkpoint copies the rest if a reader is in the way */
        (void)store_checkpoint_anyway(import->conn, false);
    breathe(import);
    return DS_OK;
}

static enum ds_status note_changed(struct import *import, int64_t id)
{
    buf_add(&import->changed, &id, sizeof id);
    return buf_failed(&import->changed) ? DS_NO_MEMORY : DS_OK;
}

/* --- the line of a stream --- */

const char *import_keep(struct import *import, enum dump_field field, size_t *len)
{
    const struct dump_value *value = &import->reader.line.value[field];

    if (len)
        *len = value->len;
    return value->present ? arena_strndup(import->arena, value->text, value->len) : NULL;
}

static enum ds_status take_stream(struct import *import)
{
    struct stream *stream = &import->stream;

    *stream = (struct stream){
        .path = import_keep(import, DUMP_F_STREAM, NULL),
        .content_type = import_keep(import, DUMP_F_CONTENT_TYPE, NULL),
        .tail = import_number(import, DUMP_F_TAIL),
        .messages = import_number(import, DUMP_F_MESSAGES),
        .created_at = import_number(import, DUMP_F_CREATED_AT),
        .closed_at = import_number(import, DUMP_F_CLOSED_AT),
        .closed_producer = import_keep(import, DUMP_F_CLOSED_PRODUCER, NULL),
        .closed_epoch = import_number(import, DUMP_F_CLOSED_EPOCH),
        .closed_seq = import_number(import, DUMP_F_CLOSED_SEQ),
        .ttl_seconds =
            import_has(import, DUMP_F_TTL_SECONDS) ? import_number(import, DUMP_F_TTL_SECONDS) : -1,
        .expires_at = import_number(import, DUMP_F_EXPIRES_AT),
        .fork_position = import_number(import, DUMP_F_FORK_POSITION),
        .fork_offset = import_number(import, DUMP_F_FORK_OFFSET),
        .fork_sub_offset = import_number(import, DUMP_F_FORK_SUB_OFFSET),
        .deleted_at = import_number(import, DUMP_F_DELETED_AT),
    };
    stream->last_seq = import_keep(import, DUMP_F_LAST_SEQ, &stream->last_seq_len);
    if (!stream->path || !stream->content_type ||
        (import_has(import, DUMP_F_CLOSED_PRODUCER) && !stream->closed_producer) ||
        (import_has(import, DUMP_F_LAST_SEQ) && !stream->last_seq))
        return DS_NO_MEMORY;
    stream->kind = http_type_kind(stream->content_type);
    return DS_OK;
}

/* Is the path free? An expired stream is deleted, as for a client's PUT. */
static enum ds_status free_path(struct import *import)
{
    struct stream there;
    const char *path = import->stream.path;
    enum ds_status status = store_find(import->conn, import->arena, path, import->now, &there);

    if (status == DS_NOT_FOUND && there.id != 0) {
        status = store_delete(import->conn, &there, import->now);
        return status == DS_OK ? note_changed(import, there.id) : status;
    }
    if (status != DS_OK && status != DS_GONE)
        return status == DS_NOT_FOUND ? DS_OK : status;
    if (import->is_registry && there.is_registry) {
        import->skipping = import->dump->kept_registry = true;
        return DS_OK;
    }
    if (!import->dump->skip_existing)
        return dump_reader_refuse(&import->reader, DS_CONFLICT, "the stream %s exists", path);
    import->skipping = true;
    if (import->is_registry && there.created_at == import->stream.created_at)
        import->registry_id = there.id; /* left by an import that was not completed */
    return DS_OK;
}

/* Finds the source of a fork, which comes earlier in the file or was imported before. */
static enum ds_status find_source(struct import *import)
{
    const char *path = import_keep(import, DUMP_F_SOURCE, NULL);
    struct stream source;
    enum ds_status status;

    if (!path)
        return DS_NO_MEMORY;
    status = store_find(import->conn, import->arena, path, import->now, &source);
    if (status != DS_OK && status != DS_GONE && status != DS_NOT_FOUND)
        return status;
    if (source.id == 0)
        return dump_reader_refuse(&import->reader, DS_INVALID, "there is no stream %s, its source",
                                  path);
    if (source.created_at != import_number(import, DUMP_F_SOURCE_CREATED_AT) ||
        source.tail < import->stream.fork_position ||
        !http_type_matches(source.content_type, import->stream.content_type))
        return dump_reader_refuse(&import->reader, DS_CONFLICT,
                                  "the stream %s is not the source of this fork", path);
    import->stream.source_id = source.id;
    return DS_OK;
}

static enum ds_status insert_stream(struct import *import)
{
    enum ds_status status = store_restore(import->conn, &import->stream);

    return status == DS_OK ? note_changed(import, import->stream.id) : status;
}

/* Begins a transaction, unless the stream is skipped or a waiting one has begun it. */
static void leave_if_empty(struct import *import)
{
    if (import->open && import->open_streams == 0 && import->changed.len == 0) {
        store_rollback(import->conn);
        import->open = false;
    }
}

static enum ds_status begin_stream(struct import *import)
{
    const char *reason;
    enum ds_status status;

    import->now = clock_wall_ms();
    import->arena = arena_new();
    if (!import->arena)
        return DS_NO_MEMORY;
    reason = dump_stream_judge(&import->reader.line, import->arena);
    if (reason)
        return dump_reader_refuse(&import->reader, DS_INVALID, "%s", reason);
    import->is_registry = import_has(import, DUMP_F_REGISTRY);
    import->skipping = false;
    import->first = true;
    import->has_gap = false;
    import->stream_rows = import->stream_producers = import->messages = 0;
    status = take_stream(import);
    import->next = import->stream.fork_position;
    if (status == DS_OK)
        status = import_begin(import);
    if (status == DS_OK)
        status = free_path(import);
    if (status == DS_OK && import->skipping) {
        leave_if_empty(import);
        return DS_OK;
    }
    if (status == DS_OK && import_has(import, DUMP_F_SOURCE))
        status = find_source(import);
    if (status == DS_OK)
        status = insert_stream(import);
    import->waits =
        import_has(import, DUMP_F_FORKED) &&
        (import->stream.deleted_at != 0 ||
         (import->stream.expires_at != 0 && import->stream.expires_at < import->now + SOON_MS));
    return status;
}

/* --- lines of its content --- */

/* NULL, or the reason why this row cannot follow the previous one. */
static const char *judge_message(const struct import *import)
{
    const struct dump_value *data = &import->reader.line.value[DUMP_F_DATA];
    int64_t position = import_number(import, DUMP_F_POSITION),
            part = import_number(import, DUMP_F_PART);
    const char *reason;

    if ((int64_t)data->len != import_number(import, DUMP_F_BYTES) || data->len == 0)
        return "the length of the data is not the one given";
    if (position < import->next)
        return "this row begins before the previous one ends";
    if (position > import->stream.tail - (int64_t)data->len)
        return "this row ends after the tail";
    /* after pruned rows, a message may begin with a later part */
    if (part != 0 && !import->first && position == import->next && part != import->part + 1)
        return "a part of this message is missing";
    if (part > INT32_MAX)
        return "the number of the part is too large";
    if (import->stream.kind != HTTP_TYPE_JSON)
        return NULL;
    if (part != 0)
        return "a JSON message can have only one part";
    reason = json_precheck(data->text, data->len);
    if (!reason && !json_is_valid(data->text, data->len))
        reason = "the message is not valid JSON";
    return reason;
}

static enum ds_status insert_message(struct import *import)
{
    const struct dump_value *data = &import->reader.line.value[DUMP_F_DATA];

    return store_insert_row(import->conn, import->stream.id, import_number(import, DUMP_F_POSITION),
                            (int)import_number(import, DUMP_F_PART), data->text, data->len,
                            import_number(import, DUMP_F_APPENDED_AT));
}

static enum ds_status take_message(struct import *import)
{
    const char *reason = judge_message(import);

    if (reason)
        return dump_reader_refuse(&import->reader, DS_INVALID, "%s", reason);
    import->first = false;
    import->has_gap |= import_number(import, DUMP_F_POSITION) > import->next;
    import->part = import_number(import, DUMP_F_PART);
    import->next = import_number(import, DUMP_F_POSITION) + import_number(import, DUMP_F_BYTES);
    import->stream_rows++;
    if (import->part == 0)
        import->messages++;
    return import->skipping ? DS_OK : insert_message(import);
}

static enum ds_status take_producer(struct import *import)
{
    const struct dump_value *id = &import->reader.line.value[DUMP_F_PRODUCER];
    const struct producer producer = {id->text, id->len, import_number(import, DUMP_F_EPOCH),
                                      import_number(import, DUMP_F_SEQ)};
    struct producer_state state = {0};
    enum ds_status status = DS_OK;

    if (!dump_is_producer_id(id) || producer.epoch > PRODUCER_NUMBER_MAX ||
        producer.seq > PRODUCER_NUMBER_MAX)
        return dump_reader_refuse(&import->reader, DS_INVALID, "this is not a valid producer");
    import->stream_producers++;
    if (import->skipping)
        return DS_OK;
    status = store_producer_get(import->conn, import->stream.id, &producer, &state);
    if (status == DS_OK && state.exists)
        return dump_reader_refuse(&import->reader, DS_INVALID,
                                  "the stream has this producer already");
    if (status == DS_OK)
        status = store_producer_put(import->conn, import->stream.id, &producer,
                                    import_number(import, DUMP_F_UPDATED_AT));
    return status;
}

/* Were rows pruned at the prompt? */
static bool is_pruned(const struct import *import)
{
    if (import->stream_rows == 0)
        return import->stream.messages > 0 && import->stream.tail > import->stream.fork_position;
    return import->has_gap;
}

static const char *judge_end_of(const struct import *import)
{
    if (!import_is_text(import, DUMP_F_END_OF, import->stream.path))
        return "this is the end of another stream";
    if (import_number(import, DUMP_F_ROWS) != import->stream_rows ||
        import_number(import, DUMP_F_PRODUCERS) != import->stream_producers)
        return "lines of this stream are missing";
    if (import->stream_rows > 0 && import->next != import->stream.tail)
        return "the last row of this stream does not end at its tail";
    if (import->messages > import->stream.messages)
        return "the stream has more messages than its first line says";
    if (import->messages < import->stream.messages && !is_pruned(import))
        return "the stream has fewer messages than its first line says";
    if (import->stream_rows == 0 && !is_pruned(import) && import->next != import->stream.tail)
        return "the stream has a tail, but no messages";
    return NULL;
}

static enum ds_status end_stream(struct import *import)
{
    const char *reason = judge_end_of(import);
    enum ds_status status = DS_OK;

    if (reason)
        return dump_reader_refuse(&import->reader, DS_INVALID, "%s", reason);
    import->streams++;
    import->rows += import->stream_rows;
    import->producers += import->stream_producers;
    if (import->skipping) {
        import->dump->skipped++;
    } else {
        import->open_streams++;
        import->open_rows += import->stream_rows;
        import->open_producers += import->stream_producers;
        if (import->is_registry)
            import->registry_id = import->stream.id;
        if (!import->waits)
            status = import_commit(import);
    }
    arena_free(import->arena);
    import->arena = NULL;
    return status;
}

/* --- the file --- */

static enum ds_status take_head(struct import *import)
{
    if (import->reader.line.kind != DUMP_HEAD ||
        !import_is_text(import, DUMP_F_FORMAT, DUMP_FORMAT))
        return dump_reader_refuse(&import->reader, DS_INVALID, "this is not an export of streams");
    if (import_number(import, DUMP_F_VERSION) != DUMP_VERSION)
        return dump_reader_refuse(&import->reader, DS_INVALID,
                                  "the export has version %lld, but this program reads %d",
                                  (long long)import_number(import, DUMP_F_VERSION), DUMP_VERSION);
    return DS_OK;
}

static enum ds_status take_line(struct import *import)
{
    switch (import->reader.line.kind) {
    case DUMP_SUBSCRIPTION:
    case DUMP_LINK:
    case DUMP_END_OF_SUBSCRIPTION:
    case DUMP_TOMBSTONE:
    case DUMP_WEBHOOK_KEY:
        return import_subscription_line(import);
    case DUMP_STREAM:
        if (import->after_streams)
            return dump_reader_refuse(&import->reader, DS_INVALID,
                                      "a stream follows a subscription");
        return import->arena ? dump_reader_refuse(&import->reader, DS_INVALID,
                                                  "a stream begins before the end of another")
                             : begin_stream(import);
    case DUMP_MESSAGE:
    case DUMP_PRODUCER:
    case DUMP_END_OF:
        if (!import->arena || import->after_streams)
            return dump_reader_refuse(&import->reader, DS_INVALID,
                                      "this line belongs to no stream");
        return import->reader.line.kind == DUMP_MESSAGE    ? take_message(import)
               : import->reader.line.kind == DUMP_PRODUCER ? take_producer(import)
                                                           : end_stream(import);
    default:
        return dump_reader_refuse(&import->reader, DS_INVALID,
                                  "the first line of an export is repeated");
    }
}

static enum ds_status take_end(struct import *import)
{
    bool more;
    enum ds_status status;

    if (import->arena)
        return dump_reader_refuse(&import->reader, DS_INVALID, "the end of %s is missing",
                                  import->after_streams ? import->subscription.name
                                                        : import->stream.path);
    if (import_number(import, DUMP_F_STREAMS) != import->streams ||
        import_number(import, DUMP_F_ROWS) != import->rows ||
        import_number(import, DUMP_F_PRODUCERS) != import->producers ||
        import_number(import, DUMP_F_SUBSCRIPTIONS) != import->subscriptions)
        return dump_reader_refuse(&import->reader, DS_INVALID,
                                  "streams or subscriptions are missing in this file");
    status = dump_reader_next(&import->reader, &more);
    if (status == DS_OK && more)
        return dump_reader_refuse(&import->reader, DS_INVALID, "there is data after the end");
    return status == DS_OK ? import_commit(import) : status;
}

/*
 * Appoints the registry at the end of the import, because it would otherwise list each following
 * stream once more. Not if the stream cannot take events, and not if the database has a registry.
 */
static enum ds_status appoint_registry(struct import *import)
{
    int64_t there = 0;
    enum ds_status status = DS_OK;

    if (import->registry_id == 0)
        return DS_OK;
    status = import_begin(import);
    if (status == DS_OK)
        status = stmt_query_int(import->conn, STMT_REGISTRY, 0, 0, &there);
    if (status == DS_OK && there == 0)
        status = store_appoint_registry(import->conn, import->registry_id);
    return status == DS_OK ? import_commit(import) : status;
}

static enum ds_status import_lines(struct import *import)
{
    bool more;
    enum ds_status status = next_line(import, &more);

    if (status == DS_OK && !more)
        return dump_reader_refuse(&import->reader, DS_INVALID, "the file is empty");
    if (status == DS_OK)
        status = take_head(import);
    while (status == DS_OK) {
        status = next_line(import, &more);
        if (status != DS_OK)
            break;
        if (!more)
            return dump_reader_refuse(&import->reader, DS_INVALID,
                                      "the last line is missing: the file was cut short");
        if (import->reader.line.kind == DUMP_END) {
            status = take_end(import);
            return status == DS_OK ? appoint_registry(import) : status;
        }
        status = take_line(import);
    }
    return status;
}

static enum ds_status import_file(struct import *import)
{
    struct dump_reader *reader = &import->reader;
    enum ds_status status =
        dump_reader_open(reader, import->dump->file, import->conn->store->config->database);

    if (status == DS_OK)
        status =
            stmt_ask_int(import->conn, "SELECT ifnull(max(id), 0) FROM stream", &import->last_id);
    if (status == DS_OK)
        status = import_lines(import);
    if (status != DS_OK && !reader->reason[0])
        (void)dump_reader_refuse(reader, status, "%s", ds_status_text(status));
    (void)snprintf(import->dump->reason, sizeof import->dump->reason, "%s", reader->reason);
    dump_reader_close(reader);
    return status;
}

enum ds_status store_import(struct store_conn *conn, struct store_dump *dump)
{
    struct import import = {.conn = conn, .dump = dump};
    enum ds_status status;

    dump->streams = dump->rows = dump->producers = dump->subscriptions = 0;
    dump->skipped = dump->skipped_subscriptions = 0;
    dump->kept_registry = false;
    import.breathed_at = clock_monotonic_ms();
    status = import_file(&import);
    if (import.open)
        store_rollback(conn);
    else if (status == DS_OK && conn->store->config->checkpoint)
        (void)store_checkpoint_anyway(conn, true); /* a user may want to remove the database */
    arena_free(import.arena);
    buf_close(&import.changed);
    return status;
}
