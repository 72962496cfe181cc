/*
 * How the parts of JSON mode walk over a text: by brackets, commas and quotes, never into values.
 * Included by json*.c and dump_line.c alone.
 *
 * Must hold: on any bytes whatever, no byte outside the text is read.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_ONES UINT64_C(0x0101010101010101)

static inline bool json_has_byte(uint64_t word, char byte)
{
    word ^= JSON_ONES * (unsigned char)byte; /* turns the byte sought into zero */
    return ((word - JSON_ONES) & ~word & (JSON_ONES << 7)) != 0;
}

/* '[' and '{' differ in one bit, and so do ']' and '}': one comparison asks for both. */
static inline bool json_opens(char c)
{
    return (c | 0x20) == '{';
}

static inline bool json_closes(char c)
{
    return (c | 0x20) == '}';
}

/* From behind the opening quote to behind the closing one, or to the end where that is missing. */
static inline const char *json_skip_string(const char *at, const char *end)
{
    uint64_t word;

    for (;;) {
        /* strings are the bulk of JSON: pass over the inside of long ones a word at a time */
        while (end - at >= (ptrdiff_t)sizeof word) {
            memcpy(&word, at, sizeof word);
            if (json_has_byte(word, '"') || json_has_byte(word, '\\'))
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

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t'; /* RFC 8259 section 2, no others */
}

static inline const char *json_skip_space(const char *at, const char *end)
{
    while (at < end && json_is_space(*at))
        at++;
    return at;
}

#endif
