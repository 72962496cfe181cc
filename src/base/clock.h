/*
 * The time, and times as text. Two clocks: wall time for expiry and for people, monotonic time for
 * waits. Times are in milliseconds unless noted otherwise. Thread-safe.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void);      /* Unix time */
int64_t clock_monotonic_ms(void); /* never goes back; from an arbitrary start */
int64_t clock_monotonic_us(void); /* the same in microseconds */

/* `ms` milliseconds from now by this clock, for waits that end at a time. ms: 0 or more. */
struct timespec clock_deadline(clockid_t clock, int64_t ms);

/* A random number for jitter; not for secrets. Thread-safe. */
uint32_t clock_random(void);

/*
 * Reads an RFC 3339 date-time ("2026-01-02T03:04:05.678Z", "…+02:00", lower-case t and z allowed,
 * leap second 60 read as 59, fractions beyond milliseconds dropped, years 0000 to 9999, real
 * calendar days only) as Unix milliseconds. False if the text is anything else. Pure, thread-safe.
 */
bool clock_parse_time(const char *text, int64_t *ms);

enum { CLOCK_TIME_SIZE = 32 };

/* Writes "2026-01-02T03:04:05.678Z" and a final NUL; a time outside the years 0000 to 9999 becomes
   the nearest one inside them. Pure, thread-safe. */
void clock_format_time(int64_t ms, char text[static CLOCK_TIME_SIZE]);

enum { CLOCK_HTTP_SIZE = 32 };

/* Writes a time in seconds since 1970 as HTTP's Date has it, "Fri, 02 Jan 2026 03:04:05 GMT", and a
   final NUL. seconds: 0 or more. Pure, thread-safe. */
void clock_format_http(int64_t seconds, char text[static CLOCK_HTTP_SIZE]);

#endif
