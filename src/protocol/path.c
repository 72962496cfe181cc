/*
 * The names of streams: see path.h.
 *
 * Clients, proxies and web servers may write one URL in several ways, and RFC 3986 says which of
 * these are equivalent. Equivalent ones must be the same stream, and all others must be different
 * streams; so the normal form is the key everywhere. Dot segments are refused, not resolved,
 * because a proxy and this server might resolve them differently, and then a request could bypass
 * an access rule of the web server.
 *
 * Must hold: normalising a normal form does not change it, and the result is printable ASCII.
 */
#include "protocol/path.h"

#include "base/arena.h"
#include "base/digits.h"

#include <string.h>

static bool is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The place after "scheme://authority" (RFC 9112 section 3.2.2); NULL if target has none. */
static const char *skip_origin(const char *target)
{
    const char *at = target;

    if (!is_alpha(*at))
        return NULL;
    while (is_alpha(*at) || is_digit(*at) || *at == '+' || *at == '-' || *at == '.')
        at++;
    if (strncmp(at, "://", 3) != 0)
        return NULL;
    at += 3;
    return at + strcspn(at, "/?#");
}

bool path_split_target(const char *target, const char **path, size_t *path_len, const char **query)
{
    /* "//x/y" is also a path: x is not a host here (section 3.2.1) */
    const char *at = target[0] == '/' ? target : skip_origin(target);
    size_t len;

    if (!at || *at != '/')
        return false;
    len = strcspn(at, "?");
    *path = at;
    *path_len = len;
    *query = at + len + (at[len] == '?');
    return true;
}

static bool is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* '[' and ']' are allowed, although RFC 3986 reserves them for addresses, because browsers send
   them unencoded. */
bool path_allows(char c)
{
    switch (c) {
    case '"':
    case '#': /* a fragment, which a client must not send */
    case '<':
    case '>':
    case '?': /* a target has lost its query before; this path comes from a header */
    case '\\':
    case '^':
    case '`':
    case '{':
    case '|':
    case '}':
        return false;
    default:
        return c > ' ' && c < 0x7F;
    }
}

/* Writes the byte c, which was a %XX; returns the number of characters written. */
static size_t put_escaped(char *to, int c)
{
    static const char hex[] = "0123456789ABCDEF";

    if (c < 0x80 && is_unreserved((char)c)) {
        to[0] = (char)c;
        return 1;
    }
    to[0] = '%';
    to[1] = hex[c >> 4];
    to[2] = hex[c & 15];
    return 3;
}

/* For the normal form, in which %2E is "." and only a raw slash ends a segment. */
static bool has_dot_segment(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");

        if ((len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
            return true;
        if (path[len] == '\0')
            return false;
        path += len + 1;
    }
}

/* Writes the normal form and a NUL; `to` has room for both. Returns NULL, or the reason. */
static const char *write_normal_form(char *to, const char *at, const char *end)
{
    char *start = to;

    while (at < end) {
        int byte;

        if (*at != '%') {
            if (!path_allows(*at))
                return "the path contains a character that must be percent-encoded";
            *to++ = *at++;
            continue;
        }
        byte = digits_percent(at, end);
        if (byte < 0)
            return "the path contains a malformed percent-encoding";
        if (byte < 0x20 || byte == 0x7F)
            return "the path contains a control character";
        to += put_escaped(to, byte);
        at += 3;
    }
    *to = '\0';
    return has_dot_segment(start) ? "the path contains a dot segment" : NULL;
}

const char path_no_memory[] = "out of memory";

char *path_normalize(struct arena *arena, const char *path, size_t len, const char **reason)
{
    char *normal = arena_alloc(arena, len + 1); /* it is never longer than the path */

    if (!normal) {
        *reason = path_no_memory;
        return NULL;
    }
    *reason = write_normal_form(normal, path, path + len);
    return *reason ? NULL : normal;
}
