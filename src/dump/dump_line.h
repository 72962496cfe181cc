/*
 * The lines of an export: newline-delimited JSON, one flat object a line, in this order.
 *
 *     {"format":"durable-streams-export","version":1,"program":"0.1.0","written_at":1700000000000}
 *     {"stream":"/v1/stream/a","content_type":"text/plain","tail":5,"messages":1,"created_at":…,…}
 *     {"position":0,"appended_at":1700000000000,"bytes":5,"data":"hello"}
 *     {"producer":"p","epoch":0,"seq":3,"updated_at":1700000000000}
 *     {"end_of":"/v1/stream/a","rows":1,"producers":1}
 *     …
 *     {"end":"durable-streams-export","streams":1,"rows":1,"producers":1}
 *
 * Names and meanings are those of the columns in sql/schema.sql; what is NULL there is left out
 * here, and a part of 0 as well. A text that JSON cannot hold (not UTF-8, or with a NUL) is written
 * in base64, its name followed by _base64. Streams stand behind the one that they were forked from,
 * and a fork names that by "source" and "source_created_at".
 *
 * The last line of a stream and of the file count what came before, so that a file that was cut
 * short is noticed. A reader refuses what it does not know: a change of the format is a new
 * version.
 *
 * To add a field: enum dump_field here, its name and its line in dump_line.c.
 *
 * Pure: no I/O, no memory, thread-safe.
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
    DUMP_MESSAGE, /* a row of the table: a message or a part of one */
    DUMP_PRODUCER,
    DUMP_END_OF, /* of a stream */
    DUMP_END,
    DUMP_KINDS
};

/* In the order in which they are written; the first of each kind tells which one it is. */
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
    DUMP_F_FORKED, /* 1: forks of it stand behind it */
    DUMP_F_REGISTRY,

    DUMP_F_POSITION,
    DUMP_F_PART,
    DUMP_F_APPENDED_AT,
    DUMP_F_BYTES, /* of the data: nothing that decodes to less slips through */
    DUMP_F_DATA,

    DUMP_F_PRODUCER,
    DUMP_F_EPOCH,
    DUMP_F_SEQ,
    DUMP_F_UPDATED_AT,

    DUMP_F_END_OF,
    DUMP_F_END,
    DUMP_F_STREAMS,
    DUMP_F_ROWS,
    DUMP_F_PRODUCERS,
    DUMP_FIELDS
};

struct dump_value {
    bool present;
    int64_t number; /* of a number, never negative */
    const char
        *text; /* of a text: with a NUL behind it, which is not counted; points into the line */
    size_t len;
};

struct dump_line {
    enum dump_kind kind;
    struct dump_value value[DUMP_FIELDS];
};

/*
 * Reads one line, without its line feed: text[len] must be '\0'. Decodes texts where they lie, so
 * that text is not the same afterwards. NULL, or one line of words, static, about what is wrong:
 * then line says nothing. Whether the values make sense together is another question.
 */
const char *dump_line_parse(struct dump_line *line, char *text, size_t len);

/*
 * NULL, or what is wrong with what the line of a stream says of it, by itself: its path must be in
 * normal form, its type one that may stand in a header, and so on. arena: for a copy of the path.
 */
const char *dump_stream_judge(const struct dump_line *line, struct arena *arena);

/* What producer_parse() takes for an id, which may hold any bytes but controls. */
bool dump_is_producer_id(const struct dump_value *value);

/* Writing: any number of these, then the end of the line. Errors stick to buf. */
void dump_add_number(struct buf *buf, enum dump_field field, int64_t value);
void dump_add_text(struct buf *buf, enum dump_field field, const char *text, size_t len);
void dump_end_line(struct buf *buf);

#endif
