/*
 * The query of a URL: "offset=…&live=…&cursor=…" (protocol section 5.6). Pure, thread-safe.
 */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * Looks for the parameter `name` and decodes its value (%XX and '+') into the arena, NUL-ended,
 * its length in *len (a decoded NUL counts as a byte). *count says how often the name occurs; the
 * value is the first one's. NULL when absent (*count 0) or out of memory (*count > 0).
 * A malformed %XX stays as it is.
 */
char *http_query_get(struct arena *arena, const char *query, const char *name, size_t *len,
                     unsigned *count);

#endif
