/*
 * Patterns of paths (protocol section 6.2): which streams does a subscription watch?
 *
 *     *        a whole segment that is a star matches exactly one segment
 *     **       a whole segment of two stars matches any number of segments, also none
 *     else     itself, case-sensitively; stars within a segment have no meaning: `a*` is a name
 *     %2A      a star, or %2A: so `%2A` matches the segment `*` only, and not any segment
 *
 * So the segments g, ** match the paths g, g/x and g/x/y, and ** by itself matches every path.
 *
 * Patterns and paths are relative to the same root, without a slash at the start. Empty segments
 * count on neither side: `a//b` is like `a/b`.
 *
 * Matching takes time proportional to segments of the pattern × bytes of the path, whatever the
 * pattern; matching by recursion would take exponential time. Pure, thread-safe.
 */
#ifndef GLOB_H
#define GLOB_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

enum {
    GLOB_MOST = 1024,       /* bytes of a pattern */
    GLOB_SEGMENTS_MOST = 64 /* segments of a pattern */
};

/*
 * The normal form of a pattern, in the arena: percent-encoding as in the normal form of a path
 * (path.h), no empty segments, no slashes at the ends. NULL if it is refused or memory ran out;
 * *reason is then a static string of one line, for the client.
 */
const char *glob_normalize(struct arena *arena, const char *pattern, size_t len,
                           const char **reason);

/* Does a pattern in its normal form match a path in its normal form? */
bool glob_matches(const char *pattern, const char *path);

/*
 * For a search by prefix. Every matching path begins with one of these prefixes, number 0 to
 * glob_prefixes() - 1, and no path begins with two of them; not all paths that begin so match.
 * Number 0 is for paths without empty segments: the pattern up to its first segment with a meaning.
 * The others are for paths with an empty segment before that place. For the segments a, b, *:
 *
 *     0  a/b/        1  /        2  a//
 *
 * The result is in the arena; NULL when out of memory.
 */
size_t glob_prefixes(const char *pattern);
const char *glob_prefix(struct arena *arena, const char *pattern, size_t number);

/* The length of prefix 0. Not enough for a search: paths with empty segments may match too. */
size_t glob_literal(const char *pattern);

/*
 * The opposite search, among patterns in the order of their bytes: every pattern that matches this
 * path is in one of these ranges, number 0 to glob_ranges() - 1, and none is in two of them. For
 * the path a/b they hold what begins with *, with a/ and a star, with a/b/ and a star, and a/b
 * itself. A path that has a star in a segment has one range, of all patterns.
 */
struct glob_range {
    const char *first, *end; /* first <= pattern < end; in the arena, or static */
};

size_t glob_ranges(const char *path);
/* False when out of memory. */
bool glob_range(struct arena *arena, const char *path, size_t number, struct glob_range *range);

#endif
