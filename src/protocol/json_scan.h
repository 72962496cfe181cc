/*
 * Scanning JSON: brackets, quotes and white space, without parsing values. Only json*.c and
 * dump_line.c include this header. Pure, thread-safe.
 *
 * Must hold: for any bytes, no byte outside the text is read.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_ONES UINT64_C(0x0101010101010101)

/* Does one of the eight bytes of the word have this value? */
static inline bool json_has_byte(uint64_t word, char byte)
{
    word ^= JSON_ONES * (unsigned char)byte; /* turns that byte into zero */
    return ((word - JSON_ONES) & ~word & (JSON_ONES << 7)) != 0;
}

/* '[' and '{' differ in one bit, and so do ']' and '}', so one comparison finds both. */
static inline bool json_opens(char c)
{
    return (c | 0x20) == '{';
}

static inline bool json_closes(char c)
{
    return (c | 0x20) == '}';
}

/*
 * Skips a string. `at` is after the opening quote; returns the place after the closing quote, or
 * end if that is missing.
 */
static inline const char *json_skip_string(const char *at, const char *end)
{
    uint64_t word;

    for (;;) {
        /* most of JSON is strings: skip eight bytes at a time */
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
        if (at < end) /* the character after a backslash does not end the string */
            at++;
    }
}

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t'; /* RFC 8259 section 2 */
}

static inline const char *json_skip_space(const char *at, const char *end)
{
    while (at < end && json_is_space(*at))
        at++;
    return at;
}

#endif
