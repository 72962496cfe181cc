/*
 * A pattern, a line feed and a path. A normal form is its own normal form and obeys the limits; a
 * path that it matches begins with exactly one of its prefixes, and has one range that holds it.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "protocol/glob.h"
#include "protocol/path.h"

static void check_prefixes(struct arena *arena, const char *pattern, const char *path)
{
    size_t prefixes = glob_prefixes(pattern), found = 0;

    fuzz_require(prefixes >= 1 && prefixes <= GLOB_SEGMENTS_MOST + 1);
    fuzz_require(glob_literal(pattern) <= strlen(pattern));
    for (size_t i = 0; i < prefixes; i++) {
        const char *prefix = glob_prefix(arena, pattern, i);

        fuzz_require(prefix);
        found += strncmp(path, prefix, strlen(prefix)) == 0;
    }
    fuzz_require(found <= 1 && (found == 1 || !glob_matches(pattern, path)));
}

static void check_ranges(struct arena *arena, const char *pattern, const char *path)
{
    size_t ranges = glob_ranges(path), found = 0;

    fuzz_require(ranges >= 1 && ranges <= GLOB_SEGMENTS_MOST + 1);
    for (size_t i = 0; i < ranges; i++) {
        struct glob_range range;

        fuzz_require(glob_range(arena, path, i, &range));
        found += strcmp(pattern, range.first) >= 0 && strcmp(pattern, range.end) < 0;
    }
    fuzz_require(found <= 1 && (found == 1 || !glob_matches(pattern, path)));
}

static void check_normal(struct arena *arena, const char *pattern)
{
    const char *reason, *again = glob_normalize(arena, pattern, strlen(pattern), &reason);

    fuzz_require(again && strcmp(again, pattern) == 0);
    fuzz_require(*pattern && strlen(pattern) <= GLOB_MOST && !strstr(pattern, "//"));
    fuzz_require(pattern[0] != '/' && pattern[strlen(pattern) - 1] != '/');
    /* a pattern matches the stream that is called like it: a star is any segment, or a name */
    fuzz_require(glob_matches(pattern, pattern));
    fuzz_require(glob_matches("**", pattern));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    char *text = fuzz_string(data, size), *line = memchr(text, '\n', size);
    const char *pattern, *path = NULL, *reason = NULL;

    fuzz_require(arena);
    pattern = glob_normalize(arena, text, line ? (size_t)(line - text) : size, &reason);
    fuzz_require(pattern || (reason && *reason));
    if (line) {
        (void)glob_matches(line + 1, text); /* neither is a normal form */
        path = path_normalize(arena, line + 1, size - (size_t)(line + 1 - text), &reason);
    }
    if (pattern)
        check_normal(arena, pattern);
    if (pattern && path) {
        check_prefixes(arena, pattern, path);
        check_ranges(arena, pattern, path);
    }
    free(text);
    arena_free(arena);
    return 0;
}
