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

#endif
