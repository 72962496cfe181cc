/*
 * Cursors (protocol section 10.1): the number of the current time interval. Live readers get it
 * with each answer and send it with the next request, so that the URL changes with time and a cache
 * cannot answer one reader with the same response forever.
 *
 * Pure: the caller passes the time and the random number. Thread-safe.
 */
#ifndef CURSOR_H
#define CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "durable_streams.h"

/*
 * The number of the interval that contains now_ms (Unix milliseconds), counted from epoch_s (Unix
 * seconds) in intervals of interval_s >= 1 seconds. 0 before the epoch.
 */
int64_t cursor_calculate(int64_t now_ms, int64_t interval_s, int64_t epoch_s);

/* The cursor that a client sent: decimal digits, 0..2^53-1. -1 if it is anything else. */
int64_t cursor_parse(const char *text, size_t len);

/*
 * The cursor to answer with: the current interval; but if the client sent that interval or a later
 * one, the client's cursor plus a random number of intervals, which is 1 to 3600 seconds long and
 * at least one interval. client is -1 if the client sent none; random is any number.
 */
int64_t cursor_response(int64_t current, int64_t client, int64_t interval_s, uint32_t random);

#endif
