/*
 * UTF-8 (RFC 3629), for JSON bodies and for text streams over SSE. Pure, thread-safe.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Well-formed: no overlong forms, no surrogates, nothing above U+10FFFF, nothing cut short. */
bool utf8_is_valid(const char *text, size_t len);

/*
 * How many of the last bytes (0..3) are the beginning of a character that more bytes could
 * complete. A text stream's messages may split a character; SSE holds these bytes back.
 */
size_t utf8_incomplete_tail(const char *text, size_t len);

/* Appends text to buf with U+FFFD for every maximal ill-formed part (Unicode 3.9, table 3-8). */
void utf8_add_lossy(struct buf *buf, const char *text, size_t len);

#endif
