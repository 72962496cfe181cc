/*
 * Cursors: see cursor.h.
 *
 * A cache keys a live read by its URL, cursor included. Were a client ever given the cursor back
 * that it sent, it would ask for the same URL again and could be answered from the cache for
 * ever; hence the jump ahead, and hence by a random length, so that a crowd of clients that got
 * there together spreads out again.
 *
 * Must hold: the answer is greater than any cursor that the client sent and that we understand.
 */
#include "protocol/cursor.h"

#include "base/digits.h"

#include <assert.h>

enum { JITTER_MAX_S = 3600 }; /* protocol section 10.1 */

/* Browsers read cursors as numbers; beyond this they would no longer be exact. */
#define CURSOR_MAX INT64_C(9007199254740991) /* 2^53-1 */

int64_t cursor_calculate(int64_t now_ms, int64_t interval_s, int64_t epoch_s)
{
    int64_t elapsed_s;

    assert(interval_s >= 1);
    /* the epoch comes from the configuration: one in the future means interval 0 until then */
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
    /* an interval longer than the jitter must still move on */
    return client + (jitter_s >= interval_s ? jitter_s / interval_s : 1);
}
