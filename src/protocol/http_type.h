/* Content types (RFC 9110 section 8.3). Pure, thread-safe. */
#ifndef HTTP_TYPE_H
#define HTTP_TYPE_H

#include <stdbool.h>

enum http_type_kind {
    HTTP_TYPE_JSON,   /* application/json: message boundaries are kept */
    HTTP_TYPE_TEXT,   /* text/ with any subtype */
    HTTP_TYPE_BINARY, /* any other type */
};

/* tchar (RFC 9110 section 5.6.2): may a token, such as the name of a header, contain it? */
bool http_type_is_token_char(char c);

/*
 * Is it token "/" token, with optional parameters and without control characters? Such a type is
 * safe to send back as a header.
 */
bool http_type_is_valid(const char *type);

/* The kind, from type and subtype only: without parameters, and in any case. */
enum http_type_kind http_type_kind(const char *type);

/* Are type and subtype the same, without parameters and in any case (protocol section 5.2)? */
bool http_type_matches(const char *a, const char *b);

#endif
