/*
 * The query of a URL: see http_query.h.
 *
 * Names and values are decoded as application/x-www-form-urlencoded (WHATWG URL 5.1), which is what
 * clients' libraries write: "off%73et" names the same parameter. Each call copies only the value
 * that it returns, since a request has three parameters at most.
 *
 * Must hold: a decoded value is never longer than the encoded one.
 */
#include "http/http_query.h"

#include "base/arena.h"
#include "base/digits.h"

#include <string.h>

/* Decodes the byte at *at and moves *at past it. */
static char next_byte(const char **at, const char *end)
{
    int byte = **at == '%' ? digits_percent(*at, end) : -1;
    char c;

    if (byte >= 0) {
        *at += 3;
        return (char)byte;
    }
    c = *(*at)++;
    return c == '+' ? ' ' : c;
}

static bool is_named(const char *at, const char *end, const char *name)
{
    while (at < end) {
        if (*name == '\0' || next_byte(&at, end) != *name)
            return false;
        name++;
    }
    return *name == '\0';
}

static char *decode_value(struct arena *arena, const char *at, const char *end, size_t *len)
{
    char *value = arena_alloc(arena, (size_t)(end - at) + 1), *to = value;

    if (!value)
        return NULL;
    while (at < end)
        *to++ = next_byte(&at, end);
    *to = '\0';
    *len = (size_t)(to - value);
    return value;
}

char *http_query_get(struct arena *arena, const char *query, const char *name, size_t *len,
                     unsigned *count)
{
    char *value = NULL;

    *len = 0;
    *count = 0;
    while (*query) {
        const char *end = query + strcspn(query, "&");
        const char *equals = memchr(query, '=', (size_t)(end - query));
        const char *name_end = equals ? equals : end;

        /* an empty pair, as in "a=1&&b=2", is not a parameter with an empty name */
        if (end > query && is_named(query, name_end, name) && ++*count == 1)
            value = decode_value(arena, equals ? equals + 1 : end, end, len);
        query = end + (*end == '&');
    }
    return value;
}
