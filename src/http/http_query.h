/*
 * The query of a URL: "offset=…&live=…&cursor=…" (protocol section 5.6). Pure, thread-safe.
 */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * Finds the parameter `name` and decodes its first value (%XX and '+') into the arena, with a final
 * NUL; *len is its length in bytes, without that NUL. *count says how often the name occurs. NULL
 * when absent (*count is 0) or out of memory (*count > 0). A malformed %XX stays as it is.
 */
char *http_query_get(struct arena *arena, const char *query, const char *name, size_t *len,
                     unsigned *count);

#endif
