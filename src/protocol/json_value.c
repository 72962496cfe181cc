/* Values inside a JSON text: see json_value.h. */
#include "protocol/json_value.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digits.h"
#include "protocol/json_scan.h"

#define INTEGER_MOST (INT64_C(1) << 53) /* beyond it, a double does not have every integer */

/* The end of the value that begins at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        char c = *at;

        if (depth == 0 && (c == ',' || c == ':' || json_closes(c) || json_is_space(c)))
            break;
        at++;
        if (c == '"')
            at = json_skip_string(at, end);
        else if (json_opens(c))
            depth++;
        else if (json_closes(c))
            depth--;
        else
            continue; /* inside a number or a word, or between the tokens of an array or object */
        if (depth == 0)
            break;
    }
    return at;
}

struct json_value json_value_of(const char *text, size_t len)
{
    const char *at, *end;

    if (len == 0) /* the data of an empty buf is NULL */
        return (struct json_value){NULL, 0};
    end = text + len;
    at = json_skip_space(text, end);
    while (end > at && json_is_space(end[-1]))
        end--;
    return (struct json_value){at, (size_t)(end - at)};
}

static bool is_word(struct json_value value, const char *word)
{
    return value.len == strlen(word) && memcmp(value.at, word, value.len) == 0;
}

enum json_kind json_kind(struct json_value value)
{
    if (value.len == 0)
        return JSON_NONE;
    switch (*value.at) {
    case '"':
        return value.len > 1 && value.at[value.len - 1] == '"' ? JSON_STRING : JSON_NONE;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    case 'n':
        return is_word(value, "null") ? JSON_NULL : JSON_NONE;
    case 'f':
        return is_word(value, "false") ? JSON_FALSE : JSON_NONE;
    case 't':
        return is_word(value, "true") ? JSON_TRUE : JSON_NONE;
    default:
        return *value.at == '-' || (*value.at >= '0' && *value.at <= '9') ? JSON_NUMBER : JSON_NONE;
    }
}

bool json_is_true(struct json_value value)
{
    return json_kind(value) == JSON_TRUE;
}

/* --- strings --- */

