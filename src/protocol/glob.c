/*
 * Patterns of paths: see glob.h.
 *
 * Matching keeps one row: row[n] says whether the first n segments of the pattern match the
 * segments of the path so far. The next segment of the path makes the next row from it. For the
 * segments a, ** and the path a/x:
 *
 *                none   a   a, **
 *     nothing     ✓     ·     ·
 *     a           ·     ✓     ✓      ** also matches no segment: true where its left neighbour is
 *     a/x         ·     ·     ✓      ** matches further segments: it stays true
 */
#include "protocol/glob.h"

#include <string.h>

#include "base/arena.h"
#include "protocol/path.h"

enum glob_kind { GLOB_LITERAL, GLOB_ONE, GLOB_ANY };

struct glob_segment {
    enum glob_kind kind;
    const char *at;
    size_t len;
};

/* Takes the next segment that is not empty; false after the last one. */
static bool next_segment(const char **text, struct glob_segment *segment)
{
    const char *at = *text + strspn(*text, "/");
    size_t len = strcspn(at, "/");

    *text = at + len;
    segment->kind = len == 1 && at[0] == '*'                   ? GLOB_ONE
                    : len == 2 && at[0] == '*' && at[1] == '*' ? GLOB_ANY
                                                               : GLOB_LITERAL;
    segment->at = at;
    segment->len = len;
    return len > 0;
}

static bool is_encoded_star(const char *at, const char *end)
{
    return end - at >= 3 && memcmp(at, "%2A", 3) == 0;
}

/* The result is never longer than the path. */
static void drop_empty_segments(char *path)
{
    const char *at = path;
    struct glob_segment segment;
    char *to = path;

    while (next_segment(&at, &segment)) {
        if (to > path)
            *to++ = '/';
        memmove(to, segment.at, segment.len);
        to += segment.len;
    }
    *to = '\0';
}

const char *glob_normalize(struct arena *arena, const char *pattern, size_t len,
                           const char **reason)
{
    struct glob_segment segment;
    size_t segments = 0;
    const char *at;
    char *normal;

    *reason = "the pattern is longer than 1024 bytes";
    if (len > GLOB_MOST)
        return NULL;
    normal = path_normalize(arena, pattern, len, reason);
    if (!normal)
        return NULL;
    drop_empty_segments(normal);
    *reason = "the pattern is empty";
    if (!*normal)
        return NULL;
    for (at = normal; next_segment(&at, &segment);)
        segments++;
    *reason = "the pattern has more than 64 segments";
    return segments > GLOB_SEGMENTS_MOST ? NULL : normal;
}

/* --- matching --- */

static bool segment_matches(const struct glob_segment *pattern, const struct glob_segment *path)
{
    const char *at = pattern->at, *end = at + pattern->len;
    const char *other = path->at, *other_end = other + path->len;

    if (pattern->kind != GLOB_LITERAL)
        return true;
    while (at < end && other < other_end) {
        if (*other == '*' && is_encoded_star(at, end)) {
            at += 3;
            other++;
        } else if (*at++ != *other++) {
            return false;
        }
    }
    return at == end && other == other_end;
}

/* False if it has too many segments, which a pattern in its normal form has not. */
static bool split_pattern(const char *pattern, struct glob_segment segments[static 64], size_t *n)
{
    struct glob_segment segment;

    for (*n = 0; next_segment(&pattern, &segment); (*n)++) {
        if (*n == GLOB_SEGMENTS_MOST)
            return false;
        segments[*n] = segment;
    }
    return true;
}

