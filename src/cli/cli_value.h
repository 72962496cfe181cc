/*
 * Is what has come so far a JSON value, the beginning of one, or certainly neither? Asked byte by
 * byte, so that a wrong one is refused at once, and not when the input ends.
 *
 *     BLANK ──▶ BEGUN ──▶ WHOLE          white space may follow
 *       └─────────┴─────────┴──▶ WRONG   and stays so
 *
 * It accepts the same texts as json_precheck() and json_is_valid(): grammar, UTF-8 and depth.
 * Pure: no I/O, no memory of its own.
 */
#ifndef CLI_VALUE_H
#define CLI_VALUE_H

#include <stddef.h>

#include "protocol/json.h"

enum cli_value_state {
    CLI_VALUE_BLANK, /* nothing but white space */
    CLI_VALUE_BEGUN, /* more must come */
    CLI_VALUE_WHOLE, /* it may end here; of a number more may come */
    CLI_VALUE_WRONG, /* nothing that could follow makes it a value */
};

/* Begin with zeroes, which is the state before the first byte. All private. */
struct cli_value {
    int at;                    /* enum place of cli_value.c */
    int depth;                 /* of what is open */
    const char *word;          /* what is left of true, false or null */
    int hex;                   /* hex digits of \uXXXX that are still to come */
    int more;                  /* bytes of a UTF-8 character that are still to come, */
    unsigned char low, high;   /*   and between which the next one must lie */
    char open[JSON_DEPTH_MAX]; /* '[' or '{', the innermost last */
};

/* How many of the bytes were taken: fewer than len when the last one of them made it wrong. */
size_t cli_value_feed(struct cli_value *value, const char *data, size_t len);

enum cli_value_state cli_value_state(const struct cli_value *value);

#endif