static size_t put_utf8(char to[static 4], unsigned c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3F));
    to[2] = (char)(0x80 | (c >> 6 & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The number of a \uXXXX at `at`; -1 if there is none. */
static int unit_at(const char *at, const char *end)
{
    int unit = 0;

    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = digits_hex(at[i]);

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Resolves a \uXXXX, or a pair of surrogates. A lone surrogate becomes U+FFFD. */
static size_t take_unit(const char **at, const char *end, char to[static 4])
{
    int c = unit_at(*at, end), low;

    *at += 6;
    if (c < 0xD800 || c > 0xDFFF)
        return put_utf8(to, (unsigned)c);
    low = c < 0xDC00 ? unit_at(*at, end) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return put_utf8(to, 0xFFFD);
    *at += 6;
    return put_utf8(to, 0x10000 + ((unsigned)(c - 0xD800) << 10) + (unsigned)(low - 0xDC00));
}

/*
 * Takes one byte or one escape of the inside of a string; returns the number of bytes that it
 * stands for, which is never greater than the number of bytes taken.
 */
static size_t take_char(const char **at, const char *end, char to[static 4])
{
    static const char from[] = "bfnrt", to_these[] = "\b\f\n\r\t";
    const char *known;

    if (**at == '\\' && end - *at > 1) {
        if (unit_at(*at, end) >= 0)
            return take_unit(at, end, to);
        known = (*at)[1] ? strchr(from, (*at)[1]) : NULL;
        to[0] = known ? to_these[known - from] : (*at)[1];
        *at += 2;
        return 1;
    }
    to[0] = *(*at)++;
    return 1;
}

/* Does the inside of a string stand for this text? */
static bool is_same_text(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);

    while (at < end) {
        char piece[4];
        size_t n = take_char(&at, end, piece);

        if (n > len || memcmp(piece, text, n) != 0)
            return false;
        text += n;
        len -= n;
    }
    return len == 0;
}

bool json_is_text(struct json_value value)
{
    const char *at, *end;
    char piece[4];

    if (json_kind(value) != JSON_STRING)
        return false;
    end = value.at + value.len - 1;
    for (at = value.at + 1; at < end;)
        if (take_char(&at, end, piece) == 1 && piece[0] == '\0')
            return false;
    return true;
}

const char *json_text(struct arena *arena, struct json_value value)
{
    const char *at, *end;
    char *text, *to;

    if (!json_is_text(value))
        return NULL;
    text = to = arena_alloc(arena, value.len);
    if (!text)
        return NULL;
    end = value.at + value.len - 1;
    for (at = value.at + 1; at < end;) {
        char piece[4];
        size_t n = take_char(&at, end, piece);

        memcpy(to, piece, n);
        to += n;
    }
    *to = '\0';
    return text;
}

/* --- objects and arrays --- */

struct json_value json_get(struct json_value object, const char *name)
{
    struct json_value found = {NULL, 0};
    const char *at, *end;

    if (json_kind(object) != JSON_OBJECT)
        return found;
    end = object.at + object.len;
    at = json_skip_space(object.at + 1, end);
    while (at < end && *at == '"') {
        const char *key = at + 1, *key_end = json_skip_string(key, end), *value;

        at = json_skip_space(key_end, end); /* at the colon */
        value = at < end ? json_skip_space(at + 1, end) : end;
        at = skip_value(value, end);
        if (at == value)
            break; /* not valid JSON */
        if (is_same_text(key, key_end - 1, name))
            found = (struct json_value){value, (size_t)(at - value)};
        at = json_skip_space(at, end);
        if (at < end && *at == ',')
            at = json_skip_space(at + 1, end);
    }
    return found;
}

void json_each_init(struct json_each *each, struct json_value array)
{
    /* the splitter takes any other value for an array of one */
    json_split_init(&each->split, array.at, json_kind(array) == JSON_ARRAY ? array.len : 0);
}

bool json_each_next(struct json_each *each, struct json_value *value)
{
    return json_split_next(&each->split, &value->at, &value->len);
}

/* --- numbers --- */

/* A decimal number: `digits` × 10^exponent, without zeros at either end of the digits. */
struct decimal {
    int64_t digits;   /* at most 16 of them; -1: there are more */
    int64_t exponent; /* 0 if digits is 0 */
};

/* The digits that a number begins with, including a full stop; returns their end. */
static const char *read_digits(const char *at, const char *end, struct decimal *decimal)
{
    const int64_t most = INT64_C(9999999999999999);
    int64_t zeros = 0; /* read, and not part of the digits unless another digit follows */
    bool fraction = false;

    for (; at < end && (*at == '.' || (*at >= '0' && *at <= '9')); at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        decimal->exponent -= fraction;
        if (*at == '0') {
            zeros += decimal->digits != 0;
            continue;
        }
        for (zeros++; zeros > 0; zeros--)
            if (decimal->digits >= 0)
                decimal->digits = decimal->digits > most / 10 ? -1 : decimal->digits * 10;
        if (decimal->digits >= 0)
            decimal->digits += *at - '0';
    }
    decimal->exponent = decimal->digits == 0 ? 0 : decimal->exponent + zeros;
    return at;
}

/* "e+12" up to the end. */
static bool read_exponent(const char *at, const char *end, int64_t *exponent)
{
    const int64_t most = INT64_C(1) << 60; /* no text has so many zeros */
    bool negative;

    *exponent = 0;
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    at++;
    negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        if (*exponent < most / 10)
            *exponent = *exponent * 10 + (*at - '0');
    }
    if (negative)
        *exponent = -*exponent;
    return true;
}

bool json_integer(struct json_value value, int64_t *number)
{
    const char *at = value.at, *end;
    struct decimal decimal = {0, 0};
    int64_t exponent;
    bool negative;

    if (json_kind(value) != JSON_NUMBER)
        return false;
    end = at + value.len;
    negative = *at == '-';
    at = read_digits(at + negative, end, &decimal);
    if (!read_exponent(at, end, &exponent) || decimal.digits < 0)
        return false;
    exponent = decimal.digits == 0 ? 0 : exponent + decimal.exponent;
    if (exponent < 0 || exponent > 16)
        return false;
    for (; exponent > 0 && decimal.digits <= INTEGER_MOST; exponent--)
        decimal.digits *= 10;
    if (decimal.digits > INTEGER_MOST)
        return false;
    *number = negative ? -decimal.digits : decimal.digits;
    return true;
}

bool json_number(struct json_value value, double *number)
{
    char text[64];

    if (json_kind(value) != JSON_NUMBER || value.len >= sizeof text)
        return false;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    *number = strtod(text, NULL);
    return true;
}
