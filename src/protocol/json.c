/*
 * JSON mode: see json.h.
 *
 * The splitter sees brackets, commas and quotes only, which is enough for a valid text. It parses
 * no values, so 1.0 remains 1.0, a number of a hundred digits keeps all of them, and a key that
 * occurs twice still does.
 *
 * Must hold: for any bytes, valid or not, no byte outside the text is read, every message lies
 * within the text, and every call moves on, so that a loop over the messages ends.
 */
#include "protocol/json.h"

#include "base/digits.h"
#include "base/utf8.h"
#include "protocol/json_scan.h"

#include <string.h>

static bool is_too_deep(const char *at, const char *end)
{
    int depth = 0;

    /*
     * The text may be invalid, and then the depth is wrong after the first error. That does not
     * matter: the text will be refused for that error.
     */
    while (at < end) {
        char c = *at++;

        if (c == '"')
            at = json_skip_string(at, end);
        else if (json_opens(c) && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (json_closes(c) && depth > 0)
            depth--;
    }
    return false;
}

const char *json_precheck(const char *text, size_t len)
{
    if (len == 0)
        return NULL; /* json_is_valid() refuses it */
    if (memchr(text, '\0', len))
        return "the JSON contains a NUL byte";
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) /* RFC 8259 section 8.1 */
        return "the JSON begins with a byte order mark";
    if (!utf8_is_valid(text, len))
        return "the JSON is not well-formed UTF-8";
    /* the parsers of readers recurse, and deep nesting would overflow their stacks */
    if (is_too_deep(text, text + len))
        return "the JSON is nested too deeply";
    return NULL;
}

/* --- the grammar of RFC 8259 --- */

/* Each read_ function returns the end of what it read, or NULL if it found something else. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *read_digits(const char *at, const char *end)
{
    if (at == end || !is_digit(*at))
        return NULL;
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* [ "-" ] ( "0" / digit1-9 *DIGIT ) [ "." 1*DIGIT ] [ ( "e" / "E" ) [ "-" / "+" ] 1*DIGIT ] */
static const char *read_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = read_digits(at, end);
    if (at && at < end && *at == '.')
        at = read_digits(at + 1, end);
    if (at && at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        at = read_digits(at, end);
    }
    return at;
}

/* An escape, after its backslash. */
static const char *read_escape(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    if (*at != 'u')
        return *at != '\0' && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
    if (end - at < 5)
        return NULL;
    for (int i = 1; i <= 4; i++)
        if (digits_hex(at[i]) < 0)
            return NULL;
    return at + 5; /* also a lone surrogate, which the grammar allows */
}

static const char *read_string(const char *at, const char *end)
{
    if (at == end || *at != '"')
        return NULL;
    for (at++; at && at < end;) {
        if (*at == '"')
            return at + 1;
        if ((unsigned char)*at < 0x20)
            return NULL;
        at = *at == '\\' ? read_escape(at + 1, end) : at + 1;
    }
    return NULL;
}

static const char *read_word(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

/* A string, a number, true, false or null. */
static const char *read_scalar(const char *at, const char *end)
{
    switch (*at) {
    case '"':
        return read_string(at, end);
    case 't':
        return read_word(at, end, "true");
    case 'f':
        return read_word(at, end, "false");
    case 'n':
        return read_word(at, end, "null");
    default:
        return read_number(at, end);
    }
}

/*
 * The open brackets, '[' or '{', the innermost last. Not by recursion, which the C stack would
 * limit at an unknown depth.
 */
struct nest {
    char open[JSON_DEPTH_MAX];
    int depth;
};

/*
 * Reads the beginning of a value: in an object the name and the colon, and then the whole scalar,
 * or the bracket of an array or object.
 */
static const char *read_begin(struct nest *nest, const char *at, const char *end)
{
    if (nest->depth > 0 && nest->open[nest->depth - 1] == '{') {
        at = read_string(at, end);
        at = at ? json_skip_space(at, end) : end;
        if (at == end || *at != ':')
            return NULL;
        at = json_skip_space(at + 1, end);
    }
    if (at == end)
        return NULL;
    if (*at != '[' && *at != '{')
        return read_scalar(at, end);
    if (nest->depth == JSON_DEPTH_MAX)
        return NULL;
    nest->open[nest->depth++] = *at;
    return at + 1;
}

/*
 * Reads what follows a value: the brackets that close there, and a comma, after which another value
 * must follow (*more).
 */
static const char *read_ends(struct nest *nest, const char *at, const char *end, bool *more)
{
    *more = false;
    while (nest->depth > 0) {
        at = json_skip_space(at, end);
        if (at == end)
            return NULL;
        if (*at == ',') {
            *more = true;
            return at + 1;
        }
        if (*at !=
            nest->open[nest->depth - 1] + 2) /* in ASCII, ']' is '[' + 2 and '}' is '{' + 2 */
            return NULL;
        nest->depth--;
        at++;
    }
    return at;
}

bool json_is_valid(const char *text, size_t len)
{
    const char *at = len > 0 ? text : "", *end = at + len;
    struct nest nest;
    bool more = true;

    nest.depth = 0;
    while (more) {
        int depth = nest.depth;

        at = read_begin(&nest, json_skip_space(at, end), end);
        if (!at)
            return false;
        if (nest.depth > depth) { /* it is empty, or its first value follows */
            const char *next = json_skip_space(at, end);

            if (next == end || *next != nest.open[depth] + 2)
                continue;
        }
        at = read_ends(&nest, at, end, &more);
        if (!at)
            return false;
    }
    return json_skip_space(at, end) == end;
}

/* --- messages --- */

/* The comma or bracket after the element at `at`, or the end of the text. */
static const char *skip_element(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        char c = *at;

        if (c == '"') {
            at = json_skip_string(at + 1, end);
            continue;
        }
        if (depth == 0 && (c == ',' || c == ']'))
            break;
        if (json_opens(c))
            depth++;
        else if (json_closes(c) && depth > 0)
            depth--;
        at++;
    }
    return at;
}

void json_split_init(struct json_split *split, const char *text, size_t len)
{
    const char *at = len > 0 ? text : "", *end = at + len; /* the data of an empty buf is NULL */
    bool array;

    at = json_skip_space(at, end);
    array = at < end && *at == '[';
    *split = (struct json_split){.at = at + array, .end = end, .array = array};
}

bool json_split_next(struct json_split *split, const char **message, size_t *len)
{
    const char *start = json_skip_space(split->at, split->end), *stop;

    if (split->done || start == split->end || (split->array && *start == ']')) {
        split->done = true;
        return false;
    }
    stop = split->array ? skip_element(start, split->end) : split->end;
    split->done = stop == split->end;
    split->at = stop + (stop < split->end && *stop == ',');
    while (stop > start && json_is_space(stop[-1]))
        stop--;
    *message = start;
    *len = (size_t)(stop - start);
    return true;
}
