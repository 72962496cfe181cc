/*
 * JSON mode (protocol section 9.1): is a body JSON (RFC 8259), and which messages does it contain?
 * Bytes are never rewritten.
 *
 * Why not SQLite's json_valid(): it needs twelve times the size of the body in memory, and when
 * memory runs out it calls the text invalid, which would be a false answer to the client.
 * test_json_oracle.c compares this validator with it.
 *
 * Pure: without I/O or allocation. Thread-safe.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 500 }; /* levels of nested arrays and objects */

/*
 * Checks what the grammar does not: the text has no NUL byte and no byte order mark, it is
 * well-formed UTF-8, and nested at most JSON_DEPTH_MAX levels deep. Returns NULL, or the reason for
 * a refusal: a static string of one line, for the client.
 */
const char *json_precheck(const char *text, size_t len);

/*
 * Is the text exactly one JSON value by the grammar, with optional white space around it? Assumes
 * json_precheck(). A text nested deeper than JSON_DEPTH_MAX is invalid.
 */
bool json_is_valid(const char *text, size_t len);

/* The messages of one request body. */
struct json_split {
    const char *at;  /* the next byte; private */
    const char *end; /* private */
    bool array;      /* the top level is an array, flattened by one level (9.1.2) */
    bool done;       /* private */
};

/*
 * Begins to split text into messages. The text must have passed json_precheck() and
 * json_is_valid(), and must remain until the last json_split_next().
 */
void json_split_init(struct json_split *split, const char *text, size_t len);

/* The next message, without white space around it; false after the last one. */
bool json_split_next(struct json_split *split, const char **message, size_t *len);

#endif
