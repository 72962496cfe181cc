/*
 * Stream-TTL (protocol section 5.1). Stream-Expires-At is an ordinary time: clock_parse_time()
 * reads it. Pure, thread-safe.
 */
#ifndef EXPIRY_H
#define EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a TTL: decimal digits without a sign or a leading zero, 0..2^53-1 seconds. False if text is
 * anything else.
 */
bool expiry_parse_ttl(const char *text, int64_t *seconds);

/*
 * When a stream with this TTL (0..2^53-1 seconds) expires if it is created, written or read at
 * now_ms; both times are Unix milliseconds. Does not overflow for any date of this calendar.
 * STMT_STREAM_RENEW in store_stmt.c has the same formula in SQL.
 */
static inline int64_t expiry_after_ttl(int64_t now_ms, int64_t ttl_seconds)
{
    return now_ms + ttl_seconds * 1000;
}

#endif
