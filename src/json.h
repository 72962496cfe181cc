/*
 * JSON mode (protocol section 9.1) without a JSON library: SQLite's json_valid() judges the text
 * (store_json_valid), and this file does what it leaves to us: a check before it, and cutting a
 * valid text into messages after it. Bytes are never rewritten.
 *
 * Pure: no I/O, no memory, thread-safe.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 500 }; /* arrays and objects nested in each other */

/*
 * What json_valid() does not judge: no NUL byte, well-formed UTF-8 (no surrogates, no overlong
 * forms), no byte order mark, at most JSON_DEPTH_MAX deep (strings skipped). NULL when fine, else
 * a one-line reason for the client, a static string.
 */
const char *json_precheck(const char *text, size_t len);

/* The messages of one request body. */
struct json_split {
    const char *at;  /* next byte to look at; private */
    const char *end; /* private */
    bool array;      /* the top level is an array, flattened by one level (9.1.2) */
    bool done;       /* private */
};

/* Begins to cut text, which must have passed json_precheck() and json_valid(). Borrows text. */
void json_split_init(struct json_split *split, const char *text, size_t len);

/* The next message, without the white space around it; false when there is none left. */
bool json_split_next(struct json_split *split, const char **message, size_t *len);

#endif
