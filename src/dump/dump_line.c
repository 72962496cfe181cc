/* The lines of an export: see dump_line.h. */
#include "dump/dump_line.h"

#include <assert.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/digits.h"
#include "base/utf8.h"
#include "protocol/http_type.h"
#include "protocol/json.h"
#include "protocol/json_scan.h"
#include "protocol/json_string.h"
#include "protocol/offset.h"
#include "protocol/path.h"
#include "protocol/producer.h"

#define BASE64_SUFFIX "_base64"

enum { NAME_MAX_ = 40 }; /* longer than the name of any field */

static const struct {
    const char *name;
    bool text;
} fields[DUMP_FIELDS] = {
    [DUMP_F_FORMAT] = {"format", true},
    [DUMP_F_VERSION] = {"version", false},
    [DUMP_F_PROGRAM] = {"program", true},
    [DUMP_F_WRITTEN_AT] = {"written_at", false},
    [DUMP_F_STREAM] = {"stream", true},
    [DUMP_F_CONTENT_TYPE] = {"content_type", true},
    [DUMP_F_TAIL] = {"tail", false},
    [DUMP_F_MESSAGES] = {"messages", false},
    [DUMP_F_CREATED_AT] = {"created_at", false},
    [DUMP_F_CLOSED_AT] = {"closed_at", false},
    [DUMP_F_CLOSED_PRODUCER] = {"closed_producer", true},
    [DUMP_F_CLOSED_EPOCH] = {"closed_epoch", false},
    [DUMP_F_CLOSED_SEQ] = {"closed_seq", false},
    [DUMP_F_TTL_SECONDS] = {"ttl_seconds", false},
    [DUMP_F_EXPIRES_AT] = {"expires_at", false},
    [DUMP_F_LAST_SEQ] = {"last_seq", true},
    [DUMP_F_SOURCE] = {"source", true},
    [DUMP_F_SOURCE_CREATED_AT] = {"source_created_at", false},
    [DUMP_F_FORK_POSITION] = {"fork_position", false},
    [DUMP_F_FORK_OFFSET] = {"fork_offset", false},
    [DUMP_F_FORK_SUB_OFFSET] = {"fork_sub_offset", false},
    [DUMP_F_DELETED_AT] = {"deleted_at", false},
    [DUMP_F_FORKED] = {"forked", false},
    [DUMP_F_REGISTRY] = {"registry", false},
    [DUMP_F_POSITION] = {"position", false},
    [DUMP_F_PART] = {"part", false},
    [DUMP_F_APPENDED_AT] = {"appended_at", false},
    [DUMP_F_BYTES] = {"bytes", false},
    [DUMP_F_DATA] = {"data", true},
    [DUMP_F_PRODUCER] = {"producer", true},
    [DUMP_F_EPOCH] = {"epoch", false},
    [DUMP_F_SEQ] = {"seq", false},
    [DUMP_F_UPDATED_AT] = {"updated_at", false},
    [DUMP_F_END_OF] = {"end_of", true},
    [DUMP_F_SUBSCRIPTION] = {"subscription", true},
    [DUMP_F_TYPE] = {"type", true},
    [DUMP_F_PATTERN] = {"pattern", true},
    [DUMP_F_URL] = {"url", true},
    [DUMP_F_WAKE_STREAM] = {"wake_stream", true},
    [DUMP_F_LEASE_TTL_MS] = {"lease_ttl_ms", false},
    [DUMP_F_DESCRIPTION] = {"description", true},
    [DUMP_F_CONFIG] = {"config", true},
    [DUMP_F_BASE_URL] = {"base_url", true},
    [DUMP_F_LINK] = {"link", true},
    [DUMP_F_EXPLICIT] = {"explicit", false},
    [DUMP_F_GLOB] = {"glob", false},
    [DUMP_F_ACKED] = {"acked", false},
    [DUMP_F_END_OF_SUBSCRIPTION] = {"end_of_subscription", true},
    [DUMP_F_LINKS] = {"links", false},
    [DUMP_F_TOMBSTONE] = {"tombstone", true},
    [DUMP_F_GENERATION] = {"generation", false},
    [DUMP_F_WEBHOOK_KEY] = {"webhook_key", true},
    [DUMP_F_X] = {"x", true},
    [DUMP_F_SEED] = {"seed", true},
    [DUMP_F_SIGNS_FROM] = {"signs_from", false},
    [DUMP_F_SIGNS_UNTIL] = {"signs_until", false},
    [DUMP_F_END] = {"end", true},
    [DUMP_F_STREAMS] = {"streams", false},
    [DUMP_F_ROWS] = {"rows", false},
    [DUMP_F_PRODUCERS] = {"producers", false},
    [DUMP_F_SUBSCRIPTIONS] = {"subscriptions", false},
};

