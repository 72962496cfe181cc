/*
 * Fields of small JSON objects: control events, registry events, lists of faults. The text must
 * have passed json_is_valid(). Pure, thread-safe.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

/* A value inside a text, without surrounding white space. */
struct cli_json {
    const char *at;
    size_t len; /* 0: there is none */
};

/* The value of a member of an object; len is 0 if there is no such member, or no object. If several
 * members have that name, the last one counts. Names with escapes are not found. */
struct cli_json cli_json_get(struct cli_json object, const char *name);

/* The text of a string with its escapes resolved, NUL-terminated; NULL if value is not a string. */
const char *cli_json_text(struct arena *arena, struct cli_json value);

bool cli_json_is_true(struct cli_json value);

/* A number without fraction or exponent. False if value is anything else. */
bool cli_json_integer(struct cli_json value, int64_t *number);

/* Any number. False if value is anything else. */
bool cli_json_number(struct cli_json value, double *number);

/* Adds text as a JSON string without control characters; bytes that are not UTF-8 become U+FFFD. */
void cli_json_add(struct buf *buf, const char *text);

/* Replaces line breaks between tokens by spaces, so that a value is one line. */
void cli_json_unbreak(char *text, size_t len);

#endif
