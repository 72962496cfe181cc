/*
 * The names of streams: see path.h.
 *
 * Clients, proxies and web servers are free to write one URL in several ways, and RFC 3986 says
 * which of them mean the same. Those must become one stream, and no others may: hence the normal
 * form, made once and used everywhere as the key. Dot segments are refused instead of resolved,
 * because a client, a proxy and we would not always resolve them alike, and then an access rule
 * of the web server could be walked around.
 *
 * Must hold: normalising twice changes nothing, and the result is printable ASCII.
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

/* Behind "scheme://authority" where target begins with that (RFC 9112 section 3.2.2), else NULL. */
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
    /* what begins with a slash is a path, also "//x/y": x is no host here (section 3.2.1) */
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

/*
 * May c stand in a path unencoded? '[' and ']' may, though RFC 3986 keeps them for addresses:
 * browsers send them like that.
 */
static bool is_path_char(char c)
{
    switch (c) {
    case '"':
    case '#': /* a fragment: never sent by a client that knows what it does */
    case '<':
    case '>':
    case '?': /* the query was split off before; here it comes from a header */
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

/* Writes byte c, which came as %XX, and says how many characters that took. */
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

/* Asked of the normal form, in which %2E is "." and only a raw slash ends a segment. */
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

/* Writes the normal form and a NUL to `to`, which has room for both; the reason if refused. */
static const char *write_normal_form(char *to, const char *at, const char *end)
{
    char *start = to;

    while (at < end) {
        int byte;

        if (*at != '%') {
            if (!is_path_char(*at))
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

char *path_normalize(struct arena *arena, const char *path, size_t len, const char **reason)
{
    char *normal = arena_alloc(arena, len + 1); /* decoding only ever shortens */

    if (!normal) {
        *reason = "out of memory";
        return NULL;
    }
    *reason = write_normal_form(normal, path, path + len);
    return *reason ? NULL : normal;
}
