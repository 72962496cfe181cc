/*
 * Request targets, and paths from Stream-Forked-From. A name of a stream is printable, has no dot
 * segment, and is its own normal form.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "protocol/path.h"

static void check_normal(struct arena *arena, const char *path, size_t len)
{
    const char *reason = NULL, *again;
    const char *normal = path_normalize(arena, path, len, &reason);

    if (!normal) {
        fuzz_require(reason && *reason);
        return;
    }
    fuzz_require(strlen(normal) <= len);
    for (const char *at = normal; *at; at++)
        fuzz_require(*at > ' ' && *at < 0x7F && !strchr("\"#<>?\\^`{|}", *at));
    fuzz_require(!strstr(normal, "/../") && !strstr(normal, "/./") && strcmp(normal, "..") != 0);
    again = path_normalize(arena, normal, strlen(normal), &reason);
    fuzz_require(again && strcmp(again, normal) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    char *target = fuzz_string(data, size);
    const char *path, *query;
    size_t len;

    fuzz_require(arena);
    check_normal(arena, (const char *)data, size); /* with NUL bytes, and without a final one */
    if (path_split_target(target, &path, &len, &query)) {
        const char *end = target + strlen(target);

        fuzz_require(path >= target && len > 0 && *path == '/' && path + len <= end);
        fuzz_require(query >= path + len && query <= end);
        fuzz_require(*query == '\0' || query[-1] == '?');
        check_normal(arena, path, len);
    }
    free(target);
    arena_free(arena);
    return 0;
}