static_assert(DUMP_FIELDS <= 64, "a bit for each field");

#define BIT(field) (UINT64_C(1) << DUMP_F_##field)

/* The fields that each kind of line must have, and may have. */
static const struct {
    enum dump_field first;
    uint64_t needed, allowed;
} kinds[DUMP_KINDS] = {
    [DUMP_HEAD] = {DUMP_F_FORMAT, BIT(VERSION), BIT(PROGRAM) | BIT(WRITTEN_AT)},
    [DUMP_STREAM] = {DUMP_F_STREAM, BIT(CONTENT_TYPE) | BIT(TAIL) | BIT(MESSAGES) | BIT(CREATED_AT),
                     BIT(CLOSED_AT) | BIT(CLOSED_PRODUCER) | BIT(CLOSED_EPOCH) | BIT(CLOSED_SEQ) |
                         BIT(TTL_SECONDS) | BIT(EXPIRES_AT) | BIT(LAST_SEQ) | BIT(SOURCE) |
                         BIT(SOURCE_CREATED_AT) | BIT(FORK_POSITION) | BIT(FORK_OFFSET) |
                         BIT(FORK_SUB_OFFSET) | BIT(DELETED_AT) | BIT(FORKED) | BIT(REGISTRY)},
    [DUMP_MESSAGE] = {DUMP_F_POSITION, BIT(APPENDED_AT) | BIT(BYTES) | BIT(DATA), BIT(PART)},
    [DUMP_PRODUCER] = {DUMP_F_PRODUCER, BIT(EPOCH) | BIT(SEQ) | BIT(UPDATED_AT), 0},
    [DUMP_END_OF] = {DUMP_F_END_OF, BIT(ROWS) | BIT(PRODUCERS), 0},
    [DUMP_SUBSCRIPTION] = {DUMP_F_SUBSCRIPTION,
                           BIT(TYPE) | BIT(LEASE_TTL_MS) | BIT(CONFIG) | BIT(BASE_URL) |
                               BIT(CREATED_AT) | BIT(GENERATION),
                           BIT(PATTERN) | BIT(URL) | BIT(WAKE_STREAM) | BIT(DESCRIPTION)},
    [DUMP_LINK] = {DUMP_F_LINK, 0, BIT(CREATED_AT) | BIT(EXPLICIT) | BIT(GLOB) | BIT(ACKED)},
    [DUMP_END_OF_SUBSCRIPTION] = {DUMP_F_END_OF_SUBSCRIPTION, BIT(LINKS), 0},
    [DUMP_TOMBSTONE] = {DUMP_F_TOMBSTONE, BIT(GENERATION) | BIT(DELETED_AT), 0},
    [DUMP_WEBHOOK_KEY] = {DUMP_F_WEBHOOK_KEY,
                          BIT(X) | BIT(SEED) | BIT(CREATED_AT) | BIT(SIGNS_FROM), BIT(SIGNS_UNTIL)},
    [DUMP_END] = {DUMP_F_END, BIT(STREAMS) | BIT(ROWS) | BIT(PRODUCERS), BIT(SUBSCRIPTIONS)},
};

/* --- writing --- */

static void add_field_name(struct buf *buf, enum dump_field field, const char *suffix)
{
    bool first = buf->len == 0 || buf->data[buf->len - 1] == '\n';

    buf_addc(buf, first ? '{' : ',');
    buf_addc(buf, '"');
    buf_adds(buf, fields[field].name);
    buf_adds(buf, suffix);
    buf_adds(buf, "\":");
}

void dump_add_number(struct buf *buf, enum dump_field field, int64_t value)
{
    add_field_name(buf, field, "");
    buf_add_int(buf, value);
}

void dump_add_text(struct buf *buf, enum dump_field field, const char *text, size_t len)
{
    bool plain = len == 0 || (!memchr(text, '\0', len) && utf8_is_valid(text, len));

    add_field_name(buf, field, plain ? "" : BASE64_SUFFIX);
    (void)buf_reserve(buf, len + len / 2 + 64); /* enough for most texts, so that buf grows once */
    buf_addc(buf, '"');
    if (plain)
        json_add_escaped(buf, text, len);
    else
        base64_add(buf, text, len);
    buf_addc(buf, '"');
}

