/*
 * Numbers as the protocol and URLs write them: decimal digits, hexadecimal digits and %XX. They are
 * parsed only here, so that every parser of foreign text treats overflow in the same way. Pure,
 * thread-safe.
 */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGITS_MOST = 20 }; /* bytes of the longest int64_t: INT64_MIN has a sign and 19 digits */

/*
 * Reads len bytes as a number from 0 to max. All of them must be decimal digits, and there must be
 * at least one; leading zeros are allowed. Otherwise false, and *value is unchanged.
 */
bool digits_parse(const char *text, size_t len, int64_t max, int64_t *value);

/* The value (0..15) of a hexadecimal digit; -1 if c is not one. */
int digits_hex(char c);

/* The byte (0..255) that a "%XX" at `at` stands for; -1 if it is malformed, or cut off by end. */
int digits_percent(const char *at, const char *end);

/* Writes a number in decimal, or in lower-case hexadecimal, without a NUL; returns its length. */
size_t digits_write(char to[static DIGITS_MOST], int64_t value);
size_t digits_write_hex(char to[static DIGITS_MOST], uint64_t value);

#endif
