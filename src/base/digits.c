/*
 * Digits to numbers and back: see digits.h.
 *
 * Why not strtoll(): it accepts white space, signs and "0x", which HTTP fields and URLs must not
 * contain, and it needs a NUL, which a part of a query does not have. Why not printf(): every
 * answer has numbers in its head, and printf() would cost more than the rest of the head.
 *
 * Must hold: the number never exceeds max while it is being read, so text of any length cannot
 * overflow it.
 */
#include "base/digits.h"

#include <string.h>

bool digits_parse(const char *text, size_t len, int64_t max, int64_t *value)
{
    int64_t number = 0, most = max / 10; /* a larger number must not be multiplied */

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = text[i] - '0';

        if (digit < 0 || digit > 9)
            return false;
        /* compare first: max may be INT64_MAX */
        if (number > most || (number == most && digit > max % 10))
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

int digits_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int digits_percent(const char *at, const char *end)
{
    int high, low;

    if (end - at < 3 || at[0] != '%')
        return -1;
    high = digits_hex(at[1]);
    low = digits_hex(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static inline size_t write_digits(char *to, uint64_t value, unsigned base)
{
    char digits[DIGITS_MOST], *end = digits + sizeof digits, *at = end;

    do
        *--at = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    memcpy(to, at, (size_t)(end - at));
    return (size_t)(end - at);
}

size_t digits_write(char to[static DIGITS_MOST], int64_t value)
{
    if (value >= 0)
        return write_digits(to, (uint64_t)value, 10);
    *to = '-';
    return 1 +
           write_digits(to + 1, 0 - (uint64_t)value, 10); /* -INT64_MIN does not fit an int64_t */
}

size_t digits_write_hex(char to[static DIGITS_MOST], uint64_t value)
{
    return write_digits(to, value, 16);
}
