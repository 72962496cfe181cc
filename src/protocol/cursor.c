/*
 * Cursors: see cursor.h.
 *
 * A cache identifies a live read by its URL, which includes the cursor. A client that got back the
 * cursor that it sent would request the same URL again, and a cache could answer it forever. So the
 * answer is ahead of the client's cursor, and by a random length, because clients that reach the
 * same cursor together should not stay together.
 *
 * Must hold: the answer is greater than every valid cursor that the client sent.
 */
#include "protocol/cursor.h"

#include "base/digits.h"

#include <assert.h>

enum { JITTER_MAX_S = 3600 }; /* protocol section 10.1 */

/* Browsers read cursors as JavaScript numbers, which are exact up to this value only. */
#define CURSOR_MAX INT64_C(9007199254740991) /* 2^53-1 */

int64_t cursor_calculate(int64_t now_ms, int64_t interval_s, int64_t epoch_s)
{
    int64_t elapsed_s;

    assert(interval_s >= 1);
    /* the epoch is a setting, and may lie in the future */
    if (__builtin_sub_overflow(now_ms / 1000, epoch_s, &elapsed_s) || elapsed_s < 0)
        return 0;
    return elapsed_s / interval_s;
}

int64_t cursor_parse(const char *text, size_t len)
{
    int64_t cursor;

    return digits_parse(text, len, CURSOR_MAX, &cursor) ? cursor : -1;
}

int64_t cursor_response(int64_t current, int64_t client, int64_t interval_s, uint32_t random)
{
    int64_t jitter_s = 1 + random % JITTER_MAX_S;

    assert(interval_s >= 1);
    if (client < current)
        return current;
    /* at least one interval, even if the interval is longer than the jitter */
    return client + (jitter_s >= interval_s ? jitter_s / interval_s : 1);
}
