/*
 * Fields of small JSON objects: control events, registry events, lists of faults. The text must be
 * valid (json_is_valid()). Pure, thread-safe.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

/* A value inside a text, without the white space around it. */
struct cli_json {
    const char *at;
    size_t len; /* 0: there is none */
};

/* The value of a member of an object; len 0 when it has none of that name, or is no object. Of
   members of one name the last counts. Names with escapes are not found. */
struct cli_json cli_json_get(struct cli_json object, const char *name);

/* The text of a string, escapes resolved, with a NUL behind it; NULL when it is none. */
const char *cli_json_text(struct arena *arena, struct cli_json value);

bool cli_json_is_true(struct cli_json value);

/* A number without fraction and exponent. False when it is something else. */
bool cli_json_integer(struct cli_json value, int64_t *number);

/* Any number. */
bool cli_json_number(struct cli_json value, double *number);

/* Appends text as a JSON string that no terminal obeys; bytes that are no UTF-8 become U+FFFD. */
void cli_json_add(struct buf *buf, const char *text);

/* The same bytes, but line breaks between tokens are spaces: a value on one line. */
void cli_json_unbreak(char *text, size_t len);

#endif