void dump_end_line(struct buf *buf)
{
    buf_adds(buf, "}\n");
}

/* --- reading, of valid JSON only --- */

static unsigned read_unit(const char *at)
{
    unsigned unit = 0;

    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)digits_hex(at[i]);
    return unit;
}

static char *put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}

/*
 * Reads the four digits of \uXXXX at *at, and the second \uXXXX of a surrogate pair. False for a
 * NUL and for half of a surrogate pair.
 */
static bool read_unicode(const char **at, const char *end, char **to)
{
    unsigned code = read_unit(*at);

    *at += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
        unsigned low =
            end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? read_unit(*at + 2) : 0;

        if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
            return false;
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, code);
    return code != 0;
}

/* The character that a backslash and c stand for. */
static char read_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* only a quote, backslash or slash is left */
    }
}

/*
 * Decodes the content of a string in place, which never makes it longer, and adds a NUL, which
 * overwrites the closing quote at the latest.
 */
static bool decode_string(char *text, size_t *len)
{
    const char *at = text, *end = text + *len;
    char *to = memchr(text, '\\', *len);

    if (!to) {
        text[*len] = '\0';
        return true;
    }
    for (at = to; at < end;) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = read_escape(at[1]);
            at += 2;
        } else {
            at += 2;
            if (!read_unicode(&at, end, &to))
                return false;
        }
    }
    *to = '\0';
    *len = (size_t)(to - text);
    return true;
}

/* Finds the field with this name; *base64: the name has that suffix. */
static bool find_field(const char *name, size_t len, enum dump_field *field, bool *base64)
{
    size_t suffix = strlen(BASE64_SUFFIX);

    *base64 = len > suffix && memcmp(name + len - suffix, BASE64_SUFFIX, suffix) == 0;
    if (*base64)
        len -= suffix;
    for (int i = 0; i < DUMP_FIELDS; i++)
        if (strlen(fields[i].name) == len && memcmp(fields[i].name, name, len) == 0 &&
            (fields[i].text || !*base64)) {
            *field = (enum dump_field)i;
            return true;
        }
    return false;
}

/* Reads the value at *at, and moves *at after it. Returns NULL, or the reason. */
static const char *read_field_value(struct dump_value *value, bool text, bool base64, char **at,
                                    char *end)
{
    char *start = *at;

    if (text) {
        if (*start != '"')
            return "a value that must be a string is not one";
        *at = start + (json_skip_string(start + 1, end) - start);
        value->text = start + 1;
        value->len = (size_t)(*at - start) - 2;
        if (!decode_string(start + 1, &value->len))
            return "a string contains a NUL or half of a surrogate pair";
        if (base64 && !base64_decode(value->text, value->len, start + 1, &value->len))
            return "a value is not valid base64";
        start[1 + value->len] = '\0';
        return NULL;
    }
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    if (!digits_parse(start, (size_t)(*at - start), INT64_MAX, &value->number) ||
        (**at != ',' && **at != '}' && !json_is_space(**at))) /* as in 1.5 and 1e3 */
        return "a value that must be a whole number is not one";
    return NULL;
}

/* Reads a name and its value in a valid object, and moves *at after them. */
static const char *read_field(struct dump_line *line, char **at, char *end)
{
    char *name = *at + 1; /* after the quote */
    size_t len = (size_t)(json_skip_string(name, end) - name) - 1;
    struct dump_value *value;
    enum dump_field field;
    bool base64;
    const char *reason;

    if (len > NAME_MAX_ || !find_field(name, len, &field, &base64))
        return "the line has a name that this version does not know";
    value = &line->value[field];
    if (value->present)
        return "a name occurs twice";
    *at = name + len + 1;
    *at += json_skip_space(*at, end) - *at + 1; /* after the colon */
    *at += json_skip_space(*at, end) - *at;
    reason = read_field_value(value, fields[field].text, base64, at, end);
    value->present = !reason;
    *at += json_skip_space(*at, end) - *at;
    return reason;
}

