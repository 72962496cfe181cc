/*
 * Durations: "90", "90s", "15m", "5h", "7d", "2w". Pure, thread-safe.
 */
#ifndef CLI_DURATION_H
#define CLI_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Parses a whole number of seconds, or of a unit that follows it: s, m, h, d or w. False, with
 * *seconds untouched, if text is anything else or exceeds `most` seconds. */
bool cli_duration_parse(const char *text, int64_t most, int64_t *seconds);

#endif
