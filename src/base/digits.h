/*
 * Numbers as protocol and URLs write them: decimal digits, hex and %XX. One place, so that no
 * reader of foreign text overflows in its own way. Pure, thread-safe.
 */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGITS_MOST = 20 }; /* bytes of any int64_t: INT64_MIN has a sign and 19 digits */

/*
 * Reads len bytes that must all be decimal digits (at least one, leading zeros allowed) and a
 * number of at most max. False, and *value untouched, when it is anything else.
 */
bool digits_parse(const char *text, size_t len, int64_t max, int64_t *value);

/* The byte (0..255) that the "%XX" at `at` stands for; -1 when it is malformed or ends at end. */
int digits_percent(const char *at, const char *end);

/* Writes a number, in decimal or as hex in lower case, without a final NUL; returns its length. */
size_t digits_write(char to[static DIGITS_MOST], int64_t value);
size_t digits_write_hex(char to[static DIGITS_MOST], uint64_t value);

#endif
