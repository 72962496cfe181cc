/*
 * Cursors (protocol section 10.1): the number of the time interval, handed to live readers so
 * that caches see a new URL as time goes by and never loop on one cached answer.
 *
 * Pure: the clock and the random number come from the caller. Thread-safe.
 */
#ifndef CURSOR_H
#define CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "durable_streams.h"

/* The number of the interval of interval_s (>= 1) seconds that now_ms (Unix) lies in; never < 0. */
int64_t cursor_calculate(int64_t now_ms, int64_t interval_s, int64_t epoch_s);

/* The cursor that a client sent: all digits, 0..2^53-1; -1 when it is anything else. */
int64_t cursor_parse(const char *text, size_t len);

/*
 * The cursor to answer with: the current interval, or, where the client's cursor (-1: none) is
 * that interval or a later one, the client's plus 1..3600 s of jitter in intervals, at least one.
 */
int64_t cursor_response(int64_t current, int64_t client, int64_t interval_s, uint32_t random);

#endif
