/*
 * Values inside a JSON text: control events, registry events, bodies of control requests. The text
 * must have passed json_precheck() and json_is_valid(); a value is valid as long as the text.
 *
 * Must hold: for any bytes, no byte outside the value is read. Pure, thread-safe.
 */
#ifndef JSON_VALUE_H
#define JSON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

struct arena;

/* A value inside a text, without surrounding white space. */
struct json_value {
    const char *at;
    size_t len; /* 0: there is none */
};

enum json_kind {
    JSON_NONE, /* there is no value */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* The value of a whole text, which may have white space around it. */
struct json_value json_value_of(const char *text, size_t len);

enum json_kind json_kind(struct json_value value);

/* The value of a member of an object; JSON_NONE if there is no such member, or no object. If
 * several members have that name, the last one counts, as with JSON.parse(). Names are compared
 * with their escapes resolved. */
struct json_value json_get(struct json_value object, const char *name);

/* The elements of an array; none if the value is no array. */
struct json_each {
    struct json_split split; /* private */
};

void json_each_init(struct json_each *each, struct json_value array);
bool json_each_next(struct json_each *each, struct json_value *value);

/*
 * Is it a string without the character U+0000? The others have no representation in C: compare
 * json_kind() to tell them from values that are not strings.
 */
bool json_is_text(struct json_value value);

/*
 * The text of a string with its escapes resolved, NUL-terminated, in the arena; a lone surrogate
 * becomes U+FFFD. NULL unless json_is_text(); if it is one, NULL means that memory ran out.
 */
const char *json_text(struct arena *arena, struct json_value value);

/* Is it exactly true? */
bool json_is_true(struct json_value value);

/*
 * A number with an integer value from -2^53 to 2^53, however it is written: 1000, 1.0e3, 10e-1.
 * The value is exact. False if it is anything else.
 */
bool json_integer(struct json_value value, int64_t *number);

/* A number of fewer than 64 characters, rounded. False if it is anything else. */
bool json_number(struct json_value value, double *number);

#endif
