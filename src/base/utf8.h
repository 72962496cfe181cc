/*
 * UTF-8 (RFC 3629), for JSON bodies and for text streams over SSE. Pure, thread-safe.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/*
 * Is the text well-formed? That means: no overlong forms, no surrogates, no code point above
 * U+10FFFF, and no incomplete character at the end.
 */
bool utf8_is_valid(const char *text, size_t len);

/*
 * The number of bytes at the end of text (0..3) that begin a character, which further bytes could
 * complete. A message of a text stream may end within a character; SSE holds these bytes back.
 */
size_t utf8_incomplete_tail(const char *text, size_t len);

/*
 * Appends text to buf, with U+FFFD in place of each maximal ill-formed part (Unicode 3.9, table
 * 3-8).
 */
void utf8_add_lossy(struct buf *buf, const char *text, size_t len);

#endif
