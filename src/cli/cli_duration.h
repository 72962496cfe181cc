/*
 * Time spans as people write them: "90", "90s", "15m", "5h", "7d", "2w". Pure, thread-safe.
 */
#ifndef CLI_DURATION_H
#define CLI_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number of seconds, or of the unit that follows it: s, m, h, d or w. False, and *seconds
   untouched, when text is anything else, or longer than most seconds. */
bool cli_duration_parse(const char *text, int64_t most, int64_t *seconds);

#endif
