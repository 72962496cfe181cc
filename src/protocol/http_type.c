/*
 * Content types: see http_type.h.
 *
 * The type that one client sends goes back to other clients as a header, byte for byte, so a valid
 * type must not be able to break a header. The grammar is that of RFC 9110 section 8.3.1:
 *
 *     token "/" token *( OWS ";" OWS [ token "=" ( token / quoted-string ) ] )
 *
 * except that OWS is spaces only: a tab is a control character, and clients do not send one.
 *
 * Must hold: a valid type does not contain a byte below 0x20, or 0x7F.
 */
#include "protocol/http_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Faster than strspn(), which builds a table for each call. */
bool http_type_is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* Each read_ function returns the end of what it read, or NULL if text at `at` is something
   else. */
static const char *read_token(const char *at)
{
    const char *start = at;

    while (http_type_is_token_char(*at))
        at++;
    return at > start ? at : NULL;
}

static const char *read_quoted(const char *at)
{
    for (at++; *at != '"'; at++) { /* past the opening quote */
        if (*at == '\\')
            at++;
        if ((unsigned char)*at < 0x20 || *at == 0x7F) /* the final NUL, too */
            return NULL;
    }
    return at + 1;
}

static const char *read_parameter(const char *at)
{
    at = read_token(at);
    if (!at || *at != '=')
        return NULL;
    at++;
    return *at == '"' ? read_quoted(at) : read_token(at);
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " ");
}

bool http_type_is_valid(const char *type)
{
    const char *at = read_token(type);

    if (!at || *at != '/')
        return false;
    at = read_token(at + 1);
    while (at && *at != '\0') {
        at = skip_spaces(at);
        if (*at != ';')
            return false;
        at = skip_spaces(at + 1);
        if (*at != ';' && *at != '\0') /* "a/b;" and "a/b;;c=d" are valid, too */
            at = read_parameter(at);
    }
    return at != NULL;
}

/* The length of type/subtype. */
static size_t essence_len(const char *type)
{
    return strcspn(type, "; \t");
}

enum http_type_kind http_type_kind(const char *type)
{
    if (http_type_matches(type, "application/json"))
        return HTTP_TYPE_JSON;
    return strncasecmp(type, "text/", 5) == 0 ? HTTP_TYPE_TEXT : HTTP_TYPE_BINARY;
}

bool http_type_matches(const char *a, const char *b)
{
    size_t len = essence_len(a);

    return len == essence_len(b) && strncasecmp(a, b, len) == 0;
}
