/* Names and paths in requests below /v1/stream/__ds: see control_path.h. */
#include "server/control_path.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/digits.h"
#include "config/config.h"
#include "engine/subscription.h"
#include "protocol/path.h"

/* --- the ID --- */

const char *control_path_name(struct arena *arena, const char *path)
{
    const char *at = path + strlen(CONTROL_SUBSCRIPTIONS);
    const char *end = at + strcspn(at, "/");
    char *name = arena_alloc(arena, (size_t)(end - at) + 1), *to = name;

    if (!name)
        return NULL;
    while (at < end) {
        int byte = digits_percent(at, end); /* never 0: no path has a control character */

        *to++ = byte > 0 ? (char)byte : *at;
        at += byte > 0 ? 3 : 1;
    }
    *to = '\0';
    return name;
}

/* --- paths of streams --- */

/* Decodes what a path may contain unencoded, and the percent sign. */
static char *decode_segment(struct arena *arena, const char *at)
{
    const char *end = at + strlen(at);
    char *decoded = arena_alloc(arena, (size_t)(end - at) + 1), *to = decoded;

    if (!decoded)
        return NULL;
    while (at < end) {
        int byte = digits_percent(at, end);
        bool decode = byte > 0 && byte < 0x80 && path_allows((char)byte);

        *to++ = decode ? (char)byte : *at;
        at += decode ? 3 : 1;
    }
    *to = '\0';
    return decoded;
}

const char *control_path_link(struct arena *arena, const char *path)
{
    static const char streams[] = "/streams/";
    const char *at = path + strlen(CONTROL_SUBSCRIPTIONS);

    at += strcspn(at, "/") + strlen(streams);
    return strchr(at, '/') ? at : decode_segment(arena, at);
}

const char *control_path_stream(struct arena *arena, const struct config *config, const char *text,
                                const char **reason)
{
    size_t len;
    char *path;

    text += strspn(text, "/");
    len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    *reason = "the path of a stream is empty";
    if (len == 0)
        return NULL;
    *reason = "the path of a stream is too long";
    if (len + strlen(SUBSCRIPTION_ROOT) > (size_t)config->max_path_bytes)
        return NULL;
    *reason = path_no_memory;
    path = arena_printf(arena, SUBSCRIPTION_ROOT "%.*s", (int)len, text);
    if (path)
        path = path_normalize(arena, path, strlen(path), reason);
    if (!path)
        return NULL;
    *reason = "paths below __ds are reserved";
    return subscription_reserves(path) ? NULL : path;
}
