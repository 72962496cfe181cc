/* Fields of small JSON objects: see cli_json.h. */
#include "cli/cli_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "protocol/json_string.h"

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : end;
}

/* The end of the value that begins at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    int depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                break;
            depth--;
            at++;
        } else if (depth == 0 && (*at == ',' || *at == ':' || skip_space(at, end) != at)) {
            break;
        } else {
            at++;
            continue; /* inside a number or a word */
        }
        if (depth == 0)
            break;
    }
    return at;
}

struct cli_json cli_json_get(struct cli_json object, const char *name)
{
    const char *at = object.at, *end = at + object.len;
    struct cli_json found = {NULL, 0};
    size_t len = strlen(name);

    if (object.len == 0 || *at != '{')
        return found;
    for (at = skip_space(at + 1, end); at < end && *at == '"'; at = skip_space(at, end)) {
        const char *key = at + 1, *key_end = skip_string(at, end) - 1, *value;

        at = skip_space(key_end + 1, end); /* at the colon */
        value = skip_space(at + 1, end);
        if (value >= end)
            break;
        at = skip_value(value, end);
        if ((size_t)(key_end - key) == len && memcmp(key, name, len) == 0)
            found = (struct cli_json){value, (size_t)(at - value)};
        at = skip_space(at, end);
        if (at < end && *at == ',')
            at++;
    }
    return found;
}

static unsigned hex4(const char *at)
{
    char digits[5] = {at[0], at[1], at[2], at[3], 0};

    return (unsigned)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* Resolves a \uXXXX at *at, or a pair of surrogates. A lone surrogate becomes U+FFFD, as does
   NUL. */
static char *put_escape(char *to, const char **at, const char *end)
{
    unsigned c = hex4(*at + 2), low;

    *at += 6;
    if (c >= 0xD800 && c < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        low = hex4(*at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            *at += 6;
            return put_utf8(to, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
        }
    }
    return put_utf8(to, c == 0 || (c >= 0xD800 && c < 0xE000) ? 0xFFFD : c);
}

const char *cli_json_text(struct arena *arena, struct cli_json value)
{
    static const char from[] = "bfnrt", to_these[] = "\b\f\n\r\t";
    const char *at, *end;
    char *text, *to;

    if (value.len < 2 || *value.at != '"')
        return NULL;
    at = value.at + 1;
    end = value.at + value.len - 1;
    to = text = arena_alloc(arena, value.len);
    if (!text)
        return NULL;
    while (at < end) {
        const char *known;

        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] == 'u' && end - at >= 6) {
            to = put_escape(to, &at, end);
        } else {
            known = strchr(from, at[1]);
            *to++ = known && *known ? to_these[known - from] : at[1];
            at += 2;
        }
    }
    *to = '\0';
    return text;
}

bool cli_json_is_true(struct cli_json value)
{
    return value.len == 4 && memcmp(value.at, "true", 4) == 0;
}

enum { NUMBER_SIZE = 64 }; /* no number of ours is longer */

/* Copies a value that begins like a number and is short enough, NUL-terminated. */
static bool copy_number(struct cli_json value, char text[static NUMBER_SIZE])
{
    if (value.len == 0 || value.len >= NUMBER_SIZE || !strchr("-0123456789", *value.at))
        return false;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    return true;
}

bool cli_json_integer(struct cli_json value, int64_t *number)
{
    char text[NUMBER_SIZE];

    if (!copy_number(value, text) || text[strspn(text, "-0123456789")])
        return false;
    *number = strtoll(text, NULL, 10);
    return true;
}

bool cli_json_number(struct cli_json value, double *number)
{
    char text[NUMBER_SIZE];

    if (!copy_number(value, text))
        return false;
    *number = strtod(text, NULL);
    return true;
}

void cli_json_add(struct buf *buf, const char *text)
{
    struct buf clean = {0};

    utf8_add_lossy(&clean, text, strlen(text));
    buf_addc(buf, '"');
    json_add_escaped(buf, clean.data ? clean.data : "", clean.len);
    buf_addc(buf, '"');
    buf->failed = buf->failed || buf_failed(&clean);
    buf_close(&clean);
}

void cli_json_unbreak(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' || text[i] == '\r') /* strings contain none */
            text[i] = ' ';
}