/* Finds the kind of the line, and checks which fields it has. */
static const char *judge_kind(struct dump_line *line)
{
    uint64_t present = 0;

    for (int i = 0; i < DUMP_FIELDS; i++)
        if (line->value[i].present)
            present |= UINT64_C(1) << i;
    for (int i = 0; i < DUMP_KINDS; i++) {
        uint64_t needed = kinds[i].needed | UINT64_C(1) << kinds[i].first;

        if (!line->value[kinds[i].first].present)
            continue;
        line->kind = (enum dump_kind)i;
        if ((present & needed) != needed)
            return "a required name is missing";
        return (present & ~(needed | kinds[i].allowed)) == 0
                   ? NULL
                   : "a name belongs to another kind of line";
    }
    return "this is not a line of an export";
}

const char *dump_line_parse(struct dump_line *line, char *text, size_t len)
{
    char *at = text, *end = text + len;
    const char *reason = json_precheck(text, len);

    memset(line, 0, sizeof *line);
    if (reason)
        return reason;
    if (!json_is_valid(text, len))
        return "this is not valid JSON";
    at += json_skip_space(at, end) - at;
    if (*at != '{')
        return "this is not a JSON object";
    do {
        at++; /* after the brace or a comma */
        at += json_skip_space(at, end) - at;
        if (*at == '}')
            break;
        reason = read_field(line, &at, end);
    } while (!reason && *at == ',');
    return reason ? reason : judge_kind(line);
}

/* --- are the values consistent? --- */

static bool has_field(const struct dump_line *line, enum dump_field field)
{
    return line->value[field].present;
}

static int64_t number_of(const struct dump_line *line, enum dump_field field)
{
    return line->value[field].number;
}

bool dump_is_producer_id(const struct dump_value *value)
{
    for (size_t i = 0; i < value->len; i++)
        if ((unsigned char)value->text[i] < 0x20 || value->text[i] == 0x7f)
            return false;
    return value->len > 0 && value->len <= PRODUCER_ID_MAX;
}

/* For fields that belong together: has the line all of them, or none? */
static bool all_or_none(const struct dump_line *line, enum dump_field from, enum dump_field to)
{
    for (int field = (int)from; field <= (int)to; field++)
        if (has_field(line, (enum dump_field)field) != has_field(line, from))
            return false;
    return true;
}

const char *dump_stream_judge(const struct dump_line *line, struct arena *arena)
{
    const char *path = line->value[DUMP_F_STREAM].text, *reason, *normal;
    const char *type = line->value[DUMP_F_CONTENT_TYPE].text;
    int64_t tail = number_of(line, DUMP_F_TAIL);

    normal = path_normalize(arena, path, line->value[DUMP_F_STREAM].len, &reason);
    if (path[0] != '/' || !normal || strcmp(normal, path) != 0)
        return "the path of the stream is not in normal form";
    if (strlen(type) != line->value[DUMP_F_CONTENT_TYPE].len || !http_type_is_valid(type))
        return "the content type is not valid";
    if (tail > OFFSET_POSITION_MAX)
        return "the tail is beyond the largest offset";
    if (has_field(line, DUMP_F_CLOSED_AT) && number_of(line, DUMP_F_CLOSED_AT) == 0)
        return "closed_at must not be 0";
    if (!all_or_none(line, DUMP_F_CLOSED_PRODUCER, DUMP_F_CLOSED_SEQ) ||
        (has_field(line, DUMP_F_CLOSED_PRODUCER) &&
         (!has_field(line, DUMP_F_CLOSED_AT) ||
          !dump_is_producer_id(&line->value[DUMP_F_CLOSED_PRODUCER]) ||
          number_of(line, DUMP_F_CLOSED_EPOCH) > PRODUCER_NUMBER_MAX ||
          number_of(line, DUMP_F_CLOSED_SEQ) > PRODUCER_NUMBER_MAX)))
        return "closed_producer, closed_epoch and closed_seq are not valid";
    if ((has_field(line, DUMP_F_TTL_SECONDS) && !has_field(line, DUMP_F_EXPIRES_AT)) ||
        (has_field(line, DUMP_F_EXPIRES_AT) && number_of(line, DUMP_F_EXPIRES_AT) == 0) ||
        (has_field(line, DUMP_F_DELETED_AT) && number_of(line, DUMP_F_DELETED_AT) == 0))
        return "ttl_seconds, expires_at or deleted_at is not valid";
    if (!all_or_none(line, DUMP_F_SOURCE, DUMP_F_FORK_SUB_OFFSET) ||
        number_of(line, DUMP_F_FORK_POSITION) > tail ||
        number_of(line, DUMP_F_FORK_OFFSET) > number_of(line, DUMP_F_FORK_POSITION))
        return "the source or position of the fork is not valid";
    return NULL;
}