bool glob_matches(const char *pattern, const char *path)
{
    struct glob_segment wanted[GLOB_SEGMENTS_MOST], found;
    bool row[GLOB_SEGMENTS_MOST + 1];
    size_t n;

    if (!split_pattern(pattern, wanted, &n))
        return false;
    row[0] = true;
    for (size_t i = 0; i < n; i++)
        row[i + 1] = row[i] && wanted[i].kind == GLOB_ANY;
    while (next_segment(&path, &found)) {
        bool before = row[0], any = false;

        row[0] = false;
        for (size_t i = 0; i < n; i++) {
            bool here = row[i + 1]; /* of the row before */

            if (wanted[i].kind == GLOB_ANY)
                row[i + 1] = row[i] || here;
            else
                row[i + 1] = before && segment_matches(&wanted[i], &found);
            any = any || row[i + 1];
            before = here;
        }
        if (!any)
            return false;
    }
    return row[n];
}

/* --- prefixes --- */

size_t glob_literal(const char *pattern)
{
    const char *at = pattern, *literal = pattern;
    struct glob_segment segment;

    while (next_segment(&at, &segment) && segment.kind == GLOB_LITERAL) {
        const char *end = segment.at + segment.len;

        for (const char *c = segment.at; c < end; c++)
            if (is_encoded_star(c, end))
                return (size_t)(segment.at - pattern); /* the path may have a star there */
        literal = at;
    }
    while (segment.kind == GLOB_ANY)
        if (!next_segment(&at, &segment))
            return (size_t)(literal - pattern); /* a, ** also match a */
    /* a further segment follows, and the slash before it */
    return (size_t)(literal - pattern) + (segment.len > 0 && literal > pattern);
}

size_t glob_prefixes(const char *pattern)
{
    size_t len = glob_literal(pattern), prefixes = 1 + (len > 0);

    /* a slash at the end of the literal would begin an empty segment that prefix 0 has as well */
    for (size_t i = 0; i + 1 < len; i++)
        prefixes += pattern[i] == '/';
    return prefixes;
}

const char *glob_prefix(struct arena *arena, const char *pattern, size_t number)
{
    size_t len = 0;

    if (number == 0)
        return arena_strndup(arena, pattern, glob_literal(pattern));
    while (--number > 0)
        len += strcspn(pattern + len, "/") + 1;
    return arena_printf(arena, "%.*s/", (int)len, pattern);
}

/* --- ranges of patterns --- */

/* Before the first star, a pattern has the same bytes as a path without stars. */
size_t glob_ranges(const char *path)
{
    size_t segments = 0;
    struct glob_segment segment;

    if (strchr(path, '*'))
        return 1;
    while (segments < GLOB_SEGMENTS_MOST && next_segment(&path, &segment))
        segments++;
    /* a star after 0, 1, 2 … segments, if there is room for it, and no star */
    return segments + 1 + (segments < GLOB_SEGMENTS_MOST);
}

/* The beginning of a text, a slash after it unless it is empty, and one more byte. */
static const char *extend(struct arena *arena, const char *text, size_t len, const char *slash,
                          char last)
{
    size_t more = len > 0 ? strlen(slash) : 0;
    char *to = arena_alloc(arena, len + more + 2);

    if (!to)
        return NULL;
    memcpy(to, text, len);
    memcpy(to + len, slash, more);
    to[len + more] = last;
    to[len + more + 1] = '\0';
    return to;
}

bool glob_range(struct arena *arena, const char *path, size_t number, struct glob_range *range)
{
    size_t ranges = glob_ranges(path), len = strlen(path);
    char *plain = arena_strndup(arena, path, len);
    const char *at = plain;
    struct glob_segment segment;

    *range = (struct glob_range){"", "\x7f"}; /* patterns in their normal form are ASCII */
    if (!plain || strchr(path, '*'))
        return plain != NULL;
    drop_empty_segments(plain);
    if (number + 1 == ranges) {
        range->first = plain;
        range->end = extend(arena, plain, strlen(plain), "", '\1');
        return range->end != NULL;
    }
    for (size_t i = 0; i < number; i++)
        (void)next_segment(&at, &segment);
    range->first = extend(arena, plain, (size_t)(at - plain), "/", '*');
    range->end = extend(arena, plain, (size_t)(at - plain), "/", '+');
    return range->first && range->end;
}
