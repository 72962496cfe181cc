/* Writing JSON strings. Pure, thread-safe. */
#ifndef JSON_STRING_H
#define JSON_STRING_H

#include <stddef.h>

struct buf;

/*
 * Appends valid UTF-8 as the content of a JSON string, without the quotes. Quotes, backslashes and
 * control characters (below U+0020, and U+007F to U+009F) are escaped.
 */
void json_add_escaped(struct buf *buf, const char *text, size_t len);

/* Appends a text as a whole JSON string, with its quotes. Bytes that are not UTF-8 become U+FFFD.
 */
void json_add_text(struct buf *buf, const char *text);

#endif
