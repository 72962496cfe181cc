/* Writing JSON strings. Pure, thread-safe. */
#ifndef JSON_STRING_H
#define JSON_STRING_H

#include <stddef.h>

struct buf;

/* What stands between the quotes: valid UTF-8 stays as it is, but for quotes, backslashes and
   control characters (below U+0020, U+007F to U+009F). */
void json_add_escaped(struct buf *buf, const char *text, size_t len);

#endif
