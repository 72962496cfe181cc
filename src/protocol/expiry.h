/*
 * Stream-TTL and Stream-Expires-At (protocol section 5.1), and times as people read them.
 * Times are Unix milliseconds. Pure, thread-safe.
 */
#ifndef EXPIRY_H
#define EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits without sign or leading zero, 0..2^53-1 seconds. False when it is anything else. */
bool expiry_parse_ttl(const char *text, int64_t *seconds);

/*
 * An RFC 3339 date-time ("2026-01-02T03:04:05.678Z", "…+02:00", lower-case t and z allowed, leap
 * second 60 read as 59, fractions beyond milliseconds dropped, years 0000 to 9999, real calendar
 * days only). False when it is anything else.
 */
bool expiry_parse_time(const char *text, int64_t *ms);

enum { EXPIRY_TIME_SIZE = 32 };

/* "2026-01-02T03:04:05.678Z" and a final NUL. */
void expiry_format_time(int64_t ms, char text[static EXPIRY_TIME_SIZE]);

#endif
