/*
 * Content types (RFC 9110 section 8.3). Pure, thread-safe.
 */
#ifndef HTTP_TYPE_H
#define HTTP_TYPE_H

#include <stdbool.h>

enum http_type_kind {
    HTTP_TYPE_JSON,   /* application/json: message boundaries are kept */
    HTTP_TYPE_TEXT,   /* text/ anything */
    HTTP_TYPE_BINARY, /* everything else */
};

/* token "/" token with optional parameters, no control characters: safe to send back as it is. */
bool http_type_is_valid(const char *type);

/* Judges by the essence (type/subtype, case-insensitive, parameters ignored). */
enum http_type_kind http_type_kind(const char *type);

/* Same essence, case-insensitive, parameters ignored (protocol section 5.2). */
bool http_type_matches(const char *a, const char *b);

#endif
