/*
 * JSON mode: see json.h.
 *
 * Only brackets, commas and quotes are looked at. That is enough to cut a text that json_valid()
 * has accepted, and nothing is ever parsed into values, so 1.0 stays 1.0, a number of a hundred
 * digits keeps them all, and a key that occurs twice occurs twice.
 *
 * Must hold: on any bytes whatever, valid or not, no byte outside the text is read, every message
 * lies inside the text, and every call moves on, so that a loop over messages ends.
 */
#include "json.h"

#include "utf8.h"

#include <stdint.h>
#include <string.h>

#define ONES UINT64_C(0x0101010101010101)

static bool has_byte(uint64_t word, char byte)
{
    word ^= ONES * (unsigned char)byte; /* turns the byte sought into zero */
    return ((word - ONES) & ~word & (ONES << 7)) != 0;
}

/* '[' and '{' differ in one bit, and so do ']' and '}': one comparison asks for both. */
static bool opens(char c)
{
    return (c | 0x20) == '{';
}

static bool closes(char c)
{
    return (c | 0x20) == '}';
}

/* From behind the opening quote to behind the closing one, or to the end where that is missing. */
static const char *skip_string(const char *at, const char *end)
{
    uint64_t word;

    for (;;) {
        /* strings are the bulk of JSON: pass over the inside of long ones a word at a time */
        while (end - at >= (ptrdiff_t)sizeof word) {
            memcpy(&word, at, sizeof word);
            if (has_byte(word, '"') || has_byte(word, '\\'))
                break;
            at += sizeof word;
        }
        while (at < end && *at != '"' && *at != '\\')
            at++;
        if (at == end)
            return end;
        if (*at++ == '"')
            return at;
        if (at < end) /* whatever a backslash stands before does not end the string */
            at++;
    }
}

static bool is_too_deep(const char *at, const char *end)
{
    int depth = 0;

    /*
     * A text may be invalid here, and then the count is wrong behind the first mistake. No harm:
     * json_valid() stops at that mistake, so it never nests deeper than was counted before it.
     */
    while (at < end) {
        char c = *at++;

        if (c == '"')
            at = skip_string(at, end);
        else if (opens(c) && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (closes(c) && depth > 0)
            depth--;
    }
    return false;
}

const char *json_precheck(const char *text, size_t len)
{
    if (len == 0)
        return NULL; /* json_valid() has an opinion on that */
    /* SQLite would take what stands before a NUL for the whole text */
    if (memchr(text, '\0', len))
        return "JSON with a NUL byte in it";
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) /* RFC 8259 section 8.1 */
        return "JSON behind a byte order mark";
    if (!utf8_is_valid(text, len))
        return "JSON that is not well-formed UTF-8";
    /* SQLite's parser and our readers' recurse; their stacks are not ours to fill */
    if (is_too_deep(text, text + len))
        return "JSON nested too deeply";
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t'; /* RFC 8259 section 2, no others */
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* To the comma or bracket that ends the element at `at`, or to the end of the text. */
static const char *skip_element(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        char c = *at;

        if (c == '"') {
            at = skip_string(at + 1, end);
            continue;
        }
        if (depth == 0 && (c == ',' || c == ']'))
            break;
        if (opens(c))
            depth++;
        else if (closes(c) && depth > 0)
            depth--;
        at++;
    }
    return at;
}

void json_split_init(struct json_split *split, const char *text, size_t len)
{
    const char *at = len > 0 ? text : "", *end = at + len; /* an empty buf's data is NULL */
    bool array;

    at = skip_space(at, end);
    array = at < end && *at == '[';
    *split = (struct json_split){.at = at + array, .end = end, .array = array};
}

bool json_split_next(struct json_split *split, const char **message, size_t *len)
{
    const char *start = skip_space(split->at, split->end), *stop;

    if (split->done || start == split->end || (split->array && *start == ']')) {
        split->done = true;
        return false;
    }
    stop = split->array ? skip_element(start, split->end) : split->end;
    split->done = stop == split->end;
    split->at = stop + (stop < split->end && *stop == ',');
    while (stop > start && is_space(stop[-1]))
        stop--;
    *message = start;
    *len = (size_t)(stop - start);
    return true;
}
