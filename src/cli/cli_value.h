/*
 * Tells whether the bytes so far are a JSON value, the beginning of one, or certainly neither.
 * Input is checked byte by byte, so that an error is found at once and not at the end of the input.
 *
 *     BLANK ──▶ BEGUN ──▶ WHOLE          white space may follow
 *       └─────────┴─────────┴──▶ WRONG   stays wrong
 *
 * It accepts the same texts as json_precheck() and json_is_valid(): grammar, UTF-8 and depth.
 * Pure: no I/O, no allocation.
 */
#ifndef CLI_VALUE_H
#define CLI_VALUE_H

#include <stddef.h>

#include "protocol/json.h"

enum cli_value_state {
    CLI_VALUE_BLANK, /* only white space */
    CLI_VALUE_BEGUN, /* more must come */
    CLI_VALUE_WHOLE, /* it may end here, though a number may continue */
    CLI_VALUE_WRONG, /* no continuation makes it a value */
};

/* Starts as zeroes, the state before the first byte. All members are private. */
struct cli_value {
    int at;                    /* enum place of cli_value.c */
    int depth;                 /* the number of open brackets */
    const char *word;          /* the rest of true, false or null */
    int hex;                   /* hex digits of \uXXXX that are missing */
    int more;                  /* bytes of a UTF-8 character that are missing, */
    unsigned char low, high;   /* and the range of the next one */
    char open[JSON_DEPTH_MAX]; /* '[' or '{', the innermost last */
};

/* Returns how many bytes were taken: fewer than len if the last of them was wrong. */
size_t cli_value_feed(struct cli_value *value, const char *data, size_t len);

enum cli_value_state cli_value_state(const struct cli_value *value);

#endif
