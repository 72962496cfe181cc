/*
 * The name of a stream: the path of its URL as the client sent it, in one normal form (RFC 3986
 * section 6.2.2): %XX of an unreserved character is decoded, hex digits are upper-case, nothing
 * else is touched. %2F stays %2F and "//" stays "//", so different URLs stay different streams.
 *
 * Refused: dot segments ("." and "..", also written %2E), a malformed %XX, %00 and other encoded
 * control characters, raw bytes outside printable ASCII, and characters that RFC 3986 has no place
 * for in a path ( " < > \ ^ ` { | } ). Pure, thread-safe.
 */
#ifndef PATH_H
#define PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * Splits a request target: "/a/b?x=y", or in absolute form "http://host/a/b?x=y". The parts point
 * into target. query is empty ("") when there is none. False when there is no path at all.
 */
bool path_split_target(const char *target, const char **path, size_t *path_len, const char **query);

/*
 * The normal form of len bytes, in the arena; NULL with a one-line *reason (a static string) when
 * it is refused or memory ran out.
 */
char *path_normalize(struct arena *arena, const char *path, size_t len, const char **reason);

#endif
