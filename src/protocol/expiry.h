/*
 * Stream-TTL (protocol section 5.1). Stream-Expires-At is an ordinary time: see clock_parse_time().
 * Pure, thread-safe.
 */
#ifndef EXPIRY_H
#define EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/* Digits without sign or leading zero, 0..2^53-1 seconds. False when it is anything else. */
bool expiry_parse_ttl(const char *text, int64_t *seconds);

/*
 * When a stream with this TTL ends if it is created, written or read at now_ms, in Unix
 * milliseconds. Never overflows: ttl_seconds is 0..2^53-1. (STMT_STREAM_RENEW in store_stmt.c has
 * the same formula in SQL.)
 */
static inline int64_t expiry_after_ttl(int64_t now_ms, int64_t ttl_seconds)
{
    return now_ms + ttl_seconds * 1000;
}

#endif
