/*
 * JSON mode (protocol section 9.1): is a body JSON (RFC 8259), and which messages are in it? Bytes
 * are never rewritten.
 *
 * Not by SQLite's json_valid(): it takes twelve times the body in memory, and calls a text invalid
 * when it runs out of that, which a client must not be told of a valid one. test_json_oracle.c
 * holds this validator against it.
 *
 * Pure: no I/O, no memory, thread-safe.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 500 }; /* arrays and objects nested in each other */

/*
 * What the grammar takes for granted: no NUL byte, well-formed UTF-8 (no surrogates, no overlong
 * forms), no byte order mark, at most JSON_DEPTH_MAX deep (strings skipped). NULL when fine, else
 * a one-line reason for the client, a static string.
 */
const char *json_precheck(const char *text, size_t len);

/*
 * Is the text one JSON value, with nothing but white space around it? To the letter of the grammar.
 * After json_precheck(); deeper than JSON_DEPTH_MAX counts as invalid.
 */
bool json_is_valid(const char *text, size_t len);

/* The messages of one request body. */
struct json_split {
    const char *at;  /* next byte to look at; private */
    const char *end; /* private */
    bool array;      /* the top level is an array, flattened by one level (9.1.2) */
    bool done;       /* private */
};

/* Begins to cut text, which must have passed json_precheck() and json_is_valid(). Borrows text. */
void json_split_init(struct json_split *split, const char *text, size_t len);

/* The next message, without the white space around it; false when there is none left. */
bool json_split_next(struct json_split *split, const char **message, size_t *len);

#endif
