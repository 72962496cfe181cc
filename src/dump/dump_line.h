/*
 * The lines of an export: newline-delimited JSON, one flat object a line, in this order.
 *
 *     {"format":"durable-streams-export","version":1,"program":"0.1.0","written_at":1700000000000}
 *     {"stream":"/v1/stream/a","content_type":"text/plain","tail":5,"messages":1,"created_at":…,…}
 *     {"position":0,"appended_at":1700000000000,"bytes":5,"data":"hello"}
 *     {"producer":"p","epoch":0,"seq":3,"updated_at":1700000000000}
 *     {"end_of":"/v1/stream/a","rows":1,"producers":1}
 *     …
 *     {"subscription":"s","type":"pull-wake",…,"created_at":…,"generation":7}
 *     {"link":"/v1/stream/a","created_at":…,"explicit":1,"acked":5}
 *     {"end_of_subscription":"s","links":1}
 *     {"tombstone":"gone","generation":3,"deleted_at":…}
 *     {"webhook_key":"ds_…","x":"…","seed":"…","created_at":…,"signs_from":…}
 *     {"end":"durable-streams-export","streams":1,"rows":1,"producers":1,"subscriptions":1}
 *
 * Names and meanings are those of the columns in sql/schema.sql, sql/subscriptions.sql and
 * sql/webhook_keys.sql. A column that is NULL is left out, and so are a part of 0, explicit and
 * glob of 0, and a cursor of -1 (acked). A text that JSON cannot contain (it is not UTF-8, or has a
 * NUL) is written in base64, and its name ends in _base64. A fork follows its source, and names it
 * by "source" and "source_created_at". Subscriptions follow all streams; a link names its stream by
 * path and "created_at", so that a cursor counts only in the same stream. Wakes, leases and tokens
 * are not exported.
 *
 * The last line of each stream, and that of the file, count the lines before them, so that a reader
 * notices a truncated file. A reader refuses names that it does not know; so a change of the format
 * needs a new version.
 *
 * To add a field: add it to enum dump_field here, and its name and its kind of line in dump_line.c.
 *
 * Pure: without I/O. Only the functions with an arena allocate memory. Thread-safe.
 */
#ifndef DUMP_LINE_H
#define DUMP_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

#define DUMP_FORMAT "durable-streams-export"
enum { DUMP_VERSION = 1 };

enum dump_kind {
    DUMP_HEAD,
    DUMP_STREAM,
    DUMP_MESSAGE, /* a row of the table: a message, or a part of one */
    DUMP_PRODUCER,
    DUMP_END_OF, /* the end of a stream */
    DUMP_SUBSCRIPTION,
    DUMP_LINK, /* of the subscription */
    DUMP_END_OF_SUBSCRIPTION,
    DUMP_TOMBSTONE, /* a deleted subscription */
    DUMP_WEBHOOK_KEY,
    DUMP_END, /* the end of the file */
    DUMP_KINDS
};

/* Nearly in the order in which they are written; the first field of a line tells its kind. */
enum dump_field {
    DUMP_F_FORMAT,
    DUMP_F_VERSION,
    DUMP_F_PROGRAM,
    DUMP_F_WRITTEN_AT,

    DUMP_F_STREAM,
    DUMP_F_CONTENT_TYPE,
    DUMP_F_TAIL,
    DUMP_F_MESSAGES,
    DUMP_F_CREATED_AT,
    DUMP_F_CLOSED_AT,
    DUMP_F_CLOSED_PRODUCER,
    DUMP_F_CLOSED_EPOCH,
    DUMP_F_CLOSED_SEQ,
    DUMP_F_TTL_SECONDS,
    DUMP_F_EXPIRES_AT,
    DUMP_F_LAST_SEQ,
    DUMP_F_SOURCE,
    DUMP_F_SOURCE_CREATED_AT,
    DUMP_F_FORK_POSITION,
    DUMP_F_FORK_OFFSET,
    DUMP_F_FORK_SUB_OFFSET,
    DUMP_F_DELETED_AT,
    DUMP_F_FORKED, /* 1: forks of this stream follow */
    DUMP_F_REGISTRY,

    DUMP_F_POSITION,
    DUMP_F_PART,
    DUMP_F_APPENDED_AT,
    DUMP_F_BYTES, /* length of the decoded data, as a check */
    DUMP_F_DATA,

    DUMP_F_PRODUCER,
    DUMP_F_EPOCH,
    DUMP_F_SEQ,
    DUMP_F_UPDATED_AT,

    DUMP_F_END_OF,

    DUMP_F_SUBSCRIPTION, /* its name, as in DUMP_F_END_OF_SUBSCRIPTION and DUMP_F_TOMBSTONE */
    DUMP_F_TYPE,
    DUMP_F_PATTERN,
    DUMP_F_URL,
    DUMP_F_WAKE_STREAM,
    DUMP_F_LEASE_TTL_MS,
    DUMP_F_DESCRIPTION,
    DUMP_F_CONFIG,
    DUMP_F_BASE_URL,

    DUMP_F_LINK, /* the path of the stream */
    DUMP_F_EXPLICIT,
    DUMP_F_GLOB,
    DUMP_F_ACKED,

    DUMP_F_END_OF_SUBSCRIPTION,
    DUMP_F_LINKS,

    DUMP_F_TOMBSTONE,
    DUMP_F_GENERATION,

    DUMP_F_WEBHOOK_KEY, /* its kid */
    DUMP_F_X,
    DUMP_F_SEED,
    DUMP_F_SIGNS_FROM,
    DUMP_F_SIGNS_UNTIL,

    DUMP_F_END,
    DUMP_F_STREAMS,
    DUMP_F_ROWS,
    DUMP_F_PRODUCERS,
    DUMP_F_SUBSCRIPTIONS,
    DUMP_FIELDS
};

struct dump_value {
    bool present;
    int64_t number;   /* of a number: 0..2^63-1 */
    const char *text; /* of a text: points into the line; followed by a NUL */
    size_t len;       /* of a text, in bytes, without that NUL */
};

struct dump_line {
    enum dump_kind kind;
    struct dump_value value[DUMP_FIELDS];
};

/*
 * Reads one line of len bytes, without its line feed; text[len] must be '\0'. Decodes strings in
 * place, so text changes. Returns NULL, or the reason why the line is wrong, a static string of one
 * line; *line is undefined then. Does not check whether the values are consistent.
 */
const char *dump_line_parse(struct dump_line *line, char *text, size_t len);

/*
 * Checks the values of a DUMP_STREAM line, as far as this is possible with only the line: the path
 * is in normal form, the content type is valid in a header, and so on. Returns NULL, or the reason.
 * The arena is for a copy of the path.
 */
const char *dump_stream_judge(const struct dump_line *line, struct arena *arena);

/*
 * The same for a DUMP_SUBSCRIPTION, DUMP_LINK, DUMP_END_OF_SUBSCRIPTION, DUMP_TOMBSTONE or
 * DUMP_WEBHOOK_KEY line. A URL is not judged, because whoever delivers does that each time.
 */
const char *dump_subscription_judge(const struct dump_line *line, struct arena *arena);

/* Would producer_parse() accept this id? Any bytes except control characters. */
bool dump_is_producer_id(const struct dump_value *value);

/* Writes a line: any number of fields, then its end. Out of memory: see buf_failed(). */
void dump_add_number(struct buf *buf, enum dump_field field, int64_t value);
void dump_add_text(struct buf *buf, enum dump_field field, const char *text, size_t len);
void dump_end_line(struct buf *buf);

#endif
