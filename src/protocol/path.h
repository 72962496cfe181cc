/*
 * The name of a stream: the path of its URL, in a normal form (RFC 3986 section 6.2.2). A %XX of an
 * unreserved character is decoded, and the other %XX get upper-case digits; nothing else changes.
 * %2F remains %2F and "//" remains "//", so URLs that RFC 3986 calls different are different
 * streams.
 *
 * The following are refused: dot segments ("." and "..", also if written with %2E), a malformed
 * %XX, encoded control characters such as %00, raw bytes outside printable ASCII, and the
 * characters that RFC 3986 does not allow in a path: " < > \ ^ ` { | }. Pure, thread-safe.
 */
#ifndef PATH_H
#define PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * Splits a request target, "/a/b?x=y" or, in absolute form, "http://host/a/b?x=y", into path and
 * query, which point into target. Without a query, *query is "". False if there is no path.
 */
bool path_split_target(const char *target, const char **path, size_t *path_len, const char **query);

/*
 * The normal form of a path of len bytes, in the arena. NULL if it is refused or memory ran out;
 * *reason is then a static string of one line, for the client. When memory ran out it is
 * path_no_memory, to which callers compare the pointer.
 */
extern const char path_no_memory[];
char *path_normalize(struct arena *arena, const char *path, size_t len, const char **reason);

/* May a path contain c unencoded? */
bool path_allows(char c);

#endif
